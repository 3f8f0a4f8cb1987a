/**
 * What is wrong with a daemon beside its Device, as codes with values; the words are
 * cli/troubles.ts'. `call` and `error` are the names of a system call and of its error (errno(3)).
 */

import type { DeviceTrouble } from '../device/troubles.ts';
import type { SandboxGap } from '../sandbox/gap.ts';

export type DaemonTrouble =
  /** The interface is up, but there is no UDP socket. `why`: one line of plain words. */
  | { readonly code: 'noSocket'; readonly why: string }
  /** The helper that starts successors, and cleans up at the end, has ended. */
  | { readonly code: 'starterLost' }
  /**
   * The state for a restart is not saved. `why`: one line of plain words. `isRetried`: it will be
   * tried again; without that, by the next daemon only.
   */
  | { readonly code: 'stateUnsaved'; readonly why: string; readonly isRetried: boolean }
  | SandboxGap;

/** All that may be wrong with what a daemon's `stats` tells of before the peers. */
export type AnyDeviceTrouble = DeviceTrouble | DaemonTrouble;
