/**
 * Prefixes of one family and the numbers of those who own them: a path-compressed binary trie, longest
 * prefix first. All of it lies in a few typed arrays, so that 200,000 prefixes are no work for the
 * garbage collector, and a copy is a copy of bytes.
 *
 * A node is where its record begins in `#nodes`:
 *
 *   the address bits up to its length, in as many words as an address of the family has
 *   owner << 8 | length
 *   the child that continues with bit 0, and the one with bit 1
 *
 * A node without an owner has two children. The nodes of an owner are a list, in the order in which it
 * was given them, in a second array that no lookup touches.
 */

/** The owner of what nobody owns; others are from 1 to OWNER_MAX. */
export const NO_OWNER = 0;
export const OWNER_MAX = 0xff_ffff;

const NONE = -1;
/** Before an owner's first node, and after its last. */
export const NO_NODE = NONE;
const LENGTH_BITS = 8;
const LENGTH_MASK = 0xff;
const NODES_MIN = 64;
const OWNERS_MIN = 16;

/** What a trie consists of, for a copy. */
interface Parts {
  readonly nodes: Int32Array;
  readonly links: Int32Array;
  readonly ends: Int32Array;
  readonly free: readonly number[];
  readonly used: number;
  readonly root: number;
  readonly size: number;
}

export class PrefixTrie {
  /** Prefixes that somebody owns. */
  size = 0;
  /** Words of an address: 1 or 4. Only those are ever compared. */
  readonly #words: 1 | 4;
  /** Of a record, as a power of two: 4 or 8 words, the last of the 8 unused. */
  readonly #shift: 2 | 3;
  #root = NONE;
  #nodes: Int32Array;
  /** Of each node the next one of its owner, and the one before. */
  #links: Int32Array;
  /** Of each owner the first of its nodes, and the last. */
  #ends: Int32Array;
  readonly #free: number[];
  /** Where the next record comes to lie if none is free. */
  #used = 0;

  constructor(words: 1 | 4, parts?: Parts) {
    this.#words = words;
    this.#shift = words === 1 ? 2 : 3;
    this.#nodes = parts?.nodes ?? new Int32Array(NODES_MIN << this.#shift);
    this.#links = parts?.links ?? new Int32Array(2 * NODES_MIN);
    this.#ends = parts?.ends ?? new Int32Array(2 * OWNERS_MIN).fill(NONE);
    this.#free = [...(parts?.free ?? [])];
    if (parts === undefined) return;
    this.#used = parts.used;
    this.#root = parts.root;
    this.size = parts.size;
  }

