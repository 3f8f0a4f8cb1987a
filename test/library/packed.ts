/** The package as npm gets it, unpacked into a folder of its own. */

import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '../lab/repository.ts';

const execute = promisify(execFile);

/** Packs into `scratch` and unpacks from there; the tarball's path. */
export async function unpackPackage(scratch: string, folder: string): Promise<string> {
  const program = join(REPOSITORY, 'packaging', 'tarball.mjs');
  const { stdout } = await execute(process.execPath, [program, scratch]);
  const tarball = stdout.trim();
  mkdirSync(folder, { recursive: true });
  await execute('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1']);
  return tarball;
}
