import { expect, it } from 'vitest';
import type { Result } from './attempt.ts';
import {
  formatProgress,
  formatRecord,
  formatTables,
  type Outcome,
  parseRecord,
} from './outcome.ts';
import { ROWS } from './rows.ts';
import type { Results } from './verdict.ts';

const NEVER = Number.POSITIVE_INFINITY;

function outcome(id: string, results: Results): Outcome {
  return { row: ROWS.find((row) => row.id === id)!, results };
}

const SESSION: Result = {
  ...{ section: 'session', arrivedPerSecond: 1, gate: 'shut', control: [12.34], flood: [12.34] },
  ...{ accounted: 1, memoryMb: { before: 80, after: 90 } },
};
const NEWCOMERS: Result = {
  ...{ section: 'newcomer', arrivedPerSecond: 1, gate: 'shut', cookies: 20 },
  seconds: Array.from({ length: 20 }, () => 12.3),
};
const RECOVERY: Result = {
  ...{ section: 'recovery', arrivedPerSecond: 1, gate: 'shut', seconds: [12.3, 12.3] },
  outagePerSecond: 1,
};

const OUTCOMES = [
  outcome('session/mix/own/4/max', {
    'wireguard-go': { section: 'failure', reason: 'no way' },
    tswg: {
      ...{ section: 'session', arrivedPerSecond: 212_345.6, gate: 'shut' },
      ...{ control: [2, 2.2], flood: [2, 2], accounted: 1, memoryMb: { before: 80, after: 90 } },
    },
  }),
  outcome('newcomer/called/forged-initiations/own/4/10000', {
    'wireguard-go': {
      ...{ section: 'newcomer', arrivedPerSecond: 10_000, gate: 'none' },
      ...{ seconds: [0.1, 0.3], cookies: 0 },
    },
    tswg: {
      ...{ section: 'newcomer', arrivedPerSecond: 9_990, gate: 'shut' },
      ...{ seconds: [5.25, NEVER], cookies: 7 },
    },
  }),
  outcome('recovery/roam-and-return/speaking/12000', {
    tswg: {
      ...{ section: 'recovery', arrivedPerSecond: 11_000, gate: 'open' },
      ...{ seconds: [0, 0.51], outagePerSecond: 3 },
    },
  }),
];

it('makes a table of each section, in which failures have a line', () => {
  expect(formatTables(OUTCOMES)).toMatchInlineSnapshot(`
    "flood  from   asked/s                arrived/s  gate  control  flood  kept
    mix    own 4  max      wireguard-go  failed                                 no result
    mix    own 4  max      tswg          212,346    shut  2.10     2.00   95 %  good

    newcomer                    from   asked/s                arrived/s  gate  came  median  95 %   cookies
    called: forged initiations  own 4  10,000   wireguard-go  10,000     -     2/2   0.2 s   0.3 s  0
    called: forged initiations  own 4  10,000   tswg          9,990      shut  1/2   never   never  7        RED

    accident                   asked/s        arrived/s  gate  seconds
    roam and return, speaking  12,000   tswg  11,000     open  0.0 s, 0.5 s  good"
  `);
});

it('says how sure a share is', () => {
  const rates = [2, 2, 2, 2, 2, 2];
  const tswg: Result = { ...SESSION, control: rates, flood: [1.8, 1.9, 2, 2, 2.1, 2.2] };
  const line = formatProgress(outcome('session/mix/own/4/max', { tswg }), 'tswg');
  expect(line).toContain('  2.00  2.00  100 % (90-110)');
});

it('makes them in Markdown, too', () => {
  expect(formatTables(OUTCOMES.slice(2), true)).toMatchInlineSnapshot(`
    "| accident | asked/s |  | arrived/s | gate | seconds |  |
    | --- | --- | --- | --- | --- | --- | --- |
    | roam and return, speaking | 12,000 | tswg | 11,000 | open | 0.0 s, 0.5 s | good |"
  `);
});

it('fits on a terminal of 120 columns, with the longest of everything', () => {
  const results: Record<string, Results> = {
    session: { 'wireguard-go': SESSION, tswg: { ...SESSION, arrivedPerSecond: 1_234_567 } },
    newcomer: { 'wireguard-go': NEWCOMERS, tswg: NEWCOMERS },
    recovery: { 'wireguard-go': RECOVERY, tswg: RECOVERY },
  };
  const all = ROWS.map((row) => ({ row, results: results[row.section] }));
  const widths = formatTables(all)
    .split('\n')
    .map((line) => line.length);
  expect(Math.max(...widths)).toBeLessThanOrEqual(120);
});

it('says what came of a row on one line', () => {
  expect(OUTCOMES.slice(0, 2).map((each) => formatProgress(each, 'wireguard-go'))).toEqual([
    'session/mix/own/4/max  wireguard-go  no way  no result',
    'newcomer/called/forged-initiations/own/4/10000  wireguard-go  10,000  -  2/2  0.2 s  0.3 s  0',
  ]);
});

it('reads its own record, infinity included', () => {
  const text = formatRecord({ machine: {} }, OUTCOMES);
  const read = parseRecord(text);
  expect([...read.keys()]).toEqual(OUTCOMES.map(({ row }) => row.id));
  expect(read.get(OUTCOMES[1].row.id)).toEqual(OUTCOMES[1].results);
});

it('refuses a record of an older table', () => {
  expect(() => parseRecord('{"outcomes":{}}')).toThrow('expected rows');
});
