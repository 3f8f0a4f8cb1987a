/**
 * Whether a process stays as large as it is. Pure: knows samples and limits, not where they are
 * from.
 */

import { median } from '../bench/statistics.ts';
import type { Sample } from './samples.ts';
import { SIDES, type Side } from './site.ts';

/** The samples of one process, in their order. */
export interface Life {
  readonly side: Side;
  readonly pid: number;
  readonly samples: readonly Sample[];
}

export interface Memory {
  readonly life: Life;
  /** Behind the warm-up. */
  readonly minutes: number;
  /** Medians of the first and the last third, MB. */
  readonly first: number;
  readonly last: number;
  /** MB a minute, of the line that fits best. */
  readonly slope: number;
}

/** Until all code is compiled, and what that has left behind is collected. */
const WARM_UP_MS = 120_000;
/** Less than this, and a trend is chance. */
const JUDGED_MS = 90_000;
const MS_PER_MINUTE = 60_000;

export function livesOf(samples: readonly Sample[]): Life[] {
  return SIDES.flatMap((side) => {
    const lives: { side: Side; pid: number; samples: Sample[] }[] = [];
    for (const sample of samples.filter((each) => each.side === side)) {
      const last = lives.at(-1);
      if (last?.pid === sample.pid) last.samples.push(sample);
      else lives.push({ side, pid: sample.pid, samples: [sample] });
    }
    return lives;
  });
}

/** null of a life that was too short to say. */
export function memoryOf(life: Life): Memory | null {
  const begin = life.samples[0].atMs + WARM_UP_MS;
  const warm = life.samples.filter(({ atMs }) => atMs >= begin);
  if (warm.length < 3) return null;
  const spanMs = warm[warm.length - 1].atMs - warm[0].atMs;
  if (spanMs < JUDGED_MS) return null;
  const third = Math.floor(warm.length / 3);
  const level = (part: readonly Sample[]): number => median(part.map(({ rssMb }) => rssMb));
  return {
    life,
    minutes: spanMs / MS_PER_MINUTE,
    first: level(warm.slice(0, third)),
    last: level(warm.slice(-third)),
    slope: slopeOf(warm.map(({ atMs, rssMb }) => [atMs / MS_PER_MINUTE, rssMb])),
  };
}

/** Of the straight line with the least squares. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  let covariance = 0;
  let variance = 0;
  for (const [x, y] of points) {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  }
  return variance === 0 ? 0 : covariance / variance;
}

/** The descriptors at quiet moments, without the first of a process that may still be starting. */
export function quietDescriptors(life: Life): number[] {
  return life.samples
    .slice(1)
    .filter(({ isQuiet }) => isQuiet)
    .map(({ descriptors }) => descriptors);
}
