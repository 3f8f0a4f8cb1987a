/**
 * The system calls that a resolver may make, once it has confined itself: what the C library's name
 * service and its modules need to read files and to ask servers, and what the engine needs
 * (enginecalls.ts). It writes no file, starts neither programs nor threads, signals nobody, listens
 * nowhere.
 *
 * What no filter can narrow: to which address and port a datagram goes, and to which file's socket a
 * UNIX socket connects, since both stand in memory. TCP is Landlock's, which permits port 53.
 */

import { ERRNO } from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  F_SETFL,
  IP_MTU_DISCOVER,
  IP_RECVERR,
  IPV6_MTU_DISCOVER,
  IPV6_RECVERR,
  MSG_FASTOPEN,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  O_ACCMODE,
  O_CREAT,
  O_TRUNC,
  SO_RCVBUF,
  SO_RCVTIMEO,
  SO_SNDBUF,
  SO_SNDTIMEO,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_IP,
  SOL_IPV6,
  SOL_NETLINK,
  SOL_SOCKET,
} from '../sys/linux.ts';
import type { CallName } from '../sys/syscalls.ts';
import {
  ASKED_OPTIONS,
  ENGINE_CALLS,
  isZero,
  limitedEngineCalls,
  only,
  optionRule,
} from './enginecalls.ts';
import type { Condition, Rule } from './seccomp.ts';

/** Beside the engine's, whatever their arguments. */
const ALWAYS: readonly CallName[] = [
  // An address that goes with a connect stands in memory (see above).
  ...(['connect', 'shutdown', 'getsockname', 'getpeername'] as const),
  ...(['recvfrom', 'recvmsg', 'recvmmsg'] as const),
];

/** The kind of a socket, without the flags beside it. */
const SOCKET_TYPE = 0xf;
const [IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP] = [0, 6, 17];
/** fcntl.h, without O_DIRECTORY that goes with it. */
const TMPFILE = 0o20000000;
const O_APPEND = 0o2000;
/** struct sockaddr_nl. Those of IP are longer, and are refused with this length. */
const NETLINK_ADDRESS_BYTES = 12;

// asm-generic/ioctls.h, bits/ioctls.h; the last two for the zone of a name server's address.
const TCGETS = 0x5401;
const FIONREAD = 0x541b;
const FIONBIO = 0x5421;
const FIOCLEX = 0x5451;
const SIOCGIFNAME = 0x8910;
const SIOCGIFINDEX = 0x8933;

/** TCP Fast Open connects without Landlock's being asked (Linux 6.18). */
const notFastOpen = (argument: number): Condition => ({
  argument,
  mask: MSG_FASTOPEN,
  isOneOf: [0],
});

export interface ResolverCircumstances {
  readonly pid: number;
  /** The descriptor whose other end's closing ends the process, which it is not to let go of. */
  readonly lifeline: number;
  /** Whether the name service of this machine is asked over UNIX sockets (nscd, resolved, ...). */
  readonly usesUnixSockets: boolean;
}

export function resolverCalls(circumstances: ResolverCircumstances): Rule[] {
  const { pid, lifeline, usesUnixSockets } = circumstances;
  const families = usesUnixSockets ? [AF_INET, AF_INET6, AF_UNIX] : [AF_INET, AF_INET6];
  const streams = families.map((family): Rule => {
    const protocols = family === AF_UNIX ? [0] : [IPPROTO_IP, IPPROTO_TCP];
    return socketRule(family, SOCK_STREAM, protocols);
  });
  return [
    // First, since the first rule that holds decides.
    { call: 'close', when: [only(0, lifeline)], errno: ERRNO.EPERM! },
    // It could end its being told (O_ASYNC).
    { call: 'fcntl', when: [only(0, lifeline), only(1, F_SETFL)], errno: ERRNO.EPERM! },
    ...[...ENGINE_CALLS, ...ALWAYS, 'close' as const].map((call) => ({ call })),
    ...limitedEngineCalls(pid),
    // To read. Which files is the user's permissions' and Landlock's affair.
    {
      call: 'openat',
      when: [
        { argument: 2, mask: O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | TMPFILE, isOneOf: [0] },
      ],
    },
    // Raw, packet and ping sockets, MPTCP, which Landlock does not know; UNIX datagrams, which reach
    // the log and the service manager.
    ...streams,
    socketRule(AF_INET, SOCK_DGRAM, [IPPROTO_IP, IPPROTO_UDP]),
    socketRule(AF_INET6, SOCK_DGRAM, [IPPROTO_IP, IPPROTO_UDP]),
    // Which addresses of our own there are, for the order of those found. Without a capability route
    // netlink changes nothing.
    { call: 'socket', when: [only(0, AF_NETLINK), only(2, 0)] },
    // For netlink. A UNIX socket could have a name of this length, but cannot listen.
    { call: 'bind', when: [only(2, NETLINK_ADDRESS_BYTES)] },
    { call: 'sendto', when: [only(5, NETLINK_ADDRESS_BYTES), notFastOpen(3)] },
    { call: 'sendto', when: [...isZero(4), only(5, 0), notFastOpen(3)] },
    { call: 'sendmsg', when: [notFastOpen(2)] },
    { call: 'sendmmsg', when: [notFastOpen(3)] },
    optionRule('setsockopt', SOL_SOCKET, [SO_RCVBUF, SO_SNDBUF, SO_RCVTIMEO, SO_SNDTIMEO]),
    optionRule('setsockopt', SOL_IP, [IP_RECVERR, IP_MTU_DISCOVER]),
    optionRule('setsockopt', SOL_IPV6, [IPV6_RECVERR, IPV6_MTU_DISCOVER]),
    optionRule('setsockopt', SOL_NETLINK, [NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]),
    optionRule('getsockopt', SOL_SOCKET, ASKED_OPTIONS),
    {
      call: 'ioctl',
      when: [only(1, TCGETS, FIONREAD, FIONBIO, FIOCLEX, SIOCGIFNAME, SIOCGIFINDEX)],
    },
  ];
}

function socketRule(family: number, type: number, protocols: readonly number[]): Rule {
  const kind = { argument: 1, mask: SOCKET_TYPE, isOneOf: [type] };
  return { call: 'socket', when: [only(0, family), kind, only(2, ...protocols)] };
}
