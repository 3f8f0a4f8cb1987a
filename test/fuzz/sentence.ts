/** Sentences put together at random from parts of which it is known what they mean. */

import fc from 'fast-check';

export const RUNS = { numRuns: 1_000 };

/** A part of a sentence: how it is spelled, and what it does to what the sentence means. */
export interface Part<T> {
  readonly spelled: readonly string[];
  readonly means: (meaning: T) => void;
}

export const part = <T>(spelled: readonly string[], means: (meaning: T) => void): Part<T> => ({
  spelled,
  means,
});

export const port = fc.nat(65_535);
const mark = fc.nat(0xffff_ffff);
export const spelledMark = fc
  .tuple(mark, fc.boolean())
  .map(([number, hex]) => [hex ? `0x${number.toString(16)}` : String(number), number] as const);
export const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
export const anyAddress = fc.oneof(octets(4), octets(16));
