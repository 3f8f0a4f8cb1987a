/**
 * One end of a TCP connection that lasts as long as the soak. Both ends send at a steady rate what
 * the other one can compute: a cipher's keystream, so that a byte that is lost, doubled or changed
 * shows at once, wherever it is. Owns the socket; never connects again.
 */

import { type Cipher, createCipheriv, createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { machineMs } from './clock.ts';

/** A time without a single byte. */
export interface Stall {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface StreamReport {
  readonly name: string;
  readonly bytesReceived: number;
  readonly stalls: readonly Stall[];
  /** Why it did not last; null when it did. */
  readonly broken: string | null;
}

const CIPHER = 'aes-128-ctr';
const BLOCK_BYTES = 16;
const PACE_MS = 20;
const MS_PER_S = 1_000;
/** What a pause may leave to be caught up on. */
const BACKLOG_BYTES = 1024 * 1024;
/** Shorter pauses are the pace and the scheduler. */
const STALL_MS = 50;

/** The bytes of one direction, in their order, and different for every direction. */
export class Content {
  readonly #cipher: Cipher;

  constructor(name: string) {
    const key = createHash('sha256').update(name).digest().subarray(0, BLOCK_BYTES);
    this.#cipher = createCipheriv(CIPHER, key, Buffer.alloc(BLOCK_BYTES));
  }

  next(length: number): Buffer {
    return this.#cipher.update(Buffer.alloc(length));
  }
}

export class StreamEnd {
  readonly #name: string;
  readonly #socket: Socket;
  readonly #outgoing: Content;
  readonly #expected: Content;
  readonly #bytesPerSecond: number;
  readonly #timer: NodeJS.Timeout;
  readonly #stalls: Stall[] = [];
  #bytesReceived = 0;
  #lastMs = machineMs();
  #pacedMs = machineMs();
  #broken: string | null = null;

  /** @param to, from names of the directions, the same at both ends */
  constructor(name: string, socket: Socket, to: string, from: string, bytesPerSecond: number) {
    this.#name = name;
    this.#socket = socket;
    this.#outgoing = new Content(to);
    this.#expected = new Content(from);
    this.#bytesPerSecond = bytesPerSecond;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', (error) => this.#break(error.message));
    socket.on('close', () => this.#break('closed by the other end'));
    this.#timer = setInterval(() => this.#send(), PACE_MS);
  }

  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  /** Sends no more, but goes on to receive. */
  stopSending(): void {
    clearInterval(this.#timer);
  }

  report(): StreamReport {
    const stalls = [...this.#stalls, ...this.#currentStall()];
    return {
      name: this.#name,
      bytesReceived: this.#bytesReceived,
      stalls,
      broken: this.#broken,
    };
  }

  #send(): void {
    const now = machineMs();
    const due = Math.floor(((now - this.#pacedMs) / MS_PER_S) * this.#bytesPerSecond);
    this.#pacedMs = now;
    const room = BACKLOG_BYTES - this.#socket.writableLength;
    const length = Math.min(due, room);
    if (length > 0) this.#socket.write(this.#outgoing.next(length));
  }

  #receive(bytes: Buffer): void {
    if (!bytes.equals(this.#expected.next(bytes.length))) {
      this.#break(`other content than was sent, within ${this.#bytesReceived} + ${bytes.length}`);
    }
    this.#stalls.push(...this.#currentStall());
    this.#lastMs = machineMs();
    this.#bytesReceived += bytes.length;
  }

  #currentStall(): Stall[] {
    const now = machineMs();
    return now - this.#lastMs < STALL_MS ? [] : [{ fromMs: this.#lastMs, toMs: now }];
  }

  #break(why: string): void {
    this.#broken ??= why;
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}
