/**
 * The C library, called by address: every pointer is a plain number, so that a call costs no
 * conversion. This file owns the bindings, the memory they point into and the naming of errors;
 * it knows neither packets nor sockets' options.
 *
 * Every function returns what the system call returns; on -1 ask `errno()` before anything else
 * runs. Addresses are those of `addressOf` and of a `Scratch`, which never move.
 */

import type { Arena } from '../arena.ts';
import { koffi } from './koffi.ts';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, SOCK_STREAM } from './linux.ts';

const library = koffi.load(null);

function bind(name: string, parameters: string[], result = 'int'): (...args: number[]) => number {
  return library.func(name, result, parameters);
}

export const read = bind('read', ['int', 'uintptr_t', 'size_t'], 'intptr_t');
export const write = bind('write', ['int', 'uintptr_t', 'size_t'], 'intptr_t');
export const writev = bind('writev', ['int', 'uintptr_t', 'int'], 'intptr_t');
export const close = bind('close', ['int']);
/** Variadic in C; on Linux's ABIs a third word is passed the same way. */
export const ioctl = bind('ioctl', ['int', 'size_t', 'uintptr_t']);
export const dup3 = bind('dup3', ['int', 'int', 'int']);
export const fcntl = bind('fcntl', ['int', 'int', 'intptr_t']);
export const setns = bind('setns', ['int', 'int']);
export const unshare = bind('unshare', ['int']);
export const setsid = bind('setsid', []);
/** Of every thread; Node's own is switched off where its libuv, as Debian's, might use io_uring. */
export const setegid = bind('setegid', ['uint32_t']);
export const eventfd = bind('eventfd', ['uint32_t', 'int']);
export const timerfdCreate = bind('timerfd_create', ['int', 'int']);
/** (descriptor, flags, new struct itimerspec *, old one or 0) */
export const timerfdSettime = bind('timerfd_settime', ['int', 'int', 'uintptr_t', 'uintptr_t']);
/** (clock, struct timespec *) */
export const clockGettime = bind('clock_gettime', ['int', 'uintptr_t']);
/** (struct timex *): with modes 0 it only tells. */
export const adjtimex = bind('adjtimex', ['uintptr_t']);
/** (buffer, bytes, flags) */
export const getrandom = bind('getrandom', ['uintptr_t', 'size_t', 'uint32_t'], 'intptr_t');
/** (struct pollfd *, count, timeout in ms) */
export const poll = bind('poll', ['uintptr_t', 'size_t', 'int']);

export const socket = bind('socket', ['int', 'int', 'int']);
const socketpair = bind('socketpair', ['int', 'int', 'int', 'uintptr_t']);
export const bindSocket = bind('bind', ['int', 'uintptr_t', 'uint32_t']);
export const listen = bind('listen', ['int', 'int']);
/** accept4(2): (socket, address or 0, its length or 0, flags) */
export const accept = bind('accept4', ['int', 'uintptr_t', 'uintptr_t', 'int']);
export const connect = bind('connect', ['int', 'uintptr_t', 'uint32_t']);
export const setsockopt = bind('setsockopt', ['int', 'int', 'int', 'uintptr_t', 'uint32_t']);
export const getsockopt = bind('getsockopt', ['int', 'int', 'int', 'uintptr_t', 'uintptr_t']);
export const getsockname = bind('getsockname', ['int', 'uintptr_t', 'uintptr_t']);
export const send = bind('send', ['int', 'uintptr_t', 'size_t', 'int'], 'intptr_t');
export const recv = bind('recv', ['int', 'uintptr_t', 'size_t', 'int'], 'intptr_t');
export const sendmsg = bind('sendmsg', ['int', 'uintptr_t', 'int'], 'intptr_t');
export const recvmsg = bind('recvmsg', ['int', 'uintptr_t', 'int'], 'intptr_t');
export const sendmmsg = bind('sendmmsg', ['int', 'uintptr_t', 'uint32_t', 'int']);
export const recvmmsg = bind('recvmmsg', ['int', 'uintptr_t', 'uint32_t', 'int', 'uintptr_t']);

const openPath = library.func('open', 'int', ['str', 'int', 'int']);

/** open(2) without a mode: it cannot create. */
export function open(path: string, flags: number): number {
  return openPath(path, flags, 0);
}

/** (directory, path in it, flags, mode) */
export const openat: (directory: number, path: string, flags: number, mode: number) => number =
  library.func('openat', 'int', ['int', 'str', 'int', 'int']);
/** (directory, path, directory, path) */
export const renameat: (from: number, path: string, to: number, newPath: string) => number =
  library.func('renameat', 'int', ['int', 'str', 'int', 'str']);
export const unlinkat: (directory: number, path: string, flags: number) => number = library.func(
  'unlinkat',
  'int',
  ['int', 'str', 'int'],
);

/** The error number of the call that has just returned -1. */
export const errno: () => number = koffi.errno;

/** Error name -> number, as <errno.h> of this machine has them. */
export const ERRNO: Readonly<Record<string, number>> = koffi.os.errno;

