/**
 * The memory that the kernel's filter (floodfilter.ts) and this process share, and our side of it:
 * what share of each class passes, what has come of each, whom we expect to hear from, and where the
 * windows of sessions are. Knows no instruction of the filter's.
 */

import type { Endpoint } from '../device/endpoint.ts';
import { REPLAY_WINDOW_PACKETS } from '../noise/replay.ts';

/** The classes, in the order of the board's columns. */
export const TRAFFIC = {
  /** No WireGuard message: type, length or reserved bytes. */
  malformed: 0,
  /**
   * For a session or handshake that we do not have: data of a dead session, mostly; and data of one
   * that we have, with a counter older than its window.
   */
  unexpected: 1,
  /** For one that we have, from where a peer is known. */
  session: 2,
  /** For one that we have, from elsewhere: a peer that has moved, or a replay. */
  moved: 3,
  /** An initiation from where a peer is known. */
  peersCall: 4,
  /** An initiation from elsewhere, without a cookie; and with something in its place. */
  strangersCall: 5,
  secondCall: 6,
} as const;
export const CLASSES = Object.keys(TRAFFIC).length;

/** The random number that is drawn is below this. */
const EVERY = 2 ** 32;

// The board, in bytes. A class has a word of 64 bits in each of three rows.
export const SHARES_AT = 0;
export const PASSED_AT = 64;
export const DROPPED_AT = 128;
/** What a run of datagrams that was dropped has beside the first: it is one to the kernel's count. */
export const DROPPED_BEHIND_FIRST_AT = 192;
/** How far each table's hash is shifted: by what remains of 32 bits. */
export const INDICES_SHIFT_AT = 200;
export const PLACES_SHIFT_AT = 204;
/** Where the draw's random numbers have come to: in the line of memory that a drop writes anyway. */
export const DRAWN_AT = 184;
export const INDICES_AT = 4_096;
/**
 * Receiver indices and places are counted by their hashes, in tables that nothing can overflow:
 * what is not ours is now and then taken for it, which gives it a place in another lottery.
 * Tables grow with what is in them, since those that fit into the processor's cache cost a tenth.
 */
export const INDEX_BITS_MAX = 19;
export const PLACE_BITS_MAX = 20;
const BITS_MIN = 11;
/** One in so many of what is not ours is taken for it, as long as the table can grow. */
const PLACES_TAKEN_FOR_OURS = 512;
const INDICES_TAKEN_FOR_OURS = 8_192;
export const PLACES_AT = INDICES_AT + (1 << INDEX_BITS_MAX);
/** By some bits of the receiver index: what its session's counters have come to, in these units. */
export const WINDOWS_AT = PLACES_AT + (1 << PLACE_BITS_MAX);
export const WINDOWS = 1 << 14;
/** A window has four bytes: with the bits from here on, the filter need not multiply. */
export const WINDOW_SHIFT = 2;
const WINDOW_UNIT = 256;
const WINDOW_MAX = 2 ** 32 - 1;
export const BOARD_BYTES = WINDOWS_AT + 4 * WINDOWS;
const COUNT_MAX = 255;

const ADDRESS_WORDS = 4;
/** For each word of the address, for the port, and one that is added to all. */
const KEYS = ADDRESS_WORDS + 2;

/** One of the tables: how often each hash, of 32 bits, was counted. */
class Tally {
  readonly #counts: Uint8Array;
  readonly #shift: Uint32Array;
  readonly #bitsMax: number;
  readonly #takenForOurs: number;
  readonly #hashes = new Map<number, number>();

  /** @param shift a word of the board, for the filter */
  constructor(counts: Uint8Array, shift: Uint32Array, bitsMax: number, takenForOurs: number) {
    this.#counts = counts;
    this.#shift = shift;
    this.#bitsMax = bitsMax;
    this.#takenForOurs = takenForOurs;
    shift[0] = 32 - BITS_MIN;
  }

  change(hash: number, by: 1 | -1): void {
    const count = (this.#hashes.get(hash) ?? 0) + by;
    if (count < 0) throw new Error('flood board: forgets what it does not know');
    if (count === 0) this.#hashes.delete(hash);
    else this.#hashes.set(hash, count);
    if (!this.#grow()) this.#write(hash, by);
  }

  /** A count that has come to its most stays there until the table grows: it lets in too much. */
  #write(hash: number, by: 1 | -1): void {
    const at = hash >>> this.#shift[0];
    const count = this.#counts[at];
    if (count < COUNT_MAX) this.#counts[at] = count + by;
  }

  /** The kernel may read a table that is half written: for a moment, and only in a flood. */
  #grow(): boolean {
    const before = 32 - this.#shift[0];
    let bits = before;
    while (bits < this.#bitsMax && this.#hashes.size * this.#takenForOurs > 1 << bits) bits++;
    if (bits === before) return false;
    this.#shift[0] = 32 - bits;
    this.#counts.fill(0, 0, 1 << bits);
    for (const [hash, count] of this.#hashes) {
      for (let i = 0; i < count; i++) this.#write(hash, 1);
    }
    return true;
  }
}

/** Our side of the board. */
export class FloodBoard {
  readonly #indices: Tally;
  readonly #places: Tally;
  /** 64-bit words, of which the halves are read: a row's sums stay below 2^53. */
  readonly #words: Uint32Array;
  readonly #keys: BigUint64Array;
  readonly #place = new DataView(new ArrayBuffer(4 * ADDRESS_WORDS));
  readonly #drawn: Uint8Array;
  readonly #windows: Uint32Array;
  /** How many indices share each window. */
  readonly #sharers = new Uint32Array(WINDOWS);
  readonly #placeBytes = new Uint8Array(this.#place.buffer);

