/**
 * The kernel's message buffer, where a daemon in the background can still be heard (`dmesg`,
 * journalctl -k), as OpenBSD's wg(4) is when `debug` is set.
 */

import { openSync, writeSync } from 'node:fs';

/** Facility daemon, severity info (syslog(3)). */
const PRIORITY = '<30>';

export interface KernelLog {
  readonly fd: number;
  /** What comes before a line. */
  readonly tag: string;
  readonly write: (line: string) => void;
}

/**
 * Where a line can be written; undefined where there is no access. What cannot be written is lost: the kernel limits how many lines
 * come through, and a container may have no access to it at all.
 */
export function openKernelLog(program: string): KernelLog | undefined {
  let fd: number;
  try {
    fd = openSync('/dev/kmsg', 'w');
  } catch {
    return undefined;
  }
  const tag = `${PRIORITY}${program}: `;
  const write = (line: string): void => {
    try {
      writeSync(fd, `${tag}${line}\n`);
    } catch {
      // Too many at once, or not permitted: nobody is left to be told.
    }
  };
  return { fd, tag, write };
}
