/**
 * The system calls that an engine of Node's cannot do without, whatever it runs: for memory, threads,
 * time, waiting and descriptors that are open already. And how a rule is written. The tables of what a
 * process may do beside that are permittedcalls.ts' (the daemon) and resolvercalls.ts'.
 *
 * What stands in a table of calls without conditions can be looked at from every side and leads
 * nowhere. Generous with what is harmless: whatever is missing here fails at the worst of times.
 */

import { ERRNO } from '../sys/libc.ts';
import {
  F_GETFD,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  O_ASYNC,
  O_CLOEXEC,
  O_NONBLOCK,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_ERROR,
  SO_PROTOCOL,
  SO_RCVBUF,
  SO_SNDBUF,
  SO_TYPE,
} from '../sys/linux.ts';
import type { CallName } from '../sys/syscalls.ts';
import type { Condition, Rule } from './seccomp.ts';

/** Whatever their arguments. The busiest first, for kernels that look them through (before 5.11). */
export const ENGINE_CALLS: readonly CallName[] = [
  ...(['read', 'write', 'readv', 'writev', 'poll', 'ppoll', 'epoll_pwait', 'epoll_wait'] as const),
  ...(['epoll_pwait2', 'epoll_ctl', 'futex', 'lseek', 'pread64', 'preadv'] as const),
  ...(['select', 'pselect6', 'epoll_create1', 'eventfd2', 'inotify_rm_watch'] as const),
  ...(['timerfd_create', 'timerfd_settime', 'timerfd_gettime'] as const),
  // They tell which files there are; they open none.
  ...(['fstat', 'stat', 'lstat', 'newfstatat', 'statx', 'access', 'faccessat'] as const),
  ...(['faccessat2', 'readlink', 'readlinkat', 'getcwd'] as const),
  // PROT_EXEC cannot be refused: V8 compiles what it runs, and so does WebAssembly. Whoever is
  // inside runs code of their own; what that code may ask the kernel for is what stands here.
  ...(['mmap', 'munmap', 'mremap', 'mprotect', 'madvise', 'brk', 'msync', 'mincore'] as const),
  ...(['membarrier', 'mlock', 'mlock2', 'munlock', 'pkey_alloc', 'pkey_free'] as const),
  'pkey_mprotect',
  ...(['exit', 'exit_group', 'futex_waitv', 'set_robust_list', 'get_robust_list'] as const),
  ...(['rseq', 'set_tid_address', 'restart_syscall', 'arch_prctl', 'sched_yield'] as const),
  ...(['sched_getaffinity', 'sched_getparam', 'sched_getscheduler', 'getcpu'] as const),
  ...(['sched_get_priority_max', 'sched_get_priority_min', 'getpriority'] as const),
  ...(['gettid', 'getpid', 'getppid', 'getpgrp', 'getpgid', 'getsid', 'getuid'] as const),
  ...(['geteuid', 'getgid', 'getegid', 'getresuid', 'getresgid', 'getgroups'] as const),
  'capget',
  ...(['rt_sigaction', 'rt_sigprocmask', 'rt_sigreturn', 'rt_sigpending'] as const),
  ...(['rt_sigsuspend', 'rt_sigtimedwait', 'sigaltstack'] as const),
  ...(['clock_gettime', 'clock_getres', 'clock_nanosleep', 'nanosleep', 'time'] as const),
  ...(['gettimeofday', 'times', 'getrusage', 'getitimer', 'setitimer'] as const),
  ...(['getrandom', 'uname', 'sysinfo', 'getrlimit'] as const),
];

// linux/prctl.h
const PR_GET_DUMPABLE = 3;
const PR_SET_NAME = 15;
const PR_GET_NAME = 16;
const PR_SET_VMA = 0x53564d41;

/** What may be asked of any socket. */
export const ASKED_OPTIONS: readonly number[] = [
  ...[SO_ERROR, SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_RCVBUF, SO_SNDBUF],
];

/** The calls of which only these arguments are permitted, and what the others would do. */
export function limitedEngineCalls(pid: number): Rule[] {
  return [
    // F_SETOWN and F_SETSIG send any signal, as `kill`; F_SETOWN_EX and F_NOTIFY, too; F_DUPFD
    // makes doubles. O_ASYNC would be the signal's other half.
    { call: 'fcntl', when: [only(1, F_GETFD, F_SETFD, F_GETFL)] },
    { call: 'fcntl', when: [only(1, F_SETFL), { argument: 2, mask: O_ASYNC, isOneOf: [0] }] },
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
    // Asking for a limit of its own, not setting one.
    { call: 'prlimit64', when: [only(0, 0), ...isZero(2)] },
  ];
}

export function optionRule(
  call: 'setsockopt' | 'getsockopt',
  level: number,
  options: readonly number[],
): Rule {
  return { call, when: [only(1, level), only(2, ...options)] };
}

export function only(argument: number, ...isOneOf: readonly number[]): Condition {
  return { argument, isOneOf };
}

/** A null pointer, or a long that is 0. */
export function isZero(argument: number): Condition[] {
  return [only(argument, 0), { argument, half: 'high', isOneOf: [0] }];
}