  /** @param keys of the places' hash, secret and random; see `createFloodFilter` */
  constructor(memory: ArrayBuffer, keys: BigUint64Array) {
    const shift = (at: number): Uint32Array => new Uint32Array(memory, at, 1);
    const indices = new Uint8Array(memory, INDICES_AT, 1 << INDEX_BITS_MAX);
    const places = new Uint8Array(memory, PLACES_AT, 1 << PLACE_BITS_MAX);
    this.#indices = new Tally(
      indices,
      shift(INDICES_SHIFT_AT),
      INDEX_BITS_MAX,
      INDICES_TAKEN_FOR_OURS,
    );
    this.#places = new Tally(places, shift(PLACES_SHIFT_AT), PLACE_BITS_MAX, PLACES_TAKEN_FOR_OURS);
    this.#words = new Uint32Array(memory, 0, INDICES_AT / 4);
    this.#windows = new Uint32Array(memory, WINDOWS_AT, WINDOWS);
    this.#drawn = new Uint8Array(memory, DRAWN_AT, 8);
    this.#keys = keys;
  }

  /** Lets `share` of a class pass, from 0 to 1. */
  setShare(traffic: number, share: number): void {
    const bound = Math.min(EVERY, Math.floor(share * EVERY));
    const at = SHARES_AT / 4 + 2 * traffic;
    this.#words[at] = bound;
    this.#words[at + 1] = bound === EVERY ? 1 : 0;
  }

  /** Datagrams of a class that have come since the board was made, in all and of those refused. */
  arrived(traffic: number): number {
    return this.#sum(PASSED_AT, traffic) + this.dropped(traffic);
  }

  dropped(traffic: number): number {
    return this.#sum(DROPPED_AT, traffic);
  }

  /** All that were refused, each run of datagrams being one. */
  get droppedBuffers(): number {
    let datagrams = 0;
    for (let one = 0; one < CLASSES; one++) datagrams += this.dropped(one);
    return datagrams - this.#sum(DROPPED_BEHIND_FIRST_AT, 0);
  }

  #sum(row: number, traffic: number): number {
    const at = row / 4 + 2 * traffic;
    return this.#words[at] + this.#words[at + 1] * 2 ** 32;
  }

  /** Continues the draw from elsewhere, so that nobody can work out from what passed what will. */
  stir(random: (out: Uint8Array) => void): void {
    random(this.#drawn);
  }

  countIndex(index: number, change: 1 | -1): void {
    const hash = this.#hashIndex(index);
    this.#indices.change(hash, change);
    const at = windowOf(hash);
    this.#sharers[at] += change;
    // Another session begins at 0, and nobody tells when.
    this.#windows[at] = 0;
  }

  /**
   * The session of this index, one that is counted, has taken a counter so great: data older than
   * its replay window is not let in any more. Of indices that share a place nothing is kept. It may
   * be told late, since a window does not go back.
   */
  setWindow(index: number, greatest: number): void {
    const at = windowOf(this.#hashIndex(index));
    if (this.#sharers[at] !== 1) return;
    const done = Math.floor((greatest - REPLAY_WINDOW_PACKETS + 1) / WINDOW_UNIT);
    this.#windows[at] = Math.min(Math.max(done, 0), WINDOW_MAX);
  }

  /** Indices are random as they are, and little-endian on the wire. */
  #hashIndex(index: number): number {
    this.#place.setUint32(0, index, true);
    return this.#place.getUint32(0);
  }

  countPlace(endpoint: Endpoint, change: 1 | -1): void {
    this.#places.change(this.#hash(endpoint), change);
  }

  /** As the filter does it. */
  #hash({ address, port }: Endpoint): number {
    this.#placeBytes.set(address);
    const last = address.length / 4;
    let sum = this.#keys[last + 1];
    for (let i = 0; i < last; i++) {
      sum += this.#keys[i] * BigInt(this.#place.getUint32(4 * i));
    }
    sum += this.#keys[last] * BigInt(port);
    return Number(BigInt.asUintN(64, sum) >> BigInt(HASH_SHIFT));
  }
}

function windowOf(hash: number): number {
  return (hash >>> WINDOW_SHIFT) & (WINDOWS - 1);
}

/**
 * The hash is the upper half of a sum of products modulo 2^64: whichever two places somebody chooses
 * who does not know the keys, theirs is the same with a chance of 2^-32 (Lemire and Kaser, Strongly
 * universal string hashing is fast, 2014).
 */
export const HASH_SHIFT = 32;

/** Fills the keys of the places' hash. */
export function createHashKeys(random: (out: Uint8Array) => void): BigUint64Array {
  const keys = new BigUint64Array(KEYS);
  random(new Uint8Array(keys.buffer));
  return keys;
}
