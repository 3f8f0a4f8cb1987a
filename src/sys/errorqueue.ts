/**
 * Errors that a descriptor has after its reader was called: whether they are a state, which lasts
 * until it is taken away, or a fault.
 *
 * A socket with IP_RECVERR keeps what ICMP says of its datagrams in an error queue (ip(7)), and
 * poll(2) reports POLLERR as long as something waits there, whatever else is read.
 */

import { getIntOption, recvmsg, Scratch, waitFor } from './libc.ts';
import { AF_INET, AF_INET6, MSG_DONTWAIT, MSG_ERRQUEUE, SO_DOMAIN, SOL_SOCKET } from './linux.ts';

/** How many a call throws away at most, so that a flood of them cannot hold us up. */
const MESSAGES_MAX = 64;

/** struct msghdr without any room: of what is thrown away nothing is copied. */
const header = new Scratch(64);

/**
 * Whether the descriptor has an error that its reader has not cleared and nobody will. Call after
 * the reader: what it has left in the error queue is thrown away.
 */
export function isFaulty(fd: number): boolean {
  return !emptyErrorQueue(fd) && waitFor(fd, 0, 0);
}

/** True when there was something. */
function emptyErrorQueue(fd: number): boolean {
  // Sockets of other families take no notice of MSG_ERRQUEUE, and would give data.
  const domain = getIntOption(fd, SOL_SOCKET, SO_DOMAIN);
  if (domain !== AF_INET && domain !== AF_INET6) return false;
  let messages = 0;
  while (messages < MESSAGES_MAX && takeMessage(fd)) messages++;
  return messages > 0;
}

function takeMessage(fd: number): boolean {
  header.bytes.fill(0);
  return recvmsg(fd, header.address, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0;
}
