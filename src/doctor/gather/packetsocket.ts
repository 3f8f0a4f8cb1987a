/** A packet socket (packet(7)) that gets packets from their IP header on, and only those of a filter. */

import {
  bindSocket,
  close,
  errno,
  putAddress,
  Scratch,
  SystemError,
  setsockopt,
  socket,
} from '../../sys/libc.ts';
import {
  AF_PACKET,
  ETH_P_ALL,
  SO_ATTACH_FILTER,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from '../../sys/linux.ts';

/** struct sockaddr_ll: the link's index at 4, the packet's type at 10. */
export const LINK_ADDRESS_BYTES = 20;

/**
 * @param filter instructions of classic BPF; @param index of a link; 0 for all
 * @throws {SystemError} EPERM when we are not root, and leaves nothing open
 */
export function openPacketSocket(filter: Uint8Array, index: number): number {
  const what = 'listen on the links';
  // Without a protocol until it is bound: nothing comes before the filter is there.
  const fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SystemError(what, 'socket', errno());
  const code = new Scratch(filter.length);
  code.bytes.set(filter);
  // struct sock_fprog: the number of instructions, and at 8 where they are.
  const program = new Scratch(16);
  program.view.setUint16(0, filter.length / 8, true);
  putAddress(program.words, 2, code.address);
  const link = new Scratch(LINK_ADDRESS_BYTES);
  link.view.setUint16(0, AF_PACKET, true);
  link.view.setUint16(2, ETH_P_ALL, false);
  link.view.setInt32(4, index, true);
  const isOpen =
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program.address, 16) === 0 &&
    bindSocket(fd, link.address, LINK_ADDRESS_BYTES) === 0;
  if (isOpen) return fd;
  const error = errno();
  close(fd);
  throw new SystemError(what, 'bind', error);
}
