/**
 * The kernel's message buffer, where a daemon in the background can still be heard (`dmesg`,
 * journalctl -k), as OpenBSD's wg(4) is when `debug` is set.
 */

import { openSync, writeSync } from 'node:fs';

/** Facility daemon, severities of syslog(3). */
const PRIORITIES = { error: '<27>', debug: '<31>' } as const;

/**
 * A function that writes a line. What cannot be written is lost: the kernel limits how many lines
 * come through, and a container may have no access to it at all.
 */
export function openKernelLog(
  tag: string,
): (line: string, priority: keyof typeof PRIORITIES) => void {
  let fd: number;
  try {
    fd = openSync('/dev/kmsg', 'w');
  } catch {
    return () => {};
  }
  return (line, priority) => {
    try {
      writeSync(fd, `${PRIORITIES[priority]}${tag}: ${line}\n`);
    } catch {
      // Too many at once, or not permitted: nobody is left to be told.
    }
  };
}
