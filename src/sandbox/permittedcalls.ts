/**
 * The system calls that a running daemon may make, once everything is open: to move packets, to
 * answer on connections that are made to it, to open UDP and netlink sockets, and what the engine
 * needs (enginecalls.ts). It opens no file, starts no program, signals nobody else.
 *
 * A call that is permitted must not do by its arguments what another is refused for. So there are
 * two tables: calls that can be looked at from every side and lead nowhere, and those of which only
 * certain arguments are permitted, each with what the others would do. A filter sees numbers, not
 * what they point to: where the memory of a call would matter, that is said, too.
 */

import { ERRNO } from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IP_RECVTOS,
  IP_TOS,
  IPV6_MTU_DISCOVER,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IPV6_TCLASS,
  IPV6_V6ONLY,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_LISTEN_ALL_NSID,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_WRONLY,
  SO_ATTACH_BPF,
  SO_BINDTOIFINDEX,
  SO_DETACH_FILTER,
  SO_MARK,
  SO_MEMINFO,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_DGRAM,
  SOL_IP,
  SOL_IPV6,
  SOL_NETLINK,
  SOL_SOCKET,
  SOL_UDP,
  TUNGETDEVNETNS,
  TUNGETIFF,
  TUNSETOFFLOAD,
  TUNSETPERSIST,
  TUNSETVNETHDRSZ,
  UDP_GRO,
  UDP_SEGMENT,
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
import type { Rule } from './seccomp.ts';

/** Before all others. An address that goes with them stands in memory: it is a datagram's. */
const BUSIEST: readonly CallName[] = ['sendmmsg', 'recvmmsg'];

/** Beside the engine's, whatever their arguments. */
const ALWAYS: readonly CallName[] = [
  // Work on descriptors already open, and descriptors that reach nothing outside the process. No
  // dup: what is refused for one descriptor by its number (see `Circumstances`) would be permitted
  // for its double.
  ...(['close', 'close_range', 'fsync', 'fdatasync', 'pwrite64', 'pwritev'] as const),
  // The sockets that there are, or may be made: UDP, netlink, and UNIX ones that are connected or
  // listen, so that another address is refused. Those of `connected` have rules of their own.
  ...(['listen', 'accept', 'accept4', 'shutdown', 'getsockname', 'getpeername'] as const),
  ...(['recvfrom', 'recvmsg', 'sendmsg', 'bind', 'connect'] as const),
  // Of the only child there is, the starter's shell, when it ends.
  'wait4',
];

/** The kind of a socket, without the flags beside it. */
const SOCKET_TYPE = 0xf;

const CLONE_THREAD = 0x10000;
/** CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID and -NET. */
const CLONE_NAMESPACES = 0x7e020000;

// asm-generic/ioctls.h; TIOCGWINSZ is what a log on a terminal asks for.
const TCGETS = 0x5401;
const TIOCGWINSZ = 0x5413;
const FIONREAD = 0x541b;
const FIONBIO = 0x5421;
const FIOCLEX = 0x5451;
const IOCTLS = [
  ...[TUNGETIFF, TUNGETDEVNETNS, TUNSETPERSIST, TUNSETVNETHDRSZ, TUNSETOFFLOAD],
  ...[TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX],
];

/** Options that are set, by level. */
const SET_OPTIONS: readonly (readonly [level: number, options: readonly number[]])[] = [
  [
    SOL_SOCKET,
    [
      ...[SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE, SO_MARK, SO_RCVTIMEO],
      ...[SO_ATTACH_BPF, SO_DETACH_FILTER],
      // Once for each socket, and to where its packet info leads anyway: what another's socket has,
      // it does not get.
      SO_BINDTOIFINDEX,
    ],
  ],
  [SOL_IP, [IP_TOS, IP_PKTINFO, IP_MTU_DISCOVER, IP_RECVTOS]],
  [SOL_IPV6, [IPV6_MTU_DISCOVER, IPV6_V6ONLY, IPV6_RECVPKTINFO, IPV6_RECVTCLASS, IPV6_TCLASS]],
  [SOL_UDP, [UDP_SEGMENT, UDP_GRO]],
  [SOL_NETLINK, [NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, NETLINK_LISTEN_ALL_NSID]],
];