// Some numbers have two names; the manual pages use the first, and EOPNOTSUPP.
const ERRNO_NAMES = new Map<number, string>();
for (const [name, number] of Object.entries(ERRNO)) {
  if (!ERRNO_NAMES.has(number) || name === 'EOPNOTSUPP') ERRNO_NAMES.set(number, name);
}

export function errnoName(number: number): string {
  return ERRNO_NAMES.get(number) ?? `errno ${number}`;
}

/** What went wrong in words, for the errors an operator meets. */
const ERRNO_MEANINGS: Readonly<Record<string, string>> = {
  EPERM: 'not permitted; root (CAP_NET_ADMIN) is needed',
  EACCES: 'permission denied',
  ENOENT: 'it does not exist',
  ENODEV: 'there is no such device',
  EBUSY: 'in use by another program',
  EEXIST: 'it exists already',
  EINVAL: 'the kernel refuses it as invalid',
  EADDRINUSE: 'the address is in use by another program',
  EADDRNOTAVAIL: 'the address is not one of this machine',
  EAFNOSUPPORT: 'this kernel lacks the address family',
  ENETUNREACH: 'the network is unreachable',
  EHOSTUNREACH: 'the host is unreachable',
  ESRCH: 'there is no such route',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  ENOBUFS: 'the kernel is out of buffer space',
  ENOMEM: 'out of memory',
  EMFILE: 'too many open files in this process',
  ENFILE: 'too many open files on this machine',
  EOPNOTSUPP: 'this kernel does not support it',
  ETIMEDOUT: 'no answer in time',
};

/** A refusal of the system, worded for an operator: one line that says what, why and the name. */
export class SystemError extends Error {
  /** The system call or request. */
  readonly call: string;
  readonly errno: number;
  /** The error's name, for example `EADDRINUSE`. */
  readonly code: string;

  /**
   * @param what what was being done, for example `open UDP port 51820`
   * @param hint what it means or what to do; by default the error's meaning
   */
  constructor(what: string, call: string, number: number, hint?: string) {
    const code = errnoName(number);
    super(`${what}: ${hint ?? ERRNO_MEANINGS[code] ?? 'refused by the system'} (${call}: ${code})`);
    this.name = 'SystemError';
    this.call = call;
    this.errno = number;
    this.code = code;
  }
}

/** One of Node's own errors, worded as ours are. */
export function systemErrorOf(
  what: string,
  call: string,
  error: unknown,
  hint?: string,
): SystemError {
  const { errno: number } = error as NodeJS.ErrnoException;
  if (number === undefined) throw error;
  return new SystemError(what, call, Math.abs(number), hint);
}

/** The address of the arena's first byte. Take it once: it does not change, nor does it cost less. */
export function addressOf(arena: Arena): number {
  return Number(koffi.address(arena.memory.buffer));
}

/** Zeroed memory outside the heap, at a fixed address, for the structures of system calls. */
export class Scratch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Int32Array;
  readonly address: number;

  /** @param length bytes, rounded up to a multiple of 16 */
  constructor(length: number) {
    // An ArrayBuffer of its own: small typed arrays may live inside the heap and move.
    const buffer = new ArrayBuffer((Math.max(length, 128) + 15) & -16);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Int32Array(buffer);
    this.address = Number(koffi.address(buffer));
  }
}

/** Stores a pointer in a system call's structure: `at` and the next of its 32-bit words. */
export function putAddress(words: Int32Array, at: number, address: number): void {
  words[at] = address;
  words[at + 1] = address / 0x1_0000_0000;
}

const option = new Scratch(128);

/** setsockopt with an int. Returns 0, or the error number. */
export function setIntOption(fd: number, level: number, name: number, value: number): number {
  option.view.setInt32(0, value, true);
  return setsockopt(fd, level, name, option.address, 4) < 0 ? errno() : 0;
}

/** getsockopt of an int; undefined when refused. */
export function getIntOption(fd: number, level: number, name: number): number | undefined {
  option.view.setInt32(0, 0, true);
  option.view.setInt32(8, 4, true);
  if (getsockopt(fd, level, name, option.address, option.address + 8) < 0) return undefined;
  return option.view.getInt32(0, true);
}

/** Two connected, non-blocking sockets that keep the boundaries of messages. @throws {SystemError} */
export function socketPair(): readonly [number, number] {
  return pairOf(SOCK_SEQPACKET);
}

/** The same for a stream of bytes, which a reader byte by byte gets whole. */
export function streamPair(): readonly [number, number] {
  return pairOf(SOCK_STREAM);
}

function pairOf(type: number): readonly [number, number] {
  if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, option.address) < 0) {
    throw new SystemError('open a pair of sockets', 'socketpair', errno());
  }
  return [option.view.getInt32(0, true), option.view.getInt32(4, true)];
}

/**
 * Waits until a descriptor is ready for `events` (POLLIN, POLLOUT), at most `timeoutMs`. Blocks
 * the whole process: only for short waits that nothing can continue without.
 */
export function waitFor(fd: number, events: number, timeoutMs: number): boolean {
  option.view.setInt32(16, fd, true);
  option.view.setInt16(20, events, true);
  option.view.setInt16(22, 0, true);
  return poll(option.address + 16, 1, timeoutMs) > 0;
}
