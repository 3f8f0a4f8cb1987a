/**
 * The kernel's message buffer, where a daemon in the background can still be heard (`dmesg`,
 * journalctl -k), as OpenBSD's wg(4) is when `debug` is set.
 */

import { openSync, writeSync } from 'node:fs';

/** Facility daemon, severities of syslog(3). */
const PRIORITIES = { error: '<27>', debug: '<31>' } as const;

export interface KernelLog {
  readonly fd: number;
  /** What comes before an error. */
  readonly tag: string;
  readonly write: (line: string, priority: keyof typeof PRIORITIES) => void;
}

/**
 * Where a line can be written; undefined where there is no access, as in a container. What cannot be
 * written is lost: the kernel limits how many lines come through.
 */
export function openKernelLog(program: string): KernelLog | undefined {
  let fd: number;
  try {
    fd = openSync('/dev/kmsg', 'w');
  } catch {
    return undefined;
  }
  const write: KernelLog['write'] = (line, priority) => {
    try {
      writeSync(fd, `${PRIORITIES[priority]}${program}: ${line}\n`);
    } catch {
      // Too many at once, or not permitted: nobody is left to be told.
    }
  };
  return { fd, tag: `${PRIORITIES.error}${program}: `, write };
}
