/**
 * One UDP socket as the kernel gives it: opened, with its options set, bound to a port. Owns what
 * an operator is told when that fails; who moves datagrams over it is not known here.
 */

import { formatNear } from '../device/near.ts';
import type { Near } from '../device/ways.ts';
import {
  bindSocket,
  close,
  ERRNO,
  errno,
  getIntOption,
  getsockname,
  Scratch,
  SystemError,
  setIntOption,
  socket,
} from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IP_PMTUDISC_DONT,
  IP_RECVTOS,
  IPV6_MTU_DISCOVER,
  IPV6_PMTUDISC_DONT,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IPV6_V6ONLY,
  SO_BINDTOIFINDEX,
  SO_MARK,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
} from '../sys/linux.ts';

export interface UdpSocketOptions {
  /** SO_MARK of everything sent; 0 is off. */
  readonly fwmark: number;
  /** Where it listens and sends from alone; null: on every address and interface. */
  readonly near?: Near | null;
  /** Bytes of the kernel's buffers (the kernel doubles them). */
  readonly bufferBytes?: number;
}

const DEFAULT_BUFFER_BYTES = 4 * 1024 * 1024;

/** The wildcard addresses. */
const ANY = { 4: new Uint8Array(4), 6: new Uint8Array(16) } as const;

const { EADDRINUSE, EAFNOSUPPORT, EADDRNOTAVAIL, EPERM } = ERRNO;

const scratch = new Scratch(128);

/**
 * A bound socket with its options set; undefined where the machine lacks the family. Port 0 lets
 * the kernel pick.
 *
 * @param link index of the interface that the near end is; 0 when it is none
 * @throws {SystemError} and leaves nothing open; EADDRNOTAVAIL when no interface has the near end
 */
export function openUdpSocket(
  family: 4 | 6,
  port: number,
  link: number,
  options: UdpSocketOptions,
): number | undefined {
  const { near } = options;
  const address = near?.kind === 'address' ? near.address : ANY[family];
  if (address.length !== ANY[family].length) return undefined;
  const domain = family === 4 ? AF_INET : AF_INET6;
  const fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    const error = errno();
    if (error === EAFNOSUPPORT) return undefined;
    throw new SystemError(`open an IPv${family} UDP socket`, 'socket', error);
  }
  try {
    setOptions(fd, family, options);
    if (link !== 0) bindToLink(fd, link);
    if (bindPort(fd, domain, port, address)) return fd;
    close(fd);
    return undefined;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function setOptions(fd: number, family: 4 | 6, options: UdpSocketOptions): void {
  const require = (level: number, name: number, value: number, label: string): void => {
    const error = setIntOption(fd, level, name, value);
    if (error !== 0) throw new SystemError(`set ${label} on a UDP socket`, 'setsockopt', error);
  };
  if (family === 4) {
    require(SOL_IP, IP_PKTINFO, 1, 'IP_PKTINFO');
    require(SOL_IP, IP_RECVTOS, 1, 'IP_RECVTOS');
    // No DF on the outside: a datagram too large for the path is fragmented, not lost.
    require(SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, 'IP_MTU_DISCOVER');
  } else {
    require(SOL_IPV6, IPV6_V6ONLY, 1, 'IPV6_V6ONLY');
    require(SOL_IPV6, IPV6_RECVPKTINFO, 1, 'IPV6_RECVPKTINFO');
    require(SOL_IPV6, IPV6_RECVTCLASS, 1, 'IPV6_RECVTCLASS');
    require(SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, 'IPV6_MTU_DISCOVER');
  }
  const bytes = options.bufferBytes ?? DEFAULT_BUFFER_BYTES;
  // Beyond net.core.?mem_max only with CAP_NET_ADMIN; less is not an error.
  if (setIntOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) !== 0) {
    setIntOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  }
  if (setIntOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes) !== 0) {
    setIntOption(fd, SOL_SOCKET, SO_SNDBUF, bytes);
  }
  if (options.fwmark !== 0) setMark(fd, options.fwmark);
}

/** @throws {SystemError} when it is not permitted */
export function setMark(fd: number, mark: number): void {
  const error = setIntOption(fd, SOL_SOCKET, SO_MARK, mark);
  if (error !== 0) throw new SystemError(`set fwmark ${mark}`, 'setsockopt', error);
}

/**
 * A socket's first interface takes no right (Linux 5.7); so a socket keeps the one that it has.
 *
 * @throws {SystemError} ENODEV when there is none of that index
 */
function bindToLink(fd: number, link: number): void {
  const error = setIntOption(fd, SOL_SOCKET, SO_BINDTOIFINDEX, link);
  if (error === 0) return;
  const hint = error === EPERM ? 'kernels before 5.7 want CAP_NET_RAW for it' : undefined;
  throw new SystemError('bind a UDP socket to an interface', 'setsockopt', error, hint);
}

/** Index of the interface that a socket is bound to; 0 for none. */
export function linkOf(fd: number): number {
  return getIntOption(fd, SOL_SOCKET, SO_BINDTOIFINDEX) ?? 0;
}

/** False where IPv6 exists but is disabled, so that not even the wildcard address is there. */
function bindPort(fd: number, domain: number, port: number, address: Uint8Array): boolean {
  scratch.bytes.fill(0, 0, 28);
  scratch.view.setUint16(0, domain, true);
  scratch.view.setUint16(2, port, false);
  scratch.bytes.set(address, domain === AF_INET ? 4 : 8);
  if (bindSocket(fd, scratch.address, domain === AF_INET ? 16 : 28) === 0) return true;
  const error = errno();
  const isWildcard = address.every((octet) => octet === 0);
  if (error === EADDRNOTAVAIL && isWildcard && domain === AF_INET6) return false;
  throw new SystemError(
    isWildcard
      ? `open UDP port ${port}`
      : `open UDP port ${port} of ${formatNear({ kind: 'address', address })}`,
    'bind',
    error,
    error === EADDRINUSE ? 'another program has this port; choose another one' : undefined,
  );
}

/** The port that a socket is bound to. @throws {SystemError} */
export function portOf(fd: number): number {
  scratch.view.setInt32(32, 28, true);
  if (getsockname(fd, scratch.address, scratch.address + 32) < 0) {
    throw new SystemError('ask for the UDP port', 'getsockname', errno());
  }
  return scratch.view.getUint16(2, false);
}
