/**
 * A terminal that the daemon was started from: in the background it still has it as its output, and
 * could read there what its operator types next. It keeps what it writes with, and no more.
 */

import { readdirSync } from 'node:fs';
import { isatty } from 'node:tty';
import { close, dup3, errno, fcntl, open } from '../sys/libc.ts';
import { O_CLOEXEC, O_WRONLY } from '../sys/linux.ts';

const F_GETFL = 3;
const O_ACCMODE = 3;
/** The daemon leads a session, and would get the terminal as that session's. */
const O_NOCTTY = 0x100;
const STANDARD_INPUT = 0;
const STANDARD_ERROR = 2;

/**
 * Replaces every descriptor by which a terminal can be read: standard input by /dev/null, others
 * (Node opens some of its own) by one of the same terminal for writing only. Returns 0, or the
 * first error's number.
 */
export function stopReadingTerminals(): number {
  let failure = 0;
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    if (!isatty(fd) || (fcntl(fd, F_GETFL, 0) & O_ACCMODE) === O_WRONLY) continue;
    const path = fd === STANDARD_INPUT ? '/dev/null' : `/proc/self/fd/${fd}`;
    const writer = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    const isReplaced = writer >= 0 && dup3(writer, fd, fd <= STANDARD_ERROR ? 0 : O_CLOEXEC) >= 0;
    if (!isReplaced && failure === 0) failure = errno();
    if (writer >= 0) close(writer);
  }
  return failure;
}
