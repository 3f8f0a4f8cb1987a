/**
 * The machine's own addresses, as the Device has to know them: what is answered comes from one, and
 * nothing that a peer sends may. The kernel is told to take our answers although their source is
 * its own (accept_local), and would take a peer's just the same.
 *
 * A packet has been found to be from its peer's allowed IPs already, so only those of our addresses
 * count that lie in them: most peers have none, and cost two comparisons.
 */

import { IPV4_SOURCE_OFFSET, IPV6_SOURCE_OFFSET, ipVersion } from '../packet/ip.ts';
import { AllowedIps } from './allowedips.ts';
import type { Prefix } from './configuration.ts';
import type { Core } from './core.ts';
import type { Peer } from './peer.ts';

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

/** Call when our addresses, or the allowed IPs of any peer, have changed. */
export function assignOwnAddresses(core: Core): void {
  for (const peer of core.ownSourceHolders) {
    peer.ownSources = null;
    peer.ownPrefixes = null;
  }
  core.ownSourceHolders.clear();
  const { all, localRoutes } = core.ownAddresses;
  for (const address of all) assignAddress(core, address);
  // One table for all peers: many may have a part of a prefix.
  const prefixes = new AllowedIps<true>();
  for (const route of localRoutes) {
    if (route.length === route.address.length * 8) assignAddress(core, route.address);
    else assignPrefix(core, route, prefixes);
  }
}

function assignAddress(core: Core, address: Uint8Array): void {
  const { allowedIps } = core;
  const peer =
    address.length === 4 ? allowedIps.lookup4(address, 0) : allowedIps.lookup6(address, 0);
  if (peer === null) return;
  peer.ownSources ??= new AddressSet();
  peer.ownSources.add(address);
  core.ownSourceHolders.add(peer);
}

function assignPrefix(core: Core, prefix: Prefix, prefixes: AllowedIps<true>): void {
  prefixes.insert(prefix, true);
  for (const peer of core.allowedIps.ownersWithin(prefix)) {
    peer.ownPrefixes = prefixes;
    core.ownSourceHolders.add(peer);
  }
}

/** Whether the packet, which is sound and from the peer's allowed IPs, claims to be from us. */
export function hasOwnSource(peer: Peer, bytes: Uint8Array, offset: number): boolean {
  const { ownSources, ownPrefixes } = peer;
  if (ownSources === null && ownPrefixes === null) return false;
  if (ipVersion(bytes, offset) === 4) {
    const at = offset + IPV4_SOURCE_OFFSET;
    return ownSources?.has4(bytes, at) || ownPrefixes?.lookup4(bytes, at) === true;
  }
  const at = offset + IPV6_SOURCE_OFFSET;
  return ownSources?.has6(bytes, at) || ownPrefixes?.lookup6(bytes, at) === true;
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
