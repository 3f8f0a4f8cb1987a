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
 * file waits for the end of the wait. A callback that needs one calls `drainSoon`.
 */

import { monotonicMs } from './clock.ts';
import { isFaulty } from './errorqueue.ts';
import { Lag } from './lag.ts';
import { close, errno, eventfd, poll, read, Scratch, SystemError, write } from './libc.ts';
import { Libuv, MissingFunction } from './libuv.ts';
import { EFD_CLOEXEC, EFD_NONBLOCK, POLLIN, POLLOUT } from './linux.ts';
import { PlainLoop } from './plainloop.ts';
import { watch } from './poller.ts';
import type { ChangingWatch, Interest, Loop, LoopOptions, Watch } from './watch.ts';

export type { ChangingWatch, Loop, LoopOptions } from './watch.ts';

interface Source {
  readonly fd: number;
  interest: Interest;
  /** How long it will rest after one more error that nobody clears. */
  restMs: number;
  isResting: boolean;
}

/** A voice call has a packet every 20 ms. */
const PAUSE_MS = 25;
const PAUSE_STEP_MS = 1;

/** How long a descriptor rests at the second fault in a row, doubled up to the most. */
const FIRST_REST_MS = 10;
const LONGEST_REST_MS = 1_000;

// struct pollfd
const POLLFD_BYTES = 8;
const EVENTS_OFFSET = 4;
const REVENTS_OFFSET = 6;
const MAX_SOURCES = 15;

/**
 * Where Node.js lacks what our own wait takes, the loop is Node's own: every packet is somewhat
 * later, and `onPlain` gets a line for the log.
 */
export function openLoop(options: LoopOptions, onPlain: (line: string) => void): Loop {
  if (isTaken) {
    onPlain(
      "Packets wait in Node's own event loop: another loop of this program waits in its place",
    );
    return new PlainLoop(options);
  }
  try {
    return new BlockingLoop(options, new Libuv());
  } catch (error) {
    if (!(error instanceof MissingFunction)) throw error;
    onPlain(`Packets wait in Node's own event loop: ${error.message}`);
    return new PlainLoop(options);
  }
}

/** Whether a loop waits in libuv's place: two would keep each other from waiting at all. */
let isTaken = false;

class BlockingLoop implements Loop {
  readonly #options: LoopOptions;
  readonly #libuv: Libuv;
  readonly #pollfds = new Scratch((MAX_SOURCES + 1) * POLLFD_BYTES);
  /** Replaced by every change, so that a round notices one. */
  #sources: readonly Source[] = [];
  readonly #doorbell: Doorbell;
  /** What libuv had handled when we left, and whether nothing else was due then. */
  #eventsSeen = 0;
  #isAlone = false;
  readonly #lag = new Lag(monotonicMs());
  /** When we left the descriptors, and could have come back to them (ms). */
  #backBy = 0;
  /** Until when we wait in small steps (ms). */
  #pauseEndsAt = 0;
  #isClosed = false;

  /** Starts at once: the first callbacks come in the next turn of Node's event loop. */
  constructor(options: LoopOptions, libuv: Libuv) {
    this.#options = options;
    this.#libuv = libuv;
    this.#layOut([]);
    this.#doorbell = new Doorbell(options.onBug);
    isTaken = true;
    this.#leave();
  }

  watch(fd: number, interest: Interest): ChangingWatch {
    if (this.#sources.length === MAX_SOURCES) throw new Error(`loop: over ${MAX_SOURCES} watches`);
    const source = { fd, interest, restMs: 0, isResting: false };
    this.#layOut([...this.#sources, source]);
    return {
      close: () => this.#layOut(this.#sources.filter((other) => other !== source)),
      change: (next) => {
        source.interest = next;
        this.#putSource(source);
      },
    };
  }

  lagMs(now: number): number {
    return this.#lag.longestMs(now);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    isTaken = false;
    this.#layOut([]);
    this.#doorbell.close();
  }

  /** Lays out the pollfds; the last is libuv's. */
  #layOut(sources: readonly Source[]): void {
    this.#sources = sources;
    for (const source of sources) this.#putSource(source);
    this.#putPollfd(sources.length, this.#libuv.fd, POLLIN);
  }

