/**
 * The wait of a daemon. Between packets the process blocks here, on the descriptors of the packet
 * path, and not in libuv: a packet that ends the wait then finds its reader at once, without the
 * code of event loop and binding that has gone cold in the meantime (measured: a sixth of an idle
 * ping's round trip, in which three such waits end).
 *
 * Node's own event loop loses nothing by it. Its descriptor is waited on along with ours, its
 * timers bound the wait, and whenever either has something the wait ends and libuv has its turn.
 * The wait happens in an immediate, thus never inside another callback.
 *
 * One trap remains the caller's: a promise settled, or a stream written to, in a callback of this
 * file waits for the end of the wait. Whoever needs them calls `drainSoon`.
 */

import koffi from 'koffi';
import { monotonicMs } from './clock.ts';
import { close, errno, eventfd, poll, read, Scratch, SystemError, write } from './libc.ts';
import { EFD_CLOEXEC, EFD_NONBLOCK, POLLERR, POLLHUP, POLLIN, POLLNVAL } from './linux.ts';
import { type Watch, watch } from './poller.ts';

export interface LoopOptions {
  /** When `onDeadline` is due: ms on monotonicMs' clock; asked before every wait. */
  readonly deadline: () => number;
  readonly onDeadline: () => void;
  /**
   * Called every millisecond of a pause: of the time after a descriptor was readable in which the
   * next packet of a call or a session would come. Whoever uses it keeps caches warm.
   */
  readonly onPause: () => void;
  /** Gets whatever a callback throws, at once; the loop goes on unless it is closed. */
  readonly onBug: (error: unknown) => void;
}

interface Source {
  readonly fd: number;
  readonly onReadable: () => void;
  /** How long it will rest after one more error that reading does not clear. */
  restMs: number;
  isResting: boolean;
}

/** A voice call has a packet every 20 ms. */
const PAUSE_MS = 25;
const PAUSE_STEP_MS = 1;

/** How long a descriptor rests after the second error in a row, doubled up to the most. */
const FIRST_REST_MS = 10;
const LONGEST_REST_MS = 1_000;

// struct pollfd
const POLLFD_BYTES = 8;
const EVENTS_OFFSET = 4;
const REVENTS_OFFSET = 6;
const MAX_SOURCES = 15;

export class Loop {
  readonly #options: LoopOptions;
  readonly #libuv = new Libuv();
  readonly #pollfds = new Scratch((MAX_SOURCES + 1) * POLLFD_BYTES);
  /** Replaced by every change, so that a round notices one. */
  #sources: readonly Source[] = [];
  readonly #doorbell: Doorbell;
  /** What libuv had handled when we left, and whether nothing else was due then. */
  #eventsSeen = 0;
  #isAlone = false;
  /** Until when we wait in small steps (ms). */
  #pauseEndsAt = 0;
  #isClosed = false;

  /** Starts at once: the first callbacks come in the next turn of Node's event loop. */
  constructor(options: LoopOptions) {
    this.#options = options;
    this.#change([]);
    this.#doorbell = new Doorbell(options.onBug);
    this.#leave();
  }

