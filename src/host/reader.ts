/** The other end of a pipe or socket that we write to, which nothing tells of until we write. */

import { waitFor } from '../sys/libc.ts';

/** Whether whatever was written to the descriptor now would reach nobody. Does not block. */
export function isReadNoMore(fd: number): boolean {
  // poll(2) reports POLLERR and POLLHUP unasked, and neither of a file or a terminal that is there.
  return waitFor(fd, 0, 0);
}
