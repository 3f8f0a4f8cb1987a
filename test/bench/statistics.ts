/**
 * What many samples say in few numbers. Pure; knows nothing of what was measured.
 */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle value, or the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The least value that at least `percent` of 100 of the values do not exceed (nearest rank). */
export function percentile(values: readonly number[], percent: number): number {
  const rank = Math.ceil((percent / 100) * values.length);
  return ascending(values)[Math.max(rank, 1) - 1] ?? Number.NaN;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * How `subject` compares with `baseline`: the ratio of the medians, and the least and greatest
 * ratio of two samples of the same round. Rounds that only one of them finished are left out.
 */
export function compare(baseline: readonly number[], subject: readonly number[]): Spread {
  const rounds = Math.min(baseline.length, subject.length);
  const ratios = Array.from({ length: rounds }, (_, round) => subject[round] / baseline[round]);
  return { ...spread(ratios), median: median(subject) / median(baseline) };
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
