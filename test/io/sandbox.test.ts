/**
 * What the filter decides, by a machine for classic BPF of our own; and what the environment asks
 * for. What the kernel makes of it is test/e2e/sandbox.test.ts'.
 */

import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../src/io/libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_WRONLY,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_STREAM,
  TUNGETIFF,
} from '../../src/io/linux.ts';
import { permittedCalls } from '../../src/io/permittedcalls.ts';
import { planSandbox } from '../../src/io/sandbox.ts';
import { createFilter, type Instruction } from '../../src/io/seccomp.ts';
import { type CallName, callNumber } from '../../src/io/syscalls.ts';

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

const filterOf = (directories: readonly number[] = []) =>
  createFilter(permittedCalls({ pid: PID, directories, hasRing: false }))!;

const DATAGRAM = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
const SAVING = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
const THREAD = 0x3d0f00;
const CLONE_NEWNET = 0x40000000;

describe.skipIf(!['x64', 'arm64'].includes(process.arch))('the filter of system calls', () => {
  const cases: [CallName, number[], 'allows' | 'refuses'][] = [
    ['recvmmsg', [3], 'allows'],
    ['mprotect', [0, 4096, 7], 'allows'],
    ['exit_group', [0], 'allows'],
    ['unlinkat', [-100, 0, 0], 'allows'],
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
    ['ioctl', [3, TUNGETIFF], 'allows'],
    ['ioctl', [0, 0x5412], 'refuses'],
    ['clone', [THREAD], 'allows'],
    ['clone', [17], 'refuses'],
    ['clone', [THREAD | CLONE_NEWNET], 'refuses'],
    ['tgkill', [PID, 5, 6], 'allows'],
    ['tgkill', [1, 1, 9], 'refuses'],
    ['prlimit64', [0, 7, 0, 4096], 'allows'],
    ['prlimit64', [0, 7, 4096, 0], 'refuses'],
    ['prlimit64', [0, 7, 2 ** 32, 0], 'refuses'],
    ['prctl', [15, 0], 'allows'],
    ['prctl', [4, 1], 'refuses'],
    ['bpf', [5, 0, 128], 'allows'],
    ['bpf', [8, 0, 128], 'refuses'],
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
    expect(decide(filter, openat, [DIRECTORY, 1, SAVING])).toBe(ALLOWED);
    expect(decide(filter, openat, [DIRECTORY, 1, SAVING & ~O_EXCL])).toBe(EPERM);
    expect(decide(filter, openat, [DIRECTORY, 1, 0])).toBe(EPERM);
    expect(decide(filter, openat, [-100, 1, SAVING])).toBe(EPERM);
    expect(decide(filter, renameat, [DIRECTORY, 1, DIRECTORY, 2])).toBe(ALLOWED);
    expect(decide(filter, renameat, [DIRECTORY, 1, -100, 2])).toBe(EPERM);
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
