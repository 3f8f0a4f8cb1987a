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
   * Opens now what takes a right, and begins after `delayMs`, with `onBegin`. Resolves when it is over,
   * to its end or not.
   */
  begin(delayMs: number, onBegin: () => void): Promise<void> {
    return new Promise((resolve) => {
      const onEnd = (): void => {
        resolve();
        drainSoon();
      };
      const onRefusal = (line: string): void => this.#log.debug(line);
      const rehearsal = openRehearsal({ ...this.#options, onEnd }, onRefusal);
      this.#rehearsal = rehearsal;
      const play = (): void => {
        onBegin();
        rehearsal?.begin();
      };
      if (delayMs === 0) play();
      else this.#timer = setTimeout(play, delayMs);
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#rehearsal?.close();
  }
}
