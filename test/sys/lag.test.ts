import { expect, it } from 'vitest';
import { Lag } from '../../src/sys/lag.ts';

const MINUTE = 60_000;

it('is the longest delay, as long as it lies one minute back and at most two', () => {
  const lag = new Lag(0);
  expect(lag.longestMs(0)).toBe(0);
  lag.add(7, 1_000);
  lag.add(3, 2_000);
  expect(lag.longestMs(2_000)).toBe(7);
  // The minute in which it was, and the next one.
  expect(lag.longestMs(MINUTE + 1_000)).toBe(7);
  lag.add(5, MINUTE + 2_000);
  expect(lag.longestMs(2 * MINUTE - 1)).toBe(7);
  expect(lag.longestMs(2 * MINUTE)).toBe(5);
  expect(lag.longestMs(3 * MINUTE)).toBe(0);
});

it('is forgotten over a time in which nobody asked', () => {
  const lag = new Lag(0);
  lag.add(7, MINUTE + 1);
  lag.add(2, 10 * MINUTE);
  expect(lag.longestMs(10 * MINUTE)).toBe(2);
  lag.add(-5, 10 * MINUTE);
  expect(lag.longestMs(10 * MINUTE)).toBe(2);
});
