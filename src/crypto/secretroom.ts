/**
 * Room for many short secrets that are handed on together: thousands of arrays that each have memory
 * of their own keep the collector busy for longer than all else takes.
 */

import { secretBytes } from './bytes.ts';

const CHUNK_BYTES = 64 * 1024;

export class SecretRoom {
  #chunk = secretBytes(0);
  #at = 0;

  /** Zeros of nobody else's, as secretBytes gives; the taker's to wipe. */
  take(length: number): Uint8Array {
    if (this.#at + length > this.#chunk.length) {
      this.#chunk = secretBytes(Math.max(CHUNK_BYTES, length));
      this.#at = 0;
    }
    const start = this.#at;
    this.#at += length;
    return this.#chunk.subarray(start, this.#at);
  }
}
