import { expect, it } from 'vitest';
import { ROWS, selectRows } from './rows.ts';

it('has a name of its own for every row, and some for a quick run', () => {
  expect(new Set(ROWS.map(({ id }) => id)).size).toBe(ROWS.length);
  const quick = selectRows([], true);
  expect(new Set(quick.map(({ section }) => section))).toEqual(
    new Set(['session', 'newcomer', 'recovery']),
  );
  expect(quick.length).toBe(6);
});

it('selects by ids, of which * stands for anything', () => {
  const ids = selectRows(['session/mix/own/*', 'recovery/dead-sessions/silent/12000'], false).map(
    ({ id }) => id,
  );
  expect(ids).toEqual([
    'session/mix/own/4/max',
    'session/mix/own/4/100000',
    'session/mix/own/6/max',
    'recovery/dead-sessions/silent/12000',
  ]);
});

it('refuses a pattern that names no row', () => {
  expect(() => selectRows(['session/*', 'nonsense'], false)).toThrow(
    /^--row nonsense: expected one of session\/garbage\/random\/4\/max, /,
  );
});
