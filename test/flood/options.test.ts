import { expect, it } from 'vitest';
import { parseOptions } from './options.ts';
import { ROWS } from './rows.ts';

it('without words, flood is what docs/floods.md shows', async () => {
  expect(await parseOptions([])).toEqual({
    settings: { rounds: 3, seconds: 3, newcomers: 20, limit: 60 },
    ...{ rows: ROWS, isWhole: true, only: undefined, peer: 'wireguard-go' },
    ...{ add: false, list: false, markdown: false, out: undefined },
  });
});

it('takes rows in its own order, and then is not whole', async () => {
  const words = ['--row', 'recovery/*', 'session/mix/own/4/max', '--peer', '/bin/other'];
  const { rows, isWhole, peer } = await parseOptions(words);
  expect(rows[0].id).toBe('session/mix/own/4/max');
  expect(rows.slice(1).every(({ section }) => section === 'recovery')).toBe(true);
  expect(isWhole).toBe(false);
  expect(peer).toBe('/bin/other');
});

it.each([['--quick'], ['--only', 'tswg'], ['--row', '*']])(
  'is not whole with %s',
  async (...words) => {
    expect((await parseOptions(words)).isWhole).toBe(false);
  },
);

it.each([
  ['--rounds', 'x', 'NaN: expected a whole number from 1 on'],
  ['--rounds', '0', '0: expected a whole number from 1 on'],
  ['--rounds', '1.5', '1.5: expected a whole number from 1 on'],
  ['--newcomers', '100', '100: expected a whole number from 1 to 99'],
  ['--seconds', '0.5', '0.5: expected a number from 1 on'],
  ['--seconds', 'x', 'NaN: expected a number from 1 on'],
  ['--limit', '0', '0: expected a number from 1 on'],
])('refuses %s %s', async (option, value, reason) => {
  await expect(parseOptions([option, value])).rejects.toThrow(`${option}: ${reason}`);
});
