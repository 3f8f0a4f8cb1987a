/**
 * What the kernel looks at before it puts a datagram into our socket, while the gate is shut: a
 * program of its own instructions. It sorts datagrams into classes by what they claim to be, counts
 * each class, and lets of each as large a share pass, drawn at random, as `floodgate.ts` has set on
 * the board (floodboard.ts) that it shares with us.
 *
 * A claim is cheap to forge, and no datagram is let in for it: what it gets is a place in the
 * lottery of its own class, which a flood in another class does not touch.
 */

import { COOKIE_REPLY_BYTES, INITIATION_BYTES, RESPONSE_BYTES } from '../noise/messages.ts';
import { type Assembly, assemble } from './bpfassembly.ts';
import {
  DRAWN_AT,
  DROPPED_AT,
  DROPPED_BEHIND_FIRST_AT,
  HASH_SHIFT,
  INDEX_BITS_MAX,
  INDICES_AT,
  INDICES_SHIFT_AT,
  PASSED_AT,
  PLACE_BITS_MAX,
  PLACES_AT,
  PLACES_SHIFT_AT,
  SHARES_AT,
  TRAFFIC,
  WINDOW_SHIFT,
  WINDOWS,
  WINDOWS_AT,
} from './floodboard.ts';

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
const COUNTER = 8;
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

/** What r7 is once the length is of no use any more. */
const NAMING = 0;
const CALLING = 1;
const CARRYING = 2;

/** Continues to `place` with r7 = CALLING for an initiation; others name an index of ours. */
function readMessage(code: Assembly, board: number): void {
  // Nothing is read beyond the end later on: each type has its length.
  code.jumpIf('r7', '<', LEAST_BYTES, 'malformed');
  code.loadPacket32(UDP_HEADER_BYTES);
  code.jumpIf('r0', '==', HEAD.initiation, 'initiation');
  code.jumpIf('r0', '==', HEAD.data, 'data');
  code.jumpIf('r0', '==', HEAD.response, 'response');
  code.jumpIf('r0', '!=', HEAD.cookie, 'malformed');
  code.jumpIf('r7', '!=', COOKIE_REPLY_BYTES, 'malformed');
  code.loadPacket32(UDP_HEADER_BYTES + RECEIVER);
  code.move('r7', NAMING);
  code.jump('index');
  code.label('response');
  code.jumpIf('r7', '!=', RESPONSE_BYTES, 'malformed');
  code.loadPacket32(UDP_HEADER_BYTES + RESPONSE_RECEIVER);
  code.move('r7', NAMING);
  code.jump('index');
  code.label('data');
  code.loadPacket32(UDP_HEADER_BYTES + RECEIVER);
  code.move('r7', CARRYING);
  code.label('index');
  code.move('r9', 'r0');
  loadCount(code, board, INDICES_SHIFT_AT, INDICES_AT, INDEX_BITS_MAX);
  code.jumpIf('r0', '==', 0, 'unexpected');
  code.jumpIf('r7', '!=', CARRYING, 'place');
  // Of a run only the first counter can be seen: another's replay may have been merged with data.
  code.jumpIf('r8', '!=', 1, 'place');
  readCounter(code, board);
  code.jump('place');
  code.label('initiation');
  code.jumpIf('r7', '!=', INITIATION_BYTES, 'malformed');
  code.move('r7', CALLING);
}

/** Continues to `unexpected` if the counter is older than the window of the index hashed in r9. */
function readCounter(code: Assembly, board: number): void {
  code.loadMapAddress('r1', board);
  code.and('r9', (WINDOWS - 1) << WINDOW_SHIFT);
  code.add('r9', 'r1');
  code.add('r9', WINDOWS_AT);
  code.load32('r9', 'r9', 0);
  code.jumpIf('r9', '==', 0, 'place');
  // It is little-endian: without its last byte it is in units of WINDOW_UNIT, up to 2^40.
  code.loadPacket32(UDP_HEADER_BYTES + COUNTER + 1);
  code.swap32('r0');
  code.jumpIf('r0', '>=', 'r9', 'place');
  code.loadPacket32(UDP_HEADER_BYTES + COUNTER + 4);
  code.and('r0', 0x00ff_ffff);
  code.jumpIf('r0', '==', 0, 'unexpected');
}

function readPlace(code: Assembly, family: 4 | 6, board: number, keys: BigUint64Array): void {
  code.label('place');
  hashPlace(code, family, keys);
  loadCount(code, board, PLACES_SHIFT_AT, PLACES_AT, PLACE_BITS_MAX);
  code.jumpIf('r7', '==', CALLING, 'call');
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
