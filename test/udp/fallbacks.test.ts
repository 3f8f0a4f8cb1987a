/**
 * What udp/ and tun/ do where a kernel or a device lacks something: the C library is wrapped, so
 * that it refuses what a test wants refused.
 */

import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Arena, HEADROOM_BYTES } from '../../src/arena.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { openTun } from '../../src/tun/tun.ts';
import { openUdp, type Udp } from '../../src/udp/udp.ts';
import { datagramByDatagram } from '../datapath/onebyone.ts';
import { describeInNamespace, enterNamespace, ip, openDescriptors } from '../lab/namespace.ts';

type Call = (...args: number[]) => number;
/** An error number to refuse the call with, or undefined to let it pass. */
type Refusal = (...args: number[]) => number | undefined;

const refusals = vi.hoisted(() => new Map<string, Refusal>());

vi.mock('../../src/sys/libc.ts', async (importOriginal) => {
  const libc = await importOriginal<typeof import('../../src/sys/libc.ts')>();
  let refused = 0;
  const wrap =
    (name: string, call: Call): Call =>
    (...args) => {
      refused = refusals.get(name)?.(...args) ?? 0;
      return refused === 0 ? call(...args) : -1;
    };
  const wrapOption =
    (name: string, call: Call): Call =>
    (...args) =>
      refusals.get(name)?.(...args) ?? call(...args);
  return {
    ...libc,
    errno: () => refused || libc.errno(),
    ioctl: wrap('ioctl', libc.ioctl),
    socket: wrap('socket', libc.socket),
    sendmmsg: wrap('sendmmsg', libc.sendmmsg),
    sendmsg: wrap('sendmsg', libc.sendmsg),
    recvmmsg: wrap('recvmmsg', libc.recvmmsg),
    setIntOption: wrapOption('setIntOption', libc.setIntOption),
    getIntOption: (fd: number, level: number, name: number) =>
      refusals.has('getIntOption') ? undefined : libc.getIntOption(fd, level, name),
  };
});

const EIO = 5;
const EAGAIN = 11;
const EINVAL = 22;
const EMSGSIZE = 90;
const ENOPROTOOPT = 92;
const EADDRINUSE = 98;
const EAFNOSUPPORT = 97;
const ENOBUFS = 105;
const ECONNREFUSED = 111;
const AF_INET = 2;
const AF_INET6 = 10;
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;

