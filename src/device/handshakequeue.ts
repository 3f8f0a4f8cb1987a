/**
 * Handshake messages that wait for their turn: copies outside the arena, bounded. How full the
 * queue is tells whether we are under load (whitepaper 5.3), which is held for a second after the
 * queue was last that full, as Linux does.
 */

import type { Endpoint } from './endpoint.ts';

export const MAX_QUEUED_HANDSHAKES = 512;
const UNDER_LOAD_AT = MAX_QUEUED_HANDSHAKES / 8;
const UNDER_LOAD_HOLD_MS = 1_000;

export interface QueuedHandshake {
  readonly message: Uint8Array;
  readonly endpoint: Endpoint;
}

export class HandshakeQueue {
  readonly #ring = new Array<QueuedHandshake | undefined>(MAX_QUEUED_HANDSHAKES);
  #head = 0;
  #length = 0;
  #underLoadUntil = Number.NEGATIVE_INFINITY;

  /** Copies the message in; false when the queue is full. */
  push(message: Uint8Array, endpoint: Endpoint, now: number): boolean {
    if (this.#length === MAX_QUEUED_HANDSHAKES) return false;
    this.#ring[(this.#head + this.#length) % MAX_QUEUED_HANDSHAKES] = {
      message: message.slice(),
      endpoint,
    };
    this.#length++;
    if (this.#length >= UNDER_LOAD_AT) this.#underLoadUntil = now + UNDER_LOAD_HOLD_MS;
    return true;
  }

  shift(): QueuedHandshake | undefined {
    if (this.#length === 0) return undefined;
    const queued = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) % MAX_QUEUED_HANDSHAKES;
    this.#length--;
    return queued;
  }

  isUnderLoad(now: number): boolean {
    return now < this.#underLoadUntil;
  }

  get length(): number {
    return this.#length;
  }
}
