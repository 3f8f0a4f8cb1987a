/**
 * What a scenario is: rows that are measured on one fresh pair of daemons, and what it is given to
 * do so. A row that fails leaves the others alone.
 */

import type { Implementation } from './implementation.ts';
import type { Samples } from './samples.ts';

export interface Settings {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  readonly rows: ReadonlySet<string>;
  readonly peerCounts: readonly number[];
  readonly prefixCounts: readonly number[];
  readonly heapBytes: number;
}

export interface Scenario {
  readonly name: string;
  /** What it can measure; it is left out when none of these is selected. */
  readonly rows: readonly string[];
  readonly implementations: readonly Implementation[];
  /** Measured in the benchmark's own process, so of this tswg alone. */
  readonly isInProcess?: boolean;
  /** Fewer rounds than the run has, for what takes long. */
  readonly rounds?: number;
  readonly measure: (context: Context) => Promise<void>;
}

export interface Failure {
  readonly what: string;
  readonly why: string;
}

export class Context {
  readonly implementation: Implementation;
  readonly settings: Settings;
  readonly #samples: Samples;
  readonly #failures: Failure[];

  constructor(
    implementation: Implementation,
    settings: Settings,
    samples: Samples,
    failures: Failure[],
  ) {
    this.implementation = implementation;
    this.settings = settings;
    this.#samples = samples;
    this.#failures = failures;
  }

  wants(...rows: readonly string[]): boolean {
    return rows.some((row) => this.settings.rows.has(row));
  }

  record(row: string, sample: number): void {
    if (this.wants(row)) this.#samples.record(row, this.implementation.side, sample);
  }

  /** Runs `measure` unless none of `rows` is selected; once more when it fails, then gives up. */
  async attempt(rows: readonly string[], measure: () => Promise<void>): Promise<void> {
    if (!this.wants(...rows)) return;
    try {
      await measure();
    } catch {
      try {
        await measure();
      } catch (error) {
        this.fail(rows.join(', '), error);
      }
    }
  }

  fail(what: string, error: unknown): void {
    const why = (error as Error).message.trim();
    this.#failures.push({ what: `${what} (${this.implementation.name})`, why });
  }
}
