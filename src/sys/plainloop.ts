/**
 * The wait of a daemon on a Node.js that does not let us wait ourselves (see loop.ts): Node's own
 * event loop polls the descriptors, and the deadline is a timer. The same promises, but each packet
 * finds code that has gone cold, and nothing is called in a pause.
 */

import { monotonicMs } from './clock.ts';
import { Lag } from './lag.ts';
import { watchFor } from './poller.ts';
import type { ChangingWatch, Interest, Loop, LoopOptions } from './watch.ts';

/**
 * The deadline is asked for after every poll of libuv's, since any callback may have brought it
 * forward. Node's timers come after that; what they bring forward is seen within this time.
 */
const LONGEST_WAIT_MS = 1_000;

export class PlainLoop implements Loop {
  readonly #options: LoopOptions;
  readonly #watches = new Set<ChangingWatch>();
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  readonly #lag = new Lag(monotonicMs());
  /** When we are to be asked again at the latest; what comes earlier is no delay. */
  #backBy = Number.POSITIVE_INFINITY;
  #isClosed = false;

  /** Starts at once: the first callbacks come in the next turn of Node's event loop. */
  constructor(options: LoopOptions) {
    this.#options = options;
    this.#immediate = setImmediate(this.#ask);
  }

  watch(fd: number, interest: Interest): ChangingWatch {
    const watch = watchFor(fd, interest, this.#options.onBug);
    this.#watches.add(watch);
    return {
      close: () => {
        this.#watches.delete(watch);
        watch.close();
      },
      change: (next) => watch.change(next),
    };
  }

  lagMs(now: number): number {
    return this.#lag.longestMs(now);
  }

  close(): void {
    this.#isClosed = true;
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  /** Does what is due, and comes back when more is, or after libuv's next poll. */
  readonly #ask = (): void => {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    const { deadline, onDeadline, onBug } = this.#options;
    const asked = monotonicMs();
    this.#lag.add(asked - this.#backBy, asked);
    if (deadline() <= asked) {
      try {
        onDeadline();
      } catch (error) {
        onBug(error);
      }
    }
    if (this.#isClosed) return;
    const now = monotonicMs();
    const waitMs = Math.min(Math.ceil(deadline() - now), LONGEST_WAIT_MS);
    this.#backBy = now + Math.max(0, waitMs);
    this.#immediate = setImmediate(this.#ask);
    // Node polls without a wait while a referenced one stands, and else waits for the timer.
    if (waitMs <= 0) return;
    this.#immediate.unref();
    this.#timer = setTimeout(this.#ask, waitMs);
  };
}
