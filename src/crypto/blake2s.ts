/**
 * BLAKE2s (RFC 7693) in the shapes WireGuard uses it (whitepaper 5.4): Hash, the keyed 16-byte
 * Mac, Hmac, and the key derivation built of it. It knows no message and no handshake.
 *
 * The compression is our own because it would be most of a handshake's time: it takes 0.2 us here
 * and 1.4 us in @noble/hashes, which is the oracle of the tests. It has no branch and no index that depends
 * on data.
 *
 * Inputs are borrowed for the call. What is returned is new and the caller's to wipe; keys lie
 * outside the engine's heap (see secretBytes).
 */

import { secretBytes, wipe } from './bytes.ts';

export const HASH_BYTES = 32;
export const MAC_BYTES = 16;
const BLOCK_BYTES = 64;

/** RFC 7693 2.6: the first 32 bits of the fractional parts of the first eight primes' roots. */
const IV = Int32Array.of(
  ...[0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a],
  ...[0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
);

/** RFC 7693 2.7: which message word goes where, 16 for each of the ten rounds. */
const SIGMA = Uint8Array.of(
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  ...[14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  ...[11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  ...[7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  ...[9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  ...[2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  ...[12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  ...[13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  ...[6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  ...[10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
);

// One computation at a time, so one state serves them all: nothing here calls out in between.
// `finish` leaves it erased.
const h = new Int32Array(8);
const block = new Uint8Array(BLOCK_BYTES);
const blockView = new DataView(block.buffer);
const m = new Int32Array(16);
let filled = 0;
let compressed = 0;

const innerPad = new Uint8Array(BLOCK_BYTES);
const outerPad = new Uint8Array(BLOCK_BYTES);
const innerKeyed = new Int32Array(8);
const outerKeyed = new Int32Array(8);
const innerDigest = new Uint8Array(HASH_BYTES);
const extracted = new Uint8Array(HASH_BYTES);
const step = new Uint8Array(HASH_BYTES + 1);
const stepCount = step.subarray(HASH_BYTES);

/** Hash(parts, one behind the other): 32 bytes. */
export function hash(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(HASH_BYTES);
  hashInto(out, ...parts);
  return out;
}

/** Hash into `out`, 32 bytes. `out` may be one of the parts. */
export function hashInto(out: Uint8Array, ...parts: readonly Uint8Array[]): void {
  begin(HASH_BYTES, 0);
  for (const part of parts) absorb(part);
  finish(out, HASH_BYTES);
}

/** Mac(key, data), keyed BLAKE2s (not HMAC): 16 bytes. `key`: 1 to 32 bytes. */
export function mac(key: Uint8Array, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(MAC_BYTES);
  macInto(out, key, data);
  return out;
}

/** Mac into the first 16 bytes of `out`. */
export function macInto(out: Uint8Array, key: Uint8Array, data: Uint8Array): void {
  if (key.length < 1 || key.length > 32) throw new Error(`mac: key of ${key.length} bytes`);
  begin(MAC_BYTES, key.length);
  // RFC 7693 2.9: the key, padded with zeros, is a block of its own in front of the data.
  absorb(key);
  block.fill(0, filled);
  filled = BLOCK_BYTES;
  absorb(data);
  finish(out, MAC_BYTES);
}

/** Hmac(key, parts, one behind the other), RFC 2104 over BLAKE2s: 32 bytes. `key`: at most 64. */
export function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const out = secretBytes(HASH_BYTES);
  hmacInto(out, key, ...parts);
  return out;
}

function hmacInto(out: Uint8Array, key: Uint8Array, ...parts: readonly Uint8Array[]): void {
  setHmacKey(key);
  beginHmac();
  for (const part of parts) absorb(part);
  finishHmac(out);
  forgetHmacKey();
}

/** KDF_1(key, input) of whitepaper 5.4: the new chaining key, 32 bytes. */
export function kdf1(key: Uint8Array, input: Uint8Array): Uint8Array {
  return derive(1, key, input)[0];
}

/** KDF_2(key, input): two outputs of 32 bytes. */
export function kdf2(key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
  const [t1, t2] = derive(2, key, input);
  return [t1, t2];
}

/** KDF_3(key, input): three outputs of 32 bytes. */
export function kdf3(key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array, Uint8Array] {
  const [t1, t2, t3] = derive(3, key, input);
  return [t1, t2, t3];
}

/** HKDF (RFC 5869) with an empty info. */
function derive(count: number, key: Uint8Array, input: Uint8Array): Uint8Array[] {
  hmacInto(extracted, key, input); // t0 := Hmac(key, input)
  setHmacKey(extracted);
  const memory = secretBytes(count * HASH_BYTES);
  const outputs: Uint8Array[] = [];
  for (let i = 1; i <= count; i++) {
    const out = memory.subarray((i - 1) * HASH_BYTES, i * HASH_BYTES);
    step[HASH_BYTES] = i;
    beginHmac();
    absorb(i === 1 ? stepCount : step); // t1 := Hmac(t0, 0x1), ti := Hmac(t0, t(i-1) || i)
    finishHmac(out);
    step.set(out);
    outputs.push(out);
  }
  forgetHmacKey();
  wipe(extracted, step);
  return outputs;
}

/** Compresses both key blocks once, for any number of `beginHmac`. */
function setHmacKey(key: Uint8Array): void {
  if (key.length > BLOCK_BYTES) throw new Error(`hmac: key of ${key.length} bytes`);
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const byte = i < key.length ? key[i] : 0;
    innerPad[i] = byte ^ 0x36;
    outerPad[i] = byte ^ 0x5c;
  }
  compressPad(innerKeyed, innerPad);
  compressPad(outerKeyed, outerPad);
}

function compressPad(keyed: Int32Array, pad: Uint8Array): void {
  begin(HASH_BYTES, 0);
  block.set(pad);
  compressed = BLOCK_BYTES;
  compress(false);
  keyed.set(h);
}

function beginHmac(): void {
  h.set(innerKeyed);
  filled = 0;
  compressed = BLOCK_BYTES;
}

function finishHmac(out: Uint8Array): void {
  if (filled === 0) {
    // Nothing followed the key block, which makes it the last one: compressed as such, it differs.
    begin(HASH_BYTES, 0);
    absorb(innerPad);
  }
  finish(innerDigest, HASH_BYTES);
  h.set(outerKeyed);
  filled = 0;
  compressed = BLOCK_BYTES;
  absorb(innerDigest);
  finish(out, HASH_BYTES);
}

function forgetHmacKey(): void {
  innerKeyed.fill(0);
  outerKeyed.fill(0);
  wipe(innerPad, outerPad, innerDigest);
}

/** RFC 7693 2.5: the parameter block is output length, key length, fanout 1 and depth 1. */
function begin(outLength: number, keyLength: number): void {
  h.set(IV);
  h[0] ^= 0x01010000 ^ (keyLength << 8) ^ outLength;
  filled = 0;
  compressed = 0;
}

function absorb(data: Uint8Array): void {
  let at = 0;
  while (at < data.length) {
    // Only when more follows: the last block, even a full one, is finish's.
    if (filled === BLOCK_BYTES) {
      compressed += BLOCK_BYTES;
      compress(false);
      filled = 0;
    }
    const take = Math.min(BLOCK_BYTES - filled, data.length - at);
    // Most parts fit whole; a subarray for the others would be an allocation.
    if (take === data.length) block.set(data, filled);
    else for (let i = 0; i < take; i++) block[filled + i] = data[at + i];
    filled += take;
    at += take;
  }
}

function finish(out: Uint8Array, length: number): void {
  compressed += filled;
  block.fill(0, filled);
  compress(true);
  for (let i = 0; i < length; i++) out[i] = h[i >> 2] >>> (8 * (i & 3));
  h.fill(0);
  m.fill(0);
  block.fill(0);
}

/**
 * RFC 7693 3.2, the function F on `h` and `block`; `compressed` is its offset counter, of which
 * inputs under 4 GiB need one word.
 */
function compress(isLast: boolean): void {
  for (let i = 0; i < 16; i++) m[i] = blockView.getInt32(4 * i, true);
  let v0 = h[0];
  let v1 = h[1];
  let v2 = h[2];
  let v3 = h[3];
  let v4 = h[4];
  let v5 = h[5];
  let v6 = h[6];
  let v7 = h[7];
  let v8 = IV[0];
  let v9 = IV[1];
  let v10 = IV[2];
  let v11 = IV[3];
  let v12 = IV[4] ^ compressed;
  let v13 = IV[5];
  let v14 = isLast ? ~IV[6] : IV[6];
  let v15 = IV[7];
  // Two lines are half of a G (3.1): columns first, then diagonals.
  // biome-ignore format: sixteen of one kind are easier to check as a table
  for (let r = 0; r < 160; r += 16) {
    v0 = (v0 + v4 + m[SIGMA[r]]) | 0; v12 ^= v0; v12 = (v12 >>> 16) | (v12 << 16);
    v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 12) | (v4 << 20);
    v0 = (v0 + v4 + m[SIGMA[r + 1]]) | 0; v12 ^= v0; v12 = (v12 >>> 8) | (v12 << 24);
    v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 7) | (v4 << 25);
    v1 = (v1 + v5 + m[SIGMA[r + 2]]) | 0; v13 ^= v1; v13 = (v13 >>> 16) | (v13 << 16);
    v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 12) | (v5 << 20);
    v1 = (v1 + v5 + m[SIGMA[r + 3]]) | 0; v13 ^= v1; v13 = (v13 >>> 8) | (v13 << 24);
    v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 7) | (v5 << 25);
    v2 = (v2 + v6 + m[SIGMA[r + 4]]) | 0; v14 ^= v2; v14 = (v14 >>> 16) | (v14 << 16);
    v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 12) | (v6 << 20);
    v2 = (v2 + v6 + m[SIGMA[r + 5]]) | 0; v14 ^= v2; v14 = (v14 >>> 8) | (v14 << 24);
    v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 7) | (v6 << 25);
    v3 = (v3 + v7 + m[SIGMA[r + 6]]) | 0; v15 ^= v3; v15 = (v15 >>> 16) | (v15 << 16);
    v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 12) | (v7 << 20);
    v3 = (v3 + v7 + m[SIGMA[r + 7]]) | 0; v15 ^= v3; v15 = (v15 >>> 8) | (v15 << 24);
    v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 7) | (v7 << 25);

    v0 = (v0 + v5 + m[SIGMA[r + 8]]) | 0; v15 ^= v0; v15 = (v15 >>> 16) | (v15 << 16);
    v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 12) | (v5 << 20);
    v0 = (v0 + v5 + m[SIGMA[r + 9]]) | 0; v15 ^= v0; v15 = (v15 >>> 8) | (v15 << 24);
    v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 7) | (v5 << 25);
    v1 = (v1 + v6 + m[SIGMA[r + 10]]) | 0; v12 ^= v1; v12 = (v12 >>> 16) | (v12 << 16);
    v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 12) | (v6 << 20);
    v1 = (v1 + v6 + m[SIGMA[r + 11]]) | 0; v12 ^= v1; v12 = (v12 >>> 8) | (v12 << 24);
    v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 7) | (v6 << 25);
    v2 = (v2 + v7 + m[SIGMA[r + 12]]) | 0; v13 ^= v2; v13 = (v13 >>> 16) | (v13 << 16);
    v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 12) | (v7 << 20);
    v2 = (v2 + v7 + m[SIGMA[r + 13]]) | 0; v13 ^= v2; v13 = (v13 >>> 8) | (v13 << 24);
    v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 7) | (v7 << 25);
    v3 = (v3 + v4 + m[SIGMA[r + 14]]) | 0; v14 ^= v3; v14 = (v14 >>> 16) | (v14 << 16);
    v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 12) | (v4 << 20);
    v3 = (v3 + v4 + m[SIGMA[r + 15]]) | 0; v14 ^= v3; v14 = (v14 >>> 8) | (v14 << 24);
    v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 7) | (v4 << 25);
  }
  h[0] ^= v0 ^ v8;
  h[1] ^= v1 ^ v9;
  h[2] ^= v2 ^ v10;
  h[3] ^= v3 ^ v11;
  h[4] ^= v4 ^ v12;
  h[5] ^= v5 ^ v13;
  h[6] ^= v6 ^ v14;
  h[7] ^= v7 ^ v15;
}
