/**
 * Accepts the clients of a listening UNIX socket. Node's own server would do, except when
 * descriptors run out: it then closes connections without a word, or tries the same one again at
 * once and for ever. Here a descriptor is held in reserve for one connection more, and when that is
 * used up, too, an older connection makes room for the next one.
 */

import { Socket } from 'node:net';
import { accept, close, ERRNO, errno, eventfd, listen, SystemError } from '../sys/libc.ts';
import { EFD_CLOEXEC, SOCK_CLOEXEC, SOCK_NONBLOCK } from '../sys/linux.ts';
import { drainSoon, type Watch, watch } from '../sys/poller.ts';

export interface UnixListenerOptions {
  /** A bound UNIX socket, which is the listener's from here on. */
  readonly fd: number;
  /** Where it is bound, for messages. */
  readonly path: string;
  readonly onConnection: (socket: Socket) => void;
  /** Closes a connection when descriptors are short; false when there is none. */
  readonly closeOne: () => boolean;
}

const BACKLOG = 511;
/** How long nobody is taken in when nothing here can be given up. */
const REST_MS = 100;

const { EMFILE, ENFILE, ENOBUFS, ENOMEM } = ERRNO;

function isShortage(error: number): boolean {
  return error === EMFILE || error === ENFILE || error === ENOBUFS || error === ENOMEM;
}

/** What is thrown in a callback is our own bug, and ends the process. */
function rethrow(error: unknown): never {
  throw error;
}

export class UnixListener {
  readonly #options: UnixListenerOptions;
  #watch: Watch | undefined;
  #resting: NodeJS.Timeout | undefined;
  /** The descriptor in reserve, an event's that never happens; -1 while it is in use. */
  #spare = -1;
  #isClosed = false;

  /** @throws {SystemError} when the descriptor cannot listen; it stays the caller's then */
  constructor(options: UnixListenerOptions) {
    this.#options = options;
    const { fd, path } = options;
    if (listen(fd, BACKLOG) < 0) {
      const hint = `expected descriptor ${fd} to be a listening UNIX socket`;
      throw new SystemError(`serve the control socket ${path}`, 'listen', errno(), hint);
    }
    this.#holdSpare();
    this.#begin();
  }

  #begin(): void {
    this.#watch = watch(this.#options.fd, this.#takeIn, rethrow);
  }

  /** One at a time: accept(2) wants a descriptor before it looks whether anybody is there. */
  readonly #takeIn = (): void => {
    let error = this.#accept();
    if (isShortage(error) && this.#releaseSpare()) error = this.#accept();
    // What is closed now is free in the next turn.
    if (isShortage(error) && !this.#options.closeOne()) this.#rest();
    // What the new connection has in Node's queues would wait for the next callback of Node's.
    drainSoon();
  };

  /** Returns 0, or the error number. */
  #accept(): number {
    const fd = accept(this.#options.fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return errno();
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    socket.once('close', () => this.#holdSpare());
    this.#options.onConnection(socket);
    return 0;
  }

  #holdSpare(): void {
    if (this.#spare < 0 && !this.#isClosed) this.#spare = eventfd(0, EFD_CLOEXEC);
  }

  #releaseSpare(): boolean {
    if (this.#spare < 0) return false;
    close(this.#spare);
    this.#spare = -1;
    return true;
  }

  #rest(): void {
    this.#watch?.close();
    this.#resting = setTimeout(() => {
      this.#holdSpare();
      this.#begin();
    }, REST_MS).unref();
  }

  /** Takes nobody in any more; those who were are their owner's to close. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#resting);
    this.#watch?.close();
    this.#releaseSpare();
    close(this.#options.fd);
  }
}
