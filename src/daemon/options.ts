/**
 * What a daemon is told by what runs it: a program that embeds one, or tswgd, which is nothing
 * else.
 */

import type { Takeover } from '../handover/handover.ts';
import type { Remains } from '../handover/starter.ts';
import type { Held } from '../host/launch.ts';
import type { LogLevel, LogPriority } from '../log.ts';
import type { Successor } from './upgrade.ts';

export interface DaemonOptions {
  /** The interface's name. */
  readonly name: string;
  readonly logLevel: LogLevel;
  /** Takes the log's lines, without newlines. */
  readonly writeLog: (line: string, priority: LogPriority) => void;
  /** Called when `wg` can be used. */
  readonly onReady: () => void;
  /** Called when its end begins, before anything is closed. */
  readonly onStopping?: () => void;
  /** Ends the daemon as SIGTERM ends tswgd: the interface goes, unless the daemon is persistent. */
  readonly stop?: AbortSignal;
  /**
   * The daemon is persistent: the interface outlives it, and this is the folder with the state that
   * its successor restores.
   */
  readonly stateDirectory?: string;
  /** A TUN descriptor that is open already (WG_TUN_FD). */
  readonly tunFd?: number;
  /** A listening UNIX socket that is open already (WG_UAPI_FD). */
  readonly uapiFd?: number;
  /**
   * The variables TSWG_CRYPTO, TSWG_NO_OFFLOAD, TSWG_WARM, TSWG_USER and TSWG_SANDBOX, which
   * `tswgd --help` explains. None of them by default: the process's own environment is never read.
   */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /**
   * Once all is open, takes from the whole process for life what a daemon does not need: root and
   * almost all capabilities, debuggers and core files, opening files, starting programs, and most
   * system calls. Off by default: it is for a process that is nothing but this daemon.
   */
  readonly sandbox?: boolean;
  /**
   * Takes the process's signals: SIGTERM and SIGINT end the daemon; SIGUSR2 upgrades one that has a
   * successor, as tswgd, and does nothing in a program; and its uncaught exceptions, which count as
   * bugs of the daemon and end it. Off by default: those of a process that does more are its own
   * affair, and `stop` ends the daemon.
   */
  readonly signals?: boolean;
}

/** What only a program can be told that starts its own successor and confines itself. */
export interface ProgramOptions extends DaemonOptions {
  /** Our end of the handover from the daemon that we are to follow. */
  readonly takeover?: Takeover;
  /** What its starter holds for us; without it, it was of a version that holds nothing. */
  readonly held?: Held;
  /** How our own successor is started; without it there is no upgrade in place. */
  readonly successor?: Successor;
  /** Where the starter writes the last one, if the daemon cannot; see Remains. */
  readonly lastLog?: Remains['log'];
  /** Descriptors of UNIX datagram sockets that are connected by the time when we confine ourselves. */
  readonly connected?: () => readonly number[];
  /** Called before the packet path is used at length, to be rehearsed or not. */
  readonly onRehearsal?: () => void;
  /** Called while files can still be opened, for the last time. */
  readonly onConfining?: () => void;
  /** Called instead of `onStopping` when another process continues in its place. */
  readonly onSucceeded?: (pid: number) => void;
}
