/** The machine on which install.ts writes units. */

import { readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { packageRoot } from '../host/launch.ts';
import type { InstallMachine } from './install.ts';

const UNIT_MODE = 0o644;
const [GROUP_WRITES, OTHERS_WRITE] = [0o020, 0o002];

export function openInstallMachine(): InstallMachine {
  return {
    calledBy: process.argv[1],
    node: process.execPath,
    packageRoot: packageRoot(),
    realPath: (path) => unlessAbsent(() => realpathSync(path)),
    foreign: firstForeign,
    read: (path) => unlessAbsent(() => readFileSync(path, 'utf8')),
    write: writeWhole,
    rename: renameSync,
  };
}

function unlessAbsent<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}

/** Of the path and all folders above it, the one that is nearest to the root. */
function firstForeign(path: string): string | null {
  const above = dirname(path);
  const found = above === path ? null : firstForeign(above);
  return found ?? (isForeign(path) ? path : null);
}

function isForeign(path: string): boolean {
  const { uid, gid, mode } = statSync(path);
  return uid !== 0 || (mode & OTHERS_WRITE) !== 0 || (gid !== 0 && (mode & GROUP_WRITES) !== 0);
}

/** systemd never reads half of it. */
function writeWhole(path: string, text: string): void {
  const unfinished = `${path}.new`;
  writeFileSync(unfinished, text, { mode: UNIT_MODE });
  renameSync(unfinished, path);
}
