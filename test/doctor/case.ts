/**
 * What a case of `npm run doctortest` is: a tunnel, what is broken of it, and what doctor has to
 * call it. The cases stand in injections/*.ts and variants.ts; table.ts lists them.
 */

import type { Plan, Sites } from './sites.ts';

export interface Case {
  /** Unique: `code/variant`, or `healthy/variant`. */
  readonly id: string;
  /** Of the finding that has to come first; null for a healthy tunnel: none may come. */
  readonly code: string | null;
  /** Codes of what else was injected: they have to follow it, in this order. */
  readonly also?: readonly string[];
  /** Codes that are true as well, and may stand after it. */
  readonly beside?: readonly string[];
  /** Where doctor is asked. */
  readonly side?: 'a' | 'b';
  readonly plan?: Plan;
  /**
   * Breaks one thing of the healthy tunnel, which has not sent anything yet. Resolves to further
   * words for doctor.
   */
  inject(sites: Sites): Promise<undefined | readonly string[]>;
  /** Sides whose gateway pings the other one through the tunnel, from then on; only A by default. */
  readonly talks?: readonly ('a' | 'b')[];
  /** Whether doctor is given the other end's `--json`, as it is then. */
  readonly asksOther?: true;
  /** How long they have done so when doctor is asked: at least what makes a silence one. */
  readonly talkMs?: number;
  /** More that the finding has to say: a pattern of all its texts together. */
  readonly says?: RegExp;
  /** Its commands are run as they stand, and doctor is asked again: it may not say the same then. */
  readonly isCured?: true;
}
