/**
 * Serves the control socket: many clients at once, each with any number of requests, answered one
 * after the other. Owns connections, limits and the socket file's life; requests are taken apart
 * by uapi/request.ts and answered by whoever it is given.
 */

import { type FSWatcher, statSync, unlinkSync, watch } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { type Request, RequestReader } from '../uapi/request.ts';
import { openUapiSocket, systemErrorOf, UAPI_DIRECTORY, uapiPath } from './uapisocket.ts';

export interface UapiServerOptions {
  /** The interface's name. */
  readonly name: string;
  /** Answers one request. May not throw: what it throws is our own bug and ends the process. */
  readonly handle: (request: Request) => string;
  /** Called once when the socket's file was deleted or replaced. */
  readonly onGone: () => void;
  /** A listening socket at this name's path (WG_UAPI_FD), which the server owns from here on. */
  readonly fd?: number;
  readonly directory?: string;
}

export interface UapiServer {
  readonly path: string;
  /** Ends all connections and removes the socket's file, if it is still this server's. */
  close(): Promise<void>;
}

/** More are turned away; each may hold a request of REQUEST_CHARACTERS_MAX. */
const MAX_CLIENTS = 256;
/** How long a connection may stand still, in either direction. */
const IDLE_TIMEOUT_MS = 60_000;
/** How often the file is looked for, beside being told by the file system. */
const LOOK_INTERVAL_MS = 2_000;

/** @throws {SystemError} EADDRINUSE when another daemon serves this name, and others */
export async function serveUapi(options: UapiServerOptions): Promise<UapiServer> {
  const { name, directory = UAPI_DIRECTORY } = options;
  const path = uapiPath(name, directory);
  const fd = options.fd ?? openUapiSocket(name, directory);
  const clients = new Set<Client>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const client = new Client(socket, options.handle, () => clients.delete(client));
    clients.add(client);
  });
  server.maxConnections = MAX_CLIENTS;
  await listen(server, fd, path);
  const file = new SocketFile(path, directory, options.onGone);
  return {
    path,
    close: () => {
      file.close();
      for (const client of clients) client.close();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function listen(server: Server, fd: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const what = `serve the control socket ${path}`;
    server.once('error', (error) => {
      const hint = `expected descriptor ${fd} to be a listening UNIX socket`;
      reject(systemErrorOf(what, 'listen', error, hint));
    });
    server.listen({ fd }, () => {
      server.removeAllListeners('error');
      // A connection that fails in accept(2), for want of descriptors, must not end the daemon.
      server.on('error', () => {});
      resolve();
    });
  });
}

/** One connection. */
class Client {
  readonly #socket: Socket;
  readonly #handle: (request: Request) => string;
  readonly #reader = new RequestReader();
  /** Requests that wait until the client has read the answers before. */
  #waiting: Request[] = [];
  #isEnding = false;

  constructor(socket: Socket, handle: (request: Request) => string, onClosed: () => void) {
    this.#socket = socket;
    this.#handle = handle;
    socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
    socket.on('data', (chunk) => {
      this.#waiting.push(...this.#reader.push(chunk));
      this.#answer();
    });
    socket.on('drain', () => this.#answer());
    socket.on('end', () => {
      this.#isEnding = true;
      this.#answer();
    });
    // The client has gone away: nobody is left to be told.
    socket.on('error', () => {});
    socket.on('close', onClosed);
  }

  /** Answers what waits as long as the client reads; takes no more from it meanwhile. */
  #answer(): void {
    while (this.#waiting.length > 0 && !this.#socket.writableNeedDrain) {
      if (this.#socket.destroyed || this.#socket.writableEnded) return;
      const request = this.#waiting.shift()!;
      if (request.operation === 'invalid') {
        this.#waiting = [];
        this.#isEnding = true;
      } else {
        this.#socket.write(this.#handle(request));
      }
    }
    if (this.#waiting.length > 0) {
      this.#socket.pause();
    } else if (this.#isEnding) {
      this.#socket.end();
      this.#socket.resume();
    } else {
      this.#socket.resume();
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Watches over the socket's file, whose deletion is how an operator stops a daemon. */
class SocketFile {
  readonly #path: string;
  readonly #identity: string;
  readonly #onGone: () => void;
  readonly #timer: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  #isClosed = false;

  constructor(path: string, directory: string, onGone: () => void) {
    this.#path = path;
    this.#identity = identityOf(path);
    this.#onGone = onGone;
    // A look now and then too: inotify may be exhausted, or the folder itself be replaced.
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS).unref();
    try {
      this.#watcher = watch(directory, { persistent: false }, () => this.#look());
      this.#watcher.on('error', () => {});
    } catch {
      // Only slower.
    }
    if (this.#identity === '') setImmediate(() => this.#look());
  }

  #look(): void {
    if (this.#isClosed) return;
    if (this.#identity !== '' && identityOf(this.#path) === this.#identity) return;
    this.#stop();
    this.#onGone();
  }

  #stop(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#watcher?.close();
  }

  close(): void {
    this.#stop();
    if (this.#identity === '' || identityOf(this.#path) !== this.#identity) return;
    try {
      unlinkSync(this.#path);
    } catch {
      // Deleted in between, which is as good.
    }
  }
}

/** What tells this file from another one of the same name; empty when there is none. */
function identityOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}:${stat.birthtimeNs}`;
}
