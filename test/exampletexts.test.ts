/**
 * What every file of an example has (examples/NAME/HOST/FILE): that a reader sees where he is, can copy
 * it without meeting a network that is somebody's, and knows what to look at; and that a test runs it.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REPOSITORY } from './lab/repository.ts';

const EXAMPLES = join(REPOSITORY, 'examples');
/** What is read in two minutes. */
const LINES_MAX = 70;
const COLUMNS_MAX = 100;
/** Before this line the drawing begins. */
const DRAWING_LINES = 12;
/** What may be written: private networks, and those for documentation (RFC 5737, 3849, 2544). */
const ADDRESSES_ALLOWED = [
  ...[
    /^10\./,
    /^172\.(1[6-9]|2\d|3[01])\./,
    /^192\.168\./,
    /^127\./,
    /^0\.0\.0\.0$/,
    /^128\.0\.0\.0$/,
  ],
  ...[
    /^192\.0\.2\./,
    /^198\.51\.100\./,
    /^203\.0\.113\./,
    /^198\.1[89]\./,
    /^255\./,
    /^169\.254\./,
  ],
  ...[/^22[4-9]\.|^23\d\./],
];
const ADDRESSES6_ALLOWED = [/^2001:db8:/, /^f[cd]/, /^fe80:/, /^ff0/, /^::/, /^8000::/];

const folders = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
const names = folders(EXAMPLES);

describe.each(names)('examples/%s', (name) => {
  const files = readdirSync(join(EXAMPLES, name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const texts = new Map(files.map((file) => [file, readFileSync(file, 'utf8')]));
  const mistaken = (isRight: (text: string, file: string) => boolean): string[] =>
    files.filter((file) => !isRight(texts.get(file)!, file));
  const isMain = (file: string): boolean => /\/(hostname\.[^/]+|rc\.local)$/.test(file);

  it('takes from the registry only what this repository has, in that version', () => {
    const { devDependencies } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
    const isPinned = (text: string): boolean =>
      [...text.matchAll(/\bnpx --yes (\S+)/g)].every(([, word]) => {
        const [program, version] = word.split('@');
        return `^${version}` === devDependencies[program];
      });
    expect(mistaken(isPinned)).toEqual([]);
  });

  it('has a test, and a folder for each host', () => {
    expect(existsSync(join(REPOSITORY, 'test/examples', `${name}.test.ts`))).toBe(true);
    expect(files.filter((file) => file.split('/').length < EXAMPLES.split('/').length + 3)).toEqual(
      [],
    );
  });

  it('is short, in lines that fit', () => {
    expect(mistaken((text) => text.split('\n').length <= LINES_MAX)).toEqual([]);
    expect(
      mistaken((text) => text.split('\n').every((line) => line.length <= COLUMNS_MAX)),
    ).toEqual([]);
  });

  it('begins with what it is, and says of a tunnel what it looks like and what to look at', () => {
    expect(mistaken((text) => /^(#!.*\n)?# \/etc\/\S+ /.test(text))).toEqual([]);
    const isDrawn = (text: string): boolean =>
      text
        .split('\n')
        .slice(0, DRAWING_LINES)
        .some((line) => /^#.*--/.test(line));
    expect(mistaken((text, file) => !isMain(file) || isDrawn(text))).toEqual([]);
    expect(
      mistaken((text, file) => !isMain(file) || text.includes('# When it does not work:')),
    ).toEqual([]);
  });

  it('names only addresses of private networks and of the documentation', () => {
    const found = [...texts.values()].flatMap((text) => {
      const four = text.match(/(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])/g) ?? [];
      const six = text.match(/(?<![\w:.])[\da-f]{0,4}(?::[\da-f]{0,4}){2,7}(?![\w:])/gi) ?? [];
      return [
        ...four.filter((one) => !ADDRESSES_ALLOWED.some((allowed) => allowed.test(one))),
        ...six.filter((one) => !ADDRESSES6_ALLOWED.some((allowed) => allowed.test(one))),
      ];
    });
    expect(found).toEqual([]);
  });
});

it('every test of an example has its folder', () => {
  const tests = readdirSync(join(REPOSITORY, 'test/examples')).flatMap(
    (file) => /^(.*)\.test\.ts$/.exec(file)?.[1] ?? [],
  );
  // A second one of an example is NAME-WHAT.
  const isOf = (test: string, name: string): boolean =>
    test === name || test.startsWith(`${name}-`);
  expect(tests.filter((test) => !names.some((name) => isOf(test, name)))).toEqual([]);
});
