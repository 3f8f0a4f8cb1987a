/** Evidence: what the machine's clock is worth. */

import { clockStatus, monotonicMs, wallClockMs } from '../../sys/clock.ts';
import type { Clock } from '../evidence.ts';

export interface ClockSample {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export function sampleClock(): ClockSample {
  return { wallMs: wallClockMs(), monotonicMs: monotonicMs() };
}

export function describeClock(before: ClockSample, after: ClockSample): Clock {
  const { isSynchronized, errorMs } = clockStatus() ?? { isSynchronized: null, errorMs: null };
  const passedMs = after.monotonicMs - before.monotonicMs;
  return {
    nowMs: Math.round(after.wallMs),
    // CLOCK_BOOTTIME counts from there.
    bootedMs: Math.round(after.wallMs - after.monotonicMs),
    isSynchronized,
    errorMs,
    jumpedMs: Math.round(after.wallMs - before.wallMs - passedMs),
  };
}
