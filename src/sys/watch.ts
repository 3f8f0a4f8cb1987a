/**
 * What may be asked of an event loop: to be called when a descriptor is ready, when a deadline is
 * due, and when nothing is. Types only; loop.ts and plainloop.ts keep the promise.
 */

export interface Watch {
  /** Stops watching; safe to call twice, and inside the callback. The descriptor stays open. */
  close(): void;
}

/** What a descriptor is watched for; what is not named is not waited for. */
export interface Interest {
  /**
   * Called as long as the descriptor can be read, or has an error, which is the reader's to find and
   * to clear: its next system call returns it. A reader that wants the error queue (IP_RECVERR)
   * empties it here: what is left in it is thrown away, since with it poll(2) would never wait.
   */
  readonly readable?: () => void;
  /** Called as long as it can be written to, or has an error. */
  readonly writable?: () => void;
}

export interface ChangingWatch extends Watch {
  /** Watches for this from now on; fine inside a callback. Without anything, not even for errors. */
  change(interest: Interest): void;
}

export interface LoopOptions {
  /** When `onDeadline` is due: ms on monotonicMs' clock; asked before every wait. */
  readonly deadline: () => number;
  readonly onDeadline: () => void;
  /**
   * Called every millisecond for 25 ms after the last packet, while the next one of a call is
   * likely: it is for what keeps caches warm. Without it a pause is a wait as any other.
   */
  readonly onPause?: (() => void) | undefined;
  /** Gets whatever a callback throws, at once; the loop continues unless it is closed. */
  readonly onBug: (error: unknown) => void;
}

export interface Loop {
  /** `fd` must be non-blocking. Close the watch before the descriptor; inside a callback is fine. */
  watch(fd: number, interest: Interest): ChangingWatch;
  /**
   * By how long, at the most, the loop has come back to its descriptors later than it could have, in
   * the past one to two minutes: whatever was called took so long, or the process was kept from
   * running. Exact to a millisecond. `now`: ms on monotonicMs' clock.
   */
  lagMs(now: number): number;
  /** Nothing is called any more. */
  close(): void;
}
