/** What the tarball holds that npm gets: what is used, and nothing else. */

import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize, relative } from 'node:path';
import { publint } from 'publint';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { REPOSITORY } from '../lab/repository.ts';
import { unpackPackage } from './packed.ts';

/** Of an installation, which is this and the packages that it depends on. */
const INSTALLED_BYTES_MAX = 15e6;
const ALLOWED = [
  /^(package\.json|README\.md|SECURITY\.md|LICENSE)$/,
  /^bin\/(tswg|tswgd|package\.json)$/,
  /^dist\/program\/([\w-]+\.cjs|licenses\.txt)$/,
  /^dist\/library\/[\w/]+(\.js|\.d\.ts)$/,
  /^dist\/man\/[\w.]+\.[58]$/,
  /^docs\/[\w-]+\.(md|svg)$/,
  /^examples\/(?!.*\.m?[jt]s$)/,
];

const scratch = mkdtempSync(join(tmpdir(), 'tswg-tarball-'));
const folder = join(scratch, 'package');
let files: string[] = [];
let tarball = '';
const read = (path: string) => readFileSync(join(folder, path), 'utf8');

function filesUnder(root: string): string[] {
  return readdirSync(root, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function bytesUnder(root: string): number {
  return filesUnder(root).reduce((sum, path) => sum + statSync(join(root, path)).size, 0);
}

beforeAll(async () => {
  tarball = await unpackPackage(scratch, folder);
  files = filesUnder(folder);
});
afterAll(() => rmSync(scratch, { recursive: true }));

it('holds the programs, the library, what is to be read, and nothing else', () => {
  expect(files.filter((path) => !ALLOWED.some((one) => one.test(path)))).toEqual([]);
  for (const program of ['tswg', 'tswgd']) {
    accessSync(join(folder, 'bin', program), constants.X_OK);
    expect(read(`bin/${program}`)).toMatch(/^#!\/usr\/bin\/env node\n/);
  }
});

it('tells npm of nothing to be run, and of no package but those of the library', () => {
  const manifest = JSON.parse(read('package.json'));
  expect(manifest.scripts).toBeUndefined();
  expect(manifest.devDependencies).toBeUndefined();
  const modules = files.filter((path) => /^dist\/library\/.*\.js$/.test(path));
  const imported = modules.flatMap((path) =>
    [...read(path).matchAll(/\bfrom '((?!\.|node:)[^']+)'/g)].map(([, from]) =>
      from.split('/', 2).join('/'),
    ),
  );
  expect([...new Set(imported)].sort()).toEqual(Object.keys(manifest.dependencies).sort());
  const { packages } = JSON.parse(readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8'));
  const installed = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
  for (const name of installed) {
    expect([name, packages[`node_modules/${name}`].hasInstallScript]).toEqual([name, undefined]);
  }
});

it('has no module, declaration or part that nothing leads to, and all that something leads to', () => {
  const { exports } = JSON.parse(read('package.json'));
  const reached = new Set<string>();
  const follow = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    const extension = path.endsWith('.d.ts') ? '.d.ts' : '.js';
    for (const [, from] of read(path).matchAll(/(?:from |import\(?)'(\.[^']+)'/g)) {
      follow(join(dirname(path), from.replace(/\.[jt]s$/, extension)));
    }
    for (const [, from] of read(path).matchAll(/\brequire\("\.\/([^"]+)"\)/g)) {
      follow(join(dirname(path), from));
    }
  };
  for (const targets of Object.values<Record<string, string>>(exports)) {
    for (const target of Object.values(targets)) follow(normalize(target));
  }
  for (const program of ['start', 'code', 'tswg', 'tswgd']) follow(`dist/program/${program}.cjs`);
  const manual: string[] = JSON.parse(read('package.json')).man;
  for (const page of manual) reached.add(normalize(page));
  const present = files.filter((path) => path.startsWith('dist/') && !path.endsWith('.txt'));
  expect([...reached].sort()).toEqual(present.sort());
});

it('has a daemon that loads nothing any more once it is loaded, which it could not when confined', () => {
  const later = files
    .filter((path) => /^dist\/program\/tswgd-.*\.cjs$/.test(path))
    .flatMap((path) =>
      read(path)
        .split('\n')
        // At its beginning a line names what a part is loaded with.
        .filter((line) => !/^(const|let) [\w$]+ = require\(/.test(line))
        .filter((line) => /\b(require|import)\((?!"(node:)?url"\))/.test(line))
        .map((line) => `${path}: ${line.trim()}`),
    );
  expect(later).toEqual([]);
});

it('has a licence for every package that is in the programs', () => {
  const parts = files.filter((path) => /^dist\/program\/.*\.cjs$/.test(path));
  const inside = parts.flatMap((path) =>
    [...read(path).matchAll(/^\/\/ .*\bnode_modules\/((?:@[^/]+\/)?[^/]+)\//gm)].map(
      ([, name]) => name,
    ),
  );
  const named = [...read('dist/program/licenses.txt').matchAll(/^(\S+) [\d.]+ \([\w.-]+\)$/gm)];
  expect(new Set(inside)).toEqual(new Set(named.map(([, name]) => name)));
  expect(inside).toContain('@noble/ciphers');
});

it('leads nowhere that is not in it, from any page', () => {
  const dead = files
    .filter((path) => path.endsWith('.md'))
    .flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|#)([^)\s#]+)/g)]
        .map(([, target]) => normalize(join(dirname(page), target)))
        .filter((target) => !existsSync(join(folder, target)))
        .map((target) => `${page}: ${target}`),
    );
  expect(dead).toEqual([]);
});

it('is good in the eyes of publint', async () => {
  const options = { pkgDir: folder, level: 'suggestion', strict: true, pack: false } as const;
  expect((await publint(options)).messages).toEqual([]);
});

it('is small, also with what it depends on', () => {
  const installed = ['@noble/ciphers', '@noble/curves', '@noble/hashes', '@koromix'];
  const others = installed.map((name) => bytesUnder(join(REPOSITORY, 'node_modules', name)));
  const bytes = bytesUnder(folder) + others.reduce((sum, one) => sum + one);
  process.stdout.write(
    `tarball: ${statSync(tarball).size} bytes, ${files.length} files; installed: ${bytes} bytes\n`,
  );
  expect(bytes).toBeLessThan(INSTALLED_BYTES_MAX);
});
