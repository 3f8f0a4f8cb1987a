/**
 * AssemblyScript: Poly1305 (RFC 8439 2.5) over whole blocks, one message at a time.
 *
 * Numbers modulo 2^130 - 5 are four words of 32 bits and what is above them, each in 64 bits and
 * carried late. r is clamped, so that its words are below 2^28 and all but the first are divisible by
 * four: a product that leaves the top, a multiple of 2^128 = 2^130 / 4, returns at the bottom as five
 * fourths of itself. With that, no sum of products below reaches 2^64.
 */

const WORD: u64 = 0xffff_ffff;

/** The sum so far. */
let h0: u64, h1: u64, h2: u64, h3: u64, h4: u64;
/** The clamped first half of the one-time key, and five fourths of all but its first word. */
let r0: u64, r1: u64, r2: u64, r3: u64;
let s1: u64, s2: u64, s3: u64;
/** Its second half. */
let pad0: u64, pad1: u64;

/** Begins a message under the 32-byte one-time key in two halves. */
// @ts-ignore: decorator
@inline
export function begin(r: v128, pad: v128): void {
  const low = i64x2.extract_lane(r, 0) & 0x0fff_fffc_0fff_ffff;
  const high = i64x2.extract_lane(r, 1) & 0x0fff_fffc_0fff_fffc;
  r0 = low & WORD;
  r1 = low >>> 32;
  r2 = high & WORD;
  r3 = high >>> 32;
  s1 = r1 + (r1 >> 2);
  s2 = r2 + (r2 >> 2);
  s3 = r3 + (r3 >> 2);
  pad0 = i64x2.extract_lane(pad, 0);
  pad1 = i64x2.extract_lane(pad, 1);
  h0 = h1 = h2 = h3 = h4 = 0;
}

/** Takes the sum to the next power of r, with one block more: its 16 bytes, and a one after them. */
// @ts-ignore: decorator
@inline
function add(m0: u64, m1: u64, m2: u64, m3: u64): void {
  const a0 = h0 + m0;
  const a1 = h1 + m1;
  const a2 = h2 + m2;
  const a3 = h3 + m3;
  const a4 = h4 + 1;
  const d0 = a0 * r0 + a1 * s3 + a2 * s2 + a3 * s1;
  const d1 = a0 * r1 + a1 * r0 + a2 * s3 + a3 * s2 + a4 * s1 + (d0 >> 32);
  const d2 = a0 * r2 + a1 * r1 + a2 * r0 + a3 * s3 + a4 * s2 + (d1 >> 32);
  const d3 = a0 * r3 + a1 * r2 + a2 * r1 + a3 * r0 + a4 * s3 + (d2 >> 32);
  const d4 = a4 * r0 + (d3 >> 32);
  h0 = (d0 & WORD) + (d4 >> 2) + (d4 & ~3);
  h1 = d1 & WORD;
  h2 = d2 & WORD;
  h3 = d3 & WORD;
  h4 = d4 & 3;
}

/** A block of the message. */
// @ts-ignore: decorator
@inline
export function block(at: usize): void {
  add(load<u32>(at), load<u32>(at, 4), load<u32>(at, 8), load<u32>(at, 12));
}

/** The last block of a message without AAD: both lengths (RFC 8439 2.8). */
// @ts-ignore: decorator
@inline
export function lengths(length: u32): void {
  add(0, 0, length, 0);
}

/** The authenticator, after the last block. */
// @ts-ignore: decorator
@inline
export function end(): v128 {
  // Carried to the top, and from there round: then what is left is below 2^35, and carries once.
  let a0 = h0;
  let a1 = h1 + (a0 >> 32);
  const a2 = h2 + (a1 >> 32);
  const a3 = h3 + (a2 >> 32);
  let a4 = h4 + (a3 >> 32);
  a0 = (a0 & WORD) + (a4 >> 2) * 5;
  a1 = (a1 & WORD) + (a0 >> 32);
  a4 &= 3;
  // Less the prime, if it is not below it: then adding 5 reaches 2^130.
  const b0 = (a0 & WORD) + 5;
  const b1 = (a1 & WORD) + (b0 >> 32);
  const b2 = (a2 & WORD) + (b1 >> 32);
  const b3 = (a3 & WORD) + (b2 >> 32);
  const b4 = a4 + (b3 >> 32);
  const isBelow = (b4 >> 2) - 1;
  const low = ((a0 & WORD) | (a1 << 32)) & isBelow | ((b0 & WORD) | (b1 << 32)) & ~isBelow;
  const high = ((a2 & WORD) | (a3 << 32)) & isBelow | ((b2 & WORD) | (b3 << 32)) & ~isBelow;
  const tag0 = low + pad0;
  const tag1 = high + pad1 + u64(tag0 < low);
  return i64x2.replace_lane(i64x2.splat(tag0), 1, tag1);
}

/** Leaves nothing of the last message's key. */
export function forget(): void {
  r0 = r1 = r2 = r3 = s1 = s2 = s3 = pad0 = pad1 = 0;
  h0 = h1 = h2 = h3 = h4 = 0;
}
