/**
 * The last address of packets that were dropped for it. Kept in place, since whoever sends such packets
 * sends as many as they like: to note one allocates nothing.
 */

const ADDRESS_BYTES_MAX = 16;

export class LastAddress {
  readonly #bytes = new Uint8Array(ADDRESS_BYTES_MAX);
  #length = 0;
  #at = Number.NEGATIVE_INFINITY;

  /** `length`: 4 or 16 bytes of `bytes` at `offset`. `now`: monotonic ms. */
  note(bytes: Uint8Array, offset: number, length: number, now: number): void {
    for (let i = 0; i < length; i++) this.#bytes[i] = bytes[offset + i];
    this.#length = length;
    this.#at = now;
  }

  /** When it was noted; monotonic ms. */
  get at(): number {
    return this.#at;
  }

  /** 4 or 16 bytes, borrowed; none before the first. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
