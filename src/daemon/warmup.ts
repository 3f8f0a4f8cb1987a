/** The rehearsal in a running daemon: once, so that the packet path is warm when packets come. */

import type { Log } from '../log.ts';
import { drainSoon } from '../sys/poller.ts';
import { openRehearsal, type Rehearsal, type RehearsalOptions } from './rehearsal.ts';
import type { Subsystem } from './subsystem.ts';

export class WarmUp implements Subsystem {
  readonly #options: RehearsalOptions;
  readonly #log: Log;
  #rehearsal: Rehearsal | undefined;

  constructor(options: RehearsalOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  /** Resolves when it is over, to its end or not. */
  begin(): Promise<void> {
    return new Promise((resolve) => {
      const onEnd = (): void => {
        resolve();
        drainSoon();
      };
      const onRefusal = (line: string): void => this.#log.debug(line);
      this.#rehearsal = openRehearsal({ ...this.#options, onEnd }, onRefusal);
    });
  }

  close(): void {
    this.#rehearsal?.close();
  }
}
