/**
 * Serves a daemon's sockets: many clients at once, each with any number of requests, answered one
 * after the other. Owns connections and limits; requests are taken apart by uapi/request.ts and
 * answered by the function it is given, and the socket's file is socketfile.ts'.
 *
 * What the clients of one socket may ask of us (those of the control socket are root, since its
 * mode is 0600; others get less, see observing.ts):
 *
 *   a line of 4,096 bytes and a request of 16 Mi characters; what is longer, or no request at all,
 *   ends the connection, after the answers to the requests before it
 *   256 connections; one more takes the place of the one that has stood still longest
 *   a minute without a byte either way
 *   when there are no more file descriptors, one connection at a time
 *   64 Mi held for all clients together, requests half received and answers not yet read; beyond,
 *   those that have stood still longest are closed
 *   a millisecond a turn of the event loop for all answers together, or one answer if that takes
 *   longer, by turns among the clients, so that packets continue meanwhile; of an answer that
 *   comes piece by piece (feed.ts) each piece is one
 */

import type { Socket } from 'node:net';
import { monotonicMs } from '../sys/clock.ts';
import { type Operation, type Request, RequestReader } from '../uapi/request.ts';
import { EACCES, refuseSet } from '../uapi/response.ts';
import type { Feed } from './feed.ts';
import { controlPlace, UAPI_DIRECTORY } from './place.ts';
import { SocketFile, type SocketFileListener } from './socketfile.ts';
import { openUapiSocket } from './uapisocket.ts';
import { UnixListener } from './unixlistener.ts';

export interface ClientOptions {
  /**
   * Answers one request; the client's next one waits for it. May not throw nor reject: what it
   * throws is our own bug and ends the process. A Feed is read as fast as the client reads.
   */
  readonly handle: (request: Request) => string | Promise<string> | Feed;
  /** What may be asked: everything by default. Anything else is refused with EACCES. */
  readonly permitted?: ReadonlySet<Operation>;
  /** How many connections there may be at once; 256 by default. */
  readonly clientsMax?: number;
  /**
   * For how many times as long as a turn's answers took nobody is answered after them; 0 by default.
   */
  readonly rest?: number;
  /** How long a connection may stand still; a minute by default. */
  readonly idleTimeoutMs?: number;
  /** How long after it connected, or had an answer, a client is taken to be about to ask; 100 by default. */
  readonly aboutToAskMs?: number;
}

export interface ServerOptions extends ClientOptions, SocketFileListener {
  /** A listening socket, and its file. Both are the server's from here on. */
  readonly fd: number;
  readonly file: SocketFile;
}

export interface UapiServerOptions extends ClientOptions, SocketFileListener {
  /** The interface's name. */
  readonly name: string;
  /** A listening socket at this name's path (WG_UAPI_FD), which the server owns from here on. */
  readonly fd?: number;
  /** The file of that socket, which the server owns from here on, too. */
  readonly file?: SocketFile | undefined;
  readonly directory?: string;
}

export interface UapiServer {
  readonly file: SocketFile;
  /** The listening socket. */
  readonly fd: number;
  /** Whether a client would get no answer if all connections ended now: it waits, or is about to ask. */
  readonly isBusy: boolean;
  /** Ends all connections and removes the socket's file, if it is still this server's and it may. */
  close(): Promise<void>;
  /** Leaves the file, and the socket, to the process that serves it from now on: takes nobody in. */
  leave(): void;
  /**
   * After `leave`: ends all connections; a client may still read its answer to the end. What waits to be
   * handled is handled now, if that is done at once.
   */
  finish(): Promise<void>;
}

const CLIENTS_MAX = 256;
const IDLE_TIMEOUT_MS = 60_000;
const HELD_MAX = 64 * 1024 * 1024;
const TURN_MS = 1;
const ABOUT_TO_ASK_MS = 100;
/** How long a client may take to read its answer when the server ends. */
const LAST_READ_MS = 1_000;
/** What is read away from a client that was refused, so that it learns of the answers before. */
const IGNORED_MAX = 1024 * 1024;

/** @throws {SystemError} EADDRINUSE when another daemon serves this name, and others */
export async function serveUapi(options: UapiServerOptions): Promise<UapiServer> {
  const { name, directory = UAPI_DIRECTORY } = options;
  const fd = options.fd ?? openUapiSocket(name, directory);
  const file = options.file ?? new SocketFile(name, controlPlace(directory));
  return serve({ ...options, fd, file });
}

