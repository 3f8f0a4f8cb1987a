/**
 * AssemblyScript: Noise's SymmetricState as WireGuard uses it (noiseprotocol.org 5.2, whitepaper 5.4),
 * one call a step. It works at fixed places of a memory of its own, which ../compiled.ts fills and
 * reads; what a call does not give back it erases.
 */

import { stream } from '../../simd/assembly/chacha20';
import { begin, block, end, forget } from '../../simd/assembly/poly1305';
import { IV0, IV1, IV2, IV3, IV4, IV5, IV6, IV7, compress } from './unrolled';

const HASH_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;
const TAG_BYTES: usize = 16;

// The state: chaining key, hash and the key of the next field. The field comes after it, and beyond its
// length there are zeros.
const CHAINING_KEY: usize = 0;
const HASH: usize = 32;
const KEY: usize = 64;
const FIELD: usize = 96;
// What follows is zero between calls. A block of BLAKE2s, the states after the two key blocks of Hmac,
// the key that was extracted, two outputs, and what a stream is written to: 256 bytes.
const BLOCK: usize = 192;
const INNER: usize = 256;
const OUTER: usize = 288;
const EXTRACTED: usize = 320;
const OUTPUT: usize = 352;
const SECOND_OUTPUT: usize = 384;
const STREAM: usize = 416;
/** Of which two blocks are used: one for Poly1305's key, one for the field. */
const STREAM_USED_AT: usize = STREAM + 64;
const ROOM_END: usize = STREAM + 256;

/** RFC 7693 2.5: the parameter block is output length, key length, fanout 1 and depth 1. */
const PARAMETERS: u32 = 0x01010000 ^ 32;

const NOT_LAST: u32 = 0;
const LAST: u32 = 0xffff_ffff;

/** `e`: an ephemeral public key, 32 bytes in the field. */
export function mixEphemeral(): void {
  absorb(FIELD, HASH_BYTES);
  mix(1);
  erase();
}

/** MixKey of 32 bytes in the field, without a key for a field that follows. */
export function mixSecret(): void {
  mix(1);
  erase();
}

/** MixKey. */
export function mixSecretAndKey(): void {
  mix(2);
  copy(KEY, SECOND_OUTPUT);
  erase();
}

/** MixKeyAndHash: the preshared key in the field. */
export function mixPresharedKey(): void {
  mix(2);
  absorb(SECOND_OUTPUT, HASH_BYTES);
  derive(SECOND_OUTPUT, HASH_BYTES, 3);
  copy(KEY, OUTPUT);
  erase();
}

/** MixHash of `length` bytes in the field, at most 64. */
export function mixHash(length: usize): void {
  absorb(FIELD, length);
  erase();
}

/** EncryptAndHash: `length` bytes in the field, at most 48, and the authenticator after them. */
export function seal(length: usize): void {
  beginStream();
  encrypt(length);
  v128.store(FIELD + length, authenticator(length));
  absorb(FIELD, length + TAG_BYTES);
  erase();
}

/**
 * DecryptAndHash: `length` bytes in the field with the authenticator after them. Returns 1; or 0 when
 * that is not theirs, and then they are left as they were, and so is the hash.
 */
export function open(length: usize): u32 {
  beginStream();
  // All 16 bytes, whatever the first ones are.
  const isTheirs = !v128.any_true(v128.xor(authenticator(length), v128.load(FIELD + length)));
  if (isTheirs) {
    absorb(FIELD, length + TAG_BYTES);
    encrypt(length);
  }
  erase();
  return u32(isTheirs);
}

/** Split: the chaining key becomes what the initiator sends under, the key what it receives under. */
export function split(): void {
  extract(0);
  derive(0, 0, 1);
  copy(CHAINING_KEY, OUTPUT);
  derive(OUTPUT, HASH_BYTES, 2);
  copy(KEY, OUTPUT);
  erase();
}

/**
 * KDF of the chaining key and 32 bytes in the field (whitepaper 5.4): the first output becomes the
 * chaining key; the second, if `count` is 2, is left in SECOND_OUTPUT.
 */
function mix(count: u32): void {
  extract(HASH_BYTES);
  derive(0, 0, 1);
  copy(CHAINING_KEY, OUTPUT);
  if (count === 1) return;
  derive(OUTPUT, HASH_BYTES, 2);
  copy(SECOND_OUTPUT, OUTPUT);
}

/** t0 := Hmac(chaining key, the first `length` bytes of the field), which is the key from now on. */
function extract(length: usize): void {
  setKey(CHAINING_KEY, length === 0 ? LAST : NOT_LAST);
  if (length !== 0) {
    clearBlock();
    copy(BLOCK, FIELD);
    compress(INNER, BLOCK, <u32>(BLOCK_BYTES + length), LAST);
  }
  finishHmac(EXTRACTED);
  setKey(EXTRACTED, NOT_LAST);
}

