/**
 * Cryptokey routing (whitepaper 2): which peer may send from, and is sent what goes to, an address.
 * One path-compressed binary trie a family, longest prefix first. It knows owners only as values
 * that it hands back, and allocates nothing on a lookup.
 */

import type { Prefix } from '../packet/address.ts';

const NONE = -1;

export class AllowedIps<Owner> {
  readonly #ipv4 = new PrefixTrie<Owner>();
  readonly #ipv6 = new PrefixTrie<Owner>();

  /** Gives the prefix to `owner`, taking it from the owner it had. */
  insert(prefix: Prefix, owner: Owner): void {
    const a = prefix.address;
    if (a.length === 4) this.#ipv4.insert(word(a, 0), 0, 0, 0, prefix.length, owner);
    else this.#ipv6.insert(word(a, 0), word(a, 4), word(a, 8), word(a, 12), prefix.length, owner);
  }

  /** Takes exactly this prefix from `owner`; false when it did not have it. */
  remove(prefix: Prefix, owner: Owner): boolean {
    const a = prefix.address;
    if (a.length === 4) return this.#ipv4.remove(word(a, 0), 0, 0, 0, prefix.length, owner);
    return this.#ipv6.remove(word(a, 0), word(a, 4), word(a, 8), word(a, 12), prefix.length, owner);
  }

  /** Takes every prefix that `owner` has. */
  removeOwner(owner: Owner): void {
    this.#ipv4.removeOwner(owner);
    this.#ipv6.removeOwner(owner);
  }

  /** The owner of the longest prefix that holds the IPv4 address at `offset`, or null. */
  lookup4(bytes: Uint8Array, offset: number): Owner | null {
    return this.#ipv4.lookup(word(bytes, offset), 0, 0, 0);
  }

  /** The owner of the longest prefix that holds the IPv6 address at `offset`, or null. */
  lookup6(bytes: Uint8Array, offset: number): Owner | null {
    return this.#ipv6.lookup(
      word(bytes, offset),
      word(bytes, offset + 4),
      word(bytes, offset + 8),
      word(bytes, offset + 12),
    );
  }

  /** Who has any of the addresses of `prefix`, or would but for others' longer ones. A new set. */
  ownersWithin(prefix: Prefix): Set<Owner> {
    const a = prefix.address;
    if (a.length === 4) return this.#ipv4.ownersWithin(word(a, 0), 0, 0, 0, prefix.length);
    return this.#ipv6.ownersWithin(word(a, 0), word(a, 4), word(a, 8), word(a, 12), prefix.length);
  }

  /** What `owner` has, IPv4 first, each family in the order it was given. New objects. */
  prefixesOf(owner: Owner): Prefix[] {
    return [...this.#ipv4.prefixesOf(owner, 4), ...this.#ipv6.prefixesOf(owner, 16)];
  }

  /** Whether the owner holds any. */
  has(owner: Owner): boolean {
    return this.#ipv4.has(owner) || this.#ipv6.has(owner);
  }

  /** Prefixes held, both families. */
  get size(): number {
    return this.#ipv4.size + this.#ipv6.size;
  }
}

/**
 * Nodes are numbers into parallel arrays. A node holds the address bits up to its length; its
 * children continue with bit 0 or 1 at that length. A node without an owner has two children.
 * An IPv4 address is one word and a length of at most 32, so only that word is ever compared.
 */
class PrefixTrie<Owner> {
  size = 0;
  #root = NONE;
  #words = new Int32Array(4 * 64);
  #lengths = new Uint8Array(64);
  #children = new Int32Array(2 * 64);
  readonly #owners: (Owner | null)[] = [];
  readonly #free: number[] = [];
  readonly #nodesOf = new Map<Owner, Set<number>>();

  lookup(a0: number, a1: number, a2: number, a3: number): Owner | null {
    const lengths = this.#lengths;
    const children = this.#children;
    let best: Owner | null = null;
    let node = this.#root;
    while (node !== NONE && this.#covers(node, a0, a1, a2, a3)) {
      const owner = this.#owners[node];
      if (owner !== null) best = owner;
      node = children[2 * node + bitAt(lengths[node], a0, a1, a2, a3)];
    }
    return best;
  }

