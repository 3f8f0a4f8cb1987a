/**
 * Makes the tarball for npm, of a build that is there: what `npm pack` takes (`files` in package.json),
 * with a manifest without scripts and without development's packages, with which an installed package
 * can do nothing.
 *
 *     node packaging/tarball.mjs FOLDER       prints the path of the tarball, which lies in that folder
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));

/** Packs a folder, or what is published under a name, into another folder; the tarball's path. */
export function pack(what, destination) {
  const args = ['pack', what, '--ignore-scripts', '--json', '--pack-destination', destination];
  const stdio = ['ignore', 'pipe', 'pipe'];
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { encoding: 'utf8', stdio }));
  return join(destination, filename);
}

/** A tarball of npm's has one folder in it. */
export function unpack(tarball, folder) {
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1']);
}

export function makeTarball(destination) {
  const folder = mkdtempSync(join(destination, 'unpacked-'));
  try {
    unpack(pack(REPOSITORY, destination), folder);
    const manifest = join(folder, 'package.json');
    const { scripts, devDependencies, ...rest } = JSON.parse(readFileSync(manifest, 'utf8'));
    writeFileSync(manifest, `${JSON.stringify(rest, null, 2)}\n`);
    return pack(folder, destination);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(`${makeTarball(resolve(process.argv[2]))}\n`);
}
