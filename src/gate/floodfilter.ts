/**
 * What the kernel looks at before it puts a datagram into our socket, while the gate is shut: a
 * program of its own instructions and the memory that it shares with us. It sorts datagrams into
 * classes by what they claim to be, counts each class, and lets of each as large a share pass, drawn
 * at random, as `floodgate.ts` has set.
 *
 * A claim is cheap to forge, and no datagram is let in for it: what it gets is a place in the
 * lottery of its own class, which a flood in another class does not touch.
 */

import type { Endpoint } from '../device/endpoint.ts';
import { COOKIE_REPLY_BYTES, INITIATION_BYTES, RESPONSE_BYTES } from '../noise/messages.ts';
import { type Assembly, assemble } from './bpfassembly.ts';

/** The classes, in the order of the board's columns. */
export const TRAFFIC = {
  /** No WireGuard message: type, length or reserved bytes. */
  malformed: 0,
  /** For a session or handshake that we do not have: data of a dead session, mostly. */
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
const SHARES_AT = 0;
const PASSED_AT = 64;
const DROPPED_AT = 128;
/** What a run of datagrams that was dropped has beside the first: it is one to the kernel's count. */
const DROPPED_BEHIND_FIRST_AT = 192;
/** How far each table's hash is shifted: by what remains of 32 bits. */
const INDICES_SHIFT_AT = 200;
const PLACES_SHIFT_AT = 204;
/** Where the draw's random numbers have come to: in the line of memory that a drop writes anyway. */
const DRAWN_AT = 184;
const INDICES_AT = 4_096;
/**
 * Receiver indices and places are counted by their hashes, in tables that nothing can overflow:
 * what is not ours is now and then taken for it, which gives it a place in another lottery.
 * Tables grow with what is in them, since those that fit into the processor's cache cost a tenth.
 */
const INDEX_BITS_MAX = 19;
const PLACE_BITS_MAX = 20;
const BITS_MIN = 11;
/** One in so many of what is not ours is taken for it, as long as the table can grow. */
const PLACES_TAKEN_FOR_OURS = 512;
const INDICES_TAKEN_FOR_OURS = 8_192;
const PLACES_AT = INDICES_AT + (1 << INDEX_BITS_MAX);
export const BOARD_BYTES = PLACES_AT + (1 << PLACE_BITS_MAX);
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
    // Indices are random as they are, and little-endian on the wire.
    this.#place.setUint32(0, index, true);
    this.#indices.change(this.#place.getUint32(0), change);
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

/**
 * The hash is the upper half of a sum of products modulo 2^64: whichever two places somebody chooses
 * who does not know the keys, theirs is the same with a chance of 2^-32 (Lemire and Kaser, Strongly
 * universal string hashing is fast, 2014).
 */
const HASH_SHIFT = 32;

/** Fills the keys of the places' hash. */
export function createHashKeys(random: (out: Uint8Array) => void): BigUint64Array {
  const keys = new BigUint64Array(KEYS);
  random(new Uint8Array(keys.buffer));
  return keys;
}

// struct __sk_buff
const SKB_LENGTH = 0;
const SKB_GSO_SEGMENTS = 164;
const SKB_GSO_SIZE = 176;
// What the filter is given begins with the UDP header, and that with the source port.
const UDP_HEADER_BYTES = 8;
/** Offsets from here on count from the header of IP (SKF_NET_OFF of linux/filter.h). */
const FROM_NETWORK_HEADER = -0x100000;
const SOURCE = { 4: { at: 12, words: 1 }, 6: { at: 8, words: 4 } } as const;
// Messages.
const LEAST_BYTES = 32;
const RECEIVER = 4;
const RESPONSE_RECEIVER = 8;
const MAC2 = 132;
/** The first word of a message: its type, and reserved bytes that are 0. */
const HEAD = { initiation: 0x01000000, response: 0x02000000, cookie: 0x03000000, data: 0x04000000 };
/** Steele and Vigna, Computationally easy, spectrally good multipliers, 2021. */
const FACTOR = 0xd1342543de82ef95n;
const DRAWN_SHIFT = 32;
/** Any odd number. */
const INCREMENT = 1;
/** UDP_MAX_SEGMENTS before Linux 6.9. */
const RUN_MAX = 64;

/** The program for sockets of one family; `board` is the map's descriptor. */
export function createFloodFilter(family: 4 | 6, board: number, keys: BigUint64Array): bigint[] {
  return assemble((code) => {
    code.move('r6', 'r1');
    measure(code);
    readMessage(code, board);
    readPlace(code, family, board, keys);
    draw(code, board);
  });
}

/** r7: bytes of the (first) message; r8: how many there are, since a run counts as one buffer. */
function measure(code: Assembly): void {
  code.load32('r7', 'r6', SKB_LENGTH);
  code.add('r7', -UDP_HEADER_BYTES);
  code.move('r8', 1);
  code.load32('r1', 'r6', SKB_GSO_SIZE);
  code.jumpIf('r1', '==', 0, 'isMeasured');
  code.jumpIf('r1', '>=', 'r7', 'isMeasured');
  code.move('r7', 'r1');
  code.load32('r8', 'r6', SKB_GSO_SEGMENTS);
  code.jumpIf('r8', '!=', 0, 'isMeasured');
  // Not counted by who made the run (a virtual machine, say).
  code.move('r8', RUN_MAX);
  code.label('isMeasured');
}

/** Continues to `place` with r7 = 1 for an initiation, and 0 for what names an index of ours. */
function readMessage(code: Assembly, board: number): void {
  // Nothing is read beyond the end later on: each type has its length.
  code.jumpIf('r7', '<', LEAST_BYTES, 'malformed');
  code.loadPacket32(UDP_HEADER_BYTES);
  code.jumpIf('r0', '==', HEAD.initiation, 'initiation');
  code.jumpIf('r0', '==', HEAD.data, 'data');
  code.jumpIf('r0', '==', HEAD.response, 'response');
  code.jumpIf('r0', '!=', HEAD.cookie, 'malformed');
  code.jumpIf('r7', '!=', COOKIE_REPLY_BYTES, 'malformed');
  code.label('data');
  code.loadPacket32(UDP_HEADER_BYTES + RECEIVER);
  code.jump('index');
  code.label('response');
  code.jumpIf('r7', '!=', RESPONSE_BYTES, 'malformed');
  code.loadPacket32(UDP_HEADER_BYTES + RESPONSE_RECEIVER);
  code.label('index');
  loadCount(code, board, INDICES_SHIFT_AT, INDICES_AT, INDEX_BITS_MAX);
  code.jumpIf('r0', '==', 0, 'unexpected');
  code.move('r7', 0);
  code.jump('place');
  code.label('initiation');
  code.jumpIf('r7', '!=', INITIATION_BYTES, 'malformed');
  code.move('r7', 1);
}

function readPlace(code: Assembly, family: 4 | 6, board: number, keys: BigUint64Array): void {
  code.label('place');
  hashPlace(code, family, keys);
  loadCount(code, board, PLACES_SHIFT_AT, PLACES_AT, PLACE_BITS_MAX);
  code.jumpIf('r7', '!=', 0, 'call');
  code.jumpIf('r0', '==', 0, 'moved');
  code.jump('session');
  code.label('call');
  code.jumpIf('r0', '!=', 0, 'peersCall');
  // What is in a run with a peer's call may be its data; no stranger calls in runs.
  code.jumpIf('r8', '!=', 1, 'malformed');
  // One that begins with four zeros is as rare as it is harmless to take for none.
  code.loadPacket32(UDP_HEADER_BYTES + MAC2);
  code.jumpIf('r0', '==', 0, 'strangersCall');
  code.jump('secondCall');
}

/** Counts the datagrams, and lets them pass if the random number is below what the board says. */
function draw(code: Assembly, board: number): void {
  for (const [name, column] of Object.entries(TRAFFIC)) {
    code.label(name);
    code.move('r6', 8 * column);
    code.jump('draw');
  }
  code.label('draw');
  code.loadMapAddress('r9', board);
  code.add('r6', 'r9');
  code.load64('r7', 'r6', SHARES_AT);
  // Of most of a flood nothing passes at all, and of a session all.
  code.jumpIf('r7', '==', 0, 'drop');
  code.load32('r1', 'r6', SHARES_AT + 4);
  code.jumpIf('r1', '!=', 0, 'pass');
  drawNumber(code);
  code.jumpIf('r0', '>=', 'r7', 'drop');
  code.label('pass');
  code.atomicAdd64('r6', PASSED_AT, 'r8');
  code.move32('r0', -1);
  code.exit();
  code.label('drop');
  code.atomicAdd64('r6', DROPPED_AT, 'r8');
  code.add('r8', -1);
  code.jumpIf('r8', '==', 0, 'dropped');
  code.atomicAdd64('r9', DROPPED_BEHIND_FIRST_AT, 'r8');
  code.label('dropped');
  code.move('r0', 0);
  code.exit();
}

/**
 * r0 becomes a random number of 32 bits: the upper half of a linear congruential generator's 64. The
 * kernel's own generator would be a third of what the filter costs, and is predictable as well; this
 * one starts from elsewhere with each `stir`. Processors that draw at the same time may draw the
 * same.
 */
function drawNumber(code: Assembly): void {
  code.load64('r0', 'r9', DRAWN_AT);
  code.loadConstant64('r1', FACTOR);
  code.multiply('r0', 'r1');
  code.add('r0', INCREMENT);
  code.store64('r9', DRAWN_AT, 'r0');
  code.shiftRight('r0', DRAWN_SHIFT);
}

/** r0 becomes the hash of where the datagram is from. */
function hashPlace(code: Assembly, family: 4 | 6, keys: BigUint64Array): void {
  const { at, words } = SOURCE[family];
  code.loadConstant64('r9', keys[words + 1]);
  for (let i = 0; i <= words; i++) {
    if (i < words) code.loadPacket32(FROM_NETWORK_HEADER + at + 4 * i);
    else code.loadPacket16(0);
    code.loadConstant64('r1', keys[i]);
    code.multiply('r0', 'r1');
    code.add('r9', 'r0');
  }
  code.move('r0', 'r9');
  code.shiftRight('r0', HASH_SHIFT);
}

/** r0, a hash, becomes its count in the table. */
function loadCount(
  code: Assembly,
  board: number,
  shiftAt: number,
  table: number,
  bitsMax: number,
): void {
  code.loadMapAddress('r2', board);
  code.load32('r1', 'r2', shiftAt);
  code.shiftRight('r0', 'r1');
  // It is smaller already, but the kernel has no proof of that.
  code.and('r0', (1 << bitsMax) - 1);
  code.add('r0', 'r2');
  // The table's place does not fit into the load's own offset.
  code.add('r0', table);
  code.load8('r0', 'r0', 0);
}
