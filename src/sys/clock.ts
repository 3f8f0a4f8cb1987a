/**
 * The machine's clocks and its randomness, as the Device's environment wants them. The Device
 * itself is told the time and never asks for it.
 */

import { randomFillSync } from 'node:crypto';
import { clockGettime, Scratch } from './libc.ts';
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

/** Milliseconds since 1970; may jump when the operator or NTP sets the clock. */
export function wallClockMs(): number {
  return Date.now();
}

/** Requests up to this size are served from the pool: session indices, nonces, jitter. */
const POOLED_BYTES = 64;
const pool = new Uint8Array(4096);
let poolUsed = pool.length;

/** Fills `out` with cryptographically secure random bytes. */
export function random(out: Uint8Array): void {
  if (out.length > POOLED_BYTES) {
    randomFillSync(out);
    return;
  }
  if (poolUsed + out.length > pool.length) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  const end = poolUsed + out.length;
  for (let i = 0, at = poolUsed; at < end; i++, at++) out[i] = pool[at];
  // What was handed out is not kept: it may become a secret key.
  pool.fill(0, poolUsed, end);
  poolUsed = end;
}
