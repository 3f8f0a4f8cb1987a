/** What the kernel has dropped before a socket of ours. */

import { getsockopt, Scratch } from '../sys/libc.ts';
import { SOL_SOCKET } from '../sys/linux.ts';

const SO_MEMINFO = 55;
/** SK_MEMINFO_DROPS, the last of the words that SO_MEMINFO gives. */
const MEMINFO_WORDS = 9;
const DROPS_WORD = 8;
const LENGTH_AT = 64;
const meminfo = new Scratch(LENGTH_AT + 4);

/**
 * Buffers for a socket that the kernel has dropped, filtered ones and wrong checksums included;
 * modulo 2^32. Undefined when it does not say.
 */
export function kernelDrops(fd: number): number | undefined {
  meminfo.view.setInt32(LENGTH_AT, MEMINFO_WORDS * 4, true);
  const { address } = meminfo;
  const result = getsockopt(fd, SOL_SOCKET, SO_MEMINFO, address, address + LENGTH_AT);
  return result < 0 ? undefined : meminfo.words[DROPS_WORD] >>> 0;
}
