/**
 * The arena: one block of memory in which every packet lives while it is handled.
 *
 * It is a `WebAssembly.Memory`, so that system calls and OpenSSL (by address) and WebAssembly
 * kernels (by offset) work on the same bytes without a copy. Packets are named by their offset.
 * This file owns who may write where; it knows nothing of what is written.
 *
 * Two kinds of room are handed out. `reserve` is for life (system-call structures, a socket's
 * scratch room) and is asked for at start. `allocate` is for the current turn of the event loop:
 * everything it gave is taken back at once by `reset`, which the loop calls after its flushes.
 */

const PAGE_BYTES = 65_536;
const ALIGNMENT = 16;
/** What a kernel may write to during a call of it, for its own ends. */
export const SCRATCH_BYTES = 272;

/** Bytes that are free before every packet handed to the Device: the transport header's room. */
export const HEADROOM_BYTES = 16;
/** Bytes that are free after it: up to 15 of padding and the 16 of the authenticator. */
export const TAILROOM_BYTES = 31;
/**
 * What readers leave free for what comes of their packets in the same turn: handshakes, and a full
 * queue of packets that waited for one.
 */
export const TURN_RESERVE_BYTES = 256 * 1024;

export class Arena {
  /** @internal For kernels and system calls; a name that not every library of types has. */
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** @internal Where SCRATCH_BYTES are in `memory`, beyond what `bytes` shows and packets can have. */
  readonly scratch: number;
  #reservedEnd = ALIGNMENT;
  #cursor = ALIGNMENT;

  /** @param size bytes, rounded up to whole WebAssembly pages. The arena never grows or moves. */
  constructor(size: number) {
    const pages = Math.ceil(size / PAGE_BYTES);
    this.scratch = pages * PAGE_BYTES;
    this.memory = new WebAssembly.Memory({ initial: pages + 1, maximum: pages + 1 });
    this.bytes = new Uint8Array(this.memory.buffer, 0, this.scratch);
    this.view = new DataView(this.memory.buffer, 0, this.scratch);
  }

  /** Room for life, 16-byte aligned, zeroed. Only before the first turn's `allocate`. */
  reserve(length: number): number {
    if (this.#cursor !== this.#reservedEnd) throw new Error('arena: reserve inside a turn');
    const offset = this.#take(length);
    if (offset < 0) throw new Error(`arena: no room to reserve ${length} bytes`);
    this.#reservedEnd = this.#cursor;
    return offset;
  }

  /** Room until the next `reset`, 16-byte aligned, not zeroed; -1 when the arena is exhausted. */
  allocate(length: number): number {
    return this.#take(length);
  }

  /** Gives back all but the first `kept` bytes of the newest allocation, which began at `offset`. */
  shrink(offset: number, kept: number): void {
    this.#cursor = alignUp(offset + kept);
  }

  /** Bytes that `allocate` can still give in this turn. */
  get available(): number {
    return this.bytes.length - this.#cursor;
  }

  /** Ends the turn: all that `allocate` gave is free again. */
  reset(): void {
    this.#cursor = this.#reservedEnd;
  }

  #take(length: number): number {
    const offset = this.#cursor;
    const end = alignUp(offset + length);
    if (end > this.bytes.length) return -1;
    this.#cursor = end;
    return offset;
  }
}

function alignUp(offset: number): number {
  return (offset + ALIGNMENT - 1) & -ALIGNMENT;
}
