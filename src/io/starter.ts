/**
 * Whoever starts the daemon's successor. A daemon that has confined itself starts no program any
 * more (sandbox.ts); so before that it starts a shell which does nothing but wait for the word, with
 * the rights, the environment and the place in the system that the daemon was started with. It ends
 * with the daemon, however that ends: the socket between them is all that it lives on.
 *
 * Over the same socket the new program sends its end of a channel to the daemon.
 */

import { spawn } from 'node:child_process';
import { Channel, receiveDescriptors, sendDescriptors } from './channel.ts';
import { STARTER_FD_VARIABLE } from './launch.ts';
import { close, errno, errnoName, fcntl, Scratch, SystemError, send, socketPair } from './libc.ts';
import { F_SETFL, MSG_DONTWAIT } from './linux.ts';
import { type Watch, watch } from './poller.ts';

const SHELL = '/bin/sh';
/** One byte, a newline, starts the program; at the socket's end the shell is done. */
const SCRIPT = 'while read -r _ <&3; do "$@" & done';
/** As which the shell gives the socket to the program. */
const SOCKET_FD = 3;
const SEND_TIMEOUT_MS = 1_000;

type Environment = Readonly<Record<string, string | undefined>>;

export interface StarterOptions {
  /** The program that is to be our successor, with its arguments. */
  readonly command: readonly string[];
  readonly env: Environment;
  /** A program that was started has called: the channel is the receiver's. */
  readonly onCall: (channel: Channel) => void;
  readonly onBug: (error: unknown) => void;
}

export class Starter {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #newline = new Scratch(1);
  /** Why nothing can be started; '' when all is well. */
  #trouble = '';

  /** @throws {SystemError} when descriptors are short */
  constructor({ command, env, onCall, onBug }: StarterOptions) {
    const [fd, theirs] = socketPair();
    this.#fd = fd;
    this.#newline.bytes[0] = 0x0a;
    // The shell would take "try again" for the end.
    fcntl(theirs, F_SETFL, 0);
    const shell = spawn(SHELL, ['-c', SCRIPT, 'tswgd-starter', ...command], {
      cwd: '/',
      env: { ...env, [STARTER_FD_VARIABLE]: String(SOCKET_FD) },
      stdio: ['ignore', 'inherit', 'inherit', theirs],
    });
    close(theirs);
    shell.unref();
    shell.on('error', (error) => this.#fail(`${SHELL} cannot be started: ${error.message}`));
    shell.on('exit', () => this.#fail(`the ${SHELL} that would start it has ended`));
    this.#watch = watch(
      fd,
      () => {
        const call = receiveDescriptors(fd, 0);
        if (call.kind === 'message') for (const end of call.fds) onCall(new Channel(end));
        else if (call.kind === 'closed') this.#watch.close();
      },
      onBug,
    );
  }

  #fail(why: string): void {
    if (this.#trouble === '') this.#trouble = why;
  }

  /** Starts the program, which calls when it is there. Returns why that cannot be, or ''. */
  start(): string {
    if (this.#trouble === '' && send(this.#fd, this.#newline.address, 1, MSG_DONTWAIT) < 0) {
      this.#fail(`the ${SHELL} that would start it does not answer (send: ${errnoName(errno())})`);
    }
    return this.#trouble;
  }

  close(): void {
    this.#watch.close();
    close(this.#fd);
  }
}

/** Calls the daemon that had us started, over the starter's socket. @throws {SystemError} */
export function call(socketFd: number): Channel {
  const [ours, theirs] = socketPair();
  const isSent = sendDescriptors(socketFd, 0, [theirs], SEND_TIMEOUT_MS);
  const error = errno();
  close(theirs);
  close(socketFd);
  if (isSent) return new Channel(ours);
  close(ours);
  throw new SystemError('call the daemon that is to be followed', 'sendmsg', error);
}
