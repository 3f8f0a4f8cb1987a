/**
 * BLAKE2s (RFC 7693) in the shapes WireGuard uses it (whitepaper 5.4): Hash, the keyed 16-byte
 * Mac, Hmac, and the key derivation built of it. It knows no message and no handshake.
 *
 * The compression is our own because it would be most of a handshake's time: it takes 0.1 us here
 * (see compression/unroll.mjs) and 1.4 us in @noble/hashes, which is the oracle of the tests.
 *
 * Inputs are borrowed for the call. What is returned is new and the caller's to wipe; keys lie
 * outside the engine's heap (see secretBytes).
 */

import { secretBytes, wipe } from './bytes.ts';
import { compress, IV } from './compression/unrolled.ts';

const HASH_BYTES = 32;
const MAC_BYTES = 16;
const BLOCK_BYTES = 64;
/** A handshake message fits in whole, so that it is copied at once. */
const ROOM_BYTES = 4 * BLOCK_BYTES;

// One computation at a time, so one state serves them all: nothing here calls out in between.
// `finish` leaves it erased. The loops over a few words stand for `set` and `fill`, whose calls cost
// more than the work.
const h = new Int32Array(8);
/** Input that is not compressed yet; zeros after its first `filled` bytes. */
const room = secretBytes(ROOM_BYTES);
const roomView = new DataView(room.buffer);
const roomWords = new Int32Array(room.buffer);
let filled = 0;
/** Bytes compressed before those. */
let compressed = 0;

const innerPad = new Uint8Array(BLOCK_BYTES);
const outerPad = new Uint8Array(BLOCK_BYTES);
const innerPadView = new DataView(innerPad.buffer);
const outerPadView = new DataView(outerPad.buffer);
const innerKeyed = new Int32Array(8);
const outerKeyed = new Int32Array(8);
const innerDigest = new Uint8Array(HASH_BYTES);
const extracted = new Uint8Array(HASH_BYTES);
const step = new Uint8Array(HASH_BYTES + 1);
const stepCount = step.subarray(HASH_BYTES);

/** Hash(parts, one after the other): 32 bytes. */
export function hash(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(HASH_BYTES);
  hashInto(out, ...parts);
  return out;
}

/** Hash into `out`, 32 bytes. `out` may be one of the parts. */
export function hashInto(out: Uint8Array, ...parts: readonly Uint8Array[]): void {
  begin(HASH_BYTES, 0);
  for (const part of parts) absorb(part, part.length);
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
  onceKey.set(key);
  onceKey.into(out, data, data.length);
  onceKey.wipe();
}

/**
 * A key of Mac, kept with what the compression makes of it, which is then done once for any number
 * of inputs. Owns its copy of the key until `wipe`.
 */
export class MacKey {
  readonly #memory = secretBytes(BLOCK_BYTES + HASH_BYTES);
  /** RFC 7693 2.9: the key, padded with zeros, is a block of its own in front of the data. */
  readonly #block = new DataView(this.#memory.buffer, 0, BLOCK_BYTES);
  readonly #words = new Int32Array(this.#memory.buffer);
  /** The state after that block. */
  readonly #keyed = new Int32Array(this.#memory.buffer, BLOCK_BYTES, 8);
  #keyLength = 0;

