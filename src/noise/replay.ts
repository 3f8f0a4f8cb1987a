/**
 * The replay window: which of the last 8,192 counters have been seen, as a ring of bits indexed by
 * the counter's low bits (RFC 6479). Knows nothing of keys or packets; call it only with counters
 * of packets that decrypted, or a forger could move it.
 *
 * RFC 6479 clears whole words ahead of the greatest counter and so remembers one word less than
 * the ring holds. Here the bits skipped are cleared exactly, which makes the window the whole
 * ring.
 */

import { REJECT_AFTER_MESSAGES } from './constants.ts';

/** Packets up to this many behind the greatest counter seen are still judged one by one. */
export const REPLAY_WINDOW_PACKETS = 8_192;

const WORD_BITS = 32;

/** Bytes of the whole copy that `copySeen` makes. */
export const REPLAY_WINDOW_BYTES = REPLAY_WINDOW_PACKETS / 8;

/** How many of them may be other than zero in a window whose greatest counter is this, or -1. */
export function seenBytes(greatest: number): number {
  if (greatest >= REPLAY_WINDOW_PACKETS) return REPLAY_WINDOW_BYTES;
  return ((greatest >> 5) + 1) * (WORD_BITS / 8);
}

const WORDS = REPLAY_WINDOW_PACKETS / WORD_BITS;
/** As many rings lie side by side: the memory is free again when none of them is used any more. */
const RINGS_TOGETHER = 64;

/** Rings of bits for windows of which thousands are made at once: to make an array each takes long. */
export class Rings {
  #words = new Int32Array(0);
  #at = 0;

  /** Unseen, and nobody else's. */
  next(): Int32Array {
    if (this.#at === this.#words.length) {
      this.#words = new Int32Array(RINGS_TOGETHER * WORDS);
      this.#at = 0;
    }
    this.#at += WORDS;
    return this.#words.subarray(this.#at - WORDS, this.#at);
  }
}

export class ReplayWindow {
  readonly #seen: Int32Array;
  #greatest = -1;

  /** @param ring of a Rings, unused */
  constructor(ring: Int32Array = new Int32Array(WORDS)) {
    this.#seen = ring;
  }

  /** Continues where another window, in another process, stopped. `seen`: see copySeen. */
  static continued(greatest: number, seen: Uint8Array, ring?: Int32Array): ReplayWindow {
    const replay = new ReplayWindow(ring);
    replay.#greatest = greatest;
    replay.#bytes(seen.length).set(seen);
    return replay;
  }

  /** The greatest counter seen; -1 before the first. */
  get greatest(): number {
    return this.#greatest;
  }

  /**
   * Copies the ring of bits to `out`, in this machine's order of bytes: REPLAY_WINDOW_BYTES, or the first
   * of them alone, as many as `seenBytes` says.
   */
  copySeen(out: Uint8Array): void {
    out.set(this.#bytes(out.length));
  }

  /** The first of the ring's. */
  #bytes(length: number): Uint8Array {
    return new Uint8Array(this.#seen.buffer, this.#seen.byteOffset, length);
  }

  /**
   * Marks a counter as seen: true the first time, false when it was seen before, is older than
   * the window, or is not below REJECT_AFTER_MESSAGES. `counter`: a whole number, not negative.
   */
  accept(counter: number): boolean {
    if (counter > this.#greatest) {
      if (counter >= REJECT_AFTER_MESSAGES) return false;
      this.#advance(counter);
    } else if (this.#greatest - counter >= REPLAY_WINDOW_PACKETS) {
      return false;
    }
    const word = wordOf(counter);
    const bit = 1 << counter; // modulo 32, also beyond 2^32
    if ((this.#seen[word] & bit) !== 0) return false;
    this.#seen[word] |= bit;
    return true;
  }

  /**
   * `accept` of `count` counters from `first` on, at most REPLAY_WINDOW_PACKETS, of which the first is
   * greater than every one seen and the last below REJECT_AFTER_MESSAGES.
   */
  acceptRun(first: number, count: number): void {
    const end = first + count;
    if (first <= this.#greatest) throw new Error('replay window: a run that is not new');
    this.#advance(end - 1);
    for (let counter = first; counter < end; ) {
      const bit = counter & (WORD_BITS - 1);
      const bits = Math.min(WORD_BITS - bit, end - counter);
      // A shift by 32 is none.
      const ones = bits === WORD_BITS ? -1 : (1 << bits) - 1;
      this.#seen[wordOf(counter)] |= ones << bit;
      counter += bits;
    }
  }

  /** Whether `accept` would take this counter, as things stand. Changes nothing. */
  isNew(counter: number): boolean {
    if (counter > this.#greatest) return counter < REJECT_AFTER_MESSAGES;
    if (this.#greatest - counter >= REPLAY_WINDOW_PACKETS) return false;
    return (this.#seen[wordOf(counter)] & (1 << counter)) === 0;
  }

  /** Makes `counter` the greatest; the places between, itself included, become unseen. */
  #advance(counter: number): void {
    let next = this.#greatest + 1;
    this.#greatest = counter;
    if (counter - next >= REPLAY_WINDOW_PACKETS) {
      this.#seen.fill(0);
      return;
    }
    while (next <= counter) {
      if ((next & (WORD_BITS - 1)) === 0 && counter - next >= WORD_BITS - 1) {
        this.#seen[wordOf(next)] = 0;
        next += WORD_BITS;
      } else {
        this.#seen[wordOf(next)] &= ~(1 << next);
        next++;
      }
    }
  }
}

/** The bit operators take a number modulo 2^32, exactly so up to 2^53: the low bits are the place. */
function wordOf(counter: number): number {
  return (counter & (REPLAY_WINDOW_PACKETS - 1)) >>> 5;
}
