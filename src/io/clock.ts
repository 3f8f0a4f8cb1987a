/**
 * The machine's clocks and its randomness, as the Device's environment wants them. Everything
 * behind this file is told the time and never asks for it.
 */

import { randomFillSync } from 'node:crypto';

/** Milliseconds on a clock that never goes back; its zero means nothing. Read it once per batch. */
export function monotonicMs(): number {
  return performance.now();
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
  for (let i = 0, at = poolUsed; at < end; i++, at++) out[i] = pool[at]!;
  // What was handed out is not kept: it may become a secret key.
  pool.fill(0, poolUsed, end);
  poolUsed = end;
}
