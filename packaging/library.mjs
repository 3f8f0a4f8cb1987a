/**
 * Copies to dist/library what `exports` in package.json leads to: the modules that are loaded from
 * there, and the declarations that a compiler reads from there. The rest of the build is for the tests,
 * and for the two programs, which bundle.mjs makes. Run by `npm run build`.
 */

import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const BUILT = join(REPOSITORY, 'dist', 'src');
const OUTPUT = join(REPOSITORY, 'dist', 'library');
const IMPORTED = /(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g;

/** Of a path like ./dist/library/index.d.ts */
function builtPath(target) {
  return join(BUILT, relative(OUTPUT, join(REPOSITORY, target)));
}

/** All that a file leads to, itself included. Declarations name sources, which have such beside them. */
function reached(first, extension) {
  const found = new Set();
  const follow = (file) => {
    if (found.has(file)) return;
    found.add(file);
    for (const [, name] of readFileSync(file, 'utf8').matchAll(IMPORTED)) {
      follow(join(dirname(file), name.replace(/\.[jt]s$/, extension)));
    }
  };
  follow(first);
  return found;
}

const { exports } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
rmSync(OUTPUT, { recursive: true, force: true });
for (const { types, default: module } of Object.values(exports)) {
  for (const file of [
    ...reached(builtPath(module), '.js'),
    ...reached(builtPath(types), '.d.ts'),
  ]) {
    const copy = join(OUTPUT, relative(BUILT, file));
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(file, copy);
  }
}
