/**
 * Long work beside the packets: in slices, between which the event loop has its turns. One after the
 * other, in the order in which they came; but what belongs to one comes before the next.
 */

import { monotonicMs } from './clock.ts';

/** A packet waits so long for the end of one, and now and then for the garbage collector's. */
const SLICE_MS = 2;

interface Work {
  /** True when it is done. */
  readonly step: () => boolean;
  readonly cancel: () => void;
}

export class Slices {
  readonly #waiting: Work[] = [];
  #immediate: NodeJS.Immediate | undefined;
  #isStepping = false;
  #isStopped = false;

  /** Some work is not done yet: what comes now has to wait. */
  get isBusy(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * Does the work, which may be left at each `yield`; resolves to what it returns, or to null when
   * `stop` came first. Rejects with what it throws. Stopped work is left as by `return`.
   */
  run<T>(work: Generator<void, T>): Promise<T | null> {
    return this.#insert(work, this.#waiting.length);
  }

  /** The same of what belongs to the work that calls this in one of its steps: what waits comes later. */
  runNext<T>(work: Generator<void, T>): Promise<T | null> {
    return this.#insert(work, this.#isStepping ? 1 : 0);
  }

  #insert<T>(work: Generator<void, T>, place: number): Promise<T | null> {
    return new Promise((resolve, reject) => {
      const cancel = (): void => {
        work.return(null as T);
        resolve(null);
      };
      const step = (): boolean => {
        try {
          const { done, value } = work.next();
          if (done) resolve(value as T);
          return done === true;
        } catch (error) {
          reject(error);
          return true;
        }
      };
      if (this.#isStopped) cancel();
      else this.#waiting.splice(place, 0, { step, cancel });
      this.#schedule();
    });
  }

  /** Nothing more is done. */
  stop(): void {
    this.#isStopped = true;
    clearImmediate(this.#immediate);
    for (const { cancel } of this.#waiting.splice(0)) cancel();
  }

  #schedule(): void {
    if (this.#waiting.length > 0) this.#immediate ??= setImmediate(this.#slice);
  }

  readonly #slice = (): void => {
    this.#immediate = undefined;
    const end = monotonicMs() + SLICE_MS;
    do {
      const [work] = this.#waiting;
      if (work === undefined) return;
      this.#isStepping = true;
      const isDone = work.step();
      this.#isStepping = false;
      if (isDone) this.#waiting.shift();
    } while (monotonicMs() < end);
    this.#schedule();
  };
}
