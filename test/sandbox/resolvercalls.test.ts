/** What a resolver's filter decides. What the kernel makes of it is test/e2e/resolversandbox.test.ts'. */

import { describe, expect, it } from 'vitest';
import { resolverCalls } from '../../src/sandbox/resolvercalls.ts';
import { createFilter } from '../../src/sandbox/seccomp.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  IP_RECVERR,
  MSG_FASTOPEN,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  SO_MARK,
  SO_RCVBUF,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_STREAM,
  SOL_IP,
  SOL_SOCKET,
} from '../../src/sys/linux.ts';
import { type CallName, callNumber } from '../../src/sys/syscalls.ts';
import { ALLOWED, decide, EPERM } from './filtermachine.ts';

const PID = 4321;
const LIFELINE = 20;
const [HERE, FD] = [-100, 5];
const THREAD = 0x3d0f00;
const DATAGRAM = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

const filterOf = (usesUnixSockets: boolean) =>
  createFilter(resolverCalls({ pid: PID, lifeline: LIFELINE, usesUnixSockets }))!;

describe.skipIf(!['x64', 'arm64'].includes(process.arch))('the filter of a resolver', () => {
  const cases: [CallName, number[], 'allows' | 'refuses', what?: string][] = [
    ['openat', [HERE, 1, O_RDONLY | O_CLOEXEC, 0], 'allows'],
    ['openat', [HERE, 1, O_WRONLY], 'refuses'],
    ['openat', [HERE, 1, O_RDWR], 'refuses'],
    ['openat', [HERE, 1, O_RDONLY | O_CREAT], 'refuses'],
    ['openat', [HERE, 1, O_RDONLY | O_TRUNC], 'refuses'],
    ['openat', [HERE, 1, O_RDONLY | 0o20200000], 'refuses', 'O_TMPFILE'],
    ['unlinkat', [HERE, 1, 0], 'refuses'],
    ['renameat', [HERE, 1, HERE, 1], 'refuses'],
    ['socket', [AF_INET, DATAGRAM, 0], 'allows'],
    ['socket', [AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 6], 'allows'],
    ['socket', [AF_INET, SOCK_STREAM, 262], 'refuses', 'MPTCP, which Landlock does not see'],
    ['socket', [AF_INET, SOCK_DGRAM, 1], 'refuses', 'ping'],
    ['socket', [AF_INET, SOCK_RAW, 1], 'refuses'],
    ['socket', [17, SOCK_RAW, 3], 'refuses', 'packets'],
    ['socket', [AF_UNIX, SOCK_STREAM, 0], 'refuses'],
    ['socket', [AF_UNIX, SOCK_DGRAM, 0], 'refuses'],
    ['socket', [AF_NETLINK, SOCK_RAW, 0], 'allows'],
    ['socket', [AF_NETLINK, SOCK_RAW, 12], 'refuses', 'netfilter'],
    ['connect', [FD, 1, 16], 'allows'],
    ['bind', [FD, 1, 12], 'allows', 'netlink'],
    ['bind', [FD, 1, 16], 'refuses', 'a port'],
    ['bind', [FD, 1, 28], 'refuses', 'a port'],
    ['bind', [FD, 1, 110], 'refuses', 'a path'],
    ['listen', [FD, 1], 'refuses'],
    ['accept', [FD], 'refuses'],
    ['accept4', [FD], 'refuses'],
    ['sendto', [FD, 1, 1, 0, 0, 0], 'allows'],
    ['sendto', [FD, 1, 1, 0, 1, 12], 'allows', 'netlink'],
    ['sendto', [FD, 1, 1, 0, 1, 16], 'refuses'],
    ['sendto', [FD, 1, 1, MSG_FASTOPEN, 1, 12], 'refuses'],
    ['sendto', [FD, 1, 1, MSG_FASTOPEN, 0, 0], 'refuses'],
    ['sendmsg', [FD, 1, 0], 'allows'],
    ['sendmsg', [FD, 1, MSG_FASTOPEN], 'refuses', 'connect past Landlock'],
    ['sendmmsg', [FD, 1, 2, 0], 'allows'],
    ['sendmmsg', [FD, 1, 2, MSG_FASTOPEN], 'refuses', 'connect past Landlock'],
    ['setsockopt', [FD, SOL_SOCKET, SO_RCVBUF], 'allows'],
    ['setsockopt', [FD, SOL_IP, IP_RECVERR], 'allows'],
    ['setsockopt', [FD, SOL_SOCKET, SO_MARK], 'refuses'],
    ['setsockopt', [FD, SOL_SOCKET, 25], 'refuses', 'SO_BINDTODEVICE'],
    ['setsockopt', [FD, 6, 30], 'refuses', 'TCP_FASTOPEN_CONNECT'],
    ['setsockopt', [FD, 6, 31], 'refuses', 'TCP_ULP'],
    ['clone', [THREAD], 'refuses', 'another thread'],
    ['clone', [17], 'refuses', 'another process'],
    ['tgkill', [PID, 1, 6], 'allows'],
    ['tgkill', [1, 1, 9], 'refuses'],
    ['close', [FD], 'allows'],
    ['close', [LIFELINE], 'refuses', 'outlive its daemon'],
    ['close_range', [0, 99, 0], 'refuses', 'the same'],
    ['dup2', [FD, LIFELINE], 'refuses', 'the same'],
    ['dup3', [FD, LIFELINE, 0], 'refuses', 'the same'],
    ['fcntl', [FD, 4, 0x800], 'allows'],
    ['fcntl', [FD, 4, 0o20000], 'refuses', 'O_ASYNC'],
    ['fcntl', [LIFELINE, 4, 0x800], 'refuses', 'O_ASYNC would be gone'],
    ['fcntl', [LIFELINE, 10, 0], 'refuses', 'F_SETSIG: another signal at the daemon’s end'],
    ['fcntl', [LIFELINE, 8, 1], 'refuses', 'F_SETOWN: to another process'],
    ['ioctl', [LIFELINE, 0x5452], 'refuses', 'FIOASYNC'],
    ['ioctl', [FD, 0x8933], 'allows', 'SIOCGIFINDEX'],
    ['ioctl', [FD, 0x8914], 'refuses', 'SIOCSIFFLAGS'],
    ['prlimit64', [0, 7, 1, 0], 'refuses'],
    ['prctl', [4, 1], 'refuses', 'PR_SET_DUMPABLE'],
    ['bpf', [0, 0, 128], 'refuses'],
    ['seccomp', [0], 'refuses'],
    ['wait4', [1], 'refuses'],
    ['io_uring_enter', [3], 'refuses'],
  ];
  it.each(cases)('takes %s %j and %s', (call, args, verdict) => {
    const number = callNumber(call);
    if (number === undefined) return;
    expect(decide(filterOf(false), number, args)).toBe(verdict === 'allows' ? ALLOWED : EPERM);
  });

  it('lets UNIX streams be opened where name services are asked over them, and nothing else', () => {
    const socket = callNumber('socket')!;
    expect(decide(filterOf(true), socket, [AF_UNIX, SOCK_STREAM, 0])).toBe(ALLOWED);
    expect(decide(filterOf(true), socket, [AF_UNIX, SOCK_DGRAM, 0])).toBe(EPERM);
    expect(decide(filterOf(true), callNumber('listen')!, [FD, 1])).toBe(EPERM);
  });
});
