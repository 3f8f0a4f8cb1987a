import { expect, it } from 'vitest';
import { Pace } from './pace.ts';

function sentBy(pace: Pace, times: readonly number[]): number[] {
  return times.map((now) => {
    const due = pace.due(now);
    pace.spend(due);
    return due;
  });
}

it('sends what was asked for, whatever the steps in which it is asked', () => {
  const times = Array.from({ length: 997 }, (_, i) => (i + 1) * 1.003);
  const sent = sentBy(new Pace(10_000, 0), times);
  const total = sent.reduce((sum, each) => sum + each, 0);
  expect(Math.abs(total - 10 * times.at(-1)!)).toBeLessThan(1);
  expect(Math.max(...sent)).toBeLessThanOrEqual(11);
});

it('sends nothing before a whole one is due', () => {
  expect(sentBy(new Pace(1_000, 0), [0.9, 1, 1.9, 2])).toEqual([0, 1, 0, 1]);
});

it('sends clumps at once, the first of them at the beginning', () => {
  const times = Array.from({ length: 25 }, (_, i) => i * 100);
  const sent = sentBy(new Pace(240, 0, 240), times);
  expect(sent.filter((each) => each > 0)).toEqual([240, 240, 240]);
  expect([0, 10, 20].map((index) => sent[index])).toEqual([240, 240, 240]);
});

it('catches up with no more than a burst', () => {
  expect(sentBy(new Pace(100_000, 0), [1, 1_001, 1_002])).toEqual([100, 2_000, 100]);
});

it('sends one now and then at a rate below one a burst', () => {
  const times = Array.from({ length: 1_000 }, (_, i) => i + 1);
  const total = sentBy(new Pace(20, 0), times).reduce((sum, each) => sum + each, 0);
  expect(total).toBe(20);
});

it('knows no bound when none was asked for', () => {
  expect(sentBy(new Pace(Number.POSITIVE_INFINITY, 0), [0, 0])).toEqual([
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
});
