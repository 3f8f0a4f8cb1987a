/**
 * How a daemon comes to its end, and what that end means: the first reason counts. What is then
 * closed, and in which order, is the list in parts.ts.
 */

import type { Log } from '../log.ts';
import type { EndKind } from './subsystem.ts';

const SUCCESS = 0;
const FAILURE = 1;

export class Ending {
  /** Resolves to the exit code once the end has come. */
  readonly finished: Promise<number>;
  readonly #log: Log;
  #kind: EndKind | undefined;
  #finish: (code: number) => void = () => {};

  /** @param isOurs false for a successor, until the predecessor gives up what it has */
  constructor(log: Log, isOurs: boolean) {
    this.#log = log;
    this.#kind = isOurs ? undefined : 'notOurs';
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get kind(): EndKind {
    return this.#kind ?? 'stopped';
  }

  /** The interface, the control socket and the state are another process's. */
  get isSucceeded(): boolean {
    return this.#kind === 'notOurs';
  }

  /** The predecessor has given up all that it had. */
  takeOver(): void {
    this.#kind = undefined;
  }

  /** Another process continues in our place: from now on nothing is ours. */
  handOver(): void {
    this.#kind = 'notOurs';
  }

  /** `why` is for the log. */
  end(why: string): void {
    this.#log.debug(`Shutting down: ${why}`);
    this.#finish(SUCCESS);
  }

  /** Nobody shall take the interface over. */
  endForGood(why: string): void {
    this.#kind ??= 'forGood';
    this.end(why);
  }

  /** All that was ours has been handed over, and the client that asked for it has been answered. */
  endSucceeded(): void {
    this.#finish(SUCCESS);
  }

  /** Our own bug: say so and stop, rather than continue in an unknown state. */
  readonly surface = (error: unknown): void => {
    this.#kind ??= 'byBug';
    this.#log.error(`bug in tswgd: ${error instanceof Error ? error.stack : error}`);
    this.#finish(FAILURE);
  };
}
