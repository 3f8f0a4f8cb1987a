/**
 * When each of many peers is called that are all to be called now: some at once and the others soon
 * after, so that ten thousand do not hold the packets up. An initiation takes some 0.1 ms.
 */

import { INITIATIONS_PER_SECOND } from '../noise/constants.ts';

const CALLED_TOGETHER = 50;
const INTERVAL_MS = 1_000 / INITIATIONS_PER_SECOND;

export class Pace {
  #beganAt = 0;
  #calls = 0;

  /** The next of them are called from now on. */
  begin(now: number): void {
    this.#beganAt = now;
    this.#calls = 0;
  }

  /** When the next one is called, ms on the clock of `begin`. */
  next(): number {
    return this.#beganAt + Math.floor(this.#calls++ / CALLED_TOGETHER) * INTERVAL_MS;
  }
}
