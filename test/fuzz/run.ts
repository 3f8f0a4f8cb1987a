/**
 * Feeds a target: input after input, each drawn from the seed and its number alone, timed, its
 * outcome counted. An exception, something that does not hold, an input that takes far longer than
 * others and memory that grows all end the run as a failure, with the input as small as it gets.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Dice } from '../packet/trains.ts';
import { Durations } from './durations.ts';
import { minimise, minimiseSequence } from './minimise.ts';
import { slowness } from './slowness.ts';
import type { Input, RunningTarget, Target } from './target.ts';

export interface Limits {
  /**
   * An input is slow that takes more CPU time than this, as much longer on a slower machine
   * (slowness.ts), and than this many times the median.
   */
  readonly slowMs: number;
  readonly slowRatio: number;
  /** Memory held on to after a collection, from a quarter of the run to its end. */
  readonly growthBytes: number;
}

const LIMITS: Limits = { slowMs: 40, slowRatio: 50, growthBytes: 4 << 20 };

export interface FuzzOptions {
  readonly seed: number;
  /** Ends with whichever comes first. */
  readonly inputs: number;
  readonly milliseconds?: number;
  readonly limits?: Limits;
}

export interface Failure {
  readonly what: string;
  readonly number: number;
  readonly input: Input;
  /** The least inputs that still fail from a fresh start, the last one the culprit; null if none do. */
  readonly minimised: readonly Input[] | null;
}

export interface Report {
  readonly target: string;
  readonly seed: number;
  readonly inputs: number;
  /** Of which this much was spent in the code under test. */
  readonly seconds: number;
  readonly runSeconds: number;
  readonly medianUs: number;
  readonly slowestUs: number;
  readonly slowestNumber: number;
  readonly growthBytes: number;
  readonly outcomes: ReadonlyMap<string, number>;
  readonly failure: Failure | null;
}

const MS_PER_S = 1_000;
const US_PER_MS = 1_000;
/** Inputs between two looks at the clock. */
const BATCH = 256;
const RETRIES = 3;
const COLLECTIONS = 3;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export async function fuzz(target: Target, options: FuzzOptions): Promise<Report> {
  const run = new Run(target, options);
  return run.toEnd();
}

/** The dice of one input. */
export function diceOf(seed: number, number: number): Dice {
  return new Dice(Math.imul(seed ^ (seed >>> 15), 0x85ebca6b) ^ Math.imul(number + 1, 0x9e3779b1));
}

class Run {
  readonly #target: Target;
  readonly #options: FuzzOptions;
  readonly #limits: Limits;
  readonly #durations = new Durations();
  readonly #outcomes = new Map<string, number>();
  /** The inputs of this epoch so far, or of this batch where inputs stand alone. */
  #recent: Input[] = [];
  /** For a second opinion on slow inputs. Made once, or it would count as growth. */
  #spare: RunningTarget | null = null;
  #epoch = 0;
  #number = 0;
  #runMs = 0;

  constructor(target: Target, options: FuzzOptions) {
    this.#target = target;
    this.#options = options;
    this.#limits = options.limits ?? LIMITS;
  }

  async toEnd(): Promise<Report> {
    const { seed, inputs, milliseconds = Number.POSITIVE_INFINITY } = this.#options;
    const running = await this.#target.create(seed);
    this.#spare = await this.#target.create(seed);
    const begun = performance.now();
    const end = begun + milliseconds;
    const isQuarter = () =>
      this.#number >= inputs / 4 || performance.now() - begun >= milliseconds / 4;
    let quarter: number | null = null;
    let failure: Failure | null = null;
    while (failure === null && this.#number < inputs && performance.now() < end) {
      if (quarter === null && isQuarter()) quarter = await heldBytes();
      failure = await this.#batch(running, Math.min(BATCH, inputs - this.#number));
    }
    const seconds = (performance.now() - begun) / MS_PER_S;
    failure ??= this.#finish(running);
    const growthBytes = quarter === null ? 0 : (await heldBytes()) - quarter;
    if (failure === null && growthBytes > this.#limits.growthBytes) {
      const kilobytes = Math.round(growthBytes / 1024);
      failure = this.#failure(`growth: ${kilobytes} KiB held after a collection`, '', null);
    }
    return {
      target: this.#target.name,
      seed,
      inputs: this.#number,
      seconds,
      runSeconds: this.#runMs / MS_PER_S,
      medianUs: this.#durations.median * US_PER_MS,
      slowestUs: this.#durations.longest * US_PER_MS,
      slowestNumber: this.#durations.longestNumber,
      growthBytes,
      outcomes: this.#outcomes,
      failure,
    };
  }