  /** The owner of all around the prefix, and those that have parts of it. */
  ownersWithin(a0: number, a1: number, a2: number, a3: number, length: number): Set<Owner> {
    let around: Owner | null = null;
    let node = this.#root;
    while (node !== NONE && this.#lengths[node] < length && this.#covers(node, a0, a1, a2, a3)) {
      around = this.#owners[node] ?? around;
      node = this.#children[2 * node + bitAt(this.#lengths[node], a0, a1, a2, a3)];
    }
    const owners = new Set<Owner>();
    if (around !== null) owners.add(around);
    const isInside = node !== NONE && this.#commonBits(node, a0, a1, a2, a3) >= length;
    const rest = isInside ? [node] : [];
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      const owner = this.#owners[next];
      if (owner !== null) owners.add(owner);
      const children = [this.#children[2 * next], this.#children[2 * next + 1]];
      rest.push(...children.filter((child) => child !== NONE));
    }
    return owners;
  }

  insert(a0: number, a1: number, a2: number, a3: number, length: number, owner: Owner): void {
    let parent = NONE;
    let node = this.#root;
    while (node !== NONE && this.#lengths[node] <= length && this.#covers(node, a0, a1, a2, a3)) {
      if (this.#lengths[node] === length) {
        this.#own(node, owner);
        return;
      }
      parent = node;
      node = this.#children[2 * node + bitAt(this.#lengths[node], a0, a1, a2, a3)];
    }
    const leaf = this.#create(a0, a1, a2, a3, length);
    this.#own(leaf, owner);
    if (node === NONE) {
      this.#replaceChild(parent, node, leaf, a0, a1, a2, a3);
      return;
    }
    const common = Math.min(length, this.#commonBits(node, a0, a1, a2, a3));
    if (common === length) {
      this.#children[2 * leaf + this.#nodeBit(node, length)] = node;
      this.#replaceChild(parent, node, leaf, a0, a1, a2, a3);
      return;
    }
    const fork = this.#create(a0, a1, a2, a3, common);
    this.#children[2 * fork + this.#nodeBit(node, common)] = node;
    this.#children[2 * fork + bitAt(common, a0, a1, a2, a3)] = leaf;
    this.#replaceChild(parent, node, fork, a0, a1, a2, a3);
  }

  remove(a0: number, a1: number, a2: number, a3: number, length: number, owner: Owner): boolean {
    let grandparent = NONE;
    let parent = NONE;
    let node = this.#root;
    while (node !== NONE && this.#covers(node, a0, a1, a2, a3) && this.#lengths[node] < length) {
      grandparent = parent;
      parent = node;
      node = this.#children[2 * node + bitAt(this.#lengths[node], a0, a1, a2, a3)];
    }
    if (node === NONE || this.#lengths[node] !== length || this.#owners[node] !== owner)
      return false;
    if (!this.#covers(node, a0, a1, a2, a3)) return false;
    this.#disown(node, owner);
    this.#splice(parent, node);
    // The fork above may now be left with one child and no owner of its own.
    if (parent !== NONE && this.#owners[parent] === null) this.#splice(grandparent, parent);
    return true;
  }

  removeOwner(owner: Owner): void {
    const words = this.#words;
    for (const node of [...(this.#nodesOf.get(owner) ?? [])]) {
      const w = 4 * node;
      this.remove(words[w], words[w + 1], words[w + 2], words[w + 3], this.#lengths[node], owner);
    }
  }

  has(owner: Owner): boolean {
    return (this.#nodesOf.get(owner)?.size ?? 0) > 0;
  }

  prefixesOf(owner: Owner, addressBytes: 4 | 16): Prefix[] {
    const prefixes: Prefix[] = [];
    for (const node of this.#nodesOf.get(owner) ?? []) {
      const address = new Uint8Array(addressBytes);
      for (let i = 0; i < addressBytes; i++)
        address[i] = this.#words[4 * node + (i >> 2)] >>> (24 - 8 * (i & 3));
      prefixes.push({ address, length: this.#lengths[node] });
    }
    return prefixes;
  }

  /** Whether the first `length` bits of the node and of the address agree. */
  #covers(node: number, a0: number, a1: number, a2: number, a3: number): boolean {
    return this.#commonBits(node, a0, a1, a2, a3) === this.#lengths[node];
  }

  /** Leading bits in which the node and the address agree, at most the node's length. */
  #commonBits(node: number, a0: number, a1: number, a2: number, a3: number): number {
    const words = this.#words;
    const length = this.#lengths[node];
    const w = 4 * node;
    let bits = Math.clz32(words[w] ^ a0);
    if (bits === 32 && length > 32) {
      bits += Math.clz32(words[w + 1] ^ a1);
      if (bits === 64 && length > 64) {
        bits += Math.clz32(words[w + 2] ^ a2);
        if (bits === 96 && length > 96) bits += Math.clz32(words[w + 3] ^ a3);
      }
    }
    return Math.min(bits, length);
  }

  #nodeBit(node: number, position: number): 0 | 1 {
    const words = this.#words;
    const w = 4 * node;
    return bitAt(position, words[w], words[w + 1], words[w + 2], words[w + 3]);
  }

  #create(a0: number, a1: number, a2: number, a3: number, length: number): number {
    const node = this.#free.pop() ?? this.#owners.length;
    if (node >= this.#lengths.length) this.#grow();
    const w = 4 * node;
    this.#words[w] = a0 & maskWord(length);
    this.#words[w + 1] = a1 & maskWord(length - 32);
    this.#words[w + 2] = a2 & maskWord(length - 64);
    this.#words[w + 3] = a3 & maskWord(length - 96);
    this.#lengths[node] = length;
    this.#children[2 * node] = NONE;
    this.#children[2 * node + 1] = NONE;
    this.#owners[node] = null;
    return node;
  }

  #replaceChild(
    parent: number,
    old: number,
    child: number,
    a0: number,
    a1: number,
    a2: number,
    a3: number,
  ): void {
    if (parent === NONE) this.#root = child;
    else if (old === NONE)
      this.#children[2 * parent + bitAt(this.#lengths[parent], a0, a1, a2, a3)] = child;
    else this.#relink(parent, old, child);
  }

  #relink(parent: number, old: number, child: number): void {
    if (parent === NONE) this.#root = child;
    else this.#children[2 * parent + (this.#children[2 * parent] === old ? 0 : 1)] = child;
  }

  /** Takes a node without an owner out of the tree unless it still forks. */
  #splice(parent: number, node: number): void {
    const left = this.#children[2 * node];
    const right = this.#children[2 * node + 1];
    if (left !== NONE && right !== NONE) return;
    this.#relink(parent, node, left !== NONE ? left : right);
    this.#free.push(node);
  }

  #own(node: number, owner: Owner): void {
    if (this.#owners[node] === owner) return;
    const before = this.#owners[node];
    if (before !== null) this.#disown(node, before);
    this.#owners[node] = owner;
    const nodes = this.#nodesOf.get(owner);
    if (nodes) nodes.add(node);
    else this.#nodesOf.set(owner, new Set([node]));
    this.size++;
  }

  #disown(node: number, owner: Owner): void {
    const nodes = this.#nodesOf.get(owner)!;
    nodes.delete(node);
    if (nodes.size === 0) this.#nodesOf.delete(owner);
    this.#owners[node] = null;
    this.size--;
  }

  #grow(): void {
    const capacity = 2 * this.#lengths.length;
    this.#words = grown(this.#words, new Int32Array(4 * capacity));
    this.#children = grown(this.#children, new Int32Array(2 * capacity));
    this.#lengths = grown(this.#lengths, new Uint8Array(capacity));
  }
}

function grown<A extends Int32Array | Uint8Array>(old: A, larger: A): A {
  larger.set(old);
  return larger;
}

/** Four bytes in network order as a signed 32-bit word. */
function word(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3]
  );
}

/** A mask of the `length` leading bits of a word; nothing below 0, everything from 32. */
function maskWord(length: number): number {
  return length <= 0 ? 0 : length >= 32 ? -1 : -1 << (32 - length);
}

/** Bit `position` of the address, counted from the front. */
function bitAt(position: number, a0: number, a1: number, a2: number, a3: number): 0 | 1 {
  const w = position < 32 ? a0 : position < 64 ? a1 : position < 96 ? a2 : a3;
  return ((w >>> (31 - (position & 31))) & 1) as 0 | 1;
}
