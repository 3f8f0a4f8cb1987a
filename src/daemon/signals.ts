/**
 * What ends a daemon from outside: an AbortSignal, and for a program that is nothing but a daemon
 * the process's signals and uncaught exceptions.
 */

import type { Ending } from './ending.ts';
import type { Subsystem } from './subsystem.ts';

export interface SignalsOptions {
  readonly ending: Ending;
  readonly stop: AbortSignal | undefined;
  /** Whether the process's are the daemon's own. */
  readonly ofProcess: boolean;
  /** SIGUSR2. */
  readonly onUpgrade: () => void;
}

export class Signals implements Subsystem {
  readonly #options: SignalsOptions;

  constructor(options: SignalsOptions) {
    this.#options = options;
  }

  open(): void {
    const { ending, stop, ofProcess, onUpgrade } = this.#options;
    if (stop?.aborted) this.#abort();
    stop?.addEventListener('abort', this.#abort);
    if (!ofProcess) return;
    process.on('SIGTERM', this.#terminate);
    process.on('SIGINT', this.#terminate);
    process.on('SIGUSR2', onUpgrade);
    process.on('uncaughtException', ending.surface);
  }

  close(): void {
    const { ending, stop, onUpgrade } = this.#options;
    stop?.removeEventListener('abort', this.#abort);
    process.off('SIGTERM', this.#terminate);
    process.off('SIGINT', this.#terminate);
    process.off('SIGUSR2', onUpgrade);
    process.off('uncaughtException', ending.surface);
  }

  readonly #abort = (): void => this.#options.ending.end('asked to stop');

  readonly #terminate = (signal: NodeJS.Signals): void =>
    this.#options.ending.end(`received ${signal}`);
}
