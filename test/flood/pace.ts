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
  readonly #clump: number;
  #accountedAt: number;
  #due: number;

  /**
   * @param perSecond Infinity for as many as go
   * @param clump so many go at once, the first of them now; 1 for as evenly as can be
   */
  constructor(perSecond: number, now: number, clump = 1) {
    this.#perMs = perSecond / MS_PER_S;
    this.#clump = clump;
    this.#due = clump > 1 ? clump : 0;
    this.#arrearsMax = Math.max(clump, this.#perMs * ARREARS_MS);
    this.#accountedAt = now;
  }

  /** Whole datagrams that may be sent at `now` (ms). */
  due(now: number): number {
    if (this.#perMs === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    this.#due = Math.min(this.#due + (now - this.#accountedAt) * this.#perMs, this.#arrearsMax);
    this.#accountedAt = now;
    return Math.floor(this.#due / this.#clump) * this.#clump;
  }

  /** Call when so many of those that were due are sent. */
  spend(datagrams: number): void {
    if (this.#perMs !== Number.POSITIVE_INFINITY) this.#due -= datagrams;
  }
}