  /** Makes one that says the same and shares nothing; nothing may change between the steps. */
  *copy(): Generator<void, PrefixTrie> {
    const used = this.#used >> this.#shift;
    const room = Math.max(NODES_MIN, used + (used >> 3));
    const nodes = yield* copied(this.#nodes, this.#used, room << this.#shift);
    const links = yield* copied(this.#links, 2 * used, 2 * room);
    return new PrefixTrie(this.#words, {
      nodes,
      links,
      ends: this.#ends.slice(),
      free: this.#free,
      used: this.#used,
      root: this.#root,
      size: this.size,
    });
  }

  /** The owner of the longest prefix that holds an address of one word. */
  lookup1(a0: number): number {
    const nodes = this.#nodes;
    let best = NO_OWNER;
    let node = this.#root;
    while (node !== NONE) {
      const tag = nodes[node + 1];
      const length = tag & LENGTH_MASK;
      if (Math.clz32(nodes[node] ^ a0) < length) break;
      const owner = tag >>> LENGTH_BITS;
      if (owner !== NO_OWNER) best = owner;
      node = nodes[node + 2 + ((a0 >>> (31 - (length & 31))) & 1)];
    }
    return best;
  }

  /** The same of four words. */
  lookup4(a0: number, a1: number, a2: number, a3: number): number {
    const nodes = this.#nodes;
    let best = NO_OWNER;
    let node = this.#root;
    while (node !== NONE) {
      const tag = nodes[node + 4];
      const length = tag & LENGTH_MASK;
      let bits = Math.clz32(nodes[node] ^ a0);
      if (bits === 32 && length > 32) {
        bits += Math.clz32(nodes[node + 1] ^ a1);
        if (bits === 64 && length > 64) {
          bits += Math.clz32(nodes[node + 2] ^ a2);
          if (bits === 96 && length > 96) bits += Math.clz32(nodes[node + 3] ^ a3);
        }
      }
      if (bits < length) break;
      const owner = tag >>> LENGTH_BITS;
      if (owner !== NO_OWNER) best = owner;
      node = nodes[node + 5 + bitAt(length, a0, a1, a2, a3)];
    }
    return best;
  }

  /** The owner of all around the prefix, and those that have parts of it. */
  ownersWithin(a0: number, a1: number, a2: number, a3: number, length: number): Set<number> {
    let around = NO_OWNER;
    let node = this.#root;
    while (node !== NONE && this.#lengthOf(node) < length && this.#covers(node, a0, a1, a2, a3)) {
      around = this.#ownerOf(node) || around;
      node = this.#childFor(node, a0, a1, a2, a3);
    }
    const owners = new Set<number>();
    if (around !== NO_OWNER) owners.add(around);
    const isInside = node !== NONE && this.#commonBits(node, a0, a1, a2, a3) >= length;
    const rest = isInside ? [node] : [];
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      const owner = this.#ownerOf(next);
      if (owner !== NO_OWNER) owners.add(owner);
      const children = [this.#child(next, 0), this.#child(next, 1)];
      rest.push(...children.filter((child) => child !== NONE));
    }
    return owners;
  }

  insert(a0: number, a1: number, a2: number, a3: number, length: number, owner: number): void {
    let parent = NONE;
    let node = this.#root;
    while (node !== NONE && this.#lengthOf(node) <= length && this.#covers(node, a0, a1, a2, a3)) {
      if (this.#lengthOf(node) === length) {
        this.#own(node, owner);
        return;
      }
      parent = node;
      node = this.#childFor(node, a0, a1, a2, a3);
    }
    const leaf = this.#create(a0, a1, a2, a3, length);
    this.#own(leaf, owner);
    if (node === NONE) {
      if (parent === NONE) this.#root = leaf;
      else this.#setChild(parent, bitAt(this.#lengthOf(parent), a0, a1, a2, a3), leaf);
      return;
    }
    const common = Math.min(length, this.#commonBits(node, a0, a1, a2, a3));
    if (common === length) {
      this.#setChild(leaf, this.#nodeBit(node, length), node);
      this.#relink(parent, node, leaf);
      return;
    }
    const fork = this.#create(a0, a1, a2, a3, common);
    this.#setChild(fork, this.#nodeBit(node, common), node);
    this.#setChild(fork, bitAt(common, a0, a1, a2, a3), leaf);
    this.#relink(parent, node, fork);
  }

  remove(a0: number, a1: number, a2: number, a3: number, length: number, owner: number): boolean {
    let grandparent = NONE;
    let parent = NONE;
    let node = this.#root;
    while (node !== NONE && this.#lengthOf(node) < length && this.#covers(node, a0, a1, a2, a3)) {
      grandparent = parent;
      parent = node;
      node = this.#childFor(node, a0, a1, a2, a3);
    }
    if (node === NONE || this.#lengthOf(node) !== length || this.#ownerOf(node) !== owner)
      return false;
    if (!this.#covers(node, a0, a1, a2, a3)) return false;
    this.#disown(node, owner);
    this.#splice(parent, node);
    // The fork above may now be left with one child and no owner of its own.
    if (parent !== NONE && this.#ownerOf(parent) === NO_OWNER) this.#splice(grandparent, parent);
    return true;
  }

  /** Takes the first of the owner's prefixes; false when it has none. */
  removeFirst(owner: number): boolean {
    const node = this.#firstOf(owner);
    if (node === NONE) return false;
    const [a0, a1, a2, a3] = this.#wordsOf(node);
    return this.remove(a0, a1, a2, a3, this.#lengthOf(node), owner);
  }

  has(owner: number): boolean {
    return this.#firstOf(owner) !== NONE;
  }

  /** The node of the owner's first prefix, or the one that follows a node; NO_NODE after the last. */
  nextOf(owner: number, node: number): number {
    return node === NONE ? this.#firstOf(owner) : this.#links[this.#linkOf(node)];
  }

  /** Whether the prefix of the node, which has an owner, is this one. */
  isPrefix(node: number, a0: number, a1: number, a2: number, a3: number, length: number): boolean {
    return this.#lengthOf(node) === length && this.#covers(node, a0, a1, a2, a3);
  }

  /** The owner's prefixes in the order in which it was given them, as words and length. */
  *prefixesOf(owner: number): Generator<readonly [...Words, length: number]> {
    for (let node = this.#firstOf(owner); node !== NONE; node = this.#links[this.#linkOf(node)]) {
      yield [...this.#wordsOf(node), this.#lengthOf(node)];
    }
  }

  #firstOf(owner: number): number {
    return 2 * owner < this.#ends.length ? this.#ends[2 * owner] : NONE;
  }

  #wordsOf(node: number): Words {
    const nodes = this.#nodes;
    if (this.#words === 1) return [nodes[node], 0, 0, 0];
    return [nodes[node], nodes[node + 1], nodes[node + 2], nodes[node + 3]];
  }

  #lengthOf(node: number): number {
    return this.#nodes[node + this.#words] & LENGTH_MASK;
  }

  #ownerOf(node: number): number {
    return this.#nodes[node + this.#words] >>> LENGTH_BITS;
  }

  #setOwner(node: number, owner: number): void {
    this.#nodes[node + this.#words] = (owner << LENGTH_BITS) | this.#lengthOf(node);
  }

  #child(node: number, bit: 0 | 1): number {
    return this.#nodes[node + this.#words + 1 + bit];
  }

  #setChild(node: number, bit: 0 | 1, child: number): void {
    this.#nodes[node + this.#words + 1 + bit] = child;
  }

  #childFor(node: number, a0: number, a1: number, a2: number, a3: number): number {
    return this.#child(node, bitAt(this.#lengthOf(node), a0, a1, a2, a3));
  }