  /**
   * Calls `onReadable` as long as `fd`, which must be non-blocking, can be read or has an error.
   * Close the watch before the descriptor; inside a callback is fine.
   */
  watch(fd: number, onReadable: () => void): Watch {
    if (this.#sources.length === MAX_SOURCES) throw new Error(`loop: over ${MAX_SOURCES} watches`);
    const source = { fd, onReadable, restMs: 0, isResting: false };
    this.#change([...this.#sources, source]);
    return { close: () => this.#change(this.#sources.filter((other) => other !== source)) };
  }

  /** Nothing is called any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#change([]);
    this.#doorbell.close();
  }

  /** Lays out the pollfds; the last is libuv's. The kernel passes over negative descriptors. */
  #change(sources: readonly Source[]): void {
    this.#sources = sources;
    const { view } = this.#pollfds;
    const fds = sources.map(({ fd, isResting }) => (isResting ? -1 : fd));
    for (const [i, fd] of [...fds, this.#libuv.fd].entries()) {
      view.setInt32(i * POLLFD_BYTES, fd, true);
      view.setInt16(i * POLLFD_BYTES + EVENTS_OFFSET, POLLIN, true);
    }
  }

  /**
   * Lets libuv do what is due, and Node drain its queues; then we are back. The doorbell keeps
   * libuv from waiting, since our immediate does not: it is unreferenced, so that `timeoutMs` tells
   * of the others.
   */
  #leave(): void {
    this.#libuv.updateTime();
    this.#isAlone = this.#libuv.timeoutMs(monotonicMs()) > 0;
    this.#eventsSeen = this.#libuv.events();
    this.#doorbell.ring();
    setImmediate(this.#return).unref();
  }

  /**
   * What a callback begins to watch is registered with the kernel when libuv polls next. So we
   * wait only if nobody was called since it last did: no event but the doorbell's came then, and
   * no immediate stood before ours.
   */
  readonly #return = (): void => {
    if (this.#isClosed) return;
    if (this.#isAlone && this.#libuv.events() - this.#eventsSeen === 1) this.#wait();
    else this.#round(0);
    if (!this.#isClosed) this.#leave();
  };

  #wait(): void {
    this.#libuv.updateTime();
    while (!this.#isClosed) {
      const now = monotonicMs();
      const libuvMs = this.#libuv.timeoutMs(now);
      if (libuvMs <= 0) return;
      const pauseEndsAt = this.#pauseEndsAt;
      const isPause = now < pauseEndsAt;
      const longestMs = isPause ? PAUSE_STEP_MS : libuvMs;
      if (this.#round(Math.min(libuvMs, longestMs, this.#options.deadline() - now))) return;
      const wasInVain = this.#pauseEndsAt === pauseEndsAt;
      if (isPause && wasInVain && !this.#call(this.#options.onPause)) return;
    }
  }

  /** One poll and what it finds; `waitMs` may be infinite. True when libuv has to have its turn. */
  #round(waitMs: number): boolean {
    const sources = this.#sources;
    const timeout = waitMs > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : Math.max(0, Math.ceil(waitMs));
    const count = poll(this.#pollfds.address, sources.length + 1, timeout);
    let goesOn = true;
    let hasRead = false;
    if (count > 0) {
      goesOn = this.#foundAt(sources.length) === 0;
      for (let i = 0; i < sources.length; i++) {
        const found = this.#foundAt(i);
        if (found === 0) continue;
        hasRead = true;
        if (!this.#call(sources[i]!.onReadable)) goesOn = false;
        if (this.#sources !== sources) break;
        if ((found & POLLIN) !== 0) sources[i]!.restMs = 0;
        else if ((found & (POLLERR | POLLHUP | POLLNVAL)) !== 0) this.#rest(sources[i]!);
      }
    }
    const now = monotonicMs();
    if (hasRead) this.#pauseEndsAt = now + PAUSE_MS;
    if (this.#options.deadline() <= now && !this.#call(this.#options.onDeadline)) goesOn = false;
    return !goesOn;
  }

  /** The events of a pollfd. Only after a poll that found something: otherwise they are old. */
  #foundAt(index: number): number {
    return this.#pollfds.view.getInt16(index * POLLFD_BYTES + REVENTS_OFFSET, true);
  }

  /** False when it threw. */
  #call(callback: () => void): boolean {
    if (this.#isClosed) return true;
    try {
      callback();
      return true;
    } catch (error) {
      this.#options.onBug(error);
      return false;
    }
  }

  /**
   * Reading clears a single error, such as an ICMP message, so the first one costs no rest. While
   * it stays, the descriptor rests ever longer, so that the loop does not spin on it.
   */
  #rest(source: Source): void {
    const ms = source.restMs;
    source.restMs = Math.min(LONGEST_REST_MS, ms * 2 || FIRST_REST_MS);
    if (ms === 0) return;
    source.isResting = true;
    this.#change([...this.#sources]);
    setTimeout(() => {
      source.isResting = false;
      this.#change([...this.#sources]);
    }, ms).unref();
  }
}

/** poll(2) takes an int; a wait that ends early is followed by another. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

// uv_metrics_t
const METRICS_BYTES = 128;
const METRICS_EVENTS_OFFSET = 8;

/** An event descriptor that libuv watches: rung, it ends libuv's wait. */
class Doorbell {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #count = new Scratch(8);

  constructor(onBug: (error: unknown) => void) {
    this.#fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (this.#fd < 0) throw new SystemError('open the event loop', 'eventfd', errno());
    this.#watch = watch(this.#fd, () => void read(this.#fd, this.#count.address, 8), onBug);
  }

  ring(): void {
    this.#count.view.setBigUint64(0, 1n, true);
    write(this.#fd, this.#count.address, 8);
  }

  close(): void {
    this.#watch.close();
    close(this.#fd);
  }
}

/** The event loop of this thread, as its public C interface shows it (docs.libuv.org, uv_loop_t). */
class Libuv {
  /** Readable when a descriptor that libuv watches is ready. */
  readonly fd: number;
  readonly #loop: bigint;
  readonly #uvUpdateTime: (loop: bigint) => void;
  readonly #backendTimeout: (loop: bigint) => number;
  readonly #metricsInfo: (loop: bigint, metrics: number) => number;
  readonly #metrics = new Scratch(METRICS_BYTES);
  #updatedAt = 0;

  constructor() {
    const node = koffi.load(null);
    const out = new Scratch(8);
    const find = node.func('napi_get_uv_event_loop', 'int', ['uintptr_t', 'uintptr_t']);
    find(koffi.node.env, out.address);
    this.#loop = out.view.getBigUint64(0, true);
    this.fd = node.func('uv_backend_fd', 'int', ['uintptr_t'])(this.#loop);
    this.#uvUpdateTime = node.func('uv_update_time', 'void', ['uintptr_t']);
    this.#backendTimeout = node.func('uv_backend_timeout', 'int', ['uintptr_t']);
    this.#metricsInfo = node.func('uv_metrics_info', 'int', ['uintptr_t', 'uintptr_t']);
  }

  /** Brings libuv's notion of now up to date, against which `timeoutMs` reckons. */
  updateTime(): void {
    this.#uvUpdateTime(this.#loop);
    this.#updatedAt = monotonicMs();
  }

  /**
   * How long libuv itself would wait: not above 0 when a callback is due, infinite without one.
   * A timer that was set since `updateTime` may seem to be due early, never late.
   */
  timeoutMs(now: number): number {
    const ms = this.#backendTimeout(this.#loop);
    return ms < 0 ? Number.POSITIVE_INFINITY : ms - (now - this.#updatedAt);
  }

  /** How many events of descriptors libuv has handled, ever. */
  events(): number {
    this.#metricsInfo(this.#loop, this.#metrics.address);
    return this.#metrics.view.getUint32(METRICS_EVENTS_OFFSET, true);
  }
}
