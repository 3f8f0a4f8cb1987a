/**
 * What the filter decides, by a machine for classic BPF of our own; and what the environment asks
 * for. What the kernel makes of it is test/e2e/sandbox.test.ts'.
 */

import { describe, expect, it } from 'vitest';
import { permittedCalls } from '../../src/sandbox/permittedcalls.ts';
import { planSandbox } from '../../src/sandbox/sandbox.ts';
import { createFilter, type Instruction } from '../../src/sandbox/seccomp.ts';
import { ERRNO } from '../../src/sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  O_ASYNC,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NONBLOCK,
  O_WRONLY,
  SO_ATTACH_BPF,
  SO_BINDTOIFINDEX,
  SO_DETACH_FILTER,
  SO_MARK,
  SO_MEMINFO,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_STREAM,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_UDP,
  TUNGETIFF,
  TUNSETIFF,
  UDP_SEGMENT,
} from '../../src/sys/linux.ts';
import { type CallName, callNumber } from '../../src/sys/syscalls.ts';

const ALLOWED = 0x7fff0000;
const REFUSED = 0x00050000;
const EPERM = REFUSED | ERRNO.EPERM;
const PID = 4321;
const DIRECTORY = 17;
const ARCHITECTURE = process.arch === 'arm64' ? 0xc00000b7 : 0xc000003e;

/** Runs the program on a struct seccomp_data, and returns what it returns. */
function decide(
  filter: readonly Instruction[],
  number: number,
  args: readonly number[] = [],
  architecture = ARCHITECTURE,
): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setInt32(0, number, true);
  data.setUint32(4, architecture, true);
  args.forEach((value, index) => {
    data.setBigUint64(16 + 8 * index, BigInt.asUintN(64, BigInt(value)), true);
  });
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const { operation, constant, ifTrue, ifFalse } = filter[at];
    if (operation === 0x20) accumulator = data.getUint32(constant, true);
    else if (operation === 0x54) accumulator = (accumulator & constant) >>> 0;
    else if (operation === 0x15) at += accumulator === constant >>> 0 ? ifTrue : ifFalse;
    else if (operation === 0x06) return constant;
    else throw new Error(`no such operation: ${operation}`);
  }
}

const filterOf = (directories: readonly number[] = [], connected: readonly number[] = []) =>
  createFilter(permittedCalls({ pid: PID, directories, connected, hasRing: false }))!;

const DATAGRAM = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
const SAVING = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
const THREAD = 0x3d0f00;
const CLONE_NEWNET = 0x40000000;

