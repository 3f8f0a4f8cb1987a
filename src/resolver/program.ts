/**
 * The resolver's program: `tswgd`, told by a variable that it is one. A daemon's starter starts it; it
 * confines itself, calls the daemon, and looks up what it is asked for as every program of the machine
 * does, until the daemon lets go of it.
 *
 * It is no program of its own, so that whatever replaces `tswgd` replaces it, too: the daemon starts
 * the one that is on disk, by the path that it would start its successor by.
 *
 * A lookup may take minutes, if no name server answers. So a question is answered after a while, if
 * only with EAI_AGAIN, and its lookup continues without anybody's waiting for it.
 */

import { closeSync, openSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { NameAnswer } from '../device/ways.ts';
import { sendDescriptors } from '../handover/channel.ts';
import { packageRoot, parseDescriptor, RESOLVER_FD_VARIABLE } from '../host/launch.ts';
import {
  confineResolverFiles,
  enterResolverSandbox,
  holdToLifeline,
} from '../sandbox/resolversandbox.ts';
import { refuseRings } from '../sandbox/ring.ts';
import type { Environment } from '../sys/environment.ts';
import { execute } from '../sys/execution.ts';
import { koffiPath } from '../sys/koffi.ts';
import { close, ERRNO, errno, fcntl, recv, Scratch, send, socketPair } from '../sys/libc.ts';
import { F_SETFD, MSG_DONTWAIT } from '../sys/linux.ts';
import { watch } from '../sys/poller.ts';
import { nameProcess } from '../sys/processname.ts';
import { invoke } from '../sys/syscalls.ts';
import { nameSocket } from '../sys/unixnames.ts';
import { lookUp } from './lookup.ts';
import {
  formatAnswer,
  formatEnd,
  formatReport,
  MESSAGE_BYTES_MAX,
  parseQuestion,
  type Question,
} from './messages.ts';

/** Tells the program that it has executed itself, and how it stands with its files. */
const CONFINED_VARIABLE = 'TSWG_RESOLVER_FILES';
const PROGRAM_NAME = 'tswgd-resolver';
/** Of the pool's threads libuv gives half to what may take long. */
const THREADS = 64;
/** A small heap, since nothing stays in it. */
const ENGINE_FLAGS = ['--max-old-space-size=32', '--max-semi-space-size=1'];
const CALL_TIMEOUT_MS = 5_000;
/** Less than what the daemon is patient for (questions.ts). */
const ANSWER_MS = 45_000;
/** Lookups under way, beyond those that anybody waits for. */
const LOOKUPS_MAX = 64;
/** The C library takes two minutes for six name servers that are silent. */
const STUCK_MS = 300_000;
const RESOLV_CONF = '/etc/resolv.conf';
const STANDARD_FDS = [0, 1, 2];
const PR_SET_NAME = 15;

/**
 * Runs until the daemon lets go of it. Resolves to an exit code only where it cannot begin.
 *
 * @param name the interface's
 */
export async function runResolver(name: string, env: Environment): Promise<number> {
  const callFd = parseDescriptor(RESOLVER_FD_VARIABLE, env[RESOLVER_FD_VARIABLE]);
  if (callFd === undefined) return 1;
  const isConfined = env.TSWG_SANDBOX !== 'off';
  const files = env[CONFINED_VARIABLE];
  if (isConfined && files === undefined) return confineAndExecute(name, env, callFd);
  nameProcess(PROGRAM_NAME, name);
  nameThread();
  // Signals to all processes of a service, or of a terminal, are the daemon's to answer. On SIGUSR1
  // Node would open its debugger.
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const) {
    process.on(signal, () => {});
  }
  // All threads of the pool begin with the first thing that is asked of it.
  await access('/');
  const ends = callDaemon(callFd);
  if (ends === null) return 1;
  const { fd, lifeline, end } = ends;
  const steps = isConfined
    ? new Map([['files', files!], ['end', end], ...enterResolverSandbox(name, lifeline)])
    : new Map([['', 'off (TSWG_SANDBOX=off)']]);
  new Server(fd, isConfined).report(steps);
  return new Promise(() => {});
}