const notes: string[] = [];
const drops: string[] = [];
const cleanups: (() => void)[] = [];
beforeEach(() => {
  notes.length = 0;
  drops.length = 0;
});
afterEach(() => {
  refusals.clear();
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const arena = new Arena(8 << 20);

function open(port = 0): Udp {
  const udp = openUdp({
    arena,
    port,
    fwmark: 0,
    offload: true,
    onDrop: (reason, packets) => drops.push(`${reason} ${packets}`),
    onNote: (note) => notes.push(note),
  });
  cleanups.push(() => udp.close());
  return udp;
}

const loopback = (port: number) => new Endpoint(Uint8Array.of(127, 0, 0, 1), port);

/** Whether `sendAlike` hands its datagrams over together. */
let isRun = false;

/** `count` datagrams of 100 bytes, each beginning with its number, in one flush. */
function sendAlike(udp: Udp, to: Endpoint, count: number): void {
  const offset = arena.allocate(count * 100);
  for (let i = 0; i < count; i++) arena.bytes[offset + i * 100] = i;
  if (isRun) udp.transmitRun(offset, 100, to, 0, count, 100);
  else for (let i = 0; i < count; i++) udp.transmit(offset + i * 100, 100, to, 0);
  udp.flush();
  arena.reset();
}

function receiveAll(udp: Udp): number[] {
  const received: number[] = [];
  for (const socket of udp.sockets) {
    socket.receive(
      datagramByDatagram((offset, length) => {
        expect(length).toBe(100);
        received.push(arena.bytes[offset]);
      }),
      1000,
      0,
    );
  }
  arena.reset();
  return received;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Refuses one call, and lets the others pass. */
function once(error: number): Refusal {
  let isFirst = true;
  return () => {
    if (!isFirst) return undefined;
    isFirst = false;
    return error;
  };
}

describeInNamespace('fallbacks', () => {
  beforeAll(enterNamespace);

  describe.each([
    ['datagram by datagram', false],
    ['as a run', true],
  ])('%s', (_way, areTogether) => {
    beforeEach(() => {
      isRun = areTogether;
    });

    it('stops segmenting, once and visibly, where a device cannot, and loses nothing', () => {
      const [a, b] = [open(), open()];
      refusals.set('sendmmsg', once(EIO));
      sendAlike(a, loopback(b.port), 20);
      expect(receiveAll(b)).toEqual(upTo(20));
      expect(a.isOffloading).toBe(false);
      sendAlike(a, loopback(b.port), 20);
      expect(receiveAll(b)).toEqual(upTo(20));
      expect(notes).toEqual([expect.stringMatching(/IPv4: a device cannot segment/)]);
      expect(drops).toEqual([]);
    });

    it('sends alike datagrams in as few sends as the kernel takes, all in one call', () => {
      const [a, b] = [open(), open()];
      const calls: number[] = [];
      refusals.set('sendmmsg', (_fd, _headers, sends) => {
        calls.push(sends!);
        return undefined;
      });
      sendAlike(a, loopback(b.port), 200);
      expect(calls).toEqual([Math.ceil(200 / 64)]);
      expect(receiveAll(b)).toEqual(upTo(200));
    });

    it.each([
      ['EINVAL', EINVAL],
      ['EMSGSIZE', EMSGSIZE],
    ])(
      'tries a size that was too large for the path (%s) no second time, until paths change',
      (_, error) => {
        const [a, b] = [open(), open()];
        const to = loopback(b.port);
        let segmented = 0;
        refusals.set('sendmmsg', (_fd, _headers, sends) => {
          if (sends !== 1) return undefined;
          segmented++;
          return error;
        });
        for (let round = 0; round < 3; round++) sendAlike(a, to, 5);
        expect(segmented).toBe(1);
        a.forgetPaths([to]);
        sendAlike(a, to, 5);
        expect(segmented).toBe(2);
        expect(receiveAll(b)).toHaveLength(20);
        expect(drops).toEqual([]);
      },
    );

    it('counts a datagram that is too large by itself', () => {
      const [a, b] = [open(), open()];
      refusals.set('sendmmsg', once(EMSGSIZE));
      sendAlike(a, loopback(b.port), 1);
      expect([...a.errors]).toEqual([['EMSGSIZE', 1]]);
      expect(drops).toEqual(['sendFailed 1']);
      expect(notes).toEqual([
        'udp: IPv4: cannot send: the datagram is too large (sendmsg: EMSGSIZE)',
      ]);
      sendAlike(a, loopback(b.port), 1);
      expect(receiveAll(b)).toEqual([0]);
    });

    it('sends and receives singly where the kernel has neither UDP_SEGMENT nor UDP_GRO', () => {
      const SOL_UDP = 17;
      refusals.set('setIntOption', (_, level) => (level === SOL_UDP ? ENOPROTOOPT : undefined));
      refusals.set('getIntOption', () => 0);
      const [a, b] = [open(), open()];
      expect(a.isOffloading).toBe(false);
      sendAlike(a, loopback(b.port), 20);
      expect(receiveAll(b)).toEqual(upTo(20));
      expect(notes).toHaveLength(8); // Two sockets, two families, two options.
    });

    it('waits for room in a full socket buffer', () => {
      const [a, b] = [open(), open()];
      refusals.set('sendmmsg', once(EAGAIN));
      sendAlike(a, loopback(b.port), 20);
      expect(receiveAll(b)).toEqual(upTo(20));
      expect(drops).toEqual([]);
    });

    it('drops what the buffer does not take even then, and counts every datagram', () => {
      const [a, b] = [open(), open()];
      refusals.set('sendmmsg', () => EAGAIN);
      sendAlike(a, loopback(b.port), 20);
      expect(drops).toEqual(['sendFailed 20']);
      expect([...a.errors]).toEqual([['EAGAIN', 20]]);
      refusals.clear();
      sendAlike(a, loopback(b.port), 3);
      expect(receiveAll(b)).toEqual(upTo(3));
    });

    it.each([
      ['ENOBUFS', ENOBUFS, 'the kernel is out of buffer space'],
      ['EPERM', 1, 'a firewall of this machine forbids it'],
      ['ENETUNREACH', 101, 'no route leads there'],
      ['ENOTCONN', 107, 'refused by the system'],
    ])('counts %s, tells it once, and goes on with the next endpoint', (name, error, meaning) => {
      const [a, b, c] = [open(), open(), open()];
      refusals.set('sendmmsg', once(error));
      for (const to of [loopback(b.port), loopback(c.port)]) {
        for (let i = 0; i < 3; i++) a.transmit(arena.allocate(100), 100, to, 0);
      }
      a.flush();
      arena.reset();
      expect([...a.errors]).toEqual([[name, 3]]);
      expect(drops).toEqual(['sendFailed 3']);
      expect(notes).toEqual([`udp: IPv4: cannot send: ${meaning} (sendmsg: ${name})`]);
      refusals.set('sendmmsg', once(error));
      sendAlike(a, loopback(b.port), 2);
      expect([...a.errors]).toEqual([[name, 5]]);
      expect(notes).toHaveLength(1);
      expect(receiveAll(c)).toHaveLength(3);
    });

    it('sends again after an ICMP error that waited on the socket', () => {
      const [a, b] = [open(), open()];
      refusals.set('sendmmsg', once(ECONNREFUSED));
      sendAlike(a, loopback(b.port), 5);
      expect(receiveAll(b)).toEqual(upTo(5));
      expect(drops).toEqual([]);
    });

    it('reads away errors that wait on the socket, and gives up on those that stay', () => {
      const [a, b] = [open(), open()];
      refusals.set('recvmmsg', once(ECONNREFUSED));
      sendAlike(a, loopback(b.port), 5);
      expect(receiveAll(b)).toEqual(upTo(5));
      expect([...b.errors]).toEqual([['receive_ECONNREFUSED', 1]]);
      refusals.set('recvmmsg', () => ECONNREFUSED);
      expect(receiveAll(b)).toEqual([]);
    });

    it.each([
      ['IPv4 alone', AF_INET6, [4], loopback],
      [
        'IPv6 alone',
        AF_INET,
        [6],
        (port: number) => new Endpoint(new Uint8Array(16).fill(1, 15), port),
      ],
    ])('runs on %s', (_, missing, families, endpoint) => {
      refusals.set('socket', (domain) => (domain === missing ? EAFNOSUPPORT : undefined));
      const [a, b] = [open(), open()];
      expect(a.sockets.map(({ family }) => family)).toEqual(families);
      sendAlike(a, endpoint(b.port), 5);
      expect(receiveAll(b)).toEqual(upTo(5));
      const other = missing === AF_INET ? loopback(1) : new Endpoint(new Uint8Array(16), 1);
      sendAlike(a, other, 1);
      expect(drops).toEqual(['sendFailed 1']);
      expect([...a.errors]).toEqual([['EAFNOSUPPORT', 1]]);
      sendAlike(a, other, 1);
      const family = missing === AF_INET ? 4 : 6;
      expect(notes).toEqual([
        `udp: IPv${family}: cannot send: this machine had no IPv${family} when the port was opened`,
      ]);
    });

    it('gathers runs with what was there before, and ends a send with what is shorter', () => {
      const [a, b] = [open(), open()];
      const to = loopback(b.port);
      const sends: number[] = [];
      refusals.set('sendmmsg', (_fd, _headers, count) => {
        sends.push(count!);
        return undefined;
      });
      const offset = arena.allocate(2_000);
      arena.bytes.fill(0, offset, offset + 2_000);
      for (let i = 0; i < 20; i++) arena.bytes[offset + i * 100] = i;
      a.transmit(offset, 100, to, 0);
      a.transmitRun(offset + 100, 100, to, 0, 4, 100);
      // Its last one ends the first send; after that another one begins.
      a.transmitRun(offset + 500, 100, to, 0, 3, 60);
      a.transmitRun(offset + 800, 100, to, 0, 2, 100);
      // Larger ones do not join smaller ones.
      a.transmitRun(offset + 1_000, 200, to, 0, 5, 200);
      // Of smaller ones the first ends the send.
      a.transmitRun(offset + 100, 90, to, 0, 3, 90);
      a.flush();
      arena.reset();
      expect(sends).toEqual([4]);
      const received: string[] = [];
      for (const socket of b.sockets) {
        const take = datagramByDatagram((at, length) =>
          received.push(`${arena.bytes[at]}: ${length}`),
        );
        socket.receive(take, 1_000, 0);
      }
      arena.reset();
      expect(received).toEqual([
        ...upTo(7).map((i) => `${i}: 100`),
        '7: 60',
        '8: 100',
        '9: 100',
        ...[10, 12, 14, 16, 18].map((i) => `${i}: 200`),
        '1: 90',
        ...['0: 90', '0: 90'],
      ]);
    });
  });

  it('says so where there is neither family', () => {
    refusals.set('socket', () => EAFNOSUPPORT);
    expect(() => open()).toThrow('open UDP sockets: this kernel lacks the address family');
  });

  it('lets the kernel pick again when its port is taken in the other family', () => {
    const picked = new Set<number>();
    const before = openDescriptors();
    refusals.set('setIntOption', (_fd, level) => {
      // Before the IPv6 socket is bound: somebody takes the port that IPv4 was given.
      const IPPROTO_IPV6 = 41;
      if (level === IPPROTO_IPV6 && picked.size < 3) {
        picked.add(picked.size);
        return EADDRINUSE;
      }
      return undefined;
    });
    const udp = open();
    expect(udp.sockets.map(({ family }) => family)).toEqual([4, 6]);
    expect(picked.size).toBe(3);
    udp.close();
    expect(openDescriptors()).toBe(before);
  });

  const openTestTun = () => {
    const tun = openTun({
      name: 'tun7',
      mtu: 1420,
      offload: true,
      arena: new Arena(4 << 20),
      onDrop: (reason, packets) => drops.push(`${reason} ${packets}`),
      onNote: (note) => notes.push(note),
      onGone: () => {},
    });
    cleanups.push(() => tun.close());
    ip('addr', 'add', '10.7.0.1/24', 'dev', 'tun7');
    ip('link', 'set', 'tun7', 'up');
    return tun;
  };

  const packetsRead = (tun: ReturnType<typeof openTestTun>) => {
    const lengths: number[] = [];
    tun.read((_, length) => lengths.push(length), 100);
    return lengths;
  };

  it.each([
    [
      'USO',
      (_: number, request: number, flags: number) => request === TUNSETOFFLOAD && flags > 7,
      true,
      0,
    ],
    ['any offload', (_: number, request: number) => request === TUNSETOFFLOAD, false, 1],
    ['IFF_VNET_HDR', undefined, false, 1],
  ])('opens the interface where the kernel lacks %s', (_, isRefused, isOffloading, noteCount) => {
    const refuseFirstAttach = once(EINVAL);
    refusals.set('ioctl', (fd, request, flags) => {
      if (isRefused === undefined) return request === TUNSETIFF ? refuseFirstAttach() : undefined;
      return isRefused(fd!, request!, flags!) ? EINVAL : undefined;
    });
    const tun = openTestTun();
    expect(tun.isOffloading).toBe(isOffloading);
    expect(notes).toHaveLength(noteCount);
    // It works both ways: a datagram to the other side, whose addresses are then exchanged.
    const udp = open();
    sendAlike(udp, new Endpoint(Uint8Array.of(10, 7, 0, 2), 5), 2);
    expect(packetsRead(tun).filter((length) => length === 128)).toHaveLength(2);
    expect(drops).toEqual([]);
    tun.deliver(HEADROOM_BYTES, 3);
    tun.flush();
    expect(drops).toEqual(['tunWriteFailed 1']);
  });
});
