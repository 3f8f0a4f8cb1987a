/**
 * Tells when a descriptor can be read, through Node's own event loop. It hides three traps of the
 * binding underneath: a poll handle that nothing references is collected as garbage and polling
 * stops without a word; an exception thrown in its callback is reported late and stalls the loop;
 * and libuv stops a handle at the first POLLERR.
 *
 * Callbacks run outside Node's own machinery: promises settled and `process.nextTick`s queued in
 * them wait for the next ordinary callback. A program that needs them at once calls `setImmediate`.
 */

import koffi, { type node } from 'koffi';

export interface Watch {
  /** Stops watching; safe to call twice, and inside the callback. The descriptor stays open. */
  close(): void;
}

/**
 * After so many reports of an error in a row nobody has mended it: the descriptor is given up,
 * lest the loop spin on it.
 */
const MAX_ERRORS_IN_A_ROW = 16;

/** What keeps the handles alive. */
const watches = new Set<FdWatch>();

class FdWatch implements Watch {
  readonly #fd: number;
  readonly #onReadable: () => void;
  readonly #onBug: (error: unknown) => void;
  readonly #handle: node.PollHandle;
  #errors = 0;
  #isClosed = false;

  constructor(fd: number, onReadable: () => void, onBug: (error: unknown) => void) {
    this.#fd = fd;
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
      if (typeof status !== 'number' || status >= 0) this.#errors = 0;
      else if (!this.#isClosed) this.#resume(status);
    } catch (error) {
      report(this.#onBug, error);
    }
  };

  #resume(status: number): void {
    this.#errors++;
    if (this.#errors < MAX_ERRORS_IN_A_ROW) {
      this.#handle.start(this.#polled as () => void);
      return;
    }
    this.close();
    throw new Error(`poll: descriptor ${this.#fd} keeps reporting an error (${status})`);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    watches.delete(this);
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

/** Hands over an exception where throwing would be lost, and makes sure that it surfaces. */
function report(onBug: (error: unknown) => void, error: unknown): void {
  try {
    onBug(error);
  } catch (another) {
    setImmediate(() => {
      throw another;
    });
  }
}
