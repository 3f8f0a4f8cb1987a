/**
 * Handshake messages that wait for their turn: copies outside the arena, in memory that was taken
 * once, so that a flood of them asks for none. How full the queue is tells whether we are under
 * load (whitepaper 5.3), and so does how many messages were of no use; it is held for a second
 * after either last said so, as Linux does.
 */

import { INITIATION_BYTES } from '../noise/messages.ts';
import type { Endpoint } from './endpoint.ts';

export const MAX_QUEUED_HANDSHAKES = 1_024;
/** As Linux: an eighth of its queue of 4,096. */
const UNDER_LOAD_AT = 512;
const UNDER_LOAD_HOLD_MS = 1_000;
/**
 * So many messages within a second that came to nothing are an attack, however short the queue:
 * together they cost some 4 % of a core. A cookie costs each genuine caller five seconds.
 */
const FUTILE_PER_HOLD = 1_000;

/** Valid until the next `push`. */
export interface QueuedHandshake {
  readonly message: Uint8Array;
  readonly endpoint: Endpoint;
}

export class HandshakeQueue {
  /** Places of the longest message each. */
  readonly #messages = new Uint8Array(MAX_QUEUED_HANDSHAKES * INITIATION_BYTES);
  readonly #lengths = new Uint8Array(MAX_QUEUED_HANDSHAKES);
  readonly #endpoints = new Array<Endpoint | undefined>(MAX_QUEUED_HANDSHAKES).fill(undefined);
  #head = 0;
  #length = 0;
  #underLoadUntil = Number.NEGATIVE_INFINITY;
  #futile = 0;
  #futileSince = Number.NEGATIVE_INFINITY;

  /** Copies the message in; false when the queue is full. */
  push(message: Uint8Array, endpoint: Endpoint, now: number): boolean {
    if (this.#length === MAX_QUEUED_HANDSHAKES) return false;
    const place = (this.#head + this.#length) % MAX_QUEUED_HANDSHAKES;
    this.#messages.set(message, place * INITIATION_BYTES);
    this.#lengths[place] = message.length;
    this.#endpoints[place] = endpoint;
    this.#length++;
    if (this.#length >= UNDER_LOAD_AT) this.#underLoadUntil = now + UNDER_LOAD_HOLD_MS;
    return true;
  }

  shift(): QueuedHandshake | undefined {
    const place = this.#head;
    const endpoint = this.#endpoints[place];
    if (endpoint === undefined) return undefined;
    this.#endpoints[place] = undefined;
    this.#head = (place + 1) % MAX_QUEUED_HANDSHAKES;
    this.#length--;
    const start = place * INITIATION_BYTES;
    return { message: this.#messages.subarray(start, start + this.#lengths[place]), endpoint };
  }

  /**
   * Call when a message was not genuine, or was turned away before anybody could know. `part`: of one
   * that counts as so much less.
   */
  countFutile(now: number, part = 1): void {
    if (now - this.#futileSince >= UNDER_LOAD_HOLD_MS) {
      this.#futileSince = now;
      this.#futile = 0;
    }
    this.#futile += part;
    if (this.#futile >= FUTILE_PER_HOLD) this.#underLoadUntil = now + UNDER_LOAD_HOLD_MS;
  }

  /** Call while more comes than can be answered: we are under load, however little gets here. */
  press(now: number): void {
    this.#underLoadUntil = now + UNDER_LOAD_HOLD_MS;
  }

  isUnderLoad(now: number): boolean {
    return now < this.#underLoadUntil;
  }

  get length(): number {
    return this.#length;
  }
}
