/** How long inputs took, in room that does not depend on how many there were. */

const BUCKETS_PER_OCTAVE = 4;
/** The shortest duration told apart, ms. */
const SHORTEST_MS = 2 ** -14;
const BUCKETS = 32 * BUCKETS_PER_OCTAVE;

export class Durations {
  longest = 0;
  longestNumber = 0;
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;

  add(milliseconds: number, number: number): void {
    const octaves = Math.log2(Math.max(milliseconds, SHORTEST_MS) / SHORTEST_MS);
    this.#buckets[Math.min(BUCKETS - 1, Math.floor(octaves * BUCKETS_PER_OCTAVE))]++;
    this.#count++;
    if (milliseconds <= this.longest) return;
    this.longest = milliseconds;
    this.longestNumber = number;
  }

  /** ms, to within a fifth. */
  get median(): number {
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#buckets[bucket];
      if (seen * 2 >= this.#count) return SHORTEST_MS * 2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE);
    }
    return SHORTEST_MS;
  }
}
