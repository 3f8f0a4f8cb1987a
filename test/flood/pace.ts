/**
 * How many datagrams are due when so many a second were asked for. Who wakes up late catches up,
 * but never by more than a burst: a wire would not send faster, either. Pure.
 */

/** Worth of what may be caught up with at once. */
const ARREARS_MS = 20;
const MS_PER_S = 1_000;

export class Pace {
  readonly #perMs: number;
  readonly #arrearsMax: number;
  #accountedAt: number;
  #due = 0;

  /** @param perSecond Infinity for as many as go */
  constructor(perSecond: number, now: number) {
    this.#perMs = perSecond / MS_PER_S;
    this.#arrearsMax = Math.max(1, this.#perMs * ARREARS_MS);
    this.#accountedAt = now;
  }

  /** Whole datagrams that may be sent at `now` (ms). */
  due(now: number): number {
    if (this.#perMs === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    this.#due = Math.min(this.#due + (now - this.#accountedAt) * this.#perMs, this.#arrearsMax);
    this.#accountedAt = now;
    return Math.floor(this.#due);
  }

  /** Call when so many of those that were due are sent. */
  spend(datagrams: number): void {
    if (this.#perMs !== Number.POSITIVE_INFINITY) this.#due -= datagrams;
  }
}
