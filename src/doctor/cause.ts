/** What a cause is: a pure function from evidence to findings, and how much it hurts. causes.ts lists them. */

import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';

/** How much a cause hurts, the worst first; findings are told in this order. */
export const WEIGHTS = [
  /** Nothing can work: there is no daemon, no key, no link. */
  'everything',
  /** No handshake with a peer. */
  'handshake',
  /** There is a handshake, but packets do not pass. */
  'traffic',
  /** Some packets do not pass: of a size, a family, a direction, a time. */
  'some',
  /** It works, but slowly, or not for long. */
  'quality',
] as const;

export type Weight = (typeof WEIGHTS)[number];

export interface Cause {
  /** That of its findings. */
  readonly code: string;
  readonly weight: Weight;
  /** Empty when the evidence does not prove it: what could not be looked at proves nothing. */
  readonly find: (evidence: Evidence) => readonly Finding[];
  /**
   * Codes of findings that follow from this one, and are not told beside it, of the same peer; all
   * peers' where this one is about the interface. `lighter`: whatever has a lesser weight.
   */
  readonly explains?: readonly string[] | 'lighter';
  /**
   * What remains once all else is excluded: told only if nothing of the same weight or a worse one is
   * found for the same peer or for the interface.
   */
  readonly isLastResort?: true;
}
