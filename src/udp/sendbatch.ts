/**
 * A turn's datagrams of one socket, gathered into as few sends as they can be: alike datagrams to one
 * endpoint travel as one send with UDP_SEGMENT. Owns which datagram may join which send; what a send
 * is to the kernel, and what becomes of it, is udpsend.ts' affair.
 */

import type { Endpoint } from '../device/endpoint.ts';

/** Stretches of datagrams and sends that a batch holds; more than that empties it early. */
export const MAX_STRETCHES = 1024;
export const MAX_SENDS = 256;
/** UDP_MAX_SEGMENTS of the kernels before 6.9. */
const MAX_SEGMENTS = 64;
/** The most UDP payload an IP packet carries; IPv6 counts its header against 65,535 in places. */
const MAX_BYTES = { 4: 65_507, 6: 65_487 } as const;
/** How many of the newest sends are searched for one to the same endpoint. */
const SEARCH_DEPTH = 4;

export interface SendBatchOptions {
  readonly family: 4 | 6;
  readonly isSegmenting: boolean;
  /** Called when no more fits: it has to send all there is, and to `clear`. */
  readonly onFull: () => void;
}

export class SendBatch {
  /** Whether datagrams are gathered at all. */
  isSegmenting: boolean;

  // Stretches of the arena in order of arrival, each of one datagram or more, of the send's size but
  // for the send's last; `next` chains those of one send, and ends with -1.
  readonly offsets = new Int32Array(MAX_STRETCHES);
  readonly lengths = new Int32Array(MAX_STRETCHES);
  readonly next = new Int32Array(MAX_STRETCHES);
  #stretches = 0;

  // The sends, in order: so many of these are in use.
  sends = 0;
  readonly endpoints: Endpoint[] = new Array(MAX_SENDS);
  readonly classes = new Uint8Array(MAX_SENDS);
  /** The first stretch. */
  readonly first = new Int32Array(MAX_SENDS);
  readonly #last = new Int32Array(MAX_SENDS);
  /** Datagrams, and how long each is but the last, which may be shorter. */
  readonly segments = new Int32Array(MAX_SENDS);
  readonly segmentSize = new Int32Array(MAX_SENDS);
  readonly #bytes = new Int32Array(MAX_SENDS);

  readonly #maxBytes: number;
  readonly #onFull: () => void;
  /**
   * Endpoints behind a path too narrow for a whole datagram: fragments cannot be segmented, so
   * from this datagram length on they are sent singly. Mostly empty, and then costs nothing.
   */
  #narrow = new WeakMap<Endpoint, number>();
  #hasNarrow = false;

  constructor({ family, isSegmenting, onFull }: SendBatchOptions) {
    this.#maxBytes = MAX_BYTES[family];
    this.isSegmenting = isSegmenting;
    this.#onFull = onFull;
  }

  /**
   * Appends a datagram of the arena, which must stay as it is until it is sent. Datagrams to one
   * endpoint keep their order.
   *
   * @param trafficClass the outer header's DSCP and ECN
   */
  transmit(offset: number, length: number, endpoint: Endpoint, trafficClass: number): void {
    const send = this.isSegmenting ? this.#findSend(length, endpoint, trafficClass) : -1;
    this.#append(send, offset, length, 1, endpoint, trafficClass);
  }

  /** As `transmit`, for datagrams without a gap between them; the last may be shorter. */
  transmitRun(
    offset: number,
    length: number,
    endpoint: Endpoint,
    trafficClass: number,
    count: number,
    lastLength: number,
  ): void {
    let left = lastLength === length ? count : count - 1;
    let at = offset;
    while (left > 0) {
      const send = this.isSegmenting ? this.#findSend(length, endpoint, trafficClass) : -1;
      const taken = Math.min(left, this.#roomFor(send, length, endpoint));
      this.#append(send, at, length, taken, endpoint, trafficClass);
      at += taken * length;
      left -= taken;
    }
    if (lastLength !== length) this.transmit(at, lastLength, endpoint, trafficClass);
  }

  /** How many datagrams of that length a send takes yet, at least 1; a new one for a `send` of -1. */
  #roomFor(send: number, length: number, endpoint: Endpoint): number {
    if (send < 0) {
      const isNarrow = this.#hasNarrow && length >= (this.#narrow.get(endpoint) ?? Infinity);
      if (!this.isSegmenting || length === 0 || isNarrow) return 1;
      return Math.min(MAX_SEGMENTS, Math.max(1, Math.floor(this.#maxBytes / length)));
    }
    // A shorter segment is the last one.
    if (length < this.segmentSize[send]) return 1;
    const room = Math.floor((this.#maxBytes - this.#bytes[send]) / length);
    return Math.min(MAX_SEGMENTS - this.segments[send], room);
  }

  /** Appends `count` datagrams to a send that takes them; a new one for a `send` of -1. */
  #append(
    wanted: number,
    offset: number,
    length: number,
    count: number,
    endpoint: Endpoint,
    trafficClass: number,
  ): void {
    let send = wanted;
    if (this.#stretches === MAX_STRETCHES || (send < 0 && this.sends === MAX_SENDS)) {
      this.#onFull();
      send = -1;
    }
    const stretch = this.#stretches++;
    this.offsets[stretch] = offset;
    this.lengths[stretch] = count * length;
    this.next[stretch] = -1;
    if (send < 0) {
      send = this.sends++;
      this.endpoints[send] = endpoint;
      this.classes[send] = trafficClass;
      this.first[send] = stretch;
      this.segments[send] = count;
      this.segmentSize[send] = length;
      this.#bytes[send] = count * length;
    } else {
      this.next[this.#last[send]] = stretch;
      this.segments[send] += count;
      this.#bytes[send] += count * length;
    }
    this.#last[send] = stretch;
  }

  /** The send that a datagram can join: the newest to its endpoint, if that one takes it. */
  #findSend(length: number, endpoint: Endpoint, trafficClass: number): number {
    const oldest = Math.max(0, this.sends - SEARCH_DEPTH);
    for (let send = this.sends - 1; send >= oldest; send--) {
      if (this.endpoints[send] !== endpoint) continue;
      const size = this.segmentSize[send];
      const joins =
        length <= size &&
        // An empty datagram cannot be a segment: the kernel would drop it.
        length > 0 &&
        // A shorter segment is the last one.
        this.#bytes[send] === this.segments[send] * size &&
        this.classes[send] === trafficClass &&
        this.segments[send] < MAX_SEGMENTS &&
        this.#bytes[send] + length <= this.#maxBytes &&
        !(this.#hasNarrow && size >= (this.#narrow.get(endpoint) ?? Infinity));
      return joins ? send : -1;
    }
    return -1;
  }

  /** From this length on, datagrams to the endpoint are sent singly. */
  narrow(endpoint: Endpoint, length: number): void {
    this.#narrow.set(endpoint, length);
    this.#hasNarrow = true;
  }

  /** Paths that were too narrow may be wide now. */
  forgetNarrow(): void {
    this.#narrow = new WeakMap();
    this.#hasNarrow = false;
  }

  /** All has been sent, or is lost. */
  clear(): void {
    this.sends = 0;
    this.#stretches = 0;
  }
}
