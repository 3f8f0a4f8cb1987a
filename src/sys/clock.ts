/**
 * The machine's clocks and its randomness, as the Device's environment wants them. The Device
 * itself is told the time and never asks for it.
 */

import { performance } from 'node:perf_hooks';
import { adjtimex, clockGettime, ERRNO, errno, getrandom, Scratch, SystemError } from './libc.ts';
import { CLOCK_BOOTTIME, CLOCK_THREAD_CPUTIME_ID } from './linux.ts';

// struct timespec, in 32-bit words: seconds 0, nanoseconds 2.
const time = new Scratch(16);

/**
 * Milliseconds on a clock that never goes back and counts suspension of the machine, too, so that
 * sessions age as they do on the other side; its zero means nothing. Node's own clock and its timers
 * stand still meanwhile. Read it once per batch.
 */
export function monotonicMs(): number {
  clockGettime(CLOCK_BOOTTIME, time.address);
  return time.words[0] * 1_000 + time.words[2] / 1_000_000;
}

/**
 * Milliseconds that this thread has computed, or the kernel for it. On a machine that is busy with
 * other things this, and not the time that has passed, is what work costs. A system call (0.3 us).
 */
export function threadMs(): number {
  clockGettime(CLOCK_THREAD_CPUTIME_ID, time.address);
  return time.words[0] * 1_000 + time.words[2] / 1_000_000;
}

/**
 * Milliseconds that this thread's event loop has waited for something to do. On a busy machine what
 * is missing to the time that has passed is more than `threadMs`: it had to do, and could not.
 */
export function idleMs(): number {
  return performance.eventLoopUtilization().idle;
}

/** Milliseconds since 1970; may jump when the operator or NTP sets the clock. */
export function wallClockMs(): number {
  return Date.now();
}

// struct timex: modes 0, maxerror 24, status 40.
const TIMEX_BYTES = 208;
const STA_UNSYNC = 0x40;

/**
 * Whether somebody tells the kernel that he keeps the clock right, and by how much it is wrong at
 * most, in ms; null when the kernel does not say (adjtimex(2)).
 */
export function clockStatus(): { isSynchronized: boolean; errorMs: number } | null {
  const timex = new Scratch(TIMEX_BYTES);
  if (adjtimex(timex.address) < 0) return null;
  const errorUs = Number(timex.view.getBigInt64(24, true));
  const isSynchronized = (timex.view.getInt32(40, true) & STA_UNSYNC) === 0;
  return { isSynchronized, errorMs: Math.round(errorUs / 1_000) };
}

/** Session indices, nonces, jitter and keys are a few bytes each. */
const pool = new Scratch(4096);
let poolUsed = pool.bytes.length;

/**
 * Fills `out` with cryptographically secure random bytes: the kernel's, since loading Node's
 * cryptography for that would be a fair part of a daemon's start.
 */
export function random(out: Uint8Array): void {
  const { bytes } = pool;
  for (let i = 0; i < out.length; ) {
    if (poolUsed === bytes.length) fillPool();
    const count = Math.min(out.length - i, bytes.length - poolUsed);
    const end = poolUsed + count;
    for (let at = poolUsed; at < end; i++, at++) out[i] = bytes[at];
    // What was handed out is not kept: it may become a secret key.
    bytes.fill(0, poolUsed, end);
    poolUsed = end;
  }
}

function fillPool(): void {
  const { length } = pool.bytes;
  for (let filled = 0; filled < length; ) {
    const count = getrandom(pool.address + filled, length - filled, 0);
    // A signal may end it early, with what it has done so far or none of it (getrandom(2)).
    if (count >= 0) filled += count;
    else if (errno() !== ERRNO.EINTR) throw new SystemError('random bytes', 'getrandom', errno());
  }
  poolUsed = 0;
}
