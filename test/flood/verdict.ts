/** What a row's figures come to, and whether a tswg's are what was promised. Pure. */

import type { Side } from '../bench/samples.ts';
import { median, percentile } from '../bench/statistics.ts';
import type { Result } from './attempt.ts';
import type { Row } from './rows.ts';
import { isReached } from './trial.ts';

/** wireguard-go is what is compared with, and promises nothing. */
export type Verdict = 'good' | 'RED' | 'no result' | '';

/** The results of a row, as far as there are any. */
export type Results = Readonly<Partial<Record<Side, Result>>>;

/** Of the stream beside the control, what the one beside the flood is to have at least. */
const KEPT_AT_LEAST = 0.95;

/** The share that the streams beside the flood have of those beside the control, all rounds together. */
export function kept(control: readonly number[], flood: readonly number[]): number {
  return median(flood) / median(control);
}

/** With so few rounds there is no such range. */
const ROUNDS_AT_LEAST = 6;
const CONFIDENCE = 0.95;

/**
 * Between which shares that of all rounds is with a confidence of 95 %, by those of single rounds
 * (the sign test's interval, which asks nothing of how they are spread); null with too few rounds.
 */
export function keptRange(
  control: readonly number[],
  flood: readonly number[],
): { least: number; most: number } | null {
  const rounds = control.length;
  if (rounds < ROUNDS_AT_LEAST) return null;
  const shares = control.map((rate, round) => flood[round] / rate).sort((a, b) => a - b);
  // How many may be left out at each end: the chance that so few are on one side of the true one.
  let out = 0;
  let chance = 0.5 ** rounds;
  let outside = 2 * chance;
  for (;;) {
    chance *= (rounds - out) / (out + 1);
    outside += 2 * chance;
    if (outside > 1 - CONFIDENCE) break;
    out++;
  }
  return { least: shares[out], most: shares[rounds - 1 - out] };
}

/** Median and 95th percentile. */
export function waits(seconds: readonly number[]): { median: number; p95: number } {
  // The mean of the two in the middle is no number when one of them is infinite and one is not.
  return { median: median(seconds), p95: percentile(seconds, 95) };
}

export function judge(row: Row, side: Side, results: Results): Verdict {
  const result = results[side];
  if (result === undefined || result.section === 'failure') return 'no result';
  if (!isReached(row.rate, result)) return 'no result';
  if (side !== 'tswg') return '';
  const isGood = keepsPromise(row, result, results['wireguard-go']);
  if (isGood === null) return 'no result';
  return isGood ? 'good' : 'RED';
}

/** null: there is nothing to compare with. */
function keepsPromise(row: Row, result: Result, baseline: Result | undefined): boolean | null {
  if (row.section === 'session' && result.section === 'session') {
    const share = kept(result.control, result.flood);
    if (!Number.isFinite(share)) return null;
    if (share >= KEPT_AT_LEAST || !row.isOnPath) return share >= KEPT_AT_LEAST;
    if (baseline?.section !== 'session' || !isReached(row.rate, baseline)) return null;
    return share > 0 && share >= kept(baseline.control, baseline.flood);
  }
  if (row.section === 'recovery' && result.section === 'recovery') {
    return Math.max(...result.seconds) <= row.limit;
  }
  if (row.section !== 'newcomer' || result.section !== 'newcomer') {
    throw new Error(`flood: ${row.id} has the result of a ${result.section}`);
  }
  const own = waits(result.seconds);
  if (row.limits !== null) return own.median <= row.limits.median && own.p95 <= row.limits.p95;
  if (baseline?.section !== 'newcomer' || !isReached(row.rate, baseline)) return null;
  // That nobody came to wireguard-go, either, is no merit.
  return own.median < Number.POSITIVE_INFINITY && own.median <= waits(baseline.seconds).median;
}
