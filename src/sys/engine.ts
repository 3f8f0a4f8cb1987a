/** How the JavaScript engine is set for a daemon, whose code is small and runs for years. */

import { setFlagsFromString } from 'node:v8';

/**
 * Compile at once what is called at all, and optimize it soon: a tunnel is idle most of the time,
 * and its first thousands of packets would otherwise run in the interpreter.
 */
const FLAGS = ['--always-sparkplug', '--no-lazy-feedback-allocation', '--interrupt-budget=20000'];

/**
 * Call before the packet path is used at length; what was compiled before gets there a little later. A
 * flag that this engine does not know is no error.
 */
export function setUpEngine(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
