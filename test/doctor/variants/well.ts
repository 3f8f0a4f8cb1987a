/** How a healthy variant is declared: doctor is to say nothing, and to exit with 0. */

import type { Case } from '../case.ts';
import type { Sites } from '../sites.ts';

/** A handshake, and some packets after it. */
const TALK_MS = 3_000;

type Change = (sites: Sites) => Promise<unknown>;

/** @param change what is special about it; may resolve to further words for doctor */
export function well(name: string, change: Change, rest: Partial<Case> = {}): Case {
  return {
    id: `healthy/${name}`,
    code: null,
    talkMs: TALK_MS,
    inject: async (sites) => {
      const words = await change(sites);
      return Array.isArray(words) ? words : undefined;
    },
    ...rest,
  };
}
