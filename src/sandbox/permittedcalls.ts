/**
 * The system calls that a running daemon may make, once everything is open: to move packets, to
 * answer on connections that are made to it, to open UDP and netlink sockets, and what the engine
 * needs for memory, threads and time. It opens no file, starts no program, signals nobody else.
 *
 * A call that is permitted must not do by its arguments what another is refused for. So there are
 * two tables: calls that can be looked at from every side and lead nowhere, and those of which only
 * certain arguments are permitted, each with what the others would do. A filter sees numbers, not
 * what they point to: where the memory of a call would matter, that is said, too.
 *
 * Generous with what is harmless: whatever is missing here fails at the worst of times.
 */

import { ERRNO } from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  F_GETFD,
  F_GETFL,
  F_SETFD,
  F_SETFL,
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
  O_ASYNC,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NONBLOCK,
  O_WRONLY,
  SO_ACCEPTCONN,
  SO_ATTACH_BPF,
  SO_BINDTOIFINDEX,
  SO_DETACH_FILTER,
  SO_DOMAIN,
  SO_ERROR,
  SO_MARK,
  SO_MEMINFO,
  SO_PROTOCOL,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SO_TYPE,
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
import type { Condition, Rule } from './seccomp.ts';

/** Whatever their arguments. The busiest first, for kernels that look them through (before 5.11). */
const ALWAYS: readonly CallName[] = [
  // An address that goes with these stands in memory: to a UDP socket it is a datagram's.
  ...(['sendmmsg', 'recvmmsg', 'read', 'write', 'readv', 'writev', 'poll', 'ppoll'] as const),
  ...(['epoll_pwait', 'epoll_wait', 'epoll_pwait2', 'epoll_ctl', 'futex'] as const),
  // Work on descriptors already open, and descriptors that reach nothing outside the process. No
  // dup: what is refused for one descriptor by its number (see `Circumstances`) would be permitted
  // for its double.
  ...(['close', 'close_range', 'lseek', 'fsync', 'fdatasync', 'pread64', 'pwrite64'] as const),
  ...(['preadv', 'pwritev', 'select', 'pselect6', 'epoll_create1', 'eventfd2'] as const),
  ...(['inotify_rm_watch', 'timerfd_create', 'timerfd_settime', 'timerfd_gettime'] as const),
  // To look for the control socket. They tell which files there are; they open none.
  ...(['fstat', 'stat', 'lstat', 'newfstatat', 'statx', 'access', 'faccessat'] as const),
  ...(['faccessat2', 'readlink', 'readlinkat', 'getcwd'] as const),
  // The sockets that there are, or may be made: UDP, netlink, and UNIX ones that are connected or
  // listen, so that another address is refused. Those of `connected` have rules of their own.
  ...(['listen', 'accept', 'accept4', 'shutdown', 'getsockname', 'getpeername'] as const),
  ...(['recvfrom', 'recvmsg', 'sendmsg', 'bind', 'connect'] as const),
  // PROT_EXEC cannot be refused: V8 compiles what it runs, and so does WebAssembly. Whoever is
  // inside runs code of their own; what that code may ask the kernel for is what stands here.
  ...(['mmap', 'munmap', 'mremap', 'mprotect', 'madvise', 'brk', 'msync', 'mincore'] as const),
  ...(['membarrier', 'mlock', 'mlock2', 'munlock', 'pkey_alloc', 'pkey_free'] as const),
  'pkey_mprotect',
  ...(['exit', 'exit_group', 'futex_waitv', 'set_robust_list', 'get_robust_list'] as const),
  ...(['rseq', 'set_tid_address', 'restart_syscall', 'arch_prctl', 'sched_yield'] as const),
  ...(['sched_getaffinity', 'sched_getparam', 'sched_getscheduler', 'getcpu'] as const),
  ...(['sched_get_priority_max', 'sched_get_priority_min', 'getpriority'] as const),
  // Of the only child there is, the starter's shell, when it ends.
  'wait4',
  ...(['gettid', 'getpid', 'getppid', 'getpgrp', 'getpgid', 'getsid', 'getuid'] as const),
  ...(['geteuid', 'getgid', 'getegid', 'getresuid', 'getresgid', 'getgroups'] as const),
  'capget',
  ...(['rt_sigaction', 'rt_sigprocmask', 'rt_sigreturn', 'rt_sigpending'] as const),
  ...(['rt_sigsuspend', 'rt_sigtimedwait', 'sigaltstack'] as const),
  ...(['clock_gettime', 'clock_getres', 'clock_nanosleep', 'nanosleep', 'time'] as const),
  ...(['gettimeofday', 'times', 'getrusage', 'getitimer', 'setitimer'] as const),
  ...(['getrandom', 'uname', 'sysinfo', 'getrlimit'] as const),
];

