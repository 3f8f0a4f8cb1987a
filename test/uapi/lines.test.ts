import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLines } from '../../src/uapi/lines.ts';

/** What is read of the text, key by key; lines of the key `skipped` are not told. */
function read(text: string): { lines: string[][]; asked: string[] } {
  const lines: string[][] = [];
  const asked: string[] = [];
  readLines(
    text,
    (key) => {
      asked.push(key);
      return key === 'skipped' ? null : { key };
    },
    ({ key }, value) => lines.push([key, value]),
  );
  return { lines, asked };
}

describe('lines of an answer', () => {
  it('are told in their order, each key explained once', () => {
    const text = 'a=1\nb=2=3\nskipped=4\nnone\n=5\na=\nb=6\naa=7\n\na';
    const { lines, asked } = read(text);
    expect(lines).toEqual([
      ['a', '1'],
      ['b', '2=3'],
      ['', '5'],
      ['a', ''],
      ['b', '6'],
      ['aa', '7'],
    ]);
    expect(asked).toEqual(['a', 'b', 'skipped', '', 'aa']);
  });

  it('are those that a list of all lines gives, whatever came before them', () => {
    const line = fc.constantFrom('a=1', 'ab=2', 'a', 'b=', '=', 'skipped=3', '', 'abc=x=y', 'ä=ö');
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), (all) => {
        const expected = all
          .filter((one) => one.includes('='))
          .map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)])
          .filter(([key]) => key !== 'skipped');
        expect(read(all.join('\n')).lines).toEqual(expected);
      }),
    );
  });
});
