/**
 * Tells when the machine was suspended. The kernel's timers stand still meanwhile, those of poll(2)
 * and Node's too, so that a wait for a deadline would take as long as before: the telling itself
 * ends the wait, and what is due is found by a clock that counts suspension, too (sys/clock.ts).
 */

import { monotonicMs } from '../sys/clock.ts';
import {
  close,
  errno,
  read,
  Scratch,
  SystemError,
  timerfdCreate,
  timerfdSettime,
} from '../sys/libc.ts';
import {
  CLOCK_REALTIME,
  TFD_CLOEXEC,
  TFD_NONBLOCK,
  TFD_TIMER_ABSTIME,
  TFD_TIMER_CANCEL_ON_SET,
} from '../sys/linux.ts';
import { watch } from '../sys/poller.ts';
import type { Monitor } from '../tun/linkmonitor.ts';

/** What the two clocks may seem to be apart because they are not read at once. */
const TOLD_SUSPENSION_MS = 500;
/** The timer's own time, in seconds since 1970: never, it is there to be cancelled. */
const NEVER_WORDS = [-1, 1] as const;

// struct itimerspec, in 32-bit words: interval 0, seconds of the first expiry 4; and what is read.
const ITIMERSPEC_SECONDS = 4;
const scratch = new Scratch(32);

/**
 * Gives one line for the log after every suspension, and how long that was, on its own turn of Node's
 * event loop.
 *
 * @param onBug gets whatever `onNote` throws
 * @throws {SystemError} when the kernel has no descriptor for it
 */
export function watchSuspension(
  onNote: (note: string, ms: number) => void,
  onBug: (error: unknown) => void,
): Monitor {
  const fd = openTimer();
  let suspendedBefore = suspendedMs();
  const onClockSet = (): void => {
    // ECANCELED: that the clock was set is all there is to read.
    read(fd, scratch.address, 8);
    const suspended = suspendedMs();
    const ms = suspended - suspendedBefore;
    suspendedBefore = suspended;
    if (ms < TOLD_SUSPENSION_MS) return;
    onNote(
      `Resumed after ${Math.round(ms / 1_000)} s of suspension: sessions that expired in it are renewed when there is something to send`,
      Math.round(ms),
    );
  };
  const timer = watch(fd, onClockSet, onBug);
  return {
    close: () => {
      timer.close();
      close(fd);
    },
  };
}

/** How long the machine has been suspended, in all and but for a constant. */
function suspendedMs(): number {
  // `performance` would be loaded for this alone.
  const [seconds, nanoseconds] = process.hrtime();
  return monotonicMs() - (seconds * 1_000 + nanoseconds / 1_000_000);
}

/**
 * A timer that becomes readable when the wall clock is set, and coming back from a suspension sets
 * it (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
 */
function openTimer(): number {
  const fd = timerfdCreate(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) throw new SystemError('watch for suspensions', 'timerfd_create', errno());
  scratch.words.fill(0);
  scratch.words.set(NEVER_WORDS, ITIMERSPEC_SECONDS);
  const flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
  if (timerfdSettime(fd, flags, scratch.address, 0) === 0) return fd;
  const error = errno();
  close(fd);
  throw new SystemError('watch for suspensions', 'timerfd_settime', error);
}
