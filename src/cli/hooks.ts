/**
 * Runs the operator's command for each event, one after the other, in the order of the events, with
 * his rights. What waits is bounded; a command that hangs is ended, and what is lost is told.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import type { EventRecord } from '../events/record.ts';

/** Events that wait while a command runs. */
const QUEUE_MAX = 1_000;
/** Between the asking to end and the ending. */
const GRACE_MS = 5_000;

export interface HooksOptions {
  /** For the shell. */
  readonly command: string;
  /** The interface's name. */
  readonly name: string;
  readonly timeoutMs: number;
  /** How many events wait while a command runs; 1,000 by default. */
  readonly queueMax?: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Takes a line for the operator. */
  readonly warn: (line: string) => void;
}

export class Hooks {
  readonly #options: HooksOptions;
  readonly #queue: EventRecord[] = [];
  /** Events before the next one that nobody was run for. */
  #lost = 0;
  #running: Promise<void> | null = null;

  constructor(options: HooksOptions) {
    this.#options = options;
  }

  push(record: EventRecord): void {
    if (this.#queue.length >= (this.#options.queueMax ?? QUEUE_MAX)) {
      this.lose(1);
      return;
    }
    this.#queue.push(record);
    this.#running ??= this.#run();
  }

  /** So many were lost before they came here. */
  lose(events: number): void {
    if (this.#lost === 0) {
      const many = events === 1 ? 'an event was' : `${events} events were`;
      this.#options.warn(`${many} lost: the command is slower than events come`);
    }
    this.#lost += events;
  }

  /** Resolves when a command has been run for all that waited. */
  async finish(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let record = this.#queue.shift(); record !== undefined; record = this.#queue.shift()) {
      const lost = this.#lost;
      this.#lost = 0;
      await this.#call(record, lost);
    }
    this.#running = null;
  }

  /** Resolves when the command has ended, whatever it did. */
  #call(record: EventRecord, lost: number): Promise<void> {
    const { timeoutMs, warn } = this.#options;
    const about = `the command for event ${record.seq} (${record.kind})`;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      let isLate = false;
      const done = (failure: string): void => {
        clearTimeout(timer);
        if (failure !== '' && !isLate) warn(`${about} ${failure}`);
        resolve();
      };
      let child: ChildProcess;
      try {
        child = this.#start(record, lost);
      } catch (error) {
        // What it is to be told is too long for the system.
        done(`could not be started: ${(error as Error).message}`);
        return;
      }
      timer = setTimeout(() => {
        isLate = true;
        warn(`${about} was still running after ${timeoutMs / 1_000} s: it is ended`);
        end(child, 'SIGTERM');
        timer = setTimeout(() => end(child, 'SIGKILL'), GRACE_MS);
      }, timeoutMs);
      child.on('error', (error) => done(`could not be started: ${error.message}`));
      child.on('exit', (code, signal) => {
        // What it has started, and did not take along.
        if (isLate) end(child, 'SIGKILL');
        if (code === 0) done('');
        else done(code === null ? `was ended by ${signal}` : `has failed with exit code ${code}`);
      });
    });
  }

  #start(record: EventRecord, lost: number): ChildProcess {
    const { command, name, env } = this.#options;
    const child = spawn('/bin/sh', ['-c', command], {
      env: { ...env, ...environmentOf(record, name, lost) },
      stdio: ['pipe', 'inherit', 'inherit'],
      // A group of its own, so that all it has started can be ended.
      detached: true,
    });
    // It need not read.
    child.stdin.on('error', () => {});
    child.stdin.end(`${JSON.stringify(record)}\n`);
    return child;
  }
}

/** Signals a command and all that it has started. */
function end({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It has just ended.
  }
}

/** `TSWG_` and the name of each value in capitals; `kind` is `TSWG_EVENT`. */
export function environmentOf(
  record: EventRecord,
  name: string,
  lost: number,
): Record<string, string> {
  const { kind, ...values } = record;
  const told = Object.entries(values).map(([key, value]): [string, string] => {
    const word = key.replace(/[A-Z]/g, (capital) => `_${capital}`).toUpperCase();
    // An environment holds no NUL.
    return [`TSWG_${word}`, String(value ?? '').replaceAll('\0', '')];
  });
  return {
    ...Object.fromEntries(told),
    ...{ TSWG_INTERFACE: name, TSWG_EVENT: kind, TSWG_LOST: String(lost) },
  };
}
