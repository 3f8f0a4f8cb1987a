/**
 * ChaCha20-Poly1305 of packets on @noble: where WebAssembly has no SIMD, and the reference that
 * everything else has to agree with. It favours being obvious over being fast.
 *
 * A limit of `wipe` here: @noble copies the key for every packet and erases its copy, but the
 * engine has moved those bytes out of the heap by then, and what it left there stands until the
 * collector uses the place again.
 */

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import type { Arena } from '../arena.ts';
import { counterNonce } from './aead.ts';
import { secretBytes, wipe } from './bytes.ts';
import { checkKey, checkPacket, usedAfterWipe } from './misuse.ts';
import { KEY_BYTES, type Opener, type Sealer, TAG_BYTES } from './suite.ts';

/** Works on packets in the arena that it is given. */
export class NobleCipher implements Sealer, Opener {
  readonly #bytes: Uint8Array;
  #key: Uint8Array | null;

  constructor(arena: Arena, key: Uint8Array) {
    checkKey(key);
    this.#bytes = arena.bytes;
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
    if (this.#key === null) usedAfterWipe();
    out.set(this.#key);
  }

  wipe(): void {
    if (this.#key !== null) wipe(this.#key);
    this.#key = null;
  }

  #packet(offset: number, length: number): Uint8Array {
    checkPacket(offset, length, this.#bytes.length);
    return this.#bytes.subarray(offset, offset + length + TAG_BYTES);
  }

  #cipher(counter: number): ReturnType<typeof chacha20poly1305> {
    if (this.#key === null) usedAfterWipe();
    return chacha20poly1305(this.#key, counterNonce(counter));
  }
}
