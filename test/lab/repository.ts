/**
 * Where the repository and its programs stand, seen from the TypeScript source and from dist alike.
 * Owns the environment that a program under test starts with.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that holds package.json. */
export const REPOSITORY = findRepository();

/** The environment for programs of the lab: `tswg` and `tswgd` are this repository's. */
export function programEnvironment(
  changes: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const { PATH: systemPath = '', TSWG_WARM } = process.env;
  return {
    HOME: process.env.HOME ?? '/root',
    LC_ALL: 'C.UTF-8',
    // An ordinary user's PATH lacks the sbin folders, where ip and nft are.
    // After the system's own: what test/setup has unpacked.
    PATH: [
      ...[
        `${REPOSITORY}/bin`,
        systemPath,
        '/usr/local/sbin',
        '/usr/sbin',
        '/sbin',
        '/usr/bin',
        '/bin',
      ],
      ...['usr/bin', 'usr/sbin', 'bin'].map((name) => `${REPOSITORY}/dist/debian/${name}`),
    ].join(':'),
    ...(TSWG_WARM === undefined ? {} : { TSWG_WARM }),
    ...changes,
  };
}

/** The path of a compiled program, given the path of its source within the repository. */
export function compiledProgram(source: string): string {
  const compiled = path.join(REPOSITORY, 'dist', source.replace(/\.ts$/, '.js'));
  if (!existsSync(compiled)) throw new Error(`${compiled} is missing: run "npm run build"`);
  return compiled;
}

function findRepository(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('lab: no package.json above this file');
    folder = parent;
  }
  return folder;
}
