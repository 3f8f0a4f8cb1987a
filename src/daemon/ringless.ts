/**
 * A daemon's engine without an io_uring: where it has begun with one, the program executes itself, and
 * is refused it then. What is wrong with a ring is sandbox/ring.ts'.
 */

import { inheritedDescriptors } from '../host/launch.ts';
import { hasIoUring, refuseRings } from '../sandbox/ring.ts';
import type { Environment } from '../sys/environment.ts';
import { execute } from '../sys/execution.ts';
import { fcntl } from '../sys/libc.ts';
import { F_SETFD } from '../sys/linux.ts';

/** Of the program that has executed itself, so that it does so once. */
const RINGLESS_VARIABLE = 'TSWG_RINGLESS';
const STANDARD_FDS = [0, 1, 2];

/**
 * Call before anything is opened, and before `env` is read for descriptors. Returns in a process that
 * has no ring, or cannot be rid of it, which the sandbox then says.
 */
export function leaveRing(env: Record<string, string | undefined>): void {
  const isSecond = env[RINGLESS_VARIABLE] !== undefined;
  delete env[RINGLESS_VARIABLE];
  if (isSecond || !hasIoUring() || refuseRings() !== 0) return;
  // Node has them all closed on exec.
  for (const fd of [...STANDARD_FDS, ...inheritedDescriptors(env)]) fcntl(fd, F_SETFD, 0);
  const again: Environment = { ...env, [RINGLESS_VARIABLE]: '1' };
  execute([process.execPath, ...process.execArgv, ...process.argv.slice(1)], again);
}
