/**
 * The suite that runs wherever JavaScript does, on @noble: the fallback, and the reference that
 * every other suite has to agree with. It favours being obvious over being fast.
 *
 * A limit of `wipe` here: @noble copies the key for every packet and erases its copy, but the
 * engine has moved those bytes out of the heap by then, and what it left there stands until the
 * collector uses the place again.
 */

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import type { Arena } from '../arena.ts';
import { counterNonce, xsealInto } from './aead.ts';
import { secretBytes, wipe } from './bytes.ts';
import { type CryptoSuite, KEY_BYTES, type Opener, type Sealer, TAG_BYTES } from './suite.ts';

/** Works on packets in `arena`, of which it reserves nothing. */
export function createPortableSuite(arena: Arena): CryptoSuite {
  return {
    name: 'portable',
    createSealer: (key) => new PortableCipher(arena, key),
    createOpener: (key) => new PortableCipher(arena, key),
    xseal: xsealInto,
    sharedSecret,
    publicKey: (privateKey) => x25519.getPublicKey(privateKey),
  };
}

class PortableCipher implements Sealer, Opener {
  readonly #arena: Arena;
  #key: Uint8Array | null;

  constructor(arena: Arena, key: Uint8Array) {
    if (key.length !== KEY_BYTES) throw new Error(`cipher: key of ${key.length} bytes`);
    this.#arena = arena;
    this.#key = secretBytes(KEY_BYTES);
    this.#key.set(key);
  }

  seal(offset: number, length: number, counter: number): void {
    const sealed = this.#packet(offset, length);
    // @noble copies the plaintext to the output first; here both are the same bytes already.
    this.#cipher(counter).encrypt(sealed.subarray(0, length), sealed);
  }

  open(offset: number, length: number, counter: number): boolean {
    const sealed = this.#packet(offset, length);
    const cipher = this.#cipher(counter);
    try {
      cipher.decrypt(sealed, sealed.subarray(0, length));
      return true;
    } catch {
      return false; // Lengths are right by construction: the authenticator is not.
    }
  }

  copyKey(out: Uint8Array): void {
    if (this.#key === null) throw new Error('cipher: used after wipe');
    out.set(this.#key);
  }

  wipe(): void {
    if (this.#key !== null) wipe(this.#key);
    this.#key = null;
  }

  #packet(offset: number, length: number): Uint8Array {
    const end = offset + length + TAG_BYTES;
    if (!(offset >= 0 && length >= 0 && end <= this.#arena.bytes.length)) {
      throw new Error('cipher: packet outside the arena');
    }
    return this.#arena.bytes.subarray(offset, end);
  }

  #cipher(counter: number): ReturnType<typeof chacha20poly1305> {
    if (this.#key === null) throw new Error('cipher: used after wipe');
    return chacha20poly1305(this.#key, counterNonce(counter));
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
