/**
 * Gives the same Endpoint object for the same remote and local address, so that receiving from a
 * known peer allocates nothing and the Device can compare by identity first. Bounded: addresses
 * that share a place in the table take turns in it, so a flood of forged senders costs an object
 * each but never memory.
 */

import { Endpoint } from '../device/endpoint.ts';
import { AF_INET } from '../sys/linux.ts';

/** Words of a key: family and port; remote (4); scope; local (4); local interface. */
const KEY_WORDS = 11;
const LOCAL_WORD = 6;
const INTERFACE_WORD = 10;

export class EndpointCache {
  /** The key to look up, filled in by the receiver: words as they lie in the kernel's structures. */
  readonly key = new Int32Array(KEY_WORDS);
  readonly #keyBytes = new Uint8Array(this.key.buffer);
  readonly #keys: Int32Array;
  readonly #endpoints: (Endpoint | undefined)[];
  readonly #mask: number;
  #newest = 0;

  /** @param size places in the table, a power of two */
  constructor(size = 4096) {
    this.#keys = new Int32Array(size * KEY_WORDS);
    this.#endpoints = new Array(size).fill(undefined);
    this.#mask = size - 1;
  }

  /** The Endpoint that `key` names. */
  lookup(): Endpoint {
    // Most datagrams come from where the one before came from.
    const newest = this.#endpoints[this.#newest];
    if (newest !== undefined && this.#matches(this.#newest, newest)) return newest;
    const place = this.#hash() & this.#mask;
    this.#newest = place;
    const known = this.#endpoints[place];
    if (known !== undefined && this.#matches(place, known)) return known;
    const endpoint = this.#build();
    this.#keys.set(this.key, place * KEY_WORDS);
    this.#endpoints[place] = endpoint;
    return endpoint;
  }

  /** An Endpoint made to forget its source no longer is what its key says. */
  #matches(place: number, endpoint: Endpoint): boolean {
    const { key } = this;
    const keys = this.#keys;
    for (let i = 0, at = place * KEY_WORDS; i < KEY_WORDS; i++, at++) {
      if (keys[at] !== key[i]) return false;
    }
    return endpoint.source !== null || isZero(key, LOCAL_WORD, INTERFACE_WORD);
  }

  #hash(): number {
    let hash = 0;
    for (let i = 0; i < KEY_WORDS; i++)
      hash = Math.imul(hash ^ this.key[i], 0x9e3779b1) ^ (hash >>> 15);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  #build(): Endpoint {
    // A slice for each: arrays this small live in the heap, while one buffer for all of them would
    // be memory of its own, which a flood of strangers would ask for faster than it is collected.
    const bytes = this.#keyBytes;
    const addressLength = (bytes[0] | (bytes[1] << 8)) === AF_INET ? 4 : 16;
    const source = isZero(this.key, LOCAL_WORD, INTERFACE_WORD)
      ? null
      : bytes.slice(LOCAL_WORD * 4, LOCAL_WORD * 4 + addressLength);
    return new Endpoint(
      bytes.slice(4, 4 + addressLength),
      (bytes[2] << 8) | bytes[3],
      this.key[5] >>> 0,
      source,
      source === null ? 0 : this.key[INTERFACE_WORD] >>> 0,
    );
  }
}

function isZero(words: Int32Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (words[i] !== 0) return false;
  return true;
}
