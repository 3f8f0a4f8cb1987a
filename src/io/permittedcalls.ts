/**
 * The system calls that a running daemon may make, once everything is open: to move packets, to
 * answer on connections that are made to it, to open UDP and netlink sockets, and what the engine
 * needs for memory, threads and time. It opens no file, starts no program, signals nobody else.
 *
 * Generous with what is harmless: whatever is missing here fails at the worst of times.
 */

import { ERRNO } from './libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_WRONLY,
  SOCK_DGRAM,
  TUNGETDEVNETNS,
  TUNGETIFF,
  TUNSETPERSIST,
} from './linux.ts';
import type { Condition, Rule } from './seccomp.ts';
import type { CallName } from './syscalls.ts';

/** The busiest first, for kernels that look them through (before 5.11). */
const ALWAYS: readonly CallName[] = [
  ...(['recvmmsg', 'sendmmsg', 'read', 'write', 'readv', 'writev', 'poll', 'ppoll'] as const),
  ...(['epoll_pwait', 'epoll_wait', 'epoll_pwait2', 'epoll_ctl', 'futex'] as const),
  // Descriptors that there are, and such as lead nowhere.
  ...(['close', 'close_range', 'fcntl', 'dup', 'dup2', 'dup3', 'lseek', 'fsync'] as const),
  ...(['fdatasync', 'pread64', 'pwrite64', 'preadv', 'pwritev', 'select', 'pselect6'] as const),
  ...(['epoll_create1', 'eventfd2', 'pipe2', 'inotify_rm_watch'] as const),
  ...(['timerfd_create', 'timerfd_settime', 'timerfd_gettime'] as const),
  // To look for the control socket, and to remove it.
  ...(['fstat', 'stat', 'lstat', 'newfstatat', 'statx', 'access', 'faccessat'] as const),
  ...(['faccessat2', 'readlink', 'readlinkat', 'getcwd', 'unlink', 'unlinkat'] as const),
  ...(['bind', 'listen', 'connect', 'accept', 'accept4', 'shutdown', 'getsockname'] as const),
  ...(['getpeername', 'setsockopt', 'getsockopt', 'sendto', 'recvfrom', 'sendmsg'] as const),
  'recvmsg',
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

// linux/bpf.h: the commands of bpf.ts.
const BPF_COMMANDS = [0, 2, 5];

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
  ...[TUNGETIFF, TUNGETDEVNETNS, TUNSETPERSIST],
  ...[TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX],
];

export interface Circumstances {
  readonly pid: number;
  /** Descriptors of directories in which it may make, rename and remove files. */
  readonly directories: readonly number[];
  /** Whether the engine has an io_uring already, which it cannot do without then. */
  readonly hasRing: boolean;
}

export function permittedCalls({ pid, directories, hasRing }: Circumstances): Rule[] {
  return [
    ...ALWAYS.map((call) => ({ call })),
    {
      call: 'socket',
      when: [
        only(0, AF_INET, AF_INET6),
        { argument: 1, mask: SOCKET_TYPE, isOneOf: [SOCK_DGRAM] },
        only(2, 0),
      ],
    },
    // Only NETLINK_ROUTE.
    { call: 'socket', when: [only(0, AF_NETLINK), only(2, 0)] },
    { call: 'ioctl', when: [only(1, ...IOCTLS)] },
    { call: 'bpf', when: [only(0, ...BPF_COMMANDS)] },
    { call: 'prctl', when: [only(0, PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA)] },
    { call: 'tgkill', when: [only(0, pid)] },
    // Its flags are in memory, where no filter can look; the C library goes back to clone.
    { call: 'clone3', errno: ERRNO.ENOSYS! },
    {
      call: 'clone',
      when: [{ argument: 0, mask: CLONE_THREAD | CLONE_NAMESPACES, isOneOf: [CLONE_THREAD] }],
    },
    // Asking for a limit, not setting one.
    { call: 'prlimit64', when: [only(2, 0), { argument: 2, half: 'high', isOneOf: [0] }] },
    ...directories.flatMap((fd): Rule[] => [
      // O_EXCL: never a file that there is, wherever the path may lead.
      { call: 'openat', when: [only(0, fd), only(2, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC)] },
      { call: 'renameat', when: [only(0, fd), only(2, fd)] },
      // The C library's way to it on newer machines.
      { call: 'renameat2', when: [only(0, fd), only(2, fd), only(4, 0)] },
    ]),
    ...(hasRing ? [{ call: 'io_uring_enter' } as const] : []),
  ];
}

function only(argument: number, ...isOneOf: readonly number[]): Condition {
  return { argument, isOneOf };
}
