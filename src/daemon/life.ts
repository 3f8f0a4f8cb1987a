/**
 * A daemon's life from its start to its end: which step follows which, for one that begins and for
 * one that takes over from another. What each step does is daemon.ts'.
 */

import { Daemon } from './daemon.ts';
import type { ProgramOptions } from './options.ts';

/**
 * Runs until it is stopped (see `stop` and `signals`), or until the interface or the control socket
 * is deleted, or until its successor has taken over. Resolves to the exit code: 0, or 1 after a bug
 * of our own. Whatever was opened is closed by then.
 *
 * @throws {SystemError} or Error with one line for the operator when it cannot begin
 */
export async function runDaemon(options: ProgramOptions): Promise<number> {
  let daemon: Daemon | undefined;
  try {
    daemon = new Daemon(options);
    if (options.takeover === undefined) await begin(daemon, options);
    else await takeOver(daemon, options);
    const code = await daemon.ending.finished;
    if (!daemon.ending.isSucceeded) options.onStopping?.();
    return code;
  } catch (error) {
    options.takeover?.fail((error as Error).message);
    throw error;
  } finally {
    await daemon?.close();
  }
}

async function begin(daemon: Daemon, { onReady }: ProgramOptions): Promise<void> {
  await daemon.open();
  onReady();
  daemon.prepareUpgrade();
  void daemon.rehearse();
  daemon.confine();
}

/**
 * All that takes time comes before the one moment in which no packet moves; and all that takes a
 * right before anything is taken of the predecessor's, who may be in other hands.
 */
async function takeOver(daemon: Daemon, { onReady }: ProgramOptions): Promise<void> {
  daemon.prepareTakingOver();
  daemon.prepareUpgrade();
  await daemon.rehearse();
  daemon.confine();
  daemon.configureAhead();
  await daemon.open();
  onReady();
}
