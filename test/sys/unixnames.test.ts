/** Names for nameless UNIX sockets, against the kernel. */

import { afterEach, expect, it } from 'vitest';
import {
  bindSocket,
  close,
  connect,
  ERRNO,
  errno,
  getsockname,
  listen,
  Scratch,
  socket,
  socketPair,
  streamPair,
} from '../../src/sys/libc.ts';
import { AF_INET, AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM } from '../../src/sys/linux.ts';
import { putUnixAddress } from '../../src/sys/unixaddress.ts';
import { nameAllSockets, nameSocket } from '../../src/sys/unixnames.ts';

const scratch = new Scratch(128);
const fds: number[] = [];
afterEach(() => {
  for (const fd of fds.splice(0)) close(fd);
});

function opened<T extends readonly number[]>(...some: T): T {
  fds.push(...some);
  return some;
}

/** 0, or the error number, of taking a service's name. */
function takeName(fd: number, name: string): number {
  const length = putUnixAddress(scratch, name)!;
  return bindSocket(fd, scratch.address, length) < 0 ? errno() : 0;
}

function addressBytes(fd: number): number {
  scratch.view.setUint32(112, 110, true);
  expect(getsockname(fd, scratch.address, scratch.address + 112)).toBe(0);
  return scratch.view.getUint32(112, true);
}

const name = (): string => `@tswg-test-${process.pid}-${Math.random()}`;

it('takes the kernel’s word for a name from whoever would give another', () => {
  const ends = opened(...socketPair(), ...streamPair());
  // Without it they can have any.
  expect(takeName(opened(...socketPair())[0], name())).toBe(0);
  expect(nameAllSockets()).toBe(0);
  for (const fd of ends) {
    expect(addressBytes(fd)).toBeGreaterThan(2);
    expect(takeName(fd, name())).toBe(ERRNO.EINVAL);
    expect(listen(fd, 1)).toBe(-1);
  }
});

it('leaves alone what has a name, or is no UNIX socket', () => {
  const [named, udp] = opened(
    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
    socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
  );
  const own = name();
  expect(takeName(named, own)).toBe(0);
  expect(nameAllSockets()).toBe(0);
  expect(addressBytes(named)).toBe(2 + own.length);
  // struct sockaddr_in, without a port.
  expect(addressBytes(udp)).toBe(16);
  expect(scratch.view.getUint16(2)).toBe(0);
});

it('gives no way in to a datagram socket that is connected', () => {
  const [service, ours, stranger] = opened(
    ...([0, 0, 0] as const).map(() => socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
  ) as unknown as [number, number, number];
  const own = name();
  expect(takeName(service, own)).toBe(0);
  const length = putUnixAddress(scratch, own)!;
  expect(connect(ours, scratch.address, length)).toBe(0);
  expect(nameSocket(ours)).toBe(0);
  const size = addressBytes(ours);
  expect(connect(stranger, scratch.address, size)).toBe(-1);
  expect(errno()).toBe(ERRNO.EPERM);
});
