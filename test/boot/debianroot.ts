/**
 * The files of the machine that is booted: Debian 13 as debootstrap makes it, whose nodejs is the
 * distribution's (libuv and OpenSSL are libraries of their own there); made once, and kept in
 * dist/boot. Where that cannot be had, this machine's files serve, with its Node.js.
 */

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execute } from '../lab/command.ts';
import { REPOSITORY } from '../lab/repository.ts';

export interface DebianRoot {
  readonly folder: string;
  /** For the reader of the report. */
  readonly description: string;
  /** Its packages are Debian's own, so that apt can be asked to install another. */
  readonly isPure: boolean;
}

const SUITE = 'trixie';
/** What the package depends on or recommends, and what the checks look with. */
const INCLUDED = [
  ...['systemd', 'systemd-sysv', 'dbus', 'nodejs', 'adduser', 'libstdc++6', 'libgcc-s1'],
  ...['iproute2', 'iputils-ping', 'procps', 'bash-completion'],
];
const TIMEOUT_MS = 900_000;

export async function openDebianRoot(): Promise<DebianRoot> {
  const folder = join(REPOSITORY, 'dist', 'boot', SUITE);
  const reason = existsSync(folder) ? null : await make(folder);
  if (reason === null) return { folder, description: `Debian ${SUITE}`, isPure: true };
  const description = `this machine's own files, since there is no Debian ${SUITE}: ${reason}`;
  return { folder: '/', description, isPure: false };
}

/** Resolves to why there is none, or to null. */
async function make(folder: string): Promise<string | null> {
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  const options = ['--variant=minbase', `--include=${INCLUDED.join(',')}`];
  console.log(`boottest: Debian ${SUITE} by debootstrap, once ...`);
  const { status, stdout } = await execute(['debootstrap', ...options, SUITE, unfinished], {
    timeoutMs: TIMEOUT_MS,
  });
  if (status === 0) {
    renameSync(unfinished, folder);
    return null;
  }
  rmSync(unfinished, { recursive: true, force: true });
  // It names the server that it asked, which is nobody's business here.
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  return `debootstrap: ${last.replaceAll(/\S+:\/\/\S+/g, 'the server') || `exit code ${status}`}`;
}