/** The kind of a socket, without the flags beside it. */
const SOCKET_TYPE = 0xf;

const CLONE_THREAD = 0x10000;
/** CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID and -NET. */
const CLONE_NAMESPACES = 0x7e020000;

// linux/prctl.h
const PR_GET_DUMPABLE = 3;
const PR_SET_NAME = 15;
const PR_GET_NAME = 16;
const PR_SET_VMA = 0x53564d41;

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
  [
    SOL_SOCKET,
    [
      ...[SO_ERROR, SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_RCVBUF, SO_SNDBUF],
      ...[SO_MEMINFO, SO_BINDTOIFINDEX],
    ],
  ],
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
function limitedCalls(pid: number): Rule[] {
  return [
    // F_SETOWN and F_SETSIG send any signal, as `kill`; F_SETOWN_EX and F_NOTIFY, too; F_DUPFD
    // makes doubles. O_ASYNC would be the signal's other half.
    { call: 'fcntl', when: [only(1, F_GETFD, F_SETFD, F_GETFL)] },
    { call: 'fcntl', when: [only(1, F_SETFL), { argument: 2, mask: O_ASYNC, isOneOf: [0] }] },
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
    // PR_SET_DUMPABLE lets debuggers in, PR_SET_PTRACER one, PR_SET_MM and the rest not at all.
    { call: 'prctl', when: [only(0, PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA)] },
    // O_NOTIFICATION_PIPE (O_EXCL) hears of keyrings.
    {
      call: 'pipe2',
      when: [{ argument: 1, mask: ~(O_CLOEXEC | O_NONBLOCK), isOneOf: [0] }],
    },
    { call: 'tgkill', when: [only(0, pid)] },
    // Its flags are in memory, where no filter can look; the C library goes back to clone.
    { call: 'clone3', errno: ERRNO.ENOSYS! },
    // Threads only: a process of its own would outlive the daemon, CLONE_NEWUSER is root inside.
    {
      call: 'clone',
      when: [{ argument: 0, mask: CLONE_THREAD | CLONE_NAMESPACES, isOneOf: [CLONE_THREAD] }],
    },
    // Asking for a limit of its own, not setting one.
    { call: 'prlimit64', when: [only(0, 0), ...isZero(2)] },
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
    ...ALWAYS.map((call) => ({ call })),
    ...limitedCalls(pid),
    ...directories.flatMap(filesOf),
    ...(hasRing ? [{ call: 'io_uring_enter' } as const] : []),
  ];
}

function optionRule(
  call: 'setsockopt' | 'getsockopt',
  level: number,
  options: readonly number[],
): Rule {
  return { call, when: [only(1, level), only(2, ...options)] };
}

function only(argument: number, ...isOneOf: readonly number[]): Condition {
  return { argument, isOneOf };
}

/** A null pointer, or a long that is 0. */
function isZero(argument: number): Condition[] {
  return [only(argument, 0), { argument, half: 'high', isOneOf: [0] }];
}
