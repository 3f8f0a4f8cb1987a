/**
 * AssemblyScript: ChaCha20-Poly1305 (RFC 8439 2.8) of packets, in place, with an empty AAD and
 * WireGuard's nonce: 32 zero bits and a counter of 64. ../simdcipher.ts says what the callers promise.
 *
 * Each call gets the key, in eight words, so that no key has to lie in this memory. Of the 272 bytes of
 * `room` (ROOM_BYTES there) key stream may be left behind, and the one-time key in poly1305.ts.
 */

import { STREAM_BYTES, stream } from './chacha20';
import { begin, block, end, lengths } from './poly1305';

export { remember, restore, settle } from './around';
export { forget } from './poly1305';

const BLOCK_BYTES: usize = 16;
/** Of the first key stream the first 64 bytes are the one-time key's (RFC 8439 2.6). */
const FIRST_AT: usize = 64;
const FIRST_BYTES: usize = STREAM_BYTES - FIRST_AT;

/** Encrypts `length` bytes at `packet` and writes the authenticator after them. */
export function seal(
  packet: usize,
  length: usize,
  nonce1: u32,
  nonce2: u32,
  k0: u32,
  k1: u32,
  k2: u32,
  k3: u32,
  k4: u32,
  k5: u32,
  k6: u32,
  k7: u32,
  room: usize,
): void {
  const low = words(k0, k1, k2, k3);
  const high = words(k4, k5, k6, k7);
  let place = words(0, 0, nonce1, nonce2);
  clear(room);
  stream(room, room, low, high, place, 0, 0);
  begin(v128.load(room), v128.load(room, 16));
  const last = packet + length;
  const first = min(length, FIRST_BYTES);
  mix(packet, room + FIRST_AT, first);
  let at = packet + first;
  // From here on is to be authenticated: what the step before has encrypted.
  let behind = packet;
  while (at + STREAM_BYTES <= last) {
    place = next(place);
    stream(at, at, low, high, place, behind, (at - behind) / BLOCK_BYTES);
    behind = at;
    at += STREAM_BYTES;
  }
  if (at < last) {
    clear(room);
    stream(room, room, low, high, next(place), behind, (at - behind) / BLOCK_BYTES);
    mix(at, room, last - at);
    behind = at;
  }
  authenticate(behind, last - behind, room + STREAM_BYTES);
  lengths(<u32>length);
  v128.store(last, end());
}

/**
 * Decrypts `length` bytes at `packet`. Returns 1, or 0 when the 16 bytes after them are not their
 * authenticator: then anything may stand there.
 */
export function open(
  packet: usize,
  length: usize,
  nonce1: u32,
  nonce2: u32,
  k0: u32,
  k1: u32,
  k2: u32,
  k3: u32,
  k4: u32,
  k5: u32,
  k6: u32,
  k7: u32,
  room: usize,
): u32 {
  const low = words(k0, k1, k2, k3);
  const high = words(k4, k5, k6, k7);
  let place = words(0, 0, nonce1, nonce2);
  clear(room);
  stream(room, room, low, high, place, 0, 0);
  begin(v128.load(room), v128.load(room, 16));
  const last = packet + length;
  const first = min(length, FIRST_BYTES);
  authenticate(packet, first, room + STREAM_BYTES);
  mix(packet, room + FIRST_AT, first);
  let at = packet + first;
  while (at + STREAM_BYTES <= last) {
    place = next(place);
    stream(at, at, low, high, place, at, STREAM_BYTES / BLOCK_BYTES);
    at += STREAM_BYTES;
  }
  if (at < last) {
    const rest = last - at;
    const blocks = rest / BLOCK_BYTES;
    clear(room);
    stream(room, room, low, high, next(place), at, blocks);
    const whole = blocks * BLOCK_BYTES;
    authenticate(at + whole, rest - whole, room + STREAM_BYTES);
    mix(at, room, rest);
  }
  lengths(<u32>length);
  // All 16 bytes, whatever the first ones are.
  return u32(!v128.any_true(v128.xor(end(), v128.load(last))));
}

// @ts-ignore: decorator
@inline
function words(a: u32, b: u32, c: u32, d: u32): v128 {
  let row = i32x4.splat(a);
  row = i32x4.replace_lane(row, 1, b);
  row = i32x4.replace_lane(row, 2, c);
  return i32x4.replace_lane(row, 3, d);
}

/** Four blocks further. */
// @ts-ignore: decorator
@inline
function next(place: v128): v128 {
  return i32x4.add(place, i32x4(4, 0, 0, 0));
}

// @ts-ignore: decorator
@inline
function clear(room: usize): void {
  for (let at: usize = 0; at < STREAM_BYTES; at += 16) v128.store(room + at, i32x4.splat(0));
}

/** XORs `length` bytes at `to` with those at `from`. */
function mix(to: usize, from: usize, length: usize): void {
  const last = to + length;
  for (; to + 16 <= last; to += 16, from += 16) {
    v128.store(to, v128.xor(v128.load(to), v128.load(from)));
  }
  for (; to < last; to++, from++) store<u8>(to, load<u8>(to) ^ load<u8>(from));
}

/** Has Poly1305 take `length` bytes, of which the last block is filled up with zeros, at `filled`. */
function authenticate(at: usize, length: usize, filled: usize): void {
  const last = at + length;
  for (; at + BLOCK_BYTES <= last; at += BLOCK_BYTES) block(at);
  if (at === last) return;
  v128.store(filled, i32x4.splat(0));
  for (let to = filled; at < last; at++, to++) store<u8>(to, load<u8>(at));
  block(filled);
}
