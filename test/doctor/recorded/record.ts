/** Evidence of a tunnel with one thing wrong, and what doctor has to call it. */

import type { Evidence } from '../../../src/doctor/evidence.ts';

export interface Recorded {
  /** `CODE: what is special about it`, or `healthy: ...`. */
  readonly id: string;
  /** Of the finding that has to come first, in the order in which they have to come; none if well. */
  readonly codes: readonly string[];
  readonly evidence: Evidence;
  /** What the first finding has to say: a pattern of its sentence, proof, commands and doubts. */
  readonly says?: RegExp;
}

/** A record of one cause. */
export function recorded(
  code: string,
  variant: string,
  evidence: Evidence,
  says?: RegExp,
): Recorded {
  const id = variant === '' ? code : `${code}: ${variant}`;
  return { id, codes: [code], evidence, ...(says === undefined ? {} : { says }) };
}

/** A record of what is well. */
export function well(variant: string, evidence: Evidence): Recorded {
  return { id: `healthy: ${variant}`, codes: [], evidence };
}
