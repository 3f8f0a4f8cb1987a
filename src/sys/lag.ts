/**
 * The longest delay of the recent past, kept without a timer: of two periods, the one that runs and
 * the one before. A loop tells it of every delay, so that this costs two comparisons.
 */

const PERIOD_MS = 60_000;

export class Lag {
  #longestMs = 0;
  #longestBeforeMs = 0;
  #endsAt: number;

  /** `now`: ms on any one clock, which all calls read. */
  constructor(now: number) {
    this.#endsAt = now + PERIOD_MS;
  }

  add(delayMs: number, now: number): void {
    if (now >= this.#endsAt) this.#turn(now);
    if (delayMs > this.#longestMs) this.#longestMs = delayMs;
  }

  /** Of the past one to two minutes. */
  longestMs(now: number): number {
    if (now >= this.#endsAt) this.#turn(now);
    return Math.max(this.#longestMs, this.#longestBeforeMs);
  }

  #turn(now: number): void {
    const isNext = now < this.#endsAt + PERIOD_MS;
    this.#longestBeforeMs = isNext ? this.#longestMs : 0;
    this.#longestMs = 0;
    this.#endsAt = isNext ? this.#endsAt + PERIOD_MS : now + PERIOD_MS;
  }
}