/** The first half: files, for all threads of what it becomes. */
function confineAndExecute(name: string, env: Environment, callFd: number): number {
  const program = process.argv[1] ?? '';
  const { text } = confineResolverFiles([dirname(program), packageRoot(), dirname(koffiPath())]);
  // Node has them all closed on exec.
  for (const fd of [...STANDARD_FDS, callFd]) fcntl(fd, F_SETFD, 0);
  const flags = process.execArgv.filter((flag) => !ENGINE_FLAGS.includes(flag));
  // Which the engine could not do without then, while its own filter permits none.
  refuseRings();
  execute([process.execPath, ...flags, ...ENGINE_FLAGS, program, name], {
    ...env,
    [CONFINED_VARIABLE]: text,
    UV_THREADPOOL_SIZE: `${THREADS}`,
    // One heap of the C library's for each thread would stay as large as it once was.
    MALLOC_ARENA_MAX: '2',
  });
  return 1;
}

/** What `ps -C` and pidof(8) know; the file by which nameProcess says so cannot be written to. */
function nameThread(): void {
  const name = new Scratch(16);
  new TextEncoder().encodeInto(PROGRAM_NAME, name.bytes);
  invoke('prctl', PR_SET_NAME, name.address);
}

interface Ends {
  /** Carries messages. */
  readonly fd: number;
  /** Carries nothing: at its other end's closing the kernel kills us. */
  readonly lifeline: number;
  /** How it stands with that. */
  readonly end: string;
}

/** Sends the daemon its ends of two sockets; null when it is gone. */
function callDaemon(callFd: number): Ends | null {
  const [fd, theirs] = socketPair();
  const [lifeline, theirLifeline] = socketPair();
  // Two of them go to a process that may be in other hands, and has confined itself before.
  for (const one of [fd, theirs, lifeline, theirLifeline]) nameSocket(one);
  const { text: end } = holdToLifeline(lifeline);
  const isSent = sendDescriptors(callFd, 0, [theirs, theirLifeline], CALL_TIMEOUT_MS);
  for (const one of [theirs, theirLifeline, callFd]) close(one);
  return isSent ? { fd, lifeline, end } : null;
}

class Server {
  readonly #fd: number;
  /** Whether resolv.conf can be read, if it is to be looked after: it may move to another folder. */
  readonly #isReadable: boolean;
  readonly #memory = new Scratch(MESSAGE_BYTES_MAX + 1);
  #lookups = 0;
  #lastEndMs = performance.now();

  constructor(fd: number, isConfined: boolean) {
    this.#fd = fd;
    this.#isReadable = isConfined && !isForbidden(RESOLV_CONF);
    process.on('uncaughtException', (error) => this.#end(`bug in tswgd: ${error.stack}`));
    watch(fd, this.#read, (error) => this.#end(`bug in tswgd: ${(error as Error).stack}`));
  }

  report(steps: ReadonlyMap<string, string>): void {
    this.#say(formatReport(steps));
  }

  readonly #read = (): void => {
    for (;;) {
      const { address, bytes } = this.#memory;
      const length = recv(this.#fd, address, MESSAGE_BYTES_MAX + 1, MSG_DONTWAIT);
      if (length < 0 && errno() === ERRNO.EAGAIN) return;
      // The daemon has ended, or has another resolver.
      if (length <= 0) exit();
      const question = parseQuestion(bytes.slice(0, length));
      if (question === null) this.#end('the daemon is of another version: upgrade it');
      else this.#serve(question);
    }
  };

  #serve(question: Question): void {
    if (this.#isReadable && isForbidden(RESOLV_CONF)) {
      this.#end(`${RESOLV_CONF} is a link to another folder now`);
    }
    if (this.#lookups >= LOOKUPS_MAX) {
      if (performance.now() - this.#lastEndMs > STUCK_MS) this.#end('no lookup comes to an end');
      this.#answer(question, { error: 'EAI_AGAIN' });
      return;
    }
    let isAnswered = false;
    const answer = (given: NameAnswer): void => {
      if (!isAnswered) this.#answer(question, given);
      isAnswered = true;
    };
    const timer = setTimeout(() => answer({ error: 'EAI_AGAIN' }), ANSWER_MS);
    this.#lookups++;
    lookUp(question.host, (given) => {
      clearTimeout(timer);
      this.#lookups--;
      this.#lastEndMs = performance.now();
      answer(given);
    });
  }

  #answer(question: Question, answer: NameAnswer): void {
    this.#say(formatAnswer(question, answer));
  }

  #say(message: Uint8Array): void {
    this.#memory.bytes.set(message);
    // There is room for more answers than the daemon asks questions at once.
    send(this.#fd, this.#memory.address, message.length, MSG_DONTWAIT);
  }

  #end(why: string): never {
    this.#say(formatEnd(why));
    return exit();
  }
}

function isForbidden(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'));
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

/** At once: an ordinary end would wait for every lookup under way. */
function exit(): never {
  invoke('exit_group', 0);
  throw new Error('unreachable: exit_group');
}