  async #batch(running: RunningTarget, count: number): Promise<Failure | null> {
    const epochLength = this.#target.epoch ?? BATCH;
    for (let i = 0; i < count; i++) {
      if (this.#number % epochLength === 0) {
        this.#recent = [];
        this.#epoch = this.#number / epochLength;
        running.begin?.(this.#epoch);
      }
      const dice = diceOf(this.#options.seed, this.#number);
      const input = running.generate(dice, this.#number);
      this.#recent.push(input);
      const failure = await this.#one(running, input);
      if (failure !== null) return failure;
      this.#number++;
    }
    return null;
  }

  async #one(running: RunningTarget, input: Input): Promise<Failure | null> {
    const start = performance.now();
    let outcome: string | Promise<string>;
    try {
      outcome = running.run(input);
      if (typeof outcome !== 'string') outcome = await outcome;
    } catch (error) {
      return this.#failure(describe(error), input, await this.#minimise(input));
    }
    const elapsed = performance.now() - start;
    this.#runMs += elapsed;
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    if (elapsed <= this.#limits.slowMs) {
      this.#durations.add(elapsed, this.#number);
      return null;
    }
    // Most likely somebody else had the processor: only CPU time counts, and only if it repeats.
    const repeated = await this.#leastCpuMs();
    this.#durations.add(repeated, this.#number);
    const { slowMs, slowRatio } = this.#limits;
    if (repeated <= slowRatio * this.#durations.median) return null;
    if (repeated <= slowMs || repeated <= slowMs * slowness()) return null;
    return this.#failure(`slow: ${repeated.toFixed(1)} ms of CPU time, repeatedly`, input, null);
  }

  #finish(running: RunningTarget): Failure | null {
    try {
      running.finish?.();
      return null;
    } catch (error) {
      return this.#failure(describe(error), '', null);
    }
  }

  #failure(what: string, input: Input, minimised: readonly Input[] | null): Failure {
    return { what, number: this.#number, input, minimised };
  }

  /** CPU time of the last of the recent inputs, the least of several, each in a new epoch. */
  async #leastCpuMs(): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    for (let retry = 0; retry < RETRIES; retry++) {
      this.#spare!.begin?.(this.#epoch);
      const before = process.cpuUsage();
      await this.#spare!.run(this.#recent[this.#recent.length - 1]);
      const { user, system } = process.cpuUsage(before);
      least = Math.min(least, (user + system) / US_PER_MS);
    }
    return least;
  }

  async #minimise(input: Input): Promise<readonly Input[] | null> {
    const fails = async (inputs: readonly Input[]): Promise<boolean> => {
      const running = await this.#target.create(this.#options.seed);
      running.begin?.(this.#epoch);
      try {
        for (const one of inputs) await running.run(one);
        return false;
      } catch {
        return true;
      }
    };
    const alone = (one: Input) => fails([one]);
    if (await alone(input)) return [await minimise(input, alone)];
    if (!(await fails(this.#recent))) return null;
    return minimiseSequence(this.#recent, fails);
  }
}

/**
 * What the process holds on to once all garbage is collected, bytes. The room of arrays is given
 * back beside the collection, so it takes a second one, a turn of the event loop later, to see it.
 */
async function heldBytes(): Promise<number> {
  for (let i = 0; i < COLLECTIONS; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const place =
    /\n\s+at .*?((?:src|test|dist)\/[^\s)]+)/.exec(error.stack ?? '')?.[1] ?? 'somewhere';
  return `${error.name}: ${error.message} (${place})`;
}
