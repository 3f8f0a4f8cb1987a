import { createHash } from 'node:crypto';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { Arena, TURN_RESERVE_BYTES } from '../../src/arena.ts';
import { NO_DOORKEEPER } from '../../src/device/doorkeeper.ts';
import type { DropReason } from '../../src/device/drops.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { ERRNO, SystemError } from '../../src/sys/libc.ts';
import { openUdp, type Udp, type UdpOptions } from '../../src/udp/udp.ts';
import { datagramByDatagram } from '../datapath/onebyone.ts';
import {
  describeInNamespace,
  enterNamespace,
  ip,
  openDescriptors,
  sysctl,
} from '../lab/namespace.ts';

interface Received {
  readonly bytes: Uint8Array;
  readonly endpoint: Endpoint;
  readonly trafficClass: number;
  readonly offset: number;
}

/** A Udp with an arena of its own, and all that it reported. */
class Station {
  readonly arena = new Arena(8 << 20);
  readonly drops: [DropReason, number][] = [];
  readonly notes: string[] = [];
  readonly udp: Udp;

  constructor(options: Partial<Pick<UdpOptions, 'port' | 'offload' | 'fwmark' | 'gate'>> = {}) {
    const { port = 0, offload = true, fwmark = 0, gate } = options;
    this.udp = openUdp({
      arena: this.arena,
      port,
      fwmark,
      offload,
      onDrop: (reason, packets) => this.drops.push([reason, packets]),
      onNote: (note) => this.notes.push(note),
      ...(gate === undefined ? {} : { gate }),
    });
    stations.push(this);
  }

  /** Puts a datagram into the arena, at `gap` bytes behind the one before. */
  put(bytes: Uint8Array, endpoint: Endpoint, trafficClass = 0, gap?: number): void {
    const offset = this.arena.allocate(bytes.length);
    if (gap !== undefined) this.arena.shrink(offset, bytes.length + gap);
    this.arena.bytes.set(bytes, offset);
    this.udp.transmit(offset, bytes.length, endpoint, trafficClass);
  }

  send(bytes: Uint8Array, endpoint: Endpoint, trafficClass = 0): void {
    this.put(bytes, endpoint, trafficClass);
    this.udp.flush();
    this.arena.reset();
  }

  /** All that waits; loopback delivers before the send returns. */
  receiveAll(budget = 10_000): Received[] {
    const received: Received[] = [];
    for (const socket of this.udp.sockets) {
      for (;;) {
        const count = socket.receive(
          datagramByDatagram((offset, length, endpoint, trafficClass) => {
            const bytes = this.arena.bytes.slice(offset, offset + length);
            received.push({ bytes, endpoint, trafficClass, offset });
          }),
          budget,
          0,
        );
        this.arena.reset();
        if (count === 0) break;
      }
    }
    return received;
  }
}

const stations: Station[] = [];
afterEach(() => {
  for (const { udp } of stations.splice(0)) udp.close();
});

const v4 = (port: number, last = 1) => new Endpoint(Uint8Array.of(127, 0, 0, last), port);
const v6 = (port: number) => new Endpoint(Uint8Array.of(...new Array(15).fill(0), 1), port);
const loopbacks = { 4: v4, 6: v6 } as const;

function datagram(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed * 31 + i * 7 + (i >> 8)) & 0xff);
}