describe.skipIf(!['x64', 'arm64'].includes(process.arch))('the filter of system calls', () => {
  const UDP = 3;
  /** What the call would do, for those that are refused. */
  const cases: [CallName, number[], 'allows' | 'refuses', what?: string][] = [
    ['recvmmsg', [3], 'allows'],
    ['mprotect', [0, 4096, 7], 'allows'],
    ['exit_group', [0], 'allows'],
    ['unlinkat', [-100, 0, 0], 'refuses', 'remove a file'],
    ['unlink', [0], 'refuses', 'remove a file'],
    ['openat', [-100, 0, 0], 'refuses'],
    ['renameat', [-100, 0, -100], 'refuses'],
    ['capset', [0, 0], 'refuses'],
    ['setfsuid', [0], 'refuses'],
    ['seccomp', [0], 'refuses'],
    ['io_uring_enter', [3], 'refuses'],
    ['socket', [AF_INET, DATAGRAM, 0], 'allows'],
    ['socket', [AF_INET6, DATAGRAM, 0], 'allows'],
    ['socket', [AF_INET, DATAGRAM, 1], 'refuses'],
    ['socket', [AF_INET, SOCK_RAW, 1], 'refuses'],
    ['socket', [AF_INET, SOCK_STREAM, 0], 'refuses'],
    ['socket', [AF_UNIX, DATAGRAM, 0], 'refuses'],
    ['socket', [17, SOCK_RAW, 3], 'refuses'],
    ['socket', [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0], 'allows'],
    ['socket', [AF_NETLINK, SOCK_RAW, 12], 'refuses'],
    // The kernel looks at 32 bits of an int, whatever stands above.
    ['socket', [2 ** 32 + AF_UNIX, DATAGRAM, 0], 'refuses'],
    ['fcntl', [UDP, 1], 'allows'],
    ['fcntl', [UDP, 2, 1], 'allows'],
    ['fcntl', [UDP, 3], 'allows'],
    ['fcntl', [UDP, 4, O_NONBLOCK], 'allows'],
    ['fcntl', [UDP, 4, O_NONBLOCK | O_ASYNC], 'refuses', 'have signals sent'],
    ['fcntl', [UDP, 8, 1], 'refuses', 'F_SETOWN: send signals to process 1'],
    ['fcntl', [UDP, 10, 9], 'refuses', 'F_SETSIG: any signal'],
    ['fcntl', [UDP, 15, 0], 'refuses', 'F_SETOWN_EX'],
    ['fcntl', [UDP, 0, 0], 'refuses', 'F_DUPFD: another number for a descriptor'],
    ['fcntl', [UDP, 1030, 0], 'refuses', 'F_DUPFD_CLOEXEC'],
    ['fcntl', [UDP, 1026, 0], 'refuses', 'F_NOTIFY'],
    ['dup', [UDP], 'refuses'],
    ['dup2', [UDP, 9], 'refuses'],
    ['dup3', [UDP, 9, 0], 'refuses'],
    ['sendto', [UDP, 1, 1, 0, 0, 0], 'allows'],
    ['sendto', [UDP, 1, 1, 0, 1, 16], 'refuses', 'send to an address'],
    ['sendto', [UDP, 1, 1, 0, 2 ** 32, 16], 'refuses', 'send to an address'],
    ['sendto', [UDP, 1, 1, 0, 0, 16], 'refuses'],
    ['sendmmsg', [UDP], 'allows'],
    ['setsockopt', [UDP, SOL_SOCKET, SO_MARK], 'allows'],
    ['setsockopt', [UDP, SOL_SOCKET, SO_RCVBUFFORCE], 'allows'],
    ['setsockopt', [UDP, SOL_SOCKET, SO_ATTACH_BPF], 'allows'],
    ['setsockopt', [UDP, SOL_SOCKET, SO_DETACH_FILTER], 'allows'],
    ['setsockopt', [UDP, SOL_UDP, UDP_SEGMENT], 'allows'],
    ['setsockopt', [UDP, SOL_SOCKET, SO_BINDTOIFINDEX], 'allows'],
    ['setsockopt', [UDP, SOL_SOCKET, 26], 'refuses', 'SO_ATTACH_FILTER'],
    ['setsockopt', [UDP, SOL_SOCKET, 25], 'refuses', 'SO_BINDTODEVICE'],
    ['setsockopt', [UDP, SOL_IP, 64], 'refuses', 'IPT_SO_SET_REPLACE: the packet filter'],
    ['setsockopt', [UDP, SOL_IP, 19], 'refuses', 'IP_TRANSPARENT: any source address'],
    ['setsockopt', [UDP, SOL_IPV6, 75], 'refuses', 'IPV6_TRANSPARENT'],
    ['setsockopt', [UDP, SOL_IPV6, 78], 'refuses', 'IPV6_FREEBIND: any IPv6 source address'],
    ['setsockopt', [UDP, 263, 1], 'refuses', 'another level'],
    ['getsockopt', [UDP, SOL_SOCKET, SO_MEMINFO], 'allows'],
    ['getsockopt', [UDP, SOL_SOCKET, SO_BINDTOIFINDEX], 'allows'],
    ['getsockopt', [UDP, SOL_SOCKET, 77], 'refuses', 'SO_PEERPIDFD: a process'],
    ['getsockopt', [UDP, SOL_IP, 64], 'refuses', 'IPT_SO_GET_INFO'],
    ['ioctl', [3, TUNGETIFF], 'allows'],
    ['ioctl', [0, 0x5412], 'refuses', 'TIOCSTI: type on the terminal'],
    ['ioctl', [UDP, 0x8901], 'refuses', 'FIOSETOWN: send signals'],
    ['ioctl', [UDP, 0x8902], 'refuses', 'SIOCSPGRP: send signals'],
    ['ioctl', [UDP, 0x5452], 'refuses', 'FIOASYNC'],
    ['ioctl', [UDP, 0x8914], 'refuses', 'SIOCSIFFLAGS: another interface down'],
    ['ioctl', [3, TUNSETIFF], 'refuses', 'make an interface'],
    ['ioctl', [3, 0x401054d5], 'refuses', 'TUNATTACHFILTER'],
    ['pipe2', [0, O_CLOEXEC], 'allows'],
    ['pipe2', [0, O_EXCL], 'refuses', 'O_NOTIFICATION_PIPE'],
    ['clone', [THREAD], 'allows'],
    ['clone', [17], 'refuses', 'another process'],
    ['clone', [THREAD | CLONE_NEWNET], 'refuses'],
    ['tgkill', [PID, 5, 6], 'allows'],
    ['tgkill', [1, 1, 9], 'refuses'],
    ['prlimit64', [0, 7, 0, 4096], 'allows'],
    ['prlimit64', [1, 7, 0, 4096], 'refuses'],
    ['prlimit64', [0, 7, 4096, 0], 'refuses'],
    ['prlimit64', [0, 7, 2 ** 32, 0], 'refuses'],
    ['prctl', [15, 0], 'allows'],
    ['prctl', [4, 1], 'refuses', 'PR_SET_DUMPABLE: let a debugger in'],
    ['prctl', [0x59616d61, -1], 'refuses', 'PR_SET_PTRACER: let a debugger in'],
    ['bpf', [0, 0, 128], 'refuses', 'make a map'],
    ['bpf', [5, 0, 128], 'refuses', 'load a program'],
    ['bpf', [8, 0, 128], 'refuses', 'attach one to an interface'],
  ];
  it.each(cases)('takes %s %j and %s', (call, args, verdict) => {
    const number = callNumber(call)!;
    expect(decide(filterOf(), number, args)).toBe(verdict === 'allows' ? ALLOWED : EPERM);
  });

  it('fits the kernel’s limits', () => {
    const filter = filterOf([DIRECTORY]);
    expect(filter.length).toBeLessThanOrEqual(4096);
    for (const { ifTrue, ifFalse } of filter) expect(Math.max(ifTrue, ifFalse)).toBeLessThan(256);
  });

  it('refuses every number that it does not know, those of x32 too', () => {
    const filter = filterOf();
    for (let number = 460; number < 600; number++) expect(decide(filter, number)).toBe(EPERM);
    const read = callNumber('read')!;
    expect(decide(filter, read | 0x40000000)).toBe(EPERM);
    expect(decide(filter, read)).toBe(ALLOWED);
  });

  it('refuses everything of another architecture', () => {
    const filter = filterOf();
    for (let number = 0; number < 600; number++) {
      expect(decide(filter, number, [], 0x40000003)).toBe(EPERM);
    }
  });

  it('sends the C library back from clone3, whose flags it cannot see', () => {
    expect(decide(filterOf(), callNumber('clone3')!)).toBe(REFUSED | ERRNO.ENOSYS);
  });

  it('lets a persistent daemon make new files through its own directory only', () => {
    const filter = filterOf([DIRECTORY]);
    const openat = callNumber('openat')!;
    const renameat = callNumber('renameat')!;
    const unlinkat = callNumber('unlinkat')!;
    expect(decide(filter, openat, [DIRECTORY, 1, SAVING, 0o600])).toBe(ALLOWED);
    // A program that runs as its owner.
    expect(decide(filter, openat, [DIRECTORY, 1, SAVING, 0o4755])).toBe(EPERM);
    expect(decide(filter, openat, [DIRECTORY, 1, SAVING & ~O_EXCL, 0o600])).toBe(EPERM);
    expect(decide(filter, openat, [DIRECTORY, 1, 0])).toBe(EPERM);
    expect(decide(filter, openat, [-100, 1, SAVING, 0o600])).toBe(EPERM);
    expect(decide(filter, unlinkat, [DIRECTORY, 1, 0])).toBe(ALLOWED);
    expect(decide(filter, unlinkat, [DIRECTORY, 1, 0x200])).toBe(EPERM);
    expect(decide(filter, unlinkat, [-100, 1, 0])).toBe(EPERM);
    expect(decide(filter, renameat, [DIRECTORY, 1, DIRECTORY, 2])).toBe(ALLOWED);
    expect(decide(filter, renameat, [DIRECTORY, 1, -100, 2])).toBe(EPERM);
  });
});

