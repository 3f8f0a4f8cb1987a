/**
 * Runs the operator's command for each event, one after the other, in the order of the events, with
 * his rights. What waits is bounded; a command that hangs is ended, and what is lost is told.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { counted } from '../counted.ts';
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
  /** With the number of those before each that no command is run for. */
  readonly #queue: { readonly record: EventRecord; readonly lost: number }[] = [];
  /** Events before the next one that is queued. */
  #lost = 0;
  /** It was full, and has not been emptied to its half: one gap is better than a thousand. */
  #isFull = false;
  #running: Promise<void> | null = null;

  constructor(options: HooksOptions) {
    this.#options = options;
  }

  push(record: EventRecord): void {
    const { queueMax = QUEUE_MAX } = this.#options;
    this.#isFull = this.#queue.length >= (this.#isFull ? queueMax / 2 : queueMax);
    if (this.#isFull) {
      this.lose(1);
      return;
    }
    this.#queue.push({ record, lost: this.#tellLost() });
    this.#running ??= this.#run();
  }

  /** So many were lost before they came here. */
  lose(events: number): void {
    this.#lost += events;
  }

  /** Resolves when a command has been run for all that waited. */
  async finish(): Promise<void> {
    await this.#running;
    this.#tellLost();
  }

  /** How many, once it is known. */
  #tellLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) {
      const many = counted(lost, 'event was', 'events were');
      this.#options.warn(`${many} lost: the command is slower than events come`);
    }
    return lost;
  }

  async #run(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      await this.#call(next.record, next.lost);
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
