/**
 * What is missing of numbered packets, and when each missing one was sent: between its neighbours
 * that arrived. Pure; holds one entry for each packet that is missing.
 */

export class Sequence {
  #next: number;
  #lastSentMs: number;
  #received = 0;
  #duplicates = 0;
  readonly #missing = new Map<number, number>();

  /** @param first number that is sent, not before `beginMs` */
  constructor(first: number, beginMs: number) {
    this.#next = first;
    this.#lastSentMs = beginMs;
  }

  /** For every packet that arrives, in whatever order. */
  arrived(number: number, sentMs: number): void {
    if (number < this.#next) {
      // Overtaken by others, or twice.
      if (this.#missing.delete(number)) this.#received++;
      else this.#duplicates++;
      return;
    }
    this.#skipTo(number, sentMs);
    this.#next = number + 1;
    this.#lastSentMs = sentMs;
    this.#received++;
  }

  /** When nothing comes any more: `next` is the number that would have been sent next. */
  end(next: number, endMs: number): void {
    this.#skipTo(next, endMs);
  }

  get received(): number {
    return this.#received;
  }

  get duplicates(): number {
    return this.#duplicates;
  }

  /** The moments at which the missing packets were sent, ascending. */
  get lostMs(): number[] {
    return [...this.#missing.values()].sort((a, b) => a - b);
  }

  #skipTo(number: number, sentMs: number): void {
    const steps = number - this.#next + 1;
    const stepMs = (sentMs - this.#lastSentMs) / steps;
    for (let step = 1; step < steps; step++) {
      this.#missing.set(this.#next++, this.#lastSentMs + step * stepMs);
    }
  }
}
