/** Whether reads of a socket leave something behind each time, and since when. */

/** A socket that has not been read for so long, though it could be, has nothing. */
const FRESH_MS = 100;

export class Backlog {
  #since = Number.POSITIVE_INFINITY;
  #lastAt = Number.NEGATIVE_INFINITY;

  wasRead(isEmpty: boolean, now: number): void {
    if (isEmpty) this.#since = Number.POSITIVE_INFINITY;
    else {
      this.#since = Math.min(this.#since, now);
      this.#lastAt = now;
    }
  }

  /** Whether it was so in every read of the last `ms` or longer. */
  isLongerThan(ms: number, now: number): boolean {
    return now - this.#since > ms && now - this.#lastAt < FRESH_MS;
  }

  forget(): void {
    this.#since = Number.POSITIVE_INFINITY;
  }
}