  /** The kernel skips negative descriptors, and reports errors of all others unasked. */
  #putSource(source: Source): void {
    const index = this.#sources.indexOf(source);
    if (index < 0) return;
    const { fd, interest, isResting } = source;
    const events =
      (interest.readable === undefined ? 0 : POLLIN) |
      (interest.writable === undefined ? 0 : POLLOUT);
    this.#putPollfd(index, isResting || events === 0 ? -1 : fd, events);
  }

  #putPollfd(index: number, fd: number, events: number): void {
    const { view } = this.#pollfds;
    view.setInt32(index * POLLFD_BYTES, fd, true);
    view.setInt16(index * POLLFD_BYTES + EVENTS_OFFSET, events, true);
  }

  /**
   * Lets libuv do what is due, and Node drain its queues; then we are back. The doorbell keeps
   * libuv from waiting, since our immediate does not: it is unreferenced, so that `timeoutMs` tells
   * of the others.
   */
  #leave(): void {
    this.#libuv.updateTime();
    this.#backBy = monotonicMs();
    this.#isAlone = this.#libuv.timeoutMs(this.#backBy) > 0;
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
    else this.#round(0, this.#backBy);
    if (!this.#isClosed) this.#leave();
  };

  #wait(): void {
    this.#libuv.updateTime();
    while (!this.#isClosed) {
      const now = monotonicMs();
      this.#lag.add(now - this.#backBy, now);
      const libuvMs = this.#libuv.timeoutMs(now);
      if (libuvMs <= 0) return;
      const { onPause } = this.#options;
      const pauseEndsAt = this.#pauseEndsAt;
      const isPause = onPause !== undefined && now < pauseEndsAt;
      const longestMs = isPause ? PAUSE_STEP_MS : libuvMs;
      if (this.#round(Math.min(libuvMs, longestMs, this.#options.deadline() - now), now)) return;
      const wasInVain = this.#pauseEndsAt === pauseEndsAt;
      if (isPause && wasInVain && !this.#call(onPause)) return;
    }
  }

  /**
   * One poll and what it finds; `waitMs` may be infinite, `start` is when it could have begun. True
   * when libuv has to have its turn.
   */
  #round(waitMs: number, start: number): boolean {
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
        const source = sources[i];
        if (!this.#serve(source, found)) goesOn = false;
        if (this.#sources !== sources) break;
        if ((found & (POLLIN | POLLOUT)) !== 0) source.restMs = 0;
        else this.#settle(source);
      }
    }
    const now = monotonicMs();
    this.#lag.add(now - start - timeout, now);
    this.#backBy = now;
    if (hasRead) this.#pauseEndsAt = now + PAUSE_MS;
    if (this.#options.deadline() <= now && !this.#call(this.#options.onDeadline)) goesOn = false;
    return !goesOn;
  }

  /** Calls those whom the events concern; an error concerns both. False when one of them threw. */
  #serve(source: Source, found: number): boolean {
    const sources = this.#sources;
    const isError = (found & (POLLIN | POLLOUT)) === 0;
    let isFine = true;
    const { readable } = source.interest;
    if (readable !== undefined && (isError || (found & POLLIN) !== 0))
      isFine = this.#call(readable);
    // The reader may have closed the watch, or changed it.
    const { writable } = source.interest;
    if (writable === undefined || this.#sources !== sources) return isFine;
    if (isError || (found & POLLOUT) !== 0) return this.#call(writable) && isFine;
    return isFine;
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
   * After an error without data. One that was cleared, or lay in the error queue, is past; the first
   * fault costs no rest, since it may be another error that came meanwhile. While faults follow each
   * other, the descriptor rests ever longer, so that the loop does not spin on it.
   */
  #settle(source: Source): void {
    const ms = source.restMs;
    source.restMs = isFaulty(source.fd) ? Math.min(LONGEST_REST_MS, ms * 2 || FIRST_REST_MS) : 0;
    if (source.restMs === 0 || ms === 0) return;
    source.isResting = true;
    this.#putSource(source);
    setTimeout(() => {
      source.isResting = false;
      this.#putSource(source);
    }, ms).unref();
  }
}

/** poll(2) takes an int; a wait that ends early is followed by another. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

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
