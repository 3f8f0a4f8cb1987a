/** The last few of a row of numbers: how large the largest is, and what they come to. */
export class Recent {
  readonly #values: Float64Array;
  #next = 0;
  #count = 0;

  /** @param size how many are remembered */
  constructor(size: number) {
    this.#values = new Float64Array(size);
  }

  add(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#values.length;
    this.#count = Math.min(this.#count + 1, this.#values.length);
  }

  /** 0 when there are none. */
  get max(): number {
    return this.#count === 0 ? 0 : Math.max(...this.#values.subarray(0, this.#count));
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#values.reduce((sum, value) => sum + value) / this.#count;
  }

  clear(): void {
    this.#values.fill(0);
    this.#next = 0;
    this.#count = 0;
  }
}
