/**
 * Seeded randomness: the same seed and label give the same draws on every machine. Whoever draws
 * forks a generator of its own by a label that names it, so that taking one trouble or one flow
 * out of a scenario leaves the draws of all the others as they were. Never for keys that matter.
 */

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
    this.#a = scramble(name, 0x9e3779b9);
    this.#b = scramble(name, 0x243f6a88);
    this.#c = scramble(name, 0xb7e15162);
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** An independent generator; forks of the same label are the same. */
  fork(label: string | number): Random {
    return new Random(`${this.#name}/${label}`);
  }

  /** Fills the array. */
  readonly fill = (out: Uint8Array): void => {
    let word = 0;
    for (let i = 0; i < out.length; i++) {
      if ((i & 3) === 0) word = this.#next();
      out[i] = word;
      word >>>= 8;
    }
  };

  /** From 0 up to, not including, 1. */
  fraction(): number {
    return this.#next() / 2 ** 32;
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.fraction();
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  /** True with this probability. One draw, whatever the answer. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }

  /** One of the names, each as likely as its weight says. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries(weights) as [T, number][];
    let left = this.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return entries[entries.length - 1][0];
  }

  /** Chris Doty-Humphrey's sfc32: small, fast, and passes PractRand. */
  #next(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }
}

/** FNV-1a over the text, from a start of its own, and a last mix. */
function scramble(text: string, start: number): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