/** @throws {SystemError} when the descriptor cannot listen */
export function serve(options: ServerOptions): UapiServer {
  const { fd, file } = options;
  const clients = new Clients(options);
  const listener = new UnixListener({
    fd,
    path: file.path,
    onConnection: (socket) => clients.add(socket),
    closeOne: () => clients.closeStillest(),
  });
  file.listen(options);
  return {
    file,
    fd,
    get isBusy() {
      return clients.areBusy;
    },
    close: () => {
      file.remove();
      file.close();
      listener.close();
      clients.close();
      return clients.whenGone();
    },
    leave: () => {
      file.leave();
      listener.close();
    },
    finish: () => {
      file.close();
      clients.endAll();
      return clients.whenGone();
    },
  };
}

/** All connections, those that have stood still longest first. */
class Clients {
  readonly #options: ClientOptions;
  readonly #clientsMax: number;
  readonly #rest: number;
  readonly #clients = new Set<Client>();
  /** Those that have a request to be answered. */
  readonly #waiting = new Set<Client>();
  readonly #waitingForAll: (() => void)[] = [];
  #turn: NodeJS.Immediate | undefined;
  #resting: NodeJS.Timeout | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#clientsMax = options.clientsMax ?? CLIENTS_MAX;
    this.#rest = options.rest ?? 0;
  }

  add(socket: Socket): void {
    if (this.#clients.size >= this.#clientsMax) this.closeStillest();
    const client = new Client(socket, this.#options, this);
    this.#clients.add(client);
    socket.on('timeout', () => client.close());
  }

  remove(client: Client): void {
    this.#clients.delete(client);
    this.#waiting.delete(client);
    if (this.#clients.size > 0) return;
    for (const resolve of this.#waitingForAll.splice(0)) resolve();
  }

  get areBusy(): boolean {
    const now = monotonicMs();
    return [...this.#clients].some((client) => client.isBusy(now));
  }

  /** False when there is none. */
  closeStillest(): boolean {
    const [stillest] = this.#clients;
    stillest?.close();
    return stillest !== undefined;
  }

  /** Call when bytes came from it, or when it took some. */
  moved(client: Client): void {
    if (this.#clients.delete(client)) this.#clients.add(client);
    this.#relieve();
  }

  /** Call when it has a request that can be answered. */
  wait(client: Client): void {
    this.#waiting.add(client);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#waiting.size === 0 || this.#resting !== undefined) return;
    this.#turn ??= setImmediate(this.#answer);
  }

  readonly #answer = (): void => {
    this.#turn = undefined;
    const begun = monotonicMs();
    let now = begun;
    do {
      const [client] = this.#waiting;
      if (client === undefined) break;
      this.#waiting.delete(client);
      if (client.answer()) this.#waiting.add(client);
      now = monotonicMs();
    } while (now < begun + TURN_MS);
    if (this.#rest > 0) this.#restFor(this.#rest * (now - begun));
    if (this.#waiting.size === 0) return;
    this.#relieve();
    this.#schedule();
  };

  #restFor(ms: number): void {
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      this.#schedule();
    }, ms).unref();
  }

  #relieve(): void {
    let held = 0;
    for (const client of this.#clients) held += client.held;
    for (const client of this.#clients) {
      if (held <= HELD_MAX) return;
      held -= client.held;
      if (client.held > 0) client.close();
    }
  }

  close(): void {
    this.#stopAnswering();
    for (const client of this.#clients) client.close();
  }

  endAll(): void {
    this.#stopAnswering();
    for (const client of this.#clients) client.end(LAST_READ_MS);
  }

  #stopAnswering(): void {
    clearImmediate(this.#turn);
    clearTimeout(this.#resting);
  }

  /** Resolves when all connections are closed. */
  whenGone(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#clients.size === 0) resolve();
      else this.#waitingForAll.push(resolve);
    });
  }
}

/** One connection. */
class Client {
  readonly #socket: Socket;
  readonly #handle: ClientOptions['handle'];
  readonly #clients: Clients;
  readonly #reader: RequestReader;
  readonly #idleTimeoutMs: number;
  readonly #aboutToAskMs: number;
  /** Requests that wait for their turn, or until the client has read the answers before. */
  #waiting: Request[] = [];
  /** Its answer to this takes time. */
  #awaited: Operation | null = null;
  /** Its answer comes piece by piece. */
  #feed: Feed | null = null;
  #isEnding = false;
  #isRefused = false;
  #ignoredBytes = 0;
  /** When it connected, asked or was answered last. */
  #movedAt = monotonicMs();

  constructor(socket: Socket, options: ClientOptions, clients: Clients) {
    this.#socket = socket;
    this.#handle = options.handle;
    this.#reader = new RequestReader(options.permitted);
    this.#idleTimeoutMs = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
    this.#aboutToAskMs = options.aboutToAskMs ?? ABOUT_TO_ASK_MS;
    this.#clients = clients;
    this.#startIdling();
    socket.on('data', (chunk) => {
      if (this.#isRefused) {
        this.#ignoredBytes += chunk.length;
        if (this.#ignoredBytes > IGNORED_MAX) socket.destroy();
        return;
      }
      this.#movedAt = monotonicMs();
      this.#waiting.push(...this.#reader.push(chunk));
      clients.moved(this);
      if (this.#feed?.isEndless) socket.destroy();
      if (this.#waiting.length === 0) return;
      // No more is taken from it meanwhile.
      socket.pause();
      clients.wait(this);
    });
    socket.on('drain', () => {
      clients.moved(this);
      if (this.#feed !== null) socket.setTimeout(0);
      if (this.#feed !== null || this.#waiting.length > 0) clients.wait(this);
    });
    socket.on('end', () => {
      this.#isEnding = true;
      if (this.#feed?.isEndless) socket.destroy();
      if (this.#waiting.length === 0 && this.#awaited === null) socket.end();
    });
    // The client has gone away: nobody is left to be told.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#feed?.close();
      clients.remove(this);
    });
  }

  /** Bytes and characters that are kept for this client. */
  get held(): number {
    return this.#reader.heldCharacters + this.#socket.writableLength;
  }

  /** An upgrade keeps nobody busy who waits for it, nor do events that have yet to happen. */
  isBusy(now: number): boolean {
    if (this.#feed !== null) return !this.#feed.isEndless;
    if (this.#awaited !== null) return this.#awaited !== 'upgrade';
    if (this.#isEnding || this.#socket.destroyed) return this.#waiting.length > 0;
    const isAsking = this.#waiting.length > 0 || this.#reader.heldCharacters > 0;
    return isAsking || now - this.#movedAt < this.#aboutToAskMs;
  }

  /** Answers one request, if the client has read the answers before; true when it can continue. */
  answer(): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded || socket.writableNeedDrain) return false;
    if (this.#feed !== null) return this.#feedOn(this.#feed);
    const request = this.#waiting.shift();
    if (request === undefined) return false;
    if (request.operation === 'invalid' || request.operation === 'refused') {
      // Of what may not be asked, `set` is what others than tswg ask: the number is as wg wants it.
      if (request.operation === 'refused') socket.write(refuseSet(EACCES));
      this.#isRefused = true;
      this.#isEnding = true;
      return this.#goOn();
    }
    const answer = this.#handle(request);
    if (typeof answer === 'string') {
      socket.write(answer);
      return this.#goOn();
    }
    if ('read' in answer) {
      this.#feed = answer;
      // That the client has gone is noticed, whether anything is written to it or not.
      if (answer.isEndless) socket.resume();
      answer.listen(() => this.#clients.wait(this));
      return true;
    }
    // It may take as long as it takes.
    socket.setTimeout(0);
    this.#awaited = request.operation;
    void answer.then((text) => {
      this.#awaited = null;
      if (socket.destroyed) return;
      this.#startIdling();
      socket.write(text);
      if (this.#goOn()) this.#clients.wait(this);
    });
    return false;
  }

  /** Writes the next piece; true when another one can follow at once. */
  #feedOn(feed: Feed): boolean {
    const socket = this.#socket;
    const piece = feed.read();
    if (piece === null) {
      feed.close();
      this.#feed = null;
      this.#startIdling();
      return this.#goOn();
    }
    // Who waits for events stands still, and may; who does not read them may not.
    if (piece === '' || socket.write(piece)) socket.setTimeout(0);
    else this.#startIdling();
    if (piece === '') return false;
    this.#clients.moved(this);
    return true;
  }

  #startIdling(): void {
    this.#socket.setTimeout(this.#idleTimeoutMs);
  }

  /** After an answer: true when there is another request to be answered at once. */
  #goOn(): boolean {
    const socket = this.#socket;
    this.#movedAt = monotonicMs();
    if (this.#waiting.length > 0) return !socket.writableNeedDrain;
    if (this.#isEnding) socket.end();
    socket.resume();
    return false;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Ends the connection once what was written is read, or after so many ms. */
  end(ms: number): void {
    const feed = this.#feed;
    // What is made while it is read is made now.
    if (feed !== null && !feed.isEndless) {
      for (let piece = feed.read(); piece; piece = feed.read()) this.#socket.write(piece);
    } else if (feed === null && this.#awaited === null) {
      while (this.answer());
    }
    this.#socket.destroySoon();
    setTimeout(() => this.#socket.destroy(), ms).unref();
  }
}
