/**
 * Tells when a descriptor can be read, through Node's own event loop. It hides the traps of the
 * binding underneath: a poll handle that nothing references is collected as garbage and polling
 * stops without a word; an exception thrown in its callback is reported late and stalls the loop;
 * and libuv stops a handle at the first POLLERR.
 *
 * One trap remains the caller's: callbacks run outside Node's own machinery, so that promises
 * settled in them wait for the next ordinary callback. Whoever needs them calls `drainSoon`.
 */

import koffi, { type node } from 'koffi';

export interface Watch {
  /** Stops watching; safe to call twice, and inside the callback. The descriptor stays open. */
  close(): void;
}

/** How long polling rests after the second error in a row, doubled with each one up to the most. */
const FIRST_REST_MS = 10;
const LONGEST_REST_MS = 1000;

/** What keeps the handles alive. */
const watches = new Set<FdWatch>();

class FdWatch implements Watch {
  readonly #onReadable: () => void;
  readonly #onBug: (error: unknown) => void;
  readonly #handle: node.PollHandle;
  #restMs = 0;
  #resting: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(fd: number, onReadable: () => void, onBug: (error: unknown) => void) {
    this.#onReadable = onReadable;
    this.#onBug = onBug;
    this.#handle = koffi.node.poll(fd, this.#polled);
    if (this.#handle === null) throw new Error(`poll: descriptor ${fd} cannot be watched`);
    watches.add(this);
  }

  /** libuv's status (0 or a negative error), then its events; the binding's types lack the first. */
  readonly #polled = (status: unknown): void => {
    if (this.#isClosed) return;
    try {
      // An error is the reader's to find and to clear: its next system call returns it.
      this.#onReadable();
    } catch (error) {
      report(this.#onBug, error);
    }
    if (typeof status === 'number' && status < 0) this.#rest();
    else this.#restMs = 0;
  };

  /**
   * libuv has stopped the handle. It goes on at once after a single error, such as an ICMP
   * message, and ever later while the error stays, so that the loop does not spin on it.
   */
  #rest(): void {
    if (this.#isClosed) return;
    this.#resting = setTimeout(() => {
      if (!this.#isClosed) this.#handle.start(this.#polled as () => void);
    }, this.#restMs);
    this.#restMs = Math.min(LONGEST_REST_MS, this.#restMs * 2 || FIRST_REST_MS);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    watches.delete(this);
    clearTimeout(this.#resting);
    this.#handle.close();
  }
}

/**
 * Calls `onReadable` in every turn of the event loop in which `fd` can be read or has an error,
 * until the watch is closed. Close it before closing the descriptor. Makes `fd` non-blocking.
 *
 * @param onBug gets whatever `onReadable` throws, at once; the watch goes on unless it is closed
 */
export function watch(fd: number, onReadable: () => void, onBug: (error: unknown) => void): Watch {
  return new FdWatch(fd, onReadable, onBug);
}

/** Call in a watch's callback after settling a promise, so that whoever awaits it goes on. */
export function drainSoon(): void {
  setImmediate(() => {});
}

/** Hands over an exception where throwing would be lost, and makes sure that it surfaces. */
function report(onBug: (error: unknown) => void, error: unknown): void {
  try {
    onBug(error);
    drainSoon();
  } catch (another) {
    setImmediate(() => {
      throw another;
    });
  }
}
