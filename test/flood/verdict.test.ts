import { expect, it } from 'vitest';
import type { Result } from './attempt.ts';
import type { NewcomerResult } from './newcomertrial.ts';
import { ROWS, type Row } from './rows.ts';
import { judge, keptRange, waits } from './verdict.ts';

const NEVER = Number.POSITIVE_INFINITY;

function rowOf(id: string): Row {
  const row = ROWS.find((each) => each.id === id);
  if (row === undefined) throw new Error(`no row ${id}`);
  return row;
}

const SESSION = rowOf('session/mix/own/4/100000');
const SLOW = rowOf('newcomer/calling/forged-initiations/own/4/10000');
const MAX = rowOf('newcomer/calling/forged-initiations/own/4/max');
const SILENT = rowOf('recovery/receiver-restarts/silent/12000');
const ROAMING = rowOf('recovery/roam-and-return/speaking/12000');

function session(control: number[], flood: number[], arrivedPerSecond = 99_000): Result {
  const memoryMb = { before: 1, after: 1 };
  const figures = { control, flood, accounted: null, memoryMb };
  return { section: 'session', arrivedPerSecond, gate: 'open', ...figures };
}

function newcomers(seconds: number[], arrivedPerSecond = 9_900): NewcomerResult {
  return { section: 'newcomer', arrivedPerSecond, gate: 'shut', seconds, cookies: 0 };
}

function recovery(seconds: number[], arrivedPerSecond = 12_000): Result {
  return { section: 'recovery', arrivedPerSecond, gate: 'open', seconds, outagePerSecond: 1 };
}

it('knows no median of who never came, and no 95th percentile', () => {
  expect(waits([1, 2, NEVER, NEVER])).toEqual({ median: NEVER, p95: NEVER });
  expect(waits([1, 2, 3, NEVER, NEVER])).toEqual({ median: 3, p95: NEVER });
  expect(waits(Array.from({ length: 20 }, (_, i) => (i === 19 ? NEVER : i)))).toEqual({
    median: 9.5,
    p95: 18,
  });
});

it('says how sure a share is, from six rounds on', () => {
  const rounds = (count: number) => Array.from({ length: count }, (_, i) => 80 + 10 * i);
  const range = (count: number) =>
    keptRange(
      rounds(count).map(() => 100),
      rounds(count),
    );
  expect(range(5)).toBeNull();
  // Tables of the sign test: of 6 to 8 none may be left out at an end, of 9 one, of 12 two, of 20 five.
  expect(range(6)).toEqual({ least: 0.8, most: 1.3 });
  expect(range(8)).toEqual({ least: 0.8, most: 1.5 });
  expect(range(9)).toEqual({ least: 0.9, most: 1.5 });
  expect(range(12)).toEqual({ least: 1, most: 1.7 });
  expect(range(20)).toEqual({ least: 1.3, most: 2.2 });
});

it.each([
  ['keeps 95 %', SESSION, session([1, 2, 3], [3, 1.9, 0]), 'good'],
  ['keeps less', SESSION, session([1, 2, 3], [3, 1.8, 0]), 'RED'],
  ['moves nothing', SESSION, session([2], [0]), 'RED'],
  ['has a control without a stream', SESSION, session([0], [0]), 'no result'],
  ['was flooded too little', SESSION, session([1], [1], 89_000), 'no result'],
  ['connects in time', SLOW, newcomers([5, 6, 7, 12]), 'RED'],
  ['has a median in time and a late one', SLOW, newcomers([5, 5, 6, 12.1]), 'RED'],
  ['connects in 6 s and 12 s', SLOW, newcomers([5, 5, 6, 12]), 'good'],
  ['is not flooded', SLOW, newcomers([0, 0], 8_900), 'no result'],
  ['is silent and heard of in time', SILENT, recovery([15.6]), 'good'],
  ['is silent and heard of late', SILENT, recovery([16.1]), 'RED'],
  ['is never heard of', SILENT, recovery([NEVER]), 'RED'],
  ['goes and does not come back', ROAMING, recovery([0.1, NEVER]), 'RED'],
  ['comes back', ROAMING, recovery([0.1, 0.2]), 'good'],
  ['cannot be tried', SILENT, { section: 'failure', reason: 'no way' }, 'no result'],
] as const)('judges a tswg that %s', (_, row, result, verdict) => {
  expect(judge(row, 'tswg', { tswg: result })).toBe(verdict);
});

it('judges the most by the median of wireguard-go', () => {
  const own = newcomers([5, 5, 10], 300_000);
  const others = (seconds: number[], rate = 300_000) => ({
    tswg: own,
    'wireguard-go': newcomers(seconds, rate),
  });
  expect(judge(MAX, 'tswg', others([5, 5, 5]))).toBe('good');
  expect(judge(MAX, 'tswg', others([1, 4.9, NEVER]))).toBe('RED');
  expect(judge(MAX, 'tswg', others([NEVER, NEVER, NEVER]))).toBe('good');
  expect(judge(MAX, 'tswg', others([5, 5, 5], 99_000))).toBe('no result');
  expect(judge(MAX, 'tswg', { tswg: own })).toBe('no result');
  const never = newcomers([NEVER, NEVER, NEVER], 300_000);
  expect(judge(MAX, 'tswg', { tswg: never, 'wireguard-go': never })).toBe('RED');
});

it('judges who is on the path, as fast as he can, by what wireguard-go keeps', () => {
  const row = rowOf('session/flipped-data/own/4/max');
  const own = session([2], [1.2], 300_000);
  const verdict = (flood: number, rate = 300_000) =>
    judge(row, 'tswg', { tswg: own, 'wireguard-go': session([2], [flood], rate) });
  expect(verdict(1.2)).toBe('good');
  expect(verdict(1.3)).toBe('RED');
  expect(verdict(1, 9_000)).toBe('no result');
  expect(judge(row, 'tswg', { tswg: own })).toBe('no result');
  expect(judge(row, 'tswg', { tswg: session([2], [1.9], 300_000) })).toBe('good');
  expect(judge(SESSION, 'tswg', { tswg: own, 'wireguard-go': session([2], [0]) })).toBe('RED');
});

it('asks nothing of wireguard-go but that its row was reached', () => {
  expect(judge(SLOW, 'wireguard-go', { 'wireguard-go': newcomers([NEVER]) })).toBe('');
  expect(judge(SLOW, 'wireguard-go', { 'wireguard-go': newcomers([1], 10) })).toBe('no result');
});

it('does not take the result of another section for its own', () => {
  expect(() => judge(SLOW, 'tswg', { tswg: session([1], [1]) })).toThrow('a session');
});
