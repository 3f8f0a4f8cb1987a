/**
 * ChaCha20-Poly1305 put together from OpenSSL's two private halves, ChaCha20_ctr32 and Poly1305_*,
 * which Node's own builds export. It owns the order of the calls and the memory they work in; it
 * knows no packet layout, and its users must have compared it with another implementation
 * first, since nobody promised that these functions stay what they are.
 *
 * What makes it fast, beside leaving out EVP (1420 bytes: 0.80 us against 1.12): the Poly1305 key
 * is block 0 of the same key stream that encrypts the packet from block 1 on (RFC 8439 2.6, 2.8).
 * So one call runs over the 64 bytes in front of the packet and the packet itself, and the key is
 * what those 64 bytes turned into, XORed with what they were. Sealing does so in place, and puts the
 * 64 bytes back; opening, which needs the ciphertext once it has the key, into a scratch room.
 */

import type { Arena } from '../../arena.ts';
import { addressOf, Scratch } from '../../sys/libc.ts';
import { wipe } from '../bytes.ts';
import { checkKey, checkPacket, usedAfterWipe } from '../misuse.ts';
import { SimdCipher } from '../simd/simdcipher.ts';
import { KEY_BYTES, type Opener, type Sealer, TAG_BYTES } from '../suite.ts';
import { bindAll, type Call, type Ciphers, countCiphers } from './ciphers.ts';
import { takeSecret } from './secretmemory.ts';

/** Up to here WebAssembly is faster than four calls: 0.30 us against 0.38 for 192 bytes. */
const SMALL_BYTES = 192;
const CHACHA_BLOCK_BYTES = 64;
/** Zeros up to the next 16 bytes, and two 64-bit lengths (RFC 8439 2.8). */
const TRAILER_BYTES = 32;
/** A UDP datagram's most, with the block before it and the trailer after it. */
const ROOM_BYTES = 65_536 + CHACHA_BLOCK_BYTES + TRAILER_BYTES;

// Offsets in the memory of a CipherState.
const COUNTER = KEY_BYTES;
// Offsets in the work memory; the Poly1305 state follows.
const ONE_TIME_KEY = 0;
const TAG = 64;
const TRAILER = 80;
const ZEROS = 128;
const BEFORE = 192;
const POLY_STATE = 256;

// Results are declared void: fetching an unused one costs 6 ns.
const SIGNATURES = {
  /** (out, in, length, 8 words of key, 4 words of counter and nonce); out may be in. */
  ChaCha20_ctr32: ['void', 'uintptr_t', 'uintptr_t', 'size_t', 'uintptr_t', 'uintptr_t'],
  Poly1305_ctx_size: ['size_t'],
  /** (state, 32 bytes of key) */
  Poly1305_Init: ['void', 'uintptr_t', 'uintptr_t'],
  /** (state, in, length) */
  Poly1305_Update: ['void', 'uintptr_t', 'uintptr_t', 'size_t'],
  /** (state, 16 bytes of out); erases the state. */
  Poly1305_Final: ['void', 'uintptr_t', 'uintptr_t'],
} as const;

export type ChaChaPolyCalls = Readonly<Record<keyof typeof SIGNATURES, Call>>;

/** null where the functions are not exported. */
export function bindChaChaPoly(): ChaChaPolyCalls | null {
  return bindAll(SIGNATURES);
}

/**
 * null where the functions are not exported. Reserves room in `arena` for its scratch: what the
 * largest datagram takes, but at most a quarter of what is free; longer packets are handled too,
 * a little slower.
 */
export function createChaChaPoly(arena: Arena): Ciphers | null {
  const native = bindChaChaPoly();
  if (native === null) return null;
  const engine = new Engine(arena, native);
  return {
    createSealer: (key) => new DirectCipher(engine, key),
    createOpener: (key) => new DirectCipher(engine, key),
  };
}

/** A key, and the counter block it is used with, where ChaCha20_ctr32 can read them. */
class CipherState {
  readonly memory = takeSecret();
  readonly keyAddress = this.memory.address;
  readonly counterAddress = this.memory.address + COUNTER;
  readonly words = this.memory.words;

  /** Words: the block's number, then the nonce of 32 zero bits and the 64-bit counter. */
  setCounter(block: number, counter: number): void {
    this.words[COUNTER >> 2] = block;
    this.words[(COUNTER >> 2) + 2] = counter;
    this.words[(COUNTER >> 2) + 3] = counter / 0x1_0000_0000;
  }
}

/** One key's sealer or opener. */
class DirectCipher implements Sealer, Opener {
  readonly #engine: Engine;
  #state: CipherState | null;

  constructor(engine: Engine, key: Uint8Array) {
    checkKey(key);
    this.#engine = engine;
    this.#state = new CipherState();
    this.#state.memory.bytes.set(key);
    countCiphers(1);
  }