describe.skipIf(!['x64', 'arm64'].includes(process.arch))('a socket that stays connected', () => {
  const filter = filterOf([], [21]);
  it.each([
    ['sendto', [21, 1, 1, 0, 0, 0], 'allows'],
    ['sendto', [21, 1, 1, 0, 1, 16], 'refuses'],
    ['sendmsg', [21], 'refuses'],
    ['sendmmsg', [21], 'refuses'],
    ['connect', [21], 'refuses'],
    ['bind', [21], 'refuses'],
    ['sendmsg', [22], 'allows'],
    ['sendmmsg', [22], 'allows'],
    ['connect', [22], 'allows'],
    ['bind', [22], 'allows'],
  ] as const)('takes %s %j and %s', (call, args, verdict) => {
    const expected = verdict === 'allows' ? ALLOWED : EPERM;
    expect(decide(filter, callNumber(call)!, args)).toBe(expected);
  });
});

describe('what the environment asks of the sandbox', () => {
  it('takes an account by its name', () => {
    const root = planSandbox('wg0', { TSWG_USER: 'root' });
    expect(root).toEqual({ isOff: false, user: { uid: 0, gid: 0 } });
  });

  it.each([
    [{ TSWG_USER: 'no such' }, 'TSWG_USER: no such: there is no such user'],
    [{ TSWG_SANDBOX: 'no' }, 'TSWG_SANDBOX: no: expected on or off'],
  ])('refuses %j in one line', (env, line) => {
    expect(() => planSandbox('wg0', env)).toThrow(line);
  });

  it('is off only when told so', () => {
    expect(planSandbox('wg0', { TSWG_SANDBOX: 'off' })).toEqual({ isOff: true });
    for (const wish of ['', 'on']) {
      expect(planSandbox('wg0', { TSWG_SANDBOX: wish }).isOff).toBe(false);
    }
  });
});
