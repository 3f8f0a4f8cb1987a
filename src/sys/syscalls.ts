/**
 * System calls by their numbers, which differ between machines: for filters, and for those calls
 * that the C library has no function for. Only numbers and the one function that takes them.
 */

import { koffi } from './koffi.ts';

const NONE = -1;

/** asm/unistd_64.h of x86-64, and asm-generic/unistd.h, which the newer machines share. */
const NUMBERS = {
  read: [0, 63],
  write: [1, 64],
  readv: [19, 65],
  writev: [20, 66],
  pread64: [17, 67],
  pwrite64: [18, 68],
  preadv: [295, 69],
  pwritev: [296, 70],
  close: [3, 57],
  close_range: [436, 436],
  lseek: [8, 62],
  dup: [32, 23],
  dup2: [33, NONE],
  dup3: [292, 24],
  fcntl: [72, 25],
  ioctl: [16, 29],
  fstat: [5, 80],
  stat: [4, NONE],
  lstat: [6, NONE],
  newfstatat: [262, 79],
  statx: [332, 291],
  access: [21, NONE],
  faccessat: [269, 48],
  faccessat2: [439, 439],
  readlink: [89, NONE],
  readlinkat: [267, 78],
  getcwd: [79, 17],
  unlink: [87, NONE],
  unlinkat: [263, 35],
  inotify_rm_watch: [255, 28],
  fsync: [74, 82],
  fdatasync: [75, 83],
  openat: [257, 56],
  renameat: [264, 38],
  renameat2: [316, 276],
  poll: [7, NONE],
  ppoll: [271, 73],
  select: [23, NONE],
  pselect6: [270, 72],
  epoll_create1: [291, 20],
  epoll_ctl: [233, 21],
  epoll_wait: [232, NONE],
  epoll_pwait: [281, 22],
  epoll_pwait2: [441, 441],
  eventfd2: [290, 19],
  pipe2: [293, 59],
  socket: [41, 198],
  bind: [49, 200],
  listen: [50, 201],
  connect: [42, 203],
  accept: [43, 202],
  accept4: [288, 242],
  shutdown: [48, 210],
  getsockname: [51, 204],
  getpeername: [52, 205],
  setsockopt: [54, 208],
  getsockopt: [55, 209],
  sendto: [44, 206],
  recvfrom: [45, 207],
  sendmsg: [46, 211],
  recvmsg: [47, 212],
  sendmmsg: [307, 269],
  recvmmsg: [299, 243],
  mmap: [9, 222],
  munmap: [11, 215],
  mremap: [25, 216],
  mprotect: [10, 226],
  madvise: [28, 233],
  brk: [12, 214],
  msync: [26, 227],
  mincore: [27, 232],
  membarrier: [324, 283],
  mlock: [149, 228],
  mlock2: [325, 284],
  munlock: [150, 229],
  pkey_alloc: [330, 289],
  pkey_free: [331, 290],
  pkey_mprotect: [329, 288],
  clone: [56, 220],
  clone3: [435, 435],
  exit: [60, 93],
  exit_group: [231, 94],
  futex: [202, 98],
  futex_waitv: [449, 449],
  set_robust_list: [273, 99],
  get_robust_list: [274, 100],
  rseq: [334, 293],
  set_tid_address: [218, 96],
  restart_syscall: [219, 128],
  sched_yield: [24, 124],
  sched_getaffinity: [204, 123],
  sched_getparam: [143, 121],
  sched_getscheduler: [145, 120],
  sched_get_priority_max: [146, 125],
  sched_get_priority_min: [147, 126],
  getcpu: [309, 168],
  gettid: [186, 178],
  getpid: [39, 172],
  getppid: [110, 173],
  getpgrp: [111, NONE],
  getpgid: [121, 155],
  getsid: [124, 156],
  getuid: [102, 174],
  geteuid: [107, 175],
  getgid: [104, 176],
  getegid: [108, 177],
  getresuid: [118, 148],
  getresgid: [120, 150],
  getgroups: [115, 158],
  setfsuid: [122, 151],
  capget: [125, 90],
  capset: [126, 91],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  rt_sigreturn: [15, 139],
  rt_sigpending: [127, 136],
  rt_sigsuspend: [130, 133],
  rt_sigtimedwait: [128, 137],
  sigaltstack: [131, 132],
  tgkill: [234, 131],
  wait4: [61, 260],
  clock_gettime: [228, 113],
  clock_getres: [229, 114],
  clock_nanosleep: [230, 115],
  nanosleep: [35, 101],
  gettimeofday: [96, 169],
  time: [201, NONE],
  times: [100, 153],
  getrusage: [98, 165],
  timerfd_create: [283, 85],
  timerfd_settime: [286, 86],
  timerfd_gettime: [287, 87],
  getitimer: [36, 102],
  setitimer: [38, 103],
  getrandom: [318, 278],
  uname: [63, 160],
  sysinfo: [99, 179],
  getrlimit: [97, 163],
  prlimit64: [302, 261],
  getpriority: [140, 141],
  arch_prctl: [158, NONE],
  prctl: [157, 167],
  bpf: [321, 280],
  seccomp: [317, 277],
  landlock_create_ruleset: [444, 444],
  landlock_add_rule: [445, 445],
  landlock_restrict_self: [446, 446],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
} as const satisfies Record<string, readonly [x64: number, generic: number]>;

export type CallName = keyof typeof NUMBERS;

const COLUMNS: Readonly<Record<string, 0 | 1>> = { x64: 0, arm64: 1, riscv64: 1, loong64: 1 };

/** undefined where this machine has no such call, or where its numbers are not known. */
export function callNumber(name: CallName): number | undefined {
  const column = COLUMNS[process.arch];
  if (column === undefined) return undefined;
  const number = NUMBERS[name][column];
  return number === NONE ? undefined : number;
}

const MOST_ARGUMENTS = 5;
const syscall: (number: number, ...args: number[]) => number = koffi
  .load(null)
  .func('syscall', 'intptr_t', ['intptr_t', ...Array(MOST_ARGUMENTS).fill('intptr_t')]);

/** Returns what the kernel returns, -1 with `errno()` set, or -1 where there is no such call. */
export function invoke(name: CallName, ...args: readonly number[]): number {
  const number = callNumber(name);
  if (number === undefined) return -1;
  const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0] = args;
  return syscall(number, first, second, third, fourth, fifth);
}
