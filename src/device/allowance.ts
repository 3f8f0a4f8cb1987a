/**
 * How much of something may be done: so many a second, and as many at once after a rest. For what
 * an outsider can cause, so that it costs no more than that.
 */

export class Allowance {
  readonly #perSecond: number;
  #left = 0;
  /** When that was last reckoned (ms). */
  #at = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Whether one more may be done now; `take` it then. */
  has(now: number): boolean {
    const elapsedMs = Math.min(1_000, now - this.#at);
    this.#at = now;
    this.#left = Math.min(this.#perSecond, this.#left + (elapsedMs * this.#perSecond) / 1_000);
    return this.#left >= 1;
  }

  take(): void {
    this.#left--;
  }
}
