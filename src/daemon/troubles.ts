/**
 * What is wrong with a daemon beside its Device, as codes with values; the words are
 * cli/troubles.ts'. `call` and `error` are the names of a system call and of its error (errno(3)).
 */

import type { NearFault } from '../device/lead.ts';
import type { DeviceTrouble } from '../device/troubles.ts';
import type { SandboxGap } from '../sandbox/gap.ts';
import type { StateTrouble } from '../state/statekeeper.ts';

export type DaemonTrouble =
  /** The interface is up, but there is no UDP socket. `why`: one line of plain words. */
  | {
      readonly code: 'noSocket';
      readonly why: string;
      readonly call: string;
      readonly error: string;
    }
  /** `wgbind` is not there, or cannot be used: `near`, as it was said. */
  | { readonly code: 'bindGone'; readonly near: string; readonly why: NearFault }
  /**
   * Answers come over this interface, and the kernel drops them, since its route to their sender leads
   * over another one (rp_filter 1).
   */
  | { readonly code: 'strictFilter'; readonly interface: string }
  /** The helper that starts successors, and cleans up at the end, has ended. */
  | { readonly code: 'starterLost' }
  /**
   * Keys may be swapped out: all of them, since the system refused to lock memory (`error`), or
   * `keys` beyond what the locked memory holds (`error` is empty).
   */
  | { readonly code: 'keysSwappable'; readonly error: string; readonly keys: number }
  | StateTrouble
  | SandboxGap;

/** All that may be wrong with what a daemon's `stats` tells of before the peers. */
export type AnyDeviceTrouble = DeviceTrouble | DaemonTrouble;
