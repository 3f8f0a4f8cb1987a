/**
 * How slow this machine is at the moment, so that a limit of CPU time means the same on every one.
 */

/** Steps of the computation, and what they took where the limits were set (ms, an EPYC of 2026). */
const STEPS = 4_000_000;
const REFERENCE_MS = 6.6;
const TRIES = 3;
const US_PER_MS = 1_000;

/** CPU time that a computation takes here for each of the reference's; 1 on a faster machine. */
export function slowness(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) {
    const before = process.cpuUsage();
    compute();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / US_PER_MS);
  }
  return Math.max(1, least / REFERENCE_MS);
}

function compute(): number {
  let value = 1;
  for (let i = 0; i < STEPS; i++) value = (Math.imul(value ^ (value >>> 15), 0x85ebca6b) + i) | 0;
  return value;
}
