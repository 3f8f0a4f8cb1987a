/** The rehearsal in a running daemon: once, so that the packet path is warm when packets come. */

import type { Log } from '../log.ts';
import { drainSoon } from '../sys/poller.ts';
import { openRehearsal, type Rehearsal, type RehearsalOptions } from './rehearsal.ts';
import type { Subsystem } from './subsystem.ts';

export class WarmUp implements Subsystem {
  readonly #options: RehearsalOptions;
  readonly #log: Log;
  #rehearsal: Rehearsal | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RehearsalOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  /**
   * Opens now what takes a right, and begins after `delayMs`. Resolves when it is over, to its end or
   * not.
   */
  begin(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const onEnd = (): void => {
        resolve();
        drainSoon();
      };
      const onRefusal = (line: string): void => this.#log.debug(line);
      const rehearsal = openRehearsal({ ...this.#options, onEnd }, onRefusal);
      this.#rehearsal = rehearsal;
      if (delayMs === 0) rehearsal?.begin();
      else this.#timer = setTimeout(() => rehearsal?.begin(), delayMs);
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#rehearsal?.close();
  }
}