/** Length and digest: what a failure can show without a screenful for each datagram. */
function print(bytes: Uint8Array): string {
  return `${bytes.length}:${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}

const fingerprint = ({ bytes }: Received) => print(bytes);

describeInNamespace('udp', () => {
  beforeAll(enterNamespace);

  it('opens both families on one port that the kernel picks', () => {
    const { udp } = new Station();
    expect(udp.sockets.map(({ family }) => family)).toEqual([4, 6]);
    expect(udp.port).toBeGreaterThan(0);
  });

  it('refuses a port that is taken, in one line, and leaves nothing open', () => {
    const { port } = new Station().udp;
    const before = openDescriptors();
    let error: unknown;
    try {
      new Station({ port });
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(SystemError);
    expect((error as SystemError).errno).toBe(ERRNO.EADDRINUSE);
    expect((error as SystemError).message).toMatch(new RegExp(`^open UDP port ${port}: [^\n]+$`));
    expect(openDescriptors()).toBe(before);
  });

  for (const family of [4, 6] as const) {
    for (const offload of [true, false]) {
      const label = `IPv${family}, ${offload ? 'offloads' : 'plain'}`;

      it(`carries datagrams with their endpoint and traffic class: ${label}`, () => {
        const a = new Station({ offload });
        const b = new Station({ offload });
        a.send(datagram(148, 1), loopbacks[family](b.udp.port), 0x88);
        const [first] = b.receiveAll();
        expect(first!.bytes).toEqual(datagram(148, 1));
        expect(first!.trafficClass).toBe(0x88);
        expect(first!.offset % 16).toBe(0);
        expect(first!.endpoint.sameRemote(loopbacks[family](a.udp.port))).toBe(true);
        expect(first!.endpoint.source).toEqual(loopbacks[family](0).address);
        expect(first!.endpoint.sourceInterface).toBe(1);

        b.send(datagram(92, 2), first!.endpoint);
        const [reply] = a.receiveAll();
        expect(reply!.bytes).toEqual(datagram(92, 2));
        expect(reply!.trafficClass).toBe(0);
        expect(reply!.endpoint.port).toBe(b.udp.port);
        expect([...a.drops, ...b.drops]).toEqual([]);
      });

      it(`keeps runs byte for byte, in order, whatever their shape: ${label}`, () => {
        const a = new Station({ offload });
        const b = new Station({ offload });
        const to = loopbacks[family](b.udp.port);
        const shapes: [length: number, count: number, gap: number][] = [
          [1452, 46, 12], // one TSO read, lying without gaps after alignment
          [96, 200, 0], // more than 64 alike
          [1452, 1, 0],
          [1452, 3, 100], // alike, but apart
          [700, 1, 0], // a short tail closes a run
          [1452, 2, 0],
          [32, 5, 0],
          [0, 1, 0],
          [60_000, 2, 0],
          [1, 70, 0],
        ];
        const sent: Uint8Array[] = [];
        for (const [length, count, gap] of shapes) {
          for (let i = 0; i < count; i++) {
            const bytes = datagram(length, sent.length);
            sent.push(bytes);
            a.put(bytes, to, 0, gap);
          }
        }
        a.udp.flush();
        expect(b.receiveAll().map(fingerprint)).toEqual(sent.map(print));
        expect([...a.drops, ...b.drops, ...a.notes]).toEqual([]);
      });
    }

    it(`gives one Endpoint object for one remote and local side: IPv${family}`, () => {
      const a = new Station();
      const b = new Station();
      const c = new Station();
      for (let round = 0; round < 3; round++) {
        a.send(datagram(32, round), loopbacks[family](b.udp.port));
        c.send(datagram(32, round), loopbacks[family](b.udp.port));
      }
      const endpoints = b.receiveAll().map(({ endpoint }) => endpoint);
      expect(endpoints).toHaveLength(6);
      expect(new Set(endpoints).size).toBe(2);
    });

    it(`sends from another address when the sticky one is gone: IPv${family}`, () => {
      const a = new Station();
      const b = new Station();
      const gone = family === 4 ? Uint8Array.of(192, 0, 2, 9) : datagram(16, 3);
      const to = new Endpoint(loopbacks[family](0).address, b.udp.port, 0, gone, 1);
      for (let i = 0; i < 3; i++) a.put(datagram(64, i), to);
      a.udp.flush();
      expect(b.receiveAll().map(({ bytes }) => bytes)).toEqual(
        [0, 1, 2].map((i) => datagram(64, i)),
      );
      expect(to.source).toBeNull();
      expect(a.drops).toEqual([]);
      // The source was at fault, not the size: a further run still travels as one.
      expect(a.udp.isOffloading).toBe(true);
    });

    it(`falls back to single datagrams where the path is too narrow: IPv${family}`, () => {
      const a = new Station();
      const b = new Station();
      const to = loopbacks[family](b.udp.port);
      ip('link', 'set', 'lo', 'mtu', '1300');
      try {
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 10; i++) a.put(datagram(1452, i), to);
          a.udp.flush();
          a.arena.reset();
        }
      } finally {
        ip('link', 'set', 'lo', 'mtu', '65536');
      }
      const received = b.receiveAll();
      expect(received).toHaveLength(30);
      received.forEach(({ bytes }, i) => {
        expect(bytes).toEqual(datagram(1452, i % 10));
      });
      expect(a.drops).toEqual([]);
      expect(a.udp.isOffloading).toBe(true);
    });
  }

  it('answers from the address that was asked', () => {
    const a = new Station();
    const b = new Station();
    a.send(datagram(32, 1), v4(b.udp.port, 77));
    const [asked] = b.receiveAll();
    expect(asked!.endpoint.source).toEqual(Uint8Array.of(127, 0, 0, 77));
    b.send(datagram(32, 2), asked!.endpoint);
    const [answer] = a.receiveAll();
    expect(answer!.endpoint.address).toEqual(Uint8Array.of(127, 0, 0, 77));
  });

  it('does not answer from a multicast address', async () => {
    const a = new Station();
    const b = new Station();
    sysctl('net/ipv6/conf/default/accept_dad', '0');
    ip('link', 'add', 'm0', 'type', 'veth', 'peer', 'name', 'm1');
    ip('link', 'set', 'm1', 'up');
    ip('link', 'set', 'm0', 'up');
    const link = Number(ip('-o', 'link', 'show', 'm0').split(':')[0]);
    a.send(datagram(32, 1), v6(b.udp.port));
    expect(b.receiveAll()[0].endpoint.source).toEqual(v6(0).address);
    // To all nodes of the link, of which this machine is one as soon as the kernel has joined them.
    const group = Uint8Array.of(0xff, 2, ...new Array(13).fill(0), 1);
    const multicasts = await vi.waitUntil(
      () => {
        a.send(datagram(32, 2), new Endpoint(group, b.udp.port, link));
        const endpoints = b.receiveAll().map(({ endpoint }) => endpoint);
        return endpoints.length > 0 && endpoints;
      },
      { timeout: 30_000 },
    );
    for (const { source, scope } of multicasts) {
      expect(source).toBeNull();
      expect(scope).toBeGreaterThan(0);
    }
  });

  it('makes a new Endpoint once the old one was made to forget its source', () => {
    const a = new Station();
    const b = new Station();
    a.send(datagram(32, 1), v4(b.udp.port));
    const first = b.receiveAll()[0].endpoint;
    first.forgetSource();
    a.send(datagram(32, 1), v4(b.udp.port));
    const second = b.receiveAll()[0].endpoint;
    expect(second).not.toBe(first);
    expect(second.source).toEqual(Uint8Array.of(127, 0, 0, 1));
  });

  it('keeps the order of each endpoint when several take turns', () => {
    const a = new Station();
    const receivers = Array.from({ length: 6 }, () => new Station());
    const endpoints = receivers.map(({ udp }, i) => loopbacks[i % 2 === 0 ? 4 : 6](udp.port));
    const sent: string[][] = receivers.map(() => []);
    let seed = 12345;
    for (let i = 0; i < 3000; i++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      const who = (seed >>> 16) % receivers.length;
      const bytes = datagram([64, 64, 64, 1000, 1452][(seed >>> 20) % 5], i);
      const trafficClass = seed >>> 28 === 0 ? 2 : 0;
      sent[who].push(`${print(bytes)} ${trafficClass}`);
      a.put(bytes, endpoints[who], trafficClass);
    }
    a.udp.flush();
    expect(a.drops).toEqual([]);
    for (const [who, receiver] of receivers.entries()) {
      const received = receiver.receiveAll();
      expect(received.map(({ bytes, trafficClass }) => `${print(bytes)} ${trafficClass}`)).toEqual(
        sent[who],
      );
    }
  });

  it('counts what cannot be sent, by error, and sends the rest', () => {
    const a = new Station();
    const b = new Station();
    a.put(datagram(32, 1), new Endpoint(Uint8Array.of(192, 0, 2, 1), 9));
    a.put(datagram(65_520, 2), v4(b.udp.port));
    a.put(datagram(32, 3), v4(b.udp.port));
    a.udp.flush();
    expect(b.receiveAll().map(({ bytes }) => bytes)).toEqual([datagram(32, 3)]);
    expect(a.drops).toEqual([
      ['sendFailed', 1],
      ['sendFailed', 1],
    ]);
    expect([...a.udp.errors]).toEqual([
      ['ENETUNREACH', 1],
      ['EMSGSIZE', 1],
    ]);
  });

  it('goes on after ICMP errors', () => {
    const a = new Station();
    const b = new Station();
    const closed = new Station();
    closed.udp.close();
    for (let i = 0; i < 5; i++) {
      a.send(datagram(32, i), v4(closed.udp.port));
      a.send(datagram(32, i), v6(closed.udp.port));
    }
    b.send(datagram(32, 9), v4(a.udp.port));
    expect(a.receiveAll().map(({ bytes }) => bytes)).toEqual([datagram(32, 9)]);
    a.send(datagram(32, 9), v6(b.udp.port));
    expect(b.receiveAll()).toHaveLength(1);
    expect(a.drops).toEqual([]);
  });

  it('stops at its budget and where the arena ends, and loses nothing', () => {
    const a = new Station({ offload: false });
    const b = new Station({ offload: false });
    for (let i = 0; i < 100; i++) a.put(datagram(32, i), v4(b.udp.port));
    a.udp.flush();
    const seen: number[] = [];
    const sink = (offset: number) => seen.push(b.arena.bytes[offset]);
    const [socket] = b.udp.sockets;
    expect(socket!.receive(sink, 10, 0)).toBe(10);
    const held = b.arena.allocate(b.arena.available - 1000);
    expect(socket!.receive(sink, 100, 0)).toBe(0);
    b.arena.shrink(held, 0);
    expect(socket!.receive(sink, 100, 0)).toBe(90);
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => datagram(1, i)[0]));
  });

  it('ends a read early when datagrams are large, and loses nothing', () => {
    const a = new Station({ offload: false });
    const b = new Station({ offload: false });
    const bytes = datagram(50_000, 1);
    for (let i = 0; i < 20; i++) a.send(bytes, v4(b.udp.port));
    const reads: number[] = [];
    const [socket] = b.udp.sockets;
    for (let left = 20; left > 0; left -= reads.at(-1)!) {
      reads.push(socket!.receive(() => {}, 256, 0));
      b.arena.reset();
    }
    expect(reads[0]).toBeGreaterThanOrEqual(8);
    expect(reads[0]).toBeLessThan(12);
  });

  it('tells the gate after each read whether it left anything behind', () => {
    const reads: unknown[] = [];
    const gate = {
      ...NO_DOORKEEPER,
      ...{ turnsASample: 0, isPressed: false, turned: () => {}, vindicate: () => {} },
      state: { word: 'open', share: 1 } as const,
      ...{ guard: () => {}, release: () => {} },
      wasRead: (...read: unknown[]) => void reads.push(read),
    };
    const a = new Station({ offload: false });
    const b = new Station({ offload: false, gate });
    for (let i = 0; i < 3; i++) a.put(datagram(32, i), v4(b.udp.port));
    a.udp.flush();
    const [v4Socket, v6Socket] = b.udp.sockets;
    v4Socket!.receive(() => {}, 2, 77);
    v4Socket!.receive(() => {}, 2, 78);
    v6Socket!.receive(() => {}, 2, 79);
    expect(reads).toEqual([
      [4, false, 77],
      [4, true, 78],
      [6, true, 79],
    ]);
  });

  it('leaves room for what comes of a turn full of datagrams', () => {
    const a = new Station({ offload: false });
    const b = new Station({ offload: false });
    for (let i = 0; i < 250; i++) a.put(datagram(32, i), v4(b.udp.port));
    a.udp.flush();
    let least = Number.POSITIVE_INFINITY;
    const sink = () => {
      least = Math.min(least, b.arena.available);
    };
    expect(b.udp.sockets[0].receive(sink, 250, 0)).toBeGreaterThan(50);
    expect(least).toBeGreaterThanOrEqual(TURN_RESERVE_BYTES);
    expect(least).toBeLessThan(2 * TURN_RESERVE_BYTES);
  });

  it('lets its sink allocate behind what was received', () => {
    const a = new Station();
    const b = new Station();
    for (let i = 0; i < 20; i++) a.put(datagram(100 + i, i), v4(b.udp.port));
    a.udp.flush();
    const taken: [number, number][] = [];
    b.udp.sockets[0].receive(
      (offset, length) => {
        taken.push([offset, offset + length]);
        const own = b.arena.allocate(64);
        taken.push([own, own + 64]);
      },
      100,
      0,
    );
    taken.sort(([p], [q]) => p - q);
    for (let i = 1; i < taken.length; i++)
      expect(taken[i][0]).toBeGreaterThanOrEqual(taken[i - 1][1]);
    expect(taken).toHaveLength(40);
  });

  it('marks what it sends', () => {
    const a = new Station({ fwmark: 51820 });
    const b = new Station();
    ip('rule', 'add', 'fwmark', '51820', 'prohibit', 'priority', '1');
    ip('rule', 'del', 'priority', '0');
    ip('rule', 'add', 'priority', '5', 'table', 'local');
    try {
      a.send(datagram(32, 1), v4(b.udp.port));
      expect(a.udp.errors.size).toBe(1);
      a.udp.setFwmark(0);
      a.send(datagram(32, 2), v4(b.udp.port));
      expect(b.receiveAll()).toHaveLength(1);
    } finally {
      ip('rule', 'add', 'priority', '0', 'table', 'local');
      ip('rule', 'del', 'priority', '1');
    }
  });

  it('runs where IPv6 is disabled', () => {
    sysctl('net/ipv6/conf/all/disable_ipv6', '1');
    try {
      const a = new Station();
      const b = new Station();
      a.send(datagram(32, 1), v4(b.udp.port));
      expect(b.receiveAll()).toHaveLength(1);
      a.send(datagram(32, 1), v6(b.udp.port));
      expect(a.drops).toEqual([['sendFailed', 1]]);
    } finally {
      sysctl('net/ipv6/conf/all/disable_ipv6', '0');
    }
  });
});
