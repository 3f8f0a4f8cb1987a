/** What a daemon is told by whoever starts it: a command line, or a program. */

import type { Remains } from '../handover/starter.ts';
import type { Predecessor } from '../handover/succession.ts';
import type { Successor } from '../handover/upgrade.ts';
import type { Held } from '../host/launch.ts';
import type { LogLevel, LogPriority } from '../log.ts';

export interface DaemonOptions {
  /** The interface's name. */
  readonly name: string;
  readonly logLevel: LogLevel;
  /** A TUN descriptor that is open already (WG_TUN_FD). */
  readonly tunFd?: number;
  /** A listening UNIX socket that is open already (WG_UAPI_FD). */
  readonly uapiFd?: number;
  /**
   * The daemon is persistent: the interface outlives it, and this is the folder with the state that
   * its successor restores.
   */
  readonly stateDirectory?: string;
  /** The daemon that we are to follow, while it runs. */
  readonly predecessor?: Predecessor;
  /** What its starter holds for us; without it, it was of a version that holds nothing. */
  readonly held?: Held;
  /** How our own successor is started; without it there is no upgrade in place. */
  readonly successor?: Successor;
  /** Takes the log's lines, without newlines. */
  readonly writeLog: (line: string, priority: LogPriority) => void;
  /** Where the starter writes the last one, if the daemon cannot; see Remains. */
  readonly lastLog?: Remains['log'];
  /** Descriptors of UNIX datagram sockets that are connected by the time when we confine ourselves. */
  readonly connected?: () => readonly number[];
  /** Called when `wg` can be used. */
  readonly onReady: () => void;
  /** Called when its end begins, before anything is closed. */
  readonly onStopping?: () => void;
  /** Called instead of that when another process goes on in its place. */
  readonly onSucceeded?: (pid: number) => void;
}
