/**
 * `tswg/daemon`: the daemon, for a program that runs one inside itself. Linux only: running it loads
 * koffi, which makes the system calls.
 */

import { isMainThread } from 'node:worker_threads';
import { platformMistake } from '../version.ts';
import type { DaemonOptions } from './options.ts';

export type { LogLevel, LogPriority } from '../log.ts';
export type { DaemonOptions } from './options.ts';

/**
 * Runs a daemon until `stop` is aborted, or until the interface or its control socket is deleted.
 * Resolves to 0, or to 1 after a bug of its own, which the log tells; all that it opened is closed
 * then. It needs root, or CAP_NET_ADMIN and a folder for its control socket.
 *
 * The process stays its owner's: no right is given up, no signal taken and no variable of the
 * environment read unless `sandbox`, `signals` and `environment` ask for it.
 *
 * @throws Error with one line for the operator when it cannot begin: the name is taken, a right is
 * missing, this is not Linux, or not the main thread
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const mistake = platformMistake(process.platform);
  if (mistake !== null) throw new Error(`tswg/daemon: ${mistake}`);
  if (!isMainThread) {
    throw new Error(
      "tswg/daemon: expected the main thread of a process: a worker cannot set the umask, by which the control socket is nobody else's",
    );
  }
  const { runDaemon: run } = await import('./life.ts');
  return run(options);
}
