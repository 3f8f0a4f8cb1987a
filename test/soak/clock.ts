/** The one clock of a soak. */

const MS_PER_S = 1_000;
const NS_PER_MS = 1_000_000;

/**
 * Milliseconds on the machine's own clock, which never goes back and which all programs share: what
 * one of them writes down about a moment means the same to the others.
 */
export function machineMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * MS_PER_S + nanoseconds / NS_PER_MS;
}
