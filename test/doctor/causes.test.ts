import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CAUSES } from '../../src/doctor/causes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { CASES } from './table.ts';

it('every file of examples/ is in a healthy variant, so that doctor has nothing to say of it', () => {
  const ids = CASES.map(({ id }) => id);
  // Those of a folder are carried out by test/examples, which asks doctor there.
  const files = readdirSync(join(REPOSITORY, 'examples'), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
  const missing = files.filter((name) => !ids.includes(`healthy/examples/${name}`));
  expect(missing).toEqual([]);
});

it('there are thirty healthy variants, and more', () => {
  expect(CASES.filter(({ code }) => code === null).length).toBeGreaterThanOrEqual(30);
});

it('every cause is injected', () => {
  const injected = new Set(CASES.map(({ code }) => code));
  const missing = CAUSES.map(({ code }) => code).filter((code) => !injected.has(code));
  expect(missing).toEqual([]);
});

it('docs/causes.md has a row for every cause, and for none that there is not', () => {
  const text = readFileSync(join(REPOSITORY, 'docs/causes.md'), 'utf8');
  const told = Array.from(text.matchAll(/^\| `(\w+)` \|/gm), ([, code]) => code);
  expect(told.toSorted()).toEqual(CAUSES.map(({ code }) => code).toSorted());
});