  #linkOf(node: number): number {
    return (node >> this.#shift) << 1;
  }

  /** Whether the first `length` bits of the node and of the address agree. */
  #covers(node: number, a0: number, a1: number, a2: number, a3: number): boolean {
    return this.#commonBits(node, a0, a1, a2, a3) === this.#lengthOf(node);
  }

  /** Leading bits in which the node and the address agree, at most the node's length. */
  #commonBits(node: number, a0: number, a1: number, a2: number, a3: number): number {
    const nodes = this.#nodes;
    const length = this.#lengthOf(node);
    let bits = Math.clz32(nodes[node] ^ a0);
    if (bits === 32 && length > 32) {
      bits += Math.clz32(nodes[node + 1] ^ a1);
      if (bits === 64 && length > 64) {
        bits += Math.clz32(nodes[node + 2] ^ a2);
        if (bits === 96 && length > 96) bits += Math.clz32(nodes[node + 3] ^ a3);
      }
    }
    return Math.min(bits, length);
  }

  #nodeBit(node: number, position: number): 0 | 1 {
    const [a0, a1, a2, a3] = this.#wordsOf(node);
    return bitAt(position, a0, a1, a2, a3);
  }

  #create(a0: number, a1: number, a2: number, a3: number, length: number): number {
    const node = this.#free.pop() ?? this.#extend();
    const nodes = this.#nodes;
    nodes[node] = a0 & maskWord(length);
    if (this.#words === 4) {
      nodes[node + 1] = a1 & maskWord(length - 32);
      nodes[node + 2] = a2 & maskWord(length - 64);
      nodes[node + 3] = a3 & maskWord(length - 96);
    }
    nodes[node + this.#words] = length;
    this.#setChild(node, 0, NONE);
    this.#setChild(node, 1, NONE);
    return node;
  }

  #extend(): number {
    const node = this.#used;
    this.#used += 1 << this.#shift;
    if (this.#used > this.#nodes.length) {
      this.#nodes = grown(this.#nodes, 2 * this.#nodes.length);
      this.#links = grown(this.#links, 2 * (this.#nodes.length >> this.#shift));
    }
    return node;
  }

  #relink(parent: number, old: number, child: number): void {
    if (parent === NONE) this.#root = child;
    else this.#setChild(parent, this.#child(parent, 0) === old ? 0 : 1, child);
  }

  /** Takes a node without an owner out of the tree unless it still forks. */
  #splice(parent: number, node: number): void {
    const [left, right] = [this.#child(node, 0), this.#child(node, 1)];
    if (left !== NONE && right !== NONE) return;
    this.#relink(parent, node, left !== NONE ? left : right);
    this.#free.push(node);
  }

  #own(node: number, owner: number): void {
    const before = this.#ownerOf(node);
    if (before === owner) return;
    if (before !== NO_OWNER) this.#disown(node, before);
    this.#setOwner(node, owner);
    if (2 * owner >= this.#ends.length) {
      const old = this.#ends.length;
      this.#ends = grown(this.#ends, Math.max(2 * old, 2 * owner + 2)).fill(NONE, old);
    }
    const last = this.#ends[2 * owner + 1];
    if (last === NONE) this.#ends[2 * owner] = node;
    else this.#links[this.#linkOf(last)] = node;
    this.#ends[2 * owner + 1] = node;
    this.#links[this.#linkOf(node)] = NONE;
    this.#links[this.#linkOf(node) + 1] = last;
    this.size++;
  }

  #disown(node: number, owner: number): void {
    const links = this.#links;
    const [next, previous] = [links[this.#linkOf(node)], links[this.#linkOf(node) + 1]];
    if (previous === NONE) this.#ends[2 * owner] = next;
    else links[this.#linkOf(previous)] = next;
    if (next === NONE) this.#ends[2 * owner + 1] = previous;
    else links[this.#linkOf(next) + 1] = previous;
    this.#setOwner(node, NO_OWNER);
    this.size--;
  }
}

/** Of an address; those that one of the family does not have are 0. */
type Words = readonly [a0: number, a1: number, a2: number, a3: number];

/** Words that are copied in one step: some 0.1 ms. */
const WORDS_AT_ONCE = 1 << 16;

/** The first `used` of the words, with room for `length`. */
function* copied(words: Int32Array, used: number, length: number): Generator<void, Int32Array> {
  const copy = new Int32Array(length);
  for (let at = 0; at < used; at += WORDS_AT_ONCE) {
    copy.set(words.subarray(at, Math.min(used, at + WORDS_AT_ONCE)), at);
    yield;
  }
  return copy;
}

function grown(old: Int32Array, length: number): Int32Array {
  const larger = new Int32Array(length);
  larger.set(old);
  return larger;
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
