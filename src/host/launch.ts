/**
 * Starting tswgd in the background: the child is the same program in the foreground, in a session
 * of its own, and says over a pipe that `wg` works or why it never will. Node cannot fork, and
 * neither tswg nor the waiting tswgd needs to load anything of the daemon.
 */

import { spawn } from 'node:child_process';
import { closeSync, realpathSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { visible } from '../quotation.ts';
import type { Environment } from '../sys/environment.ts';

/** Names the descriptor over which the child reports. */
const READY_FD_VARIABLE = 'TSWG_READY_FD';
/** By which a successor learns what its starter holds (starter.ts): its socket, */
export const STARTER_FD_VARIABLE = 'TSWG_STARTER_FD';
/** the control socket's file, */
export const CONTROL_FD_VARIABLE = 'TSWG_CONTROL_FD';
/**
 * the observing socket's, if there is one (an older version, which does not take this one, hands every
 * TSWG_ variable on to its own successor, in which the descriptor would be another one),
 */
export const OBSERVE_FD_VARIABLE = 'STARTER_OBSERVE_FD';
/** Names the descriptor over which a resolver calls the daemon that had it started (resolver/). */
export const RESOLVER_FD_VARIABLE = 'TSWG_RESOLVER_FD';
/** and the interface's number. */
export const INTERFACE_INDEX_VARIABLE = 'TSWG_INTERFACE_INDEX';
/** Of a daemon's environment, what its successor and the shell that starts it are to have, too. */
const HANDOVER_VARIABLES =
  /^(TSWG_\w+|WG_\w+|LOG_LEVEL|NOTIFY_SOCKET|STATE_DIRECTORY|JOURNAL_STREAM|INVOCATION_ID|PATH|TZ)$/;
/** Of those, what is this process's alone. */
const OWN_VARIABLES = ['WG_TUN_FD', 'WG_UAPI_FD'];
/** Keeps SIGUSR1 from opening the debugger, in newer versions of Node. */
const NO_DEBUGGER = '--disable-sigusr1';
const READY = 'ready';
/** Opening a TUN and a socket takes a fraction of a second; a machine may be busy booting. */
const START_TIMEOUT_MS = 20_000;

/** Where this module is, from the package's folder: in the programs, the library, or the sources. */
const PLACE = /\/(dist\/program|(dist\/library|dist\/src|src)\/host)$/;

/** The package's folder. */
export function packageRoot(): string {
  return dirname(fileURLToPath(import.meta.url)).replace(PLACE, '');
}

/** The daemon's program. */
export const DAEMON_PROGRAM = join(packageRoot(), 'bin', 'tswgd');

/**
 * How the daemon of `name` is started in the foreground. By the path it was called by, or the one
 * beside the tswg that was called: that may be a link, which leads to another version tomorrow.
 */
export function daemonCommand(name: string, calledBy = process.argv[1]): readonly string[] {
  return [process.execPath, ...process.execArgv, programOf(calledBy), name];
}

function programOf(calledBy: string | undefined): string {
  if (calledBy === undefined) return DAEMON_PROGRAM;
  if (basename(calledBy) === 'tswgd') return calledBy;
  const beside = join(dirname(calledBy), 'tswgd');
  return basename(calledBy) === 'tswg' && isOurs(beside) ? beside : DAEMON_PROGRAM;
}

/** Whether this path leads to our own daemon, and not to that of another installation. */
function isOurs(path: string): boolean {
  try {
    return realpathSync(path) === realpathSync(DAEMON_PROGRAM);
  } catch {
    return false;
  }
}

/**
 * How a daemon's successor is started: the same, without what the engine was told for this one,
 * such as a debugger's port or code to be loaded, since it begins with all rights.
 */
export function successorCommand(name: string, calledBy = process.argv[1]): readonly string[] {
  const flags = process.allowedNodeEnvironmentFlags.has(NO_DEBUGGER) ? [NO_DEBUGGER] : [];
  return [process.execPath, ...flags, programOf(calledBy), name];
}

/** For the same reason, a fixed list: neither NODE_OPTIONS nor LD_PRELOAD, nor what comes to be. */
export function successorEnvironment(env: Environment): Record<string, string | undefined> {
  const given = Object.entries(env).filter(
    ([name]) => HANDOVER_VARIABLES.test(name) && !OWN_VARIABLES.includes(name),
  );
  return { ...Object.fromEntries(given), LC_ALL: 'C', WG_PROCESS_FOREGROUND: '1' };
}

/**
 * Starts the daemon of `name` and resolves when it answers `wg`.
 *
 * @param command see daemonCommand
 * @throws Error whose message is one line for the operator.
 */
export async function startDaemon(
  name: string,
  env: Environment,
  command = daemonCommand(name),
): Promise<void> {
  const childEnv: Record<string, string | undefined> = { ...env, WG_PROCESS_FOREGROUND: '1' };
  const output = keepsOutput(env) ? 'inherit' : 'ignore';
  const stdio: ('ignore' | 'inherit' | 'pipe' | number)[] = ['ignore', output, output, 'pipe'];
  childEnv[READY_FD_VARIABLE] = '3';
  for (const variable of ['WG_TUN_FD', 'WG_UAPI_FD']) {
    const fd = parseDescriptor(variable, env[variable]);
    if (fd !== undefined) childEnv[variable] = String(stdio.push(fd) - 1);
  }
  const [program, ...args] = command;
  const child = spawn(program!, args, {
    cwd: '/',
    detached: true,
    env: childEnv,
    stdio,
  });
  const interrupt = (): void => {
    child.kill('SIGTERM');
  };
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    await ready(child, name);
    child.unref();
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

async function ready(child: ReturnType<typeof spawn>, name: string): Promise<void> {
  const { promise, resolve, reject } = withResolvers();
  child.on('error', (error: NodeJS.ErrnoException) =>
    reject(
      Object.assign(new Error(`${name}: tswgd cannot start: ${error.message}`), {
        code: error.code,
      }),
    ),
  );
  // There are no pipes either.
  if (child.pid === undefined) return promise;
  const report = child.stdio[3] as NodeJS.ReadableStream & { destroy(): void };
  let text = '';
  let status = '';
  const timer = setTimeout(() => {
    child.kill('SIGTERM');
    reject(new Error(`${name}: the daemon is not ready after ${START_TIMEOUT_MS / 1000} seconds`));
  }, START_TIMEOUT_MS);
  report.setEncoding('utf8');
  report.on('data', (chunk: string) => {
    text += chunk;
    if (text === `${READY}\n`) resolve();
  });
  report.on('error', reject);
  child.on('exit', (code, signal) => {
    status = code === null ? ` by ${signal}` : `, exit code ${code}`;
  });
  // `close` comes after `exit` and after the last byte of the report.
  child.on('close', () => {
    const line = text.trim();
    const unexplained = `${name}: the daemon ended before it was ready${status}; LOG_LEVEL=debug shows more`;
    reject(new Error(line === '' ? unexplained : line));
  });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    report.destroy();
  }
}

function withResolvers(): { promise: Promise<void>; resolve(): void; reject(error: Error): void } {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** As wireguard-go: a daemon in the background is silent, unless a log level was asked for. */
export function keepsOutput(env: Environment): boolean {
  return env.LOG_LEVEL !== undefined && env.LOG_LEVEL !== '' && env.LOG_LEVEL !== 'silent';
}

/** @throws Error when the variable is set, but not to a descriptor's number. */
export function parseDescriptor(variable: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`${variable}: ${visible(text)}: expected the number of an open file descriptor`);
}

/** The numbers of the descriptors that a daemon may be given by its environment. */
export function inheritedDescriptors(env: Environment): number[] {
  const variables = [
    ...[READY_FD_VARIABLE, STARTER_FD_VARIABLE, CONTROL_FD_VARIABLE, OBSERVE_FD_VARIABLE],
    ...[RESOLVER_FD_VARIABLE, 'WG_TUN_FD', 'WG_UAPI_FD'],
  ];
  const numbers = variables.map((variable) => env[variable] ?? '');
  return numbers.filter((text) => /^\d{1,9}$/.test(text)).map(Number);
}

/** The child's side: how the program in the foreground answers the process that started it. */
export interface Reporter {
  /** Whether somebody started us in the background and waits for the answer. */
  readonly isAwaited: boolean;
  /** `wg` works from now on. */
  ready(): void;
  /** It never will; `line` says why. Whether anybody was told. */
  failed(line: string): boolean;
}

/** Takes the descriptor out of `env`, so that it is used once and by nobody else. */
export function takeReporter(env: Record<string, string | undefined>): Reporter {
  let fd = parseDescriptor(READY_FD_VARIABLE, env[READY_FD_VARIABLE]);
  delete env[READY_FD_VARIABLE];
  const report = (line: string): boolean => {
    if (fd === undefined) return false;
    const descriptor = fd;
    fd = undefined;
    try {
      writeSync(descriptor, `${line}\n`);
      closeSync(descriptor);
      return true;
    } catch {
      // The process that started us is gone; the daemon works without them.
      return false;
    }
  };
  return {
    isAwaited: fd !== undefined,
    ready: () => void report(READY),
    failed: report,
  };
}

/** What a starter holds of the daemon that it is beside; files are descriptors of such (O_PATH). */
export interface Held {
  readonly controlFd: number;
  /** Undefined if there is none, or the starter is of a version that knows of none. */
  readonly observeFd: number | undefined;
  readonly interfaceIndex: number;
}

export interface StarterDescriptors {
  readonly socketFd: number;
  /** Undefined if the starter is of a version that holds nothing else. */
  readonly held: Held | undefined;
}

/** Takes what the starter gives out of `env`; undefined for a program that is nobody's successor. */
export function takeStarter(
  env: Record<string, string | undefined>,
): StarterDescriptors | undefined {
  const [socketFd, controlFd, observeFd, interfaceIndex] = [
    STARTER_FD_VARIABLE,
    CONTROL_FD_VARIABLE,
    OBSERVE_FD_VARIABLE,
    INTERFACE_INDEX_VARIABLE,
  ].map((variable) => {
    const number = parseDescriptor(variable, env[variable]);
    delete env[variable];
    return number;
  });
  if (socketFd === undefined) return undefined;
  const isHeld = controlFd !== undefined && interfaceIndex !== undefined;
  return { socketFd, held: isHeld ? { controlFd, observeFd, interfaceIndex } : undefined };
}
