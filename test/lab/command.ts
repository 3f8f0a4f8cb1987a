/**
 * Runs programs: to their end (`execute`) or beside the test (`Child`). Every program gets a
 * process group of its own, so that a Ctrl-C at the terminal reaches only the test, which then
 * ends its programs itself. With LAB_TRACE set, what they say on stderr is shown as it comes. Knows
 * nothing of namespaces beyond signalling through `nsenter`.
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { programEnvironment } from './repository.ts';

export interface Result {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit code; 128 plus the signal's number when a signal ended it. */
  readonly status: number;
}

export interface CommandOptions {
  /** Written to the program's standard input, which is closed behind it. */
  readonly input?: string | undefined;
  /** Added to the lab's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** After this the program is killed and the promise is rejected. */
  readonly timeoutMs?: number | undefined;
}

/**
 * How long a test waits for what has to come. It catches a hang and nothing else, so that no busy
 * or slow machine gets near it.
 */
export const HANG_MS = 60_000;
/** A daemon that keeps its parent's pipes open would hold `close` back for ever. */
const PIPE_GRACE_MS = 250;
const POLL_INTERVAL_MS = 10;
const SIGNAL_NUMBERS: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGKILL: 9,
  SIGTERM: 15,
};

/** A program that runs beside the test. Its output is kept. */
export class Child {
  readonly commandLine: string;
  /** The exit status, as in `Result`. Never rejects. */
  readonly exited: Promise<number>;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  #status: number | null = null;

  constructor(command: readonly string[], options: CommandOptions = {}) {
    this.commandLine = command.join(' ');
    this.#process = spawn(command[0], command.slice(1), {
      detached: true,
      env: programEnvironment(options.env),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#process.stdout.on('data', (bytes: Buffer) => this.#stdout.push(bytes));
    this.#process.stderr.on('data', (bytes: Buffer) => {
      this.#stderr.push(bytes);
      if (process.env.LAB_TRACE) process.stderr.write(bytes);
    });
    // The program may end without reading its input.
    this.#process.stdin.on('error', () => {});
    if (options.input !== undefined) this.#process.stdin.end(options.input);
    this.exited = this.#awaitEnd();
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** null while the program runs. */
  get status(): number | null {
    return this.#status;
  }

  get stdout(): string {
    return this.stdoutBytes.toString('utf8');
  }

  get stdoutBytes(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString('utf8');
  }

  /** Resolves when `pattern` stands in the output; rejects when the program ends or time is up. */
  async waitForOutput(pattern: RegExp, timeoutMs = HANG_MS): Promise<RegExpExecArray> {
    const found = waitFor(
      () => {
        const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
        if (match === null && this.#status !== null) {
          throw new Error(`${this.commandLine}: ended with ${this.#status}`);
        }
        return match;
      },
      `${pattern} from ${this.commandLine}`,
      timeoutMs,
    );
    return found.catch((error: Error) => {
      throw new Error(`${error.message}\n${this.#describe()}`);
    });
  }

  /** For a program that is told more while it runs. */
  writeInput(text: string): void {
    this.#process.stdin.write(text);
  }

  closeInput(): void {
    this.#process.stdin.end();
  }

  /** Signals the program itself: behind `nsenter`, which dies of signals, its child. */
  signal(signal: NodeJS.Signals): void {
    if (this.#status !== null) return;
    const inner = this.commandLine.startsWith('nsenter ') ? onlyChild(this.pid) : null;
    kill(inner ?? this.pid, signal);
  }

  /** Asks the program to end, kills its whole group when it does not, and returns its status. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = HANG_MS): Promise<number> {
    this.signal(signal);
    const timer = setTimeout(() => this.kill(), graceMs);
    const status = await this.exited;
    clearTimeout(timer);
    return status;
  }

  /** Ends the whole process group at once. */
  kill(): void {
    if (this.#status === null && this.pid > 0) kill(-this.pid, 'SIGKILL');
  }

  /** What it said, and what it and its descendants are waiting for. */
  #describe(): string {
    const processes = describeProcesses(this.pid).join('\n');
    return `stdout: ${this.stdout}\nstderr: ${this.stderr}\nprocesses:\n${processes}`;
  }

  #awaitEnd(): Promise<number> {
    return new Promise((resolve) => {
      const settle = () => resolve(this.#status ?? 127);
      this.#process.on('error', (error) => {
        this.#stderr.push(Buffer.from(`${error.message}\n`));
        this.#status ??= 127;
        settle();
      });
      this.#process.on('exit', (code, signal) => {
        this.#status = code ?? 128 + ((signal && SIGNAL_NUMBERS[signal]) ?? 0);
        const letGo = () => {
          this.#process.stdout.destroy();
          this.#process.stderr.destroy();
          settle();
        };
        // Timers come before descriptors: when we ourselves were late, the output is read first.
        setTimeout(() => setImmediate(letGo), PIPE_GRACE_MS).unref();
      });
      this.#process.on('close', settle);
    });
  }
}

/** Runs a program to its end. Rejects only when it takes too long. */
export async function execute(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<Result> {
  const child = new Child(command, { ...options, input: options.input ?? '' });
  const timeoutMs = options.timeoutMs ?? HANG_MS;
  let expired = false;
  const timer = setTimeout(() => {
    expired = true;
    child.kill();
  }, timeoutMs);
  const status = await child.exited;
  clearTimeout(timer);
  if (expired) {
    throw new Error(`${child.commandLine}: not done after ${timeoutMs} ms\n${child.stderr}`);
  }
  return { stdout: child.stdout, stderr: child.stderr, status };
}

/** Runs a program to its end and returns what it printed; rejects unless it succeeded. */
export async function mustExecute(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await execute(command, options);
  if (result.status !== 0) {
    throw new Error(`${command.join(' ')}: status ${result.status}\n${result.stderr}`);
  }
  return result.stdout;
}

/** Asks `condition` again and again until its answer is neither null, undefined nor false. */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  what: string,
  timeoutMs = HANG_MS,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await condition();
    if (answer !== null && answer !== undefined && answer !== false) {
      return answer as NonNullable<Exclude<T, false>>;
    }
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(POLL_INTERVAL_MS);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function onlyChild(pid: number): number | null {
  return children(pid)[0] ?? null;
}

function children(pid: number): number[] {
  return readProc(`${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

/** One line for each process of the tree: PID, name, state, and where in the kernel it waits. */
function describeProcesses(pid: number): string[] {
  const status = readProc(`${pid}/status`);
  const name = /^Name:\s+(.*)$/m.exec(status)?.[1] ?? 'gone';
  const state = /^State:\s+(.*)$/m.exec(status)?.[1] ?? '';
  const line = `${pid} ${name} ${state} ${readProc(`${pid}/wchan`)} ${readProc(`${pid}/syscall`)}`;
  return [line, ...children(pid).flatMap(describeProcesses)];
}

/** A file of /proc, empty when the process is gone or not ours to look into. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8').trim();
  } catch {
    return '';
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in the meantime.
  }
}