/** t1 := Hmac(t0, 0x1), ti := Hmac(t0, t(i-1) || i): `length` is 0 or 32. `OUTPUT` gets it. */
function derive(before: usize, length: usize, number: u8): void {
  clearBlock();
  if (length !== 0) copy(BLOCK, before);
  store<u8>(BLOCK + length, number);
  // What the key blocks made of the state is needed once more.
  const inner0 = v128.load(INNER);
  const inner1 = v128.load(INNER, 16);
  const outer0 = v128.load(OUTER);
  const outer1 = v128.load(OUTER, 16);
  compress(INNER, BLOCK, <u32>(BLOCK_BYTES + length + 1), LAST);
  finishHmac(OUTPUT);
  v128.store(INNER, inner0);
  v128.store(INNER, inner1, 16);
  v128.store(OUTER, outer0);
  v128.store(OUTER, outer1, 16);
}

/** Compresses both key blocks (RFC 2104). `last`: whether nothing follows the inner one. */
function setKey(key: usize, last: u32): void {
  pad(key, 0x36);
  initialize(INNER);
  compress(INNER, BLOCK, <u32>BLOCK_BYTES, last);
  pad(key, 0x5c);
  initialize(OUTER);
  compress(OUTER, BLOCK, <u32>BLOCK_BYTES, NOT_LAST);
}

/** The inner digest stands in INNER, the state after the outer key block in OUTER. */
function finishHmac(out: usize): void {
  clearBlock();
  copy(BLOCK, INNER);
  compress(OUTER, BLOCK, <u32>(BLOCK_BYTES + HASH_BYTES), LAST);
  copy(out, OUTER);
}

/** hash := Hash(hash || `length` bytes at `at`), with zeros after them up to 16; at most 64. */
function absorb(at: usize, length: usize): void {
  clearBlock();
  copy(BLOCK, HASH);
  initialize(HASH);
  const first = min(length, HASH_BYTES);
  for (let i: usize = 0; i < first; i += 16) {
    v128.store(BLOCK + HASH_BYTES + i, v128.load(at + i));
  }
  if (length > HASH_BYTES) {
    compress(HASH, BLOCK, <u32>BLOCK_BYTES, NOT_LAST);
    clearBlock();
    for (let i = HASH_BYTES; i < length; i += 16) {
      v128.store(BLOCK + i - HASH_BYTES, v128.load(at + i));
    }
  }
  compress(HASH, BLOCK, <u32>(HASH_BYTES + length), LAST);
}

/** The first blocks of the key stream: nonce 0 (whitepaper 5.4). */
function beginStream(): void {
  const zero = i32x4.splat(0);
  stream(STREAM, STREAM, v128.load(KEY), v128.load(KEY, 16), zero, 0, 0);
}

/** XORs the field with its block of the key stream. */
function encrypt(length: usize): void {
  for (let i: usize = 0; i < length; i++) {
    store<u8>(FIELD + i, load<u8>(FIELD + i) ^ load<u8>(STREAM_USED_AT + i));
  }
}

/** Of `length` bytes of ciphertext in the field; the AAD is the hash (RFC 8439 2.8). */
function authenticator(length: usize): v128 {
  begin(v128.load(STREAM), v128.load(STREAM, 16));
  block(HASH);
  block(HASH + 16);
  let at = FIELD;
  const last = FIELD + length;
  for (; at + 16 <= last; at += 16) block(at);
  if (at < last) {
    v128.store(BLOCK, i32x4.splat(0));
    for (let to = BLOCK; at < last; at++, to++) store<u8>(to, load<u8>(at));
    block(BLOCK);
  }
  store<u64>(BLOCK, HASH_BYTES);
  store<u64>(BLOCK, length, 8);
  block(BLOCK);
  const tag = end();
  forget();
  return tag;
}

// @ts-ignore: decorator
@inline
function initialize(state: usize): void {
  v128.store(state, i32x4(IV0 ^ PARAMETERS, IV1, IV2, IV3));
  v128.store(state, i32x4(IV4, IV5, IV6, IV7), 16);
}

// @ts-ignore: decorator
@inline
function pad(key: usize, byte: i8): void {
  const pads = i8x16.splat(byte);
  v128.store(BLOCK, v128.xor(v128.load(key), pads));
  v128.store(BLOCK, v128.xor(v128.load(key, 16), pads), 16);
  v128.store(BLOCK, pads, 32);
  v128.store(BLOCK, pads, 48);
}

// @ts-ignore: decorator
@inline
function copy(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
}

// @ts-ignore: decorator
@inline
function clearBlock(): void {
  const zero = i32x4.splat(0);
  v128.store(BLOCK, zero);
  v128.store(BLOCK, zero, 16);
  v128.store(BLOCK, zero, 32);
  v128.store(BLOCK, zero, 48);
}

/** All that is not the caller's. */
function erase(): void {
  const zero = i32x4.splat(0);
  for (let at = BLOCK; at < ROOM_END; at += 16) v128.store(at, zero);
}