/** Options that are asked for, by level. */
const GET_OPTIONS: readonly (readonly [level: number, options: readonly number[]])[] = [
  [SOL_SOCKET, [...ASKED_OPTIONS, SO_MEMINFO, SO_BINDTOIFINDEX]],
  [SOL_UDP, [UDP_SEGMENT, UDP_GRO]],
];

/** A private file's permission bits: nobody else's, and no program's. */
const PRIVATE_MODE = 0o600;

export interface Circumstances {
  readonly pid: number;
  /** Descriptors of directories in which it may make, rename and remove files. */
  readonly directories: readonly number[];
  /**
   * Descriptors of connected UNIX datagram sockets, such as the service manager's: words go where
   * they are connected to and nowhere else.
   */
  readonly connected: readonly number[];
  /** Whether the engine has an io_uring already, which it cannot do without then. */
  readonly hasRing: boolean;
}

/** The calls of which only these arguments are permitted, and what the others would do. */
function limitedCalls(): Rule[] {
  return [
    // Raw and packet sockets, and others' protocols; UNIX sockets lead to every service.
    {
      call: 'socket',
      when: [
        only(0, AF_INET, AF_INET6),
        { argument: 1, mask: SOCKET_TYPE, isOneOf: [SOCK_DGRAM] },
        only(2, 0),
      ],
    },
    // Only NETLINK_ROUTE: not audit, netfilter, or the kernel's other families. What is asked
    // over it stands in memory: with CAP_NET_ADMIN, all of the network.
    { call: 'socket', when: [only(0, AF_NETLINK), only(2, 0)] },
    // Nothing of ours gives sendto an address, which on a UNIX datagram socket would be a connect.
    { call: 'sendto', when: [...isZero(4), only(5, 0)] },
    // SO_ATTACH_FILTER, packet filters of netfilter (SOL_IP, 64), IP_TRANSPARENT, and IPV6_FREEBIND,
    // by which anybody sends from an IPv6 address that is not this machine's.
    ...SET_OPTIONS.map(([level, options]) => optionRule('setsockopt', level, options)),
    // SO_PEERPIDFD gives descriptors of processes, netfilter's options what is filtered.
    ...GET_OPTIONS.map(([level, options]) => optionRule('getsockopt', level, options)),
    // TIOCSTI types on a terminal; FIOSETOWN and SIOCSPGRP are F_SETOWN; SIOCSIF- change the
    // network; TUNSETIFF makes interfaces, TUNATTACHFILTER loads filters.
    { call: 'ioctl', when: [only(1, ...IOCTLS)] },
    // Threads only: a process of its own would outlive the daemon, CLONE_NEWUSER is root inside.
    {
      call: 'clone',
      when: [{ argument: 0, mask: CLONE_THREAD | CLONE_NAMESPACES, isOneOf: [CLONE_THREAD] }],
    },
  ];
}

/**
 * Files of one directory, by its descriptor. The path stands in memory: an absolute one leads
 * elsewhere, as far as the user's permissions and Landlock reach. So never a file that there is
 * (O_EXCL), and none that others may read or anybody run.
 */
function filesOf(fd: number): Rule[] {
  return [
    {
      call: 'openat',
      when: [only(0, fd), only(2, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC), only(3, PRIVATE_MODE)],
    },
    { call: 'renameat', when: [only(0, fd), only(2, fd)] },
    // The C library's way to it on newer machines.
    { call: 'renameat2', when: [only(0, fd), only(2, fd), only(4, 0)] },
    // Without AT_REMOVEDIR.
    { call: 'unlinkat', when: [only(0, fd), only(2, 0)] },
  ];
}

/** Calls that name another end than the one a socket is connected to. */
const NAMING_CALLS: readonly CallName[] = ['sendmsg', 'sendmmsg', 'connect', 'bind'];

export function permittedCalls({ pid, directories, connected, hasRing }: Circumstances): Rule[] {
  return [
    // First, since the first rule that holds decides.
    ...connected.flatMap((fd) =>
      NAMING_CALLS.map((call): Rule => ({ call, when: [only(0, fd)], errno: ERRNO.EPERM! })),
    ),
    ...[...BUSIEST, ...ENGINE_CALLS, ...ALWAYS].map((call) => ({ call })),
    ...limitedEngineCalls(pid),
    ...limitedCalls(),
    ...directories.flatMap(filesOf),
    ...(hasRing ? [{ call: 'io_uring_enter' } as const] : []),
  ];
}
