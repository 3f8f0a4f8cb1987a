/**
 * What the kernel delivers to this machine by a route alone (`ip route add local`, AnyIP), kept for
 * ownaddresses.ts. Owns how often it is asked for: to find the few such routes the kernel may have to
 * go through all that there are, and on a router with a million of them that changes all the time,
 * packets would wait for nothing else.
 */

import { monotonicMs } from '../sys/clock.ts';
import { SystemError } from '../sys/libc.ts';
import type { LocalRoute } from './netlink.ts';

/** Between two questions there are so many times the time that the first took. */
const REST = 20;

export interface LocalRoutesOptions {
  /** Asks the kernel. @throws {SystemError} */
  readonly ask: () => readonly LocalRoute[];
  /** Called once the time for a question has come that was put off. */
  readonly onDue: () => void;
}

export class LocalRoutes {
  readonly #options: LocalRoutesOptions;
  #known: readonly LocalRoute[] = [];
  #nextAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LocalRoutesOptions) {
    this.#options = options;
  }

  /** As they are now, or, as long as it is too soon to ask again or they keep changing, were last. */
  get(): readonly LocalRoute[] {
    const start = monotonicMs();
    if (start < this.#nextAt) {
      this.#timer ??= setTimeout(this.#due, Math.ceil(this.#nextAt - start));
      return this.#known;
    }
    try {
      this.#known = this.#options.ask();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
    const end = monotonicMs();
    this.#nextAt = end + REST * (end - start);
    return this.#known;
  }

  readonly #due = (): void => {
    this.#timer = undefined;
    this.#options.onDue();
  };

  close(): void {
    clearTimeout(this.#timer);
  }
}
