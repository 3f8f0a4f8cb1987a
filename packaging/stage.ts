/**
 * What the two programs consist of, as a folder that runs where it is put: our own files, and the
 * packages that npm would install with them. Which of it a kind of package leaves out is that one's
 * affair.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Of our own, seen from the repository. */
const OWN = ['bin', 'dist/src', 'package.json', 'examples', 'docs', 'README.md', 'SECURITY.md'];
const LICENCE = 'LICENSE';

/** Copies it to `folder`, which must not exist. */
export function stagePrograms(repository: string, folder: string): void {
  if (existsSync(folder)) throw new Error(`${folder}: exists already`);
  for (const path of [...OWN, LICENCE, ...productionPackages(repository)]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    // A package's own packages come by themselves: npm may have more there than are needed.
    const isOther = (from: string) =>
      relative(join(repository, path), from).includes('node_modules');
    cpSync(join(repository, path), join(folder, path), {
      recursive: true,
      filter: (from) => !isOther(from),
    });
  }
}

/** Folders of the packages that the programs need to run, seen from the repository. */
function productionPackages(repository: string): string[] {
  const options = ['ls', '--omit=dev', '--all', '--parseable'];
  const list = execFileSync('npm', options, { cwd: repository, encoding: 'utf8' });
  return list
    .split('\n')
    .map((path) => relative(repository, path))
    .filter((path) => path.startsWith('node_modules') && existsSync(join(repository, path)));
}

/** All files below a folder, seen from it, sorted. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}
