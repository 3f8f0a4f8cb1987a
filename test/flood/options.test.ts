import { expect, it } from 'vitest';
import { KINDS } from './ammunition.ts';
import { parseOptions } from './options.ts';

it('without words, flood is what the README shows', async () => {
  expect(await parseOptions([])).toEqual({
    ...{ rounds: 3, seconds: 1.5, kinds: KINDS },
    ...{ only: undefined, add: false, out: undefined },
  });
});

it('takes the kinds in its own order', async () => {
  const words = ['--kinds', 'mix', 'garbage', '--rounds', '1', '--seconds', '2'];
  expect(await parseOptions(words)).toMatchObject({
    ...{ rounds: 1, seconds: 2, kinds: ['garbage', 'mix'] },
  });
});

it.each([
  ['--rounds', 'x', 'NaN: expected a whole number from 1 on'],
  ['--rounds', '0', '0: expected a whole number from 1 on'],
  ['--rounds', '1.5', '1.5: expected a whole number from 1 on'],
  ['--seconds', '0.5', '0.5: expected a number from 1 on'],
  ['--seconds', 'x', 'NaN: expected a number from 1 on'],
])('refuses %s %s', async (option, value, reason) => {
  await expect(parseOptions([option, value])).rejects.toThrow(`${option}: ${reason}`);
});
