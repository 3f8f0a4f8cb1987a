/**
 * Cryptokey routing (whitepaper 2): which peer may send from, and is sent what goes to, an address.
 * One trie a family (prefixtrie.ts). It knows owners only as values that it hands back, and allocates
 * nothing on a lookup.
 */

import type { Prefix } from '../packet/address.ts';
import { NO_NODE, NO_OWNER, OWNER_MAX, PrefixTrie } from './prefixtrie.ts';

/** Owners that are copied in one step. */
const OWNERS_AT_ONCE = 256;

export class AllowedIps<Owner> {
  #ipv4 = new PrefixTrie(1);
  #ipv6 = new PrefixTrie(4);
  /** By their numbers in the tries; null where a number is free, and for nobody's. */
  #owners: (Owner | null)[] = [null];
  readonly #numbers = new Map<Owner, number>();
  #freeNumbers: number[] = [];

  /** Makes a table that says the same and shares nothing; nothing may change between the steps. */
  *copy(): Generator<void, AllowedIps<Owner>> {
    const copy = new AllowedIps<Owner>();
    copy.#ipv4 = yield* this.#ipv4.copy();
    copy.#ipv6 = yield* this.#ipv6.copy();
    copy.#owners = [...this.#owners];
    copy.#freeNumbers = [...this.#freeNumbers];
    for (const [owner, number] of this.#numbers) {
      copy.#numbers.set(owner, number);
      if (copy.#numbers.size % OWNERS_AT_ONCE === 0) yield;
    }
    return copy;
  }

  /** Gives the prefix to `owner`, taking it from the owner it had. */
  insert(prefix: Prefix, owner: Owner): void {
    const a = prefix.address;
    const number = this.#numbers.get(owner) ?? this.#enrol(owner);
    if (a.length === 4) this.#ipv4.insert(word(a, 0), 0, 0, 0, prefix.length, number);
    else this.#ipv6.insert(word(a, 0), word(a, 4), word(a, 8), word(a, 12), prefix.length, number);
  }

  #enrol(owner: Owner): number {
    const number = this.#freeNumbers.pop() ?? this.#owners.length;
    if (number > OWNER_MAX) throw new Error(`allowed IPs: more than ${OWNER_MAX} owners`);
    this.#owners[number] = owner;
    this.#numbers.set(owner, number);
    return number;
  }

  /** Takes exactly this prefix from `owner`; false when it did not have it. */
  remove(prefix: Prefix, owner: Owner): boolean {
    const a = prefix.address;
    const number = this.#numbers.get(owner);
    if (number === undefined) return false;
    if (a.length === 4) return this.#ipv4.remove(word(a, 0), 0, 0, 0, prefix.length, number);
    return this.#ipv6.remove(
      ...([word(a, 0), word(a, 4), word(a, 8), word(a, 12)] as const),
      ...([prefix.length, number] as const),
    );
  }

  /** Takes every prefix that `owner` has. */
  removeOwner(owner: Owner): void {
    const number = this.#numbers.get(owner);
    if (number === undefined) return;
    while (this.#ipv4.removeFirst(number));
    while (this.#ipv6.removeFirst(number));
    this.#numbers.delete(owner);
    this.#owners[number] = null;
    this.#freeNumbers.push(number);
  }

  /** The owner of the longest prefix that holds the IPv4 address at `offset`, or null. */
  lookup4(bytes: Uint8Array, offset: number): Owner | null {
    return this.#owners[this.#ipv4.lookup1(word(bytes, offset))];
  }

  /** The owner of the longest prefix that holds the IPv6 address at `offset`, or null. */
  lookup6(bytes: Uint8Array, offset: number): Owner | null {
    const number = this.#ipv6.lookup4(
      word(bytes, offset),
      word(bytes, offset + 4),
      word(bytes, offset + 8),
      word(bytes, offset + 12),
    );
    return this.#owners[number];
  }

  /** Who has any of the addresses of `prefix`, or would but for others' longer ones. A new set. */
  ownersWithin(prefix: Prefix): Set<Owner> {
    const a = prefix.address;
    const numbers =
      a.length === 4
        ? this.#ipv4.ownersWithin(word(a, 0), 0, 0, 0, prefix.length)
        : this.#ipv6.ownersWithin(word(a, 0), word(a, 4), word(a, 8), word(a, 12), prefix.length);
    const owners = new Set<Owner>();
    for (const number of numbers) {
      const owner = this.#owners[number];
      if (owner !== null) owners.add(owner);
    }
    return owners;
  }

  /** What `owner` has, IPv4 first, each family in the order it was given. New objects. */
  prefixesOf(owner: Owner): Prefix[] {
    const number = this.#numbers.get(owner) ?? NO_OWNER;
    const prefixes: Prefix[] = [];
    for (const [trie, addressBytes] of [[this.#ipv4, 4] as const, [this.#ipv6, 16] as const]) {
      for (const [a0, a1, a2, a3, length] of trie.prefixesOf(number)) {
        const address = new Uint8Array(addressBytes);
        writeWord(address, 0, a0);
        if (addressBytes === 16) {
          writeWord(address, 4, a1);
          writeWord(address, 8, a2);
          writeWord(address, 12, a3);
        }
        prefixes.push({ address, length });
      }
    }
    return prefixes;
  }

  /** Whether the owner has exactly these, and in each family in this order. */
  hasJust(owner: Owner, prefixes: Iterable<Prefix>): boolean {
    const number = this.#numbers.get(owner) ?? NO_OWNER;
    let last4 = NO_NODE;
    let last6 = NO_NODE;
    for (const { address: a, length } of prefixes) {
      if (a.length === 4) {
        last4 = this.#ipv4.nextOf(number, last4);
        if (last4 === NO_NODE) return false;
        if (!this.#ipv4.isPrefix(last4, word(a, 0), 0, 0, 0, length)) return false;
      } else {
        last6 = this.#ipv6.nextOf(number, last6);
        if (last6 === NO_NODE) return false;
        const words = [word(a, 0), word(a, 4), word(a, 8), word(a, 12)] as const;
        if (!this.#ipv6.isPrefix(last6, ...words, length)) return false;
      }
    }
    const next4 = this.#ipv4.nextOf(number, last4);
    return next4 === NO_NODE && this.#ipv6.nextOf(number, last6) === NO_NODE;
  }

  /** Whether there is anything to be taken from the owner: that it once held some is enough. */
  knows(owner: Owner): boolean {
    return this.#numbers.has(owner);
  }

  /** Whether the owner holds any. */
  has(owner: Owner): boolean {
    const number = this.#numbers.get(owner);
    return number !== undefined && (this.#ipv4.has(number) || this.#ipv6.has(number));
  }

  /** Prefixes held, both families. */
  get size(): number {
    return this.#ipv4.size + this.#ipv6.size;
  }
}

/** Four bytes in network order as a signed 32-bit word. */
function word(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3]
  );
}

function writeWord(bytes: Uint8Array, offset: number, word: number): void {
  bytes[offset] = word >>> 24;
  bytes[offset + 1] = word >>> 16;
  bytes[offset + 2] = word >>> 8;
  bytes[offset + 3] = word;
}
