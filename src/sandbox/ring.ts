/**
 * io_uring (io_uring(7)): what a process asks of a ring passes no filter of system calls, and an engine
 * that has begun with one cannot stop. Node.js with a libuv of its own (1.45 or newer, as Debian 13 has
 * it) begins with three, for epoll_ctl; no variable keeps it from that, only a kernel that has none.
 */

import { readdirSync, readlinkSync } from 'node:fs';
import { ERRNO } from '../sys/libc.ts';
import { createRefusal, installFilter } from './seccomp.ts';

export function hasIoUring(): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('io_uring');
    } catch {
      // The listing's own descriptor is gone by now.
      return false;
    }
  });
}

/**
 * No ring is made from now on by this process, what it executes and what it starts. Takes
 * no_new_privs, or CAP_SYS_ADMIN. Returns 0, or the error number.
 */
export function refuseRings(): number {
  const filter = createRefusal('io_uring_setup');
  return filter === null ? ERRNO.ENOSYS! : installFilter(filter);
}
