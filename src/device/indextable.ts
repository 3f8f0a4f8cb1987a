/**
 * The receiver index of a message -> the handshake or session it belongs to (whitepaper 5.4.2).
 * Indices are random, so that an observer cannot link sessions, and unique in one Device.
 */

import type { Keypair } from '../noise/keypair.ts';
import { type Doorkeeper, NO_DOORKEEPER } from './doorkeeper.ts';
import type { Peer } from './peer.ts';

/** `keypair` is null while the index belongs to a handshake that is still under way. */
export interface IndexEntry {
  readonly peer: Peer;
  keypair: Keypair | null;
}

export class IndexTable {
  // Keys are signed 32-bit integers: V8 keeps those unboxed, so a lookup allocates nothing.
  #entries = new Map<number, IndexEntry>();
  /** Nobody's any more, but not removed yet. */
  readonly #abandoned = new Set<number>();
  readonly #random: (out: Uint8Array) => void;
  #doorkeeper: Doorkeeper = NO_DOORKEEPER;
  readonly #bytes = new Uint8Array(4);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(random: (out: Uint8Array) => void) {
    this.#random = random;
  }

  /** It is told of every index while that is in the table; the one before forgets them all. */
  employ(doorkeeper: Doorkeeper): void {
    for (const key of this.#entries.keys()) {
      this.#doorkeeper.forgetIndex(key >>> 0);
      doorkeeper.expectIndex(key >>> 0);
    }
    this.#doorkeeper = doorkeeper;
  }

  /** A new index, not zero, for a handshake of `peer`; an unsigned 32-bit integer. */
  create(peer: Peer): number {
    for (;;) {
      this.#random(this.#bytes);
      const key = this.#view.getInt32(0, true);
      if (key === 0 || this.#isTaken(key)) continue;
      this.#entries.set(key, { peer, keypair: null });
      this.#doorkeeper.expectIndex(key >>> 0);
      return key >>> 0;
    }
  }

  /** An index that a session of `peer` has already. False when it is taken. */
  adopt(index: number, peer: Peer, keypair: Keypair): boolean {
    const key = index | 0;
    if (key === 0 || this.#isTaken(key)) return false;
    this.#entries.set(key, { peer, keypair });
    this.#doorkeeper.expectIndex(key >>> 0);
    return true;
  }

  #isTaken(key: number): boolean {
    return this.#entries.has(key) || this.#abandoned.has(key);
  }

  lookup(index: number): IndexEntry | undefined {
    return this.#entries.get(index | 0);
  }

  /** The handshake became a session: messages to its index are data now. */
  bind(index: number, keypair: Keypair): void {
    const entry = this.#entries.get(index | 0);
    if (entry === undefined) throw new Error(`index table: bind of unknown index ${index}`);
    entry.keypair = keypair;
  }

  /** Forgets an index; one that is not there (0, say) is skipped. */
  remove(index: number): void {
    const key = index | 0;
    if (this.#entries.delete(key) || this.#abandoned.delete(key))
      this.#doorkeeper.forgetIndex(key >>> 0);
  }

  /** From now on no index belongs to anybody; each has yet to be removed, as soon as there is time. */
  abandonAll(): void {
    if (this.#entries.size === 0) return;
    for (const key of this.#entries.keys()) this.#abandoned.add(key);
    this.#entries = new Map();
  }

  get size(): number {
    return this.#entries.size;
  }
}
