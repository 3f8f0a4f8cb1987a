/**
 * One who reads the events of a ring, at whatever speed: the ring waits for nobody. What was pushed
 * out before it was read is told as lost, and how many that were.
 */

import type { EventRecord } from './record.ts';
import { type EventRing, type Kept, recordOf } from './ring.ts';

export type Reading =
  | { readonly kind: 'event'; readonly record: EventRecord }
  /** So many events that were there, or would have been, before the next one. */
  | { readonly kind: 'lost'; readonly events: number };

export class EventReader {
  readonly #ring: EventRing;
  /** The one that was read last; null before the first. */
  #at: Kept | null = null;
  /** Its number; nothing up to it is read again. */
  #seq: number;
  /** Up to here gaps are no losses: the reader was not there yet. */
  readonly #joinedAt: number;

  /** @param since the number after which to begin; null for all that is kept, where no gap is a loss */
  constructor(ring: EventRing, since: number | null) {
    this.#ring = ring;
    // From another numbering, or from the future.
    this.#seq = since === null || since > ring.seq ? 0 : since;
    this.#joinedAt = since === null ? ring.seq : this.#seq;
  }

  /** null while there is nothing new up to the number `last`. */
  next(last = Number.POSITIVE_INFINITY): Reading | null {
    const kept = this.#next();
    if (kept === null || kept.seq > last) return null;
    const before = kept.seq - 1;
    const events = before - Math.max(this.#seq, Math.min(this.#joinedAt, before));
    if (events > 0) {
      this.#seq = before;
      return { kind: 'lost', events };
    }
    this.#at = kept;
    this.#seq = kept.seq;
    return { kind: 'event', record: recordOf(kept) };
  }

  #next(): Kept | null {
    const at = this.#at;
    if (at !== null && at.holders > 0) return at.next;
    return this.#ring.after(this.#seq);
  }
}
