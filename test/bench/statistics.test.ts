import { describe, expect, it } from 'vitest';
import { compare, mean, median, percentile, spread } from './statistics.ts';

describe('statistics', () => {
  it.each([
    [[3], 3],
    [[10, 2, 3], 3],
    [[4, 1, 3, 2], 2.5],
    [[100, 9, 20], 20],
  ])('the median of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it('has no median of nothing', () => {
    expect(median([])).toBeNaN();
  });

  it.each([
    [99, 99],
    [50, 50],
    [100, 100],
    [1, 1],
    [0, 1],
  ])('the %d th percentile of 1 to 100 is %d', (percent, expected) => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentile(values, percent)).toBe(expected);
  });

  it('takes the greatest of few values for a high percentile', () => {
    expect(percentile([3, 1, 2], 99)).toBe(3);
    expect(percentile([], 99)).toBeNaN();
  });

  it('leaves the values in their order', () => {
    const values = [3, 1, 2];
    median(values);
    percentile(values, 99);
    expect(values).toEqual([3, 1, 2]);
  });

  it('reports a spread and a mean', () => {
    expect(spread([4, 1, 2])).toEqual({ median: 2, min: 1, max: 4 });
    expect(mean([4, 1, 1])).toBe(2);
  });

  it('compares medians, and pairs the samples of a round for the extremes', () => {
    expect(compare([1, 2, 4], [4, 4, 4])).toEqual({ median: 2, min: 1, max: 4 });
  });

  it('leaves out rounds that only one side finished', () => {
    expect(compare([2, 2], [4])).toEqual({ median: 2, min: 2, max: 2 });
  });
});