  /** Takes the place of the key before. `key`: 1 to 32 bytes, copied. */
  set(key: Uint8Array): void {
    if (key.length < 1 || key.length > 32) throw new Error(`mac: key of ${key.length} bytes`);
    const memory = this.#memory;
    for (let i = 0; i < 32; i++) memory[i] = i < key.length ? key[i] : 0;
    this.#keyLength = key.length;
    begin(MAC_BYTES, key.length);
    compress(h, this.#block, 0, BLOCK_BYTES, 0);
    copyWords(this.#keyed, h);
    forgetState();
  }

  /** Mac(key, the first `length` bytes of `data`) into the first 16 bytes of `out`. */
  into(out: Uint8Array, data: Uint8Array, length: number): void {
    if (this.#keyLength === 0) throw new Error('mac: used without a key');
    if (!(length >= 0 && length <= data.length)) throw new Error(`mac: ${length} bytes of data`);
    if (length === 0) {
      // Nothing follows the key block, which makes it the last one: compressed as such, it differs.
      begin(MAC_BYTES, this.#keyLength);
      compress(h, this.#block, 0, BLOCK_BYTES, -1);
      putDigest(out, MAC_BYTES);
      return;
    }
    resume(this.#keyed);
    absorb(data, length);
    finish(out, MAC_BYTES);
  }

  /** Erases the key. `into` is a bug, and throws, until there is another. */
  wipe(): void {
    const words = this.#words;
    for (let i = 0; i < words.length; i++) words[i] = 0;
    this.#keyLength = 0;
  }
}

const onceKey = new MacKey();

/** Hmac(key, parts, one after the other), RFC 2104 over BLAKE2s: 32 bytes. `key`: at most 64. */
export function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const out = secretBytes(HASH_BYTES);
  hmacInto(out, key, ...parts);
  return out;
}

function hmacInto(out: Uint8Array, key: Uint8Array, ...parts: readonly Uint8Array[]): void {
  setHmacKey(key);
  beginHmac();
  for (const part of parts) absorb(part, part.length);
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
    const fed = i === 1 ? stepCount : step;
    absorb(fed, fed.length); // t1 := Hmac(t0, 0x1), ti := Hmac(t0, t(i-1) || i)
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
  compressPad(innerKeyed, innerPadView);
  compressPad(outerKeyed, outerPadView);
}

function compressPad(keyed: Int32Array, pad: DataView): void {
  begin(HASH_BYTES, 0);
  compress(h, pad, 0, BLOCK_BYTES, 0);
  copyWords(keyed, h);
  forgetState();
}

function beginHmac(): void {
  resume(innerKeyed);
}

function finishHmac(out: Uint8Array): void {
  if (filled === 0) {
    // Nothing followed the key block, which makes it the last one: compressed as such, it differs.
    begin(HASH_BYTES, 0);
    absorb(innerPad, BLOCK_BYTES);
  }
  finish(innerDigest, HASH_BYTES);
  resume(outerKeyed);
  absorb(innerDigest, HASH_BYTES);
  finish(out, HASH_BYTES);
}

function forgetHmacKey(): void {
  innerKeyed.fill(0);
  outerKeyed.fill(0);
  wipe(innerPad, outerPad, innerDigest);
}

/** RFC 7693 2.5: the parameter block is output length, key length, fanout 1 and depth 1. */
function begin(outLength: number, keyLength: number): void {
  copyWords(h, IV);
  h[0] ^= 0x01010000 ^ (keyLength << 8) ^ outLength;
  filled = 0;
  compressed = 0;
}

/** Begins after a key block that is compressed already. */
function resume(keyed: Int32Array): void {
  copyWords(h, keyed);
  filled = 0;
  compressed = BLOCK_BYTES;
}

/** The first `length` bytes of `data`. */
function absorb(data: Uint8Array, length: number): void {
  for (let at = 0; at < length; ) {
    // Only when more follows: the last block, even a full one, is finish's.
    if (filled === ROOM_BYTES) compressRoom();
    const take = Math.min(ROOM_BYTES - filled, length - at);
    // `set` copies a part at once. One that is to be taken in part only is copied whole, too, where it
    // fits, and cut off: a subarray would be an allocation, and byte by byte it takes longer.
    if (at === 0 && data.length <= ROOM_BYTES - filled) {
      room.set(data, filled);
      for (let i = filled + take; i < filled + data.length; i++) room[i] = 0;
    } else for (let i = 0; i < take; i++) room[filled + i] = data[at + i];
    filled += take;
    at += take;
  }
}

function compressRoom(): void {
  for (let at = 0; at < ROOM_BYTES; at += BLOCK_BYTES) {
    compressed += BLOCK_BYTES;
    compress(h, roomView, at, compressed, 0);
  }
  forgetRoom(ROOM_BYTES);
}

function finish(out: Uint8Array, length: number): void {
  let last = 0;
  for (; last + BLOCK_BYTES < filled; last += BLOCK_BYTES) {
    compress(h, roomView, last, compressed + last + BLOCK_BYTES, 0);
  }
  compress(h, roomView, last, compressed + filled, -1);
  forgetRoom(last + BLOCK_BYTES);
  putDigest(out, length);
}

function putDigest(out: Uint8Array, length: number): void {
  for (let i = 0; i < length; i += 4) {
    const word = h[i >> 2];
    out[i] = word;
    out[i + 1] = word >>> 8;
    out[i + 2] = word >>> 16;
    out[i + 3] = word >>> 24;
  }
  forgetState();
}

function copyWords(to: Int32Array, from: Int32Array): void {
  for (let i = 0; i < 8; i++) to[i] = from[i];
}

function forgetState(): void {
  for (let i = 0; i < 8; i++) h[i] = 0;
}

/** `length`: how far it was used, a multiple of 4. */
function forgetRoom(length: number): void {
  for (let i = 0; i < length >> 2; i++) roomWords[i] = 0;
  filled = 0;
}
