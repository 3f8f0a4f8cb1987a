/**
 * A transport and an interface that are nothing but memory: what stands at either side of a path
 * need not be a descriptor. `Line` is one end of a pair, `Program` sends and takes packets.
 */

import { type Arena, HEADROOM_BYTES, TAILROOM_BYTES } from '../../src/arena.ts';
import type { Interface, PacketSink } from '../../src/datapath/interface.ts';
import type { DatagramSink, Inlet, Transport } from '../../src/datapath/transport.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import type { Lead } from '../../src/device/lead.ts';

/** As many as a turn may put out. */
const TURN_DATAGRAMS = 256;

/** Where the other end is said to be: a line has only one. */
export const FAR_END = new Endpoint(Uint8Array.of(192, 0, 2, 1), 1);

export class Line implements Transport, Inlet {
  readonly kind = 'line';
  readonly isOffloading = false;
  readonly errors = new Map<string, number>();
  readonly inlets: readonly Inlet[] = [this];
  /** As if all routes led over one link. */
  readonly lead?: (endpoint: Endpoint, inside: number) => Lead;
  readonly #arena: Arena;
  readonly #capacity: number;
  #far: Line = this;
  readonly #batch: { offset: number; length: number }[] = [];
  readonly #waiting: Uint8Array[] = [];

  /** @param capacity datagrams that wait at most for the other end to read them */
  constructor(arena: Arena, capacity: number, link?: number) {
    this.#arena = arena;
    this.#capacity = capacity;
    if (link === undefined) return;
    this.lead = (_endpoint, inside) => {
      if (link === 0) return 'nowhere';
      return link === inside ? 'inside' : 'out';
    };
  }

  join(far: Line): void {
    this.#far = far;
    far.#far = this;
  }

  /** Datagrams that wait for this end to read them. */
  get waiting(): number {
    return this.#waiting.length;
  }

  transmit(offset: number, length: number): void {
    this.#batch.push({ offset, length });
  }

  flush(): void {
    for (const { offset, length } of this.#batch.splice(0)) {
      const far = this.#far.#waiting;
      if (far.length < this.#capacity) far.push(this.#arena.bytes.slice(offset, offset + length));
      else this.errors.set('full', (this.errors.get('full') ?? 0) + 1);
    }
  }

  get isWritable(): boolean {
    return this.#far.#waiting.length + TURN_DATAGRAMS <= this.#capacity;
  }

  receive(sink: DatagramSink, budget: number): number {
    const taken = this.#waiting.splice(0, budget);
    for (const datagram of taken) {
      const offset = this.#arena.allocate(datagram.length);
      this.#arena.bytes.set(datagram, offset);
      sink(offset, datagram.length, FAR_END, 0);
    }
    return taken.length;
  }
}

export class Program implements Interface {
  readonly kind = 'program';
  readonly isOffloading = false;
  readonly errors = new Map<string, number>();
  /** What it has to send. */
  readonly outbox: Uint8Array[] = [];
  /** What it was given. */
  readonly inbox: Uint8Array[] = [];
  readonly #arena: Arena;
  readonly #batch: { offset: number; length: number }[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  read(sink: PacketSink, budget: number): number {
    const taken = this.outbox.splice(0, budget);
    for (const packet of taken) {
      const start = this.#arena.allocate(HEADROOM_BYTES + packet.length + TAILROOM_BYTES);
      this.#arena.bytes.set(packet, start + HEADROOM_BYTES);
      sink(start + HEADROOM_BYTES, packet.length);
    }
    return taken.length;
  }

  deliver(offset: number, length: number): void {
    this.#batch.push({ offset, length });
  }

  flush(): void {
    for (const { offset, length } of this.#batch.splice(0)) {
      this.inbox.push(this.#arena.bytes.slice(offset, offset + length));
    }
  }
}
