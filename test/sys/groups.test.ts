import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { findGroup } from '../../src/sys/groups.ts';

const folder = mkdtempSync(join(tmpdir(), 'tswg-groups-'));
const file = join(folder, 'group');
afterAll(() => rmSync(folder, { recursive: true }));

it('finds a group by its whole name', () => {
  writeFileSync(file, 'root:x:0:\n_tswg2:x:7:\n# _tswg:x:8:\n_tswg:x:4242:prometheus,admin\n');
  expect(findGroup('_tswg', file)).toBe(4242);
  expect(findGroup('root', file)).toBe(0);
  expect(findGroup('prometheus', file)).toBeNull();
});

it.each([
  ['_tswg'],
  ['_tswg:x:'],
  ['_tswg:x:-1:'],
  ['_tswg:x:12345678901:'],
  ['_tswg:x:7a:'],
  [''],
])('finds none in the line %j', (line) => {
  writeFileSync(file, `${line}\n`);
  expect(findGroup('_tswg', file)).toBeNull();
});

it('finds none without the file', () => {
  expect(findGroup('_tswg', join(folder, 'nothing'))).toBeNull();
});
