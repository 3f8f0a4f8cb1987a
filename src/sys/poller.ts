/**
 * Tells when a descriptor is ready, through Node's own event loop. It hides the traps of the
 * binding underneath: a poll handle that nothing references is collected as garbage and polling
 * stops without a word; an exception thrown in its callback is reported late and stalls the loop;
 * and libuv stops a handle at the first POLLERR.
 *
 * One trap remains the caller's: callbacks run outside Node's own machinery, so that promises
 * settled in them wait for the next ordinary callback. A callback that needs one calls `drainSoon`.
 */

import { isFaulty } from './errorqueue.ts';
import { koffi, type node } from './koffi.ts';
import type { ChangingWatch, Interest, Watch } from './watch.ts';

export type { Watch } from './watch.ts';

/** How long polling rests after the second fault in a row, doubled with each one up to the most. */
const FIRST_REST_MS = 10;
const LONGEST_REST_MS = 1000;

/** What keeps the handles alive. */
const watches = new Set<FdWatch>();

class FdWatch implements ChangingWatch {
  readonly #fd: number;
  readonly #onBug: (error: unknown) => void;
  readonly #handle: node.PollHandle;
  #interest: Interest;
  #restMs = 0;
  #resting: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(fd: number, interest: Interest, onBug: (error: unknown) => void) {
    this.#fd = fd;
    this.#interest = interest;
    this.#onBug = onBug;
    this.#handle = koffi.node.poll(fd, optionsOf(interest), this.#polled as () => void);
    if (this.#handle === null) throw new Error(`poll: descriptor ${fd} cannot be watched`);
    watches.add(this);
  }

  change(interest: Interest): void {
    if (this.#isClosed) return;
    this.#interest = interest;
    // One that rests begins with it.
    if (this.#resting === undefined) this.#start();
  }

  /** Without anything to wait for libuv stops the handle. */
  #start(): void {
    this.#handle.start(optionsOf(this.#interest), this.#polled as () => void);
  }

  /** libuv's status (0 or a negative error), then its events; the binding's types lack the first. */
  readonly #polled = (status: number, events: node.PollEvents): void => {
    if (this.#isClosed) return;
    const isError = status < 0;
    // An error is the reader's to find and to clear: its next system call returns it.
    if (isError || events.readable) this.#call('readable');
    if (isError || events.writable) this.#call('writable');
    if (isError) this.#restart();
    else this.#restMs = 0;
  };

  #call(event: keyof Interest): void {
    // The one before may have closed the watch, or changed it.
    if (this.#isClosed) return;
    try {
      this.#interest[event]?.();
    } catch (error) {
      report(this.#onBug, error);
    }
  }

  /**
   * libuv has stopped the handle. It starts again at once after an error that was cleared, or lay in
   * an error queue, and ever later while faults follow each other, so that the loop does not spin.
   */
  #restart(): void {
    if (this.#isClosed) return;
    // A callback that changed the watch has started it.
    this.#handle.stop();
    const ms = this.#restMs;
    this.#restMs = isFaulty(this.#fd) ? Math.min(LONGEST_REST_MS, ms * 2 || FIRST_REST_MS) : 0;
    this.#resting = setTimeout(
      () => {
        this.#resting = undefined;
        if (!this.#isClosed) this.#start();
      },
      this.#restMs === 0 ? 0 : ms,
    );
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
 * @param onBug gets whatever `onReadable` throws, at once; the watch continues unless it is closed
 */
export function watch(fd: number, onReadable: () => void, onBug: (error: unknown) => void): Watch {
  return new FdWatch(fd, { readable: onReadable }, onBug);
}

/** The same for what is named in `interest`, which can be changed. */
export function watchFor(
  fd: number,
  interest: Interest,
  onBug: (error: unknown) => void,
): ChangingWatch {
  return new FdWatch(fd, interest, onBug);
}

function optionsOf({ readable, writable }: Interest): node.PollOptions {
  return { readable: readable !== undefined, writable: writable !== undefined };
}

/** Call in a watch's callback after settling a promise, so that what awaits it continues. */
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
