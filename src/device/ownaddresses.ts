/**
 * The machine's own addresses, as the Device is told of them, and a set of addresses that costs a
 * packet one comparison where there is none like its own. What they are used for: ownsources.ts.
 */

import { isWithin, type Prefix } from '../packet/address.ts';

/** Copies are not made: the arrays are not to be written to. */
export interface OwnAddresses {
  /** 4 or 16 bytes each. */
  readonly all: readonly Uint8Array[];
  /** What is delivered here by its route, addresses of `all` among them, and whole prefixes. */
  readonly localRoutes: readonly Prefix[];
  /** Whence the sender of an IPv4 packet is answered; null: from where the packet was for. */
  readonly answer4: Uint8Array | null;
  readonly answer6: Uint8Array | null;
}

export const NO_OWN_ADDRESSES: OwnAddresses = {
  all: [],
  localRoutes: [],
  answer4: null,
  answer6: null,
};

/** Whether an address, 4 or 16 bytes, is one of them. For what is rare: it looks at each. */
export function isOwn({ all, localRoutes }: OwnAddresses, address: Uint8Array): boolean {
  return (
    all.some(
      (own) => own.length === address.length && own.every((byte, i) => byte === address[i]),
    ) || localRoutes.some((route) => isWithin(address, route))
  );
}

const INITIAL_PLACES = 16;

/** Addresses of both families; looking one up allocates nothing. */
export class AddressSet {
  #v4 = new WordTable(1);
  #v6 = new WordTable(4);

  /** @param address 4 or 16 bytes */
  add(address: Uint8Array): void {
    (address.length === 4 ? this.#v4 : this.#v6).add(address);
  }

  /** Whether the 4 bytes at `at` are one. */
  has4(bytes: Uint8Array, at: number): boolean {
    return this.#v4.has(bytes, at);
  }

  /** Whether the 16 bytes at `at` are one. */
  has6(bytes: Uint8Array, at: number): boolean {
    return this.#v6.has(bytes, at);
  }
}

/** Keys of so many 32-bit words, found by hashing; at least half of the places stay free. */
class WordTable {
  readonly #words: number;
  #keys: Int32Array;
  #isTaken = new Uint8Array(INITIAL_PLACES);
  /** By the last byte of a key: whether there is one. Few addresses have few, and end the search here. */
  readonly #endings = new Uint8Array(256);
  #size = 0;

  constructor(words: number) {
    this.#words = words;
    this.#keys = new Int32Array(INITIAL_PLACES * words);
  }

  has(bytes: Uint8Array, at: number): boolean {
    if (this.#endings[bytes[at + this.#words * 4 - 1]] === 0) return false;
    return this.#isTaken[this.#find(bytes, at)] === 1;
  }

  add(key: Uint8Array): void {
    const place = this.#find(key, 0);
    if (this.#isTaken[place] === 1) return;
    this.#isTaken[place] = 1;
    this.#endings[key[this.#words * 4 - 1]] = 1;
    for (let i = 0; i < this.#words; i++) this.#keys[place * this.#words + i] = word(key, i * 4);
    if (++this.#size * 2 > this.#isTaken.length) this.#grow();
  }

  /** The place of the key, or the free one where it belongs. */
  #find(bytes: Uint8Array, at: number): number {
    const mask = this.#isTaken.length - 1;
    let hash = 0;
    for (let i = 0; i < this.#words; i++) {
      hash = Math.imul(hash ^ word(bytes, at + i * 4), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    // Neighbours differ in the last byte, the highest of a word, which has to reach the lowest bits.
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash ^= hash >>> 13;
    let place = hash & mask;
    while (this.#isTaken[place] === 1 && !this.#isAt(place, bytes, at)) place = (place + 1) & mask;
    return place;
  }

  #isAt(place: number, bytes: Uint8Array, at: number): boolean {
    const start = place * this.#words;
    for (let i = 0; i < this.#words; i++) {
      if (this.#keys[start + i] !== word(bytes, at + i * 4)) return false;
    }
    return true;
  }

  #grow(): void {
    const keys = new Uint8Array(this.#keys.buffer);
    const taken = this.#isTaken;
    const keyBytes = this.#words * 4;
    this.#keys = new Int32Array(this.#keys.length * 2);
    this.#isTaken = new Uint8Array(taken.length * 2);
    this.#size = 0;
    for (const [place, isTaken] of taken.entries()) {
      if (isTaken === 1) this.add(keys.subarray(place * keyBytes, (place + 1) * keyBytes));
    }
  }
}

/** As it lies in memory, so that a table's own bytes are keys of another. */
function word(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}
