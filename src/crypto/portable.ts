/**
 * The suite that runs wherever JavaScript does: packets in WebAssembly where it has SIMD, and on @noble
 * elsewhere, as all the rest. The fallback, and what the suite on OpenSSL has to agree with.
 */

import { x25519 } from '@noble/curves/ed25519.js';
import type { Arena } from '../arena.ts';
import { xsealInto } from './aead.ts';
import { secretBytes, wipe } from './bytes.ts';
import { checkKey, checkPacket, usedAfterWipe } from './misuse.ts';
import { NobleCipher } from './noble.ts';
import { SimdCipher } from './simd/simdcipher.ts';
import { type CryptoSuite, KEY_BYTES, type Opener, type Sealer } from './suite.ts';

/** Works on packets in `arena`, of which it reserves nothing. */
export function createPortableSuite(arena: Arena): CryptoSuite {
  const simd = SimdCipher.create(arena);
  const create = (key: Uint8Array): Sealer & Opener =>
    simd === null ? new NobleCipher(arena, key) : new PortableCipher(arena, simd, key);
  return {
    name: 'portable',
    createSealer: create,
    createOpener: create,
    xseal: xsealInto,
    sharedSecret,
    publicKey: (privateKey) => x25519.getPublicKey(privateKey),
  };
}

/** One key's sealer or opener in WebAssembly. */
class PortableCipher implements Sealer, Opener {
  readonly #arenaBytes: number;
  readonly #simd: SimdCipher;
  readonly #bytes = secretBytes(KEY_BYTES);
  #words: Int32Array | null;

  constructor(arena: Arena, simd: SimdCipher, key: Uint8Array) {
    checkKey(key);
    this.#arenaBytes = arena.bytes.length;
    this.#simd = simd;
    this.#bytes.set(key);
    this.#words = new Int32Array(this.#bytes.buffer);
  }

  seal(offset: number, length: number, counter: number): void {
    if (this.#words === null) usedAfterWipe();
    checkPacket(offset, length, this.#arenaBytes);
    this.#simd.seal(this.#words, offset, length, counter);
  }

  open(offset: number, length: number, counter: number): boolean {
    if (this.#words === null) usedAfterWipe();
    checkPacket(offset, length, this.#arenaBytes);
    return this.#simd.open(this.#words, offset, length, counter);
  }

  copyKey(out: Uint8Array): void {
    if (this.#words === null) usedAfterWipe();
    out.set(this.#bytes);
  }

  wipe(): void {
    if (this.#words === null) return;
    wipe(this.#bytes);
    this.#simd.forget();
    this.#words = null;
  }
}

function sharedSecret(out: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): boolean {
  if (privateKey.length !== KEY_BYTES || publicKey.length !== KEY_BYTES) {
    throw new Error('X25519: keys are 32 bytes');
  }
  try {
    const secret = x25519.getSharedSecret(privateKey, publicKey);
    out.set(secret);
    wipe(secret);
    return true;
  } catch {
    out.fill(0); // With lengths checked, @noble refuses nothing but a point of small order.
    return false;
  }
}
