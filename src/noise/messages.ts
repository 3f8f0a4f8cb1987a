/**
 * The layouts of the four messages (whitepaper 5.4): sizes, offsets, and the reading and writing of
 * their plain fields. Owns every offset; knows nothing of what the encrypted fields mean.
 *
 *   initiation    type 1 | sender 4 | ephemeral 32 | static 32+16 | timestamp 12+16 | mac1 16 | mac2 16
 *   response      type 2 | sender 4 | receiver 4 | ephemeral 32 | nothing 0+16 | mac1 16 | mac2 16
 *   cookie reply  type 3 | receiver 4 | nonce 24 | cookie 16+16
 *   data          type 4 | receiver 4 | counter 8 | packet n+16
 *
 * The type is one byte and three zero ones; all integers are little-endian.
 */

import { TAG_BYTES } from '../crypto/suite.ts';

/** Kinds that `classify` tells apart; the last four are the type on the wire. */
export const MALFORMED = 0;
export const INITIATION = 1;
export const RESPONSE = 2;
export const COOKIE_REPLY = 3;
export const DATA = 4;

export type MessageKind =
  | typeof MALFORMED
  | typeof INITIATION
  | typeof RESPONSE
  | typeof COOKIE_REPLY
  | typeof DATA;

/** mac1, mac2, and the cookie. */
export const MAC_BYTES = 16;

export const INITIATION_BYTES = 148;
export const RESPONSE_BYTES = 92;
export const COOKIE_REPLY_BYTES = 64;
export const DATA_HEADER_BYTES = 16;
/** An empty data packet, a keepalive, which is also what sealing adds to a padded packet. */
export const DATA_MIN_BYTES = DATA_HEADER_BYTES + TAG_BYTES;

export const INITIATION_SENDER = 4;
export const INITIATION_EPHEMERAL = 8;
export const INITIATION_STATIC = 40;
export const INITIATION_TIMESTAMP = 88;
/** What the handshake writes of an initiation; the MACs after it are the CookieMaker's. */
export const INITIATION_MAC1 = 116;

export const RESPONSE_SENDER = 4;
export const RESPONSE_RECEIVER = 8;
export const RESPONSE_EPHEMERAL = 12;
export const RESPONSE_NOTHING = 44;
/** What the handshake writes of a response; the MACs after it are the CookieMaker's. */
export const RESPONSE_MAC1 = 60;

export const COOKIE_REPLY_RECEIVER = 4;
export const COOKIE_REPLY_NONCE = 8;
export const COOKIE_REPLY_COOKIE = 32;

export const DATA_RECEIVER = 4;
export const DATA_COUNTER = 8;

/** Both MACs end a handshake message, counted back from its end. */
export const MAC1_FROM_END = 32;
export const MAC2_FROM_END = 16;

const TWO_POW_32 = 2 ** 32;

/**
 * What the datagram of `length` bytes at `offset` claims to be, judged by its type, the reserved
 * bytes and its length together; MALFORMED when they do not fit. Reads nothing beyond the first
 * four bytes, and those only where `length` covers them.
 */
export function classify(bytes: Uint8Array, offset: number, length: number): MessageKind {
  if (length < DATA_MIN_BYTES) return MALFORMED;
  if ((bytes[offset + 1] | bytes[offset + 2] | bytes[offset + 3]) !== 0) return MALFORMED;
  switch (bytes[offset]) {
    case DATA:
      return DATA;
    case INITIATION:
      return length === INITIATION_BYTES ? INITIATION : MALFORMED;
    case RESPONSE:
      return length === RESPONSE_BYTES ? RESPONSE : MALFORMED;
    case COOKIE_REPLY:
      return length === COOKIE_REPLY_BYTES ? COOKIE_REPLY : MALFORMED;
    default:
      return MALFORMED;
  }
}

/** Whose handshake or session the data message at `offset` is for; unsigned 32 bits. */
export function readReceiverIndex(view: DataView, offset: number): number {
  return view.getUint32(offset + DATA_RECEIVER, true);
}

/**
 * The counter of the data message at `offset`. One of 2^53 or more, which is beyond
 * REJECT_AFTER_MESSAGES, loses its low bits but stays beyond it.
 */
export function readCounter(view: DataView, offset: number): number {
  return (
    view.getUint32(offset + DATA_COUNTER + 4, true) * TWO_POW_32 +
    view.getUint32(offset + DATA_COUNTER, true)
  );
}

/**
 * Whether the message at `offset` is data, for the same index as the data message at `first`, and with
 * the counter that is `count` after its one.
 */
export function continuesRun(
  view: DataView,
  offset: number,
  first: number,
  count: number,
): boolean {
  const low = view.getUint32(first + DATA_COUNTER, true) + count;
  return (
    view.getUint32(offset, true) === DATA &&
    view.getInt32(offset + DATA_RECEIVER) === view.getInt32(first + DATA_RECEIVER) &&
    view.getInt32(offset + DATA_COUNTER + 4) === view.getInt32(first + DATA_COUNTER + 4) &&
    // Never equal where it is carried: that begins another run, once in 2^32 packets.
    view.getUint32(offset + DATA_COUNTER, true) === low
  );
}

/** Writes the 16 bytes in front of an encrypted packet. `counter`: below 2^53. */
export function writeDataHeader(
  view: DataView,
  offset: number,
  receiverIndex: number,
  counter: number,
): void {
  view.setUint32(offset, DATA, true);
  view.setUint32(offset + DATA_RECEIVER, receiverIndex, true);
  view.setUint32(offset + DATA_COUNTER, counter, true); // modulo 2^32
  view.setUint32(offset + DATA_COUNTER + 4, counter / TWO_POW_32, true);
}

/** An unsigned little-endian 32-bit integer of a message that is no part of the arena. */
export function readUint32(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset] |
      (bytes[offset + 1] << 8) |
      (bytes[offset + 2] << 16) |
      (bytes[offset + 3] << 24)) >>>
    0
  );
}

export function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}
