/** How the JavaScript engine is set for a daemon, whose code is small and runs for years. */

import { setFlagsFromString } from 'node:v8';

/**
 * Compile at once what is called at all, and optimize it soon: a tunnel is idle most of the time,
 * and its first thousands of packets would otherwise run in the interpreter.
 */
const AT_ONCE = [
  ...['--always-sparkplug', '--no-lazy-feedback-allocation'],
  '--interrupt-budget=20000',
];

/**
 * Young objects have the megabyte that the engine begins with, for good: where it may grow to 16, what a
 * change of many peers leaves alive is moved in one go, and the loop stands still meanwhile (5 to 25 ms;
 * 1 to 3 with this), for the sake of a speed that no packet has anything of, since none allocates. As an
 * option of Node's own the engine would take this value for 2.
 */
const STILL = ['--semi-space-growth-factor=1'];

/**
 * Call before the packet path is used at length; what was compiled before gets there a little later. A
 * flag that this engine does not know is no error.
 */
export function setUpEngine(): void {
  for (const flag of [...AT_ONCE, ...STILL]) setFlagsFromString(flag);
}
