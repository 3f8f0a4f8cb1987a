/**
 * The kernel's message buffer, where a daemon in the background can still be heard (`dmesg`,
 * journalctl -k), as OpenBSD's wg(4) is when `debug` is set.
 */

import { openSync, writeSync } from 'node:fs';

/** Facility daemon, severity info (syslog(3)). */
const PRIORITY = '<30>';

/**
 * A function that writes a line. What cannot be written is lost: the kernel limits how many lines
 * come through, and a container may have no access to it at all.
 */
export function openKernelLog(tag: string): (line: string) => void {
  let fd: number;
  try {
    fd = openSync('/dev/kmsg', 'w');
  } catch {
    return () => {};
  }
  return (line) => {
    try {
      writeSync(fd, `${PRIORITY}${tag}: ${line}\n`);
    } catch {
      // Too many at once, or not permitted: nobody is left to be told.
    }
  };
}