  seal(offset: number, length: number, counter: number): void {
    if (this.#state === null) usedAfterWipe();
    this.#engine.seal(this.#state, offset, length, counter);
  }

  open(offset: number, length: number, counter: number): boolean {
    if (this.#state === null) usedAfterWipe();
    return this.#engine.open(this.#state, offset, length, counter);
  }

  copyKey(out: Uint8Array): void {
    if (this.#state === null) usedAfterWipe();
    out.set(this.#state.memory.bytes.subarray(0, KEY_BYTES));
  }

  wipe(): void {
    if (this.#state === null) return;
    this.#state.memory.release();
    this.#engine.wipe();
    this.#state = null;
    countCiphers(-1);
  }
}

/** What all keys of a suite share: the arena and the memory of one packet's computation. */
class Engine {
  readonly #native: ChaChaPolyCalls;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #arenaAddress: number;
  readonly #room: number;
  /** The longest packet that the room takes. */
  readonly #roomLength: number;
  readonly #work: Scratch;
  readonly #oneTimeKeyAddress: number;
  readonly #polyAddress: number;
  /** For small packets. */
  readonly #simd: SimdCipher | null;

  constructor(arena: Arena, native: ChaChaPolyCalls) {
    this.#native = native;
    this.#bytes = arena.bytes;
    this.#view = arena.view;
    this.#arenaAddress = addressOf(arena);
    const roomBytes = Math.min(ROOM_BYTES, arena.available >> 2) & -16;
    this.#room = arena.reserve(roomBytes);
    this.#roomLength = roomBytes - CHACHA_BLOCK_BYTES - TRAILER_BYTES;
    this.#work = new Scratch(POLY_STATE + native.Poly1305_ctx_size());
    this.#oneTimeKeyAddress = this.#work.address + ONE_TIME_KEY;
    this.#polyAddress = this.#work.address + POLY_STATE;
    this.#simd = SimdCipher.create(arena);
  }

  seal(state: CipherState, offset: number, length: number, counter: number): void {
    checkPacket(offset, length, this.#bytes.length);
    if (length <= SMALL_BYTES && this.#simd !== null) {
      this.#simd.seal(state.words, offset, length, counter);
      return;
    }
    if (offset < CHACHA_BLOCK_BYTES) {
      this.#oneTimeKey(state, counter);
      this.#stream(state, offset, length, counter);
    } else {
      this.#streamInPlace(state, offset, length, counter);
    }
    this.#authenticate(offset, length, this.#arenaAddress + offset + length);
  }

  open(state: CipherState, offset: number, length: number, counter: number): boolean {
    checkPacket(offset, length, this.#bytes.length);
    if (length <= SMALL_BYTES && this.#simd !== null) {
      return this.#simd.open(state.words, offset, length, counter);
    }
    if (!this.#streamIntoRoom(state, offset, length, counter)) {
      this.#oneTimeKey(state, counter);
      if (!this.#verify(offset, length)) return false;
      this.#stream(state, offset, length, counter);
      return true;
    }
    if (!this.#verify(offset, length)) return false;
    const data = this.#room + CHACHA_BLOCK_BYTES;
    this.#bytes.copyWithin(offset, data, data + length);
    return true;
  }

  /** Erases what is left of the last packet's one-time key. */
  wipe(): void {
    wipe(this.#work.bytes);
    this.#simd?.forget();
    this.#bytes.fill(0, this.#room, this.#room + CHACHA_BLOCK_BYTES);
  }

  /**
   * Block 0 and the packet in one pass: the packet's other form stands in the room, after the
   * first 64 bytes, and the one-time key is set. False, and nothing done, where it does not fit.
   */
  #streamIntoRoom(state: CipherState, offset: number, length: number, counter: number): boolean {
    if (offset < CHACHA_BLOCK_BYTES || length > this.#roomLength) return false;
    const start = offset - CHACHA_BLOCK_BYTES;
    const room = this.#room;
    const address = this.#arenaAddress;
    state.setCounter(0, counter);
    this.#native.ChaCha20_ctr32(
      address + room,
      address + start,
      length + CHACHA_BLOCK_BYTES,
      state.keyAddress,
      state.counterAddress,
    );
    const view = this.#view;
    const key = this.#work.view;
    for (let i = 0; i < KEY_BYTES; i += 4) {
      const word = view.getInt32(start + i, true) ^ view.getInt32(room + i, true);
      key.setInt32(ONE_TIME_KEY + i, word, true);
    }
    return true;
  }

  /**
   * Block 0 and the packet in one pass, where they are: the one-time key is set, and the 64 bytes
   * before the packet, which may be another's end, are what they were.
   */
  #streamInPlace(state: CipherState, offset: number, length: number, counter: number): void {
    const start = offset - CHACHA_BLOCK_BYTES;
    const address = this.#arenaAddress + start;
    const view = this.#view;
    const work = this.#work.view;
    for (let i = 0; i < CHACHA_BLOCK_BYTES; i += 4) {
      work.setInt32(BEFORE + i, view.getInt32(start + i, true), true);
    }
    state.setCounter(0, counter);
    this.#native.ChaCha20_ctr32(
      address,
      address,
      length + CHACHA_BLOCK_BYTES,
      state.keyAddress,
      state.counterAddress,
    );
    for (let i = 0; i < KEY_BYTES; i += 4) {
      const word = work.getInt32(BEFORE + i, true) ^ view.getInt32(start + i, true);
      work.setInt32(ONE_TIME_KEY + i, word, true);
    }
    for (let i = 0; i < CHACHA_BLOCK_BYTES; i += 4) {
      view.setInt32(start + i, work.getInt32(BEFORE + i, true), true);
    }
  }

  /** Block 0 alone (RFC 8439 2.6). */
  #oneTimeKey(state: CipherState, counter: number): void {
    state.setCounter(0, counter);
    this.#native.ChaCha20_ctr32(
      this.#oneTimeKeyAddress,
      this.#work.address + ZEROS,
      KEY_BYTES,
      state.keyAddress,
      state.counterAddress,
    );
  }

  /** The packet in place, from block 1 on. */
  #stream(state: CipherState, offset: number, length: number, counter: number): void {
    const packet = this.#arenaAddress + offset;
    state.setCounter(1, counter);
    this.#native.ChaCha20_ctr32(packet, packet, length, state.keyAddress, state.counterAddress);
  }

  /** Whether the authenticator after the ciphertext in the arena is the one of the one-time key. */
  #verify(offset: number, length: number): boolean {
    const end = offset + length;
    const view = this.#view;
    const work = this.#work.view;
    const t0 = view.getInt32(end, true);
    const t1 = view.getInt32(end + 4, true);
    const t2 = view.getInt32(end + 8, true);
    const t3 = view.getInt32(end + 12, true);
    this.#authenticate(offset, length, this.#work.address + TAG);
    // All 16 bytes, whatever the first ones are.
    const difference =
      (t0 ^ work.getInt32(TAG, true)) |
      (t1 ^ work.getInt32(TAG + 4, true)) |
      (t2 ^ work.getInt32(TAG + 8, true)) |
      (t3 ^ work.getInt32(TAG + 12, true));
    return difference === 0;
  }

  /** Writes the authenticator of the ciphertext to the address `tag`. */
  #authenticate(offset: number, length: number, tag: number): void {
    const end = offset + length;
    if (end + TRAILER_BYTES <= this.#bytes.length) this.#authenticateInPlace(offset, length, tag);
    else this.#authenticateInPieces(offset, length, tag);
  }

  /**
   * Spares a call by putting the trailer where Poly1305 wants it, over what stands after the
   * ciphertext: the authenticator, which its caller has read or is about to get, and the beginning of
   * another packet, which is put back before anyone can look.
   */
  #authenticateInPlace(offset: number, length: number, tag: number): void {
    const view = this.#view;
    const end = offset + length;
    const next = end + TAG_BYTES;
    const s0 = view.getInt32(next, true);
    const s1 = view.getInt32(next + 4, true);
    const s2 = view.getInt32(next + 8, true);
    const s3 = view.getInt32(next + 12, true);
    const trailed = length + putTrailer(view, end, length);
    this.#native.Poly1305_Init(this.#polyAddress, this.#oneTimeKeyAddress);
    this.#native.Poly1305_Update(this.#polyAddress, this.#arenaAddress + offset, trailed);
    this.#native.Poly1305_Final(this.#polyAddress, tag);
    view.setInt32(next, s0, true);
    view.setInt32(next + 4, s1, true);
    view.setInt32(next + 8, s2, true);
    view.setInt32(next + 12, s3, true);
  }

  #authenticateInPieces(offset: number, length: number, tag: number): void {
    const trailer = putTrailer(this.#work.view, TRAILER, length);
    this.#native.Poly1305_Init(this.#polyAddress, this.#oneTimeKeyAddress);
    this.#native.Poly1305_Update(this.#polyAddress, this.#arenaAddress + offset, length);
    this.#native.Poly1305_Update(this.#polyAddress, this.#work.address + TRAILER, trailer);
    this.#native.Poly1305_Final(this.#polyAddress, tag);
  }
}

/**
 * What Poly1305 sees after a ciphertext without AAD (RFC 8439 2.8): zeros to the next multiple of
 * 16, the AAD's length 0 and the ciphertext's, 64 bits each. Returns its length; it may write, as
 * zeros, the rest of 32 bytes.
 */
function putTrailer(view: DataView, at: number, length: number): number {
  const padding = -length & 15;
  view.setInt32(at, 0);
  view.setInt32(at + 4, 0);
  view.setInt32(at + 8, 0);
  view.setInt32(at + 12, 0);
  view.setInt32(at + padding, 0);
  view.setInt32(at + padding + 4, 0);
  view.setInt32(at + padding + 8, length, true);
  view.setInt32(at + padding + 12, 0);
  return padding + TAG_BYTES;
}
