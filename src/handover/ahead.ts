/**
 * What can go ahead of a handover, while packets move: the old daemon's side of it. It is told in
 * slices, and sent as there is room; a successor that reads slowly, or not at all, holds no packet up.
 */

import { monotonicMs } from '../sys/clock.ts';
import type { Channel, Sending } from './channel.ts';

/** A packet waits so long for the end of a slice. */
const SLICE_MS = 2;
/** Pieces of the text are encoded together. */
const ENCODED_CHARACTERS = 64 * 1024;

export interface AheadOptions {
  readonly channel: Channel;
  /** Nothing secret; told in pieces that each take no longer than a packet should wait. */
  readonly text: Generator<string, void>;
  /** There is no room at this moment: `continue` is to be called when there is. */
  readonly onFull: () => void;
  /** All of it has been sent. */
  readonly onSent: () => void;
  readonly onBug: (error: unknown) => void;
}

/** Begins by itself. That the other side is gone is for somebody else to notice. */
export class Ahead {
  readonly #options: AheadOptions;
  readonly #encoder = new TextEncoder();
  #characters = '';
  readonly #encoded: Uint8Array[] = [];
  #sending: Sending | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(options: AheadOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** There is room again. */
  continue(): void {
    this.#slice();
  }

  /** Nothing more is told or sent. */
  close(): void {
    clearImmediate(this.#immediate);
    this.#options.text.return();
  }

  #schedule(): void {
    this.#immediate = setImmediate(this.#slice);
  }

  readonly #slice = (): void => {
    try {
      const end = monotonicMs() + SLICE_MS;
      while (this.#sending === undefined && monotonicMs() < end) this.#tell();
      if (this.#sending === undefined || this.#send(this.#sending, end)) this.#schedule();
    } catch (error) {
      this.#options.onBug(error);
    }
  };

  #tell(): void {
    const { done, value } = this.#options.text.next();
    if (!done) this.#characters += value;
    if (!done && this.#characters.length < ENCODED_CHARACTERS) return;
    this.#encoded.push(this.#encoder.encode(this.#characters));
    this.#characters = '';
    if (!done) return;
    this.#sending = this.#options.channel.begin(Buffer.concat(this.#encoded));
    this.#encoded.length = 0;
  }

  /** True when there is more to send now. */
  #send(sending: Sending, end: number): boolean {
    let result = sending.send();
    while (result === 'more' && monotonicMs() < end) result = sending.send();
    if (result === 'full') this.#options.onFull();
    else if (result === 'done') this.#options.onSent();
    return result === 'more';
  }
}
