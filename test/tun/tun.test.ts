import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Arena, HEADROOM_BYTES, TAILROOM_BYTES } from '../../src/arena.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { interfaceNameError } from '../../src/sys/interfacename.ts';
import { type Watch, watch } from '../../src/sys/poller.ts';
import { openTun, type Tun, type TunOptions } from '../../src/tun/tun.ts';
import { openUdp, type Udp } from '../../src/udp/udp.ts';
import { packetByPacket } from '../datapath/onebyone.ts';
import {
  describeInNamespace,
  enterNamespace,
  eventually,
  ip,
  OtherNamespace,
  openDescriptors,
} from '../lab/namespace.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** A Tun with its own arena, and all that it reported. */
class Bench {
  readonly arena = new Arena(8 << 20);
  readonly events: string[] = [];
  readonly tun: Tun;

  constructor(options: Partial<TunOptions> = {}) {
    this.tun = openTun({
      name: 'tun0',
      mtu: 1420,
      offload: true,
      arena: this.arena,
      onDrop: (reason, packets) => this.events.push(`${reason} ${packets}`),
      onNote: (note) => this.events.push(note),
      onGone: () => this.events.push('gone'),
      ...options,
    });
    cleanups.push(() => this.tun.close());
  }

  up(address: string): this {
    ip('addr', 'add', address, 'dev', this.tun.name, ...(address.includes(':') ? ['nodad'] : []));
    ip('link', 'set', this.tun.name, 'up');
    return this;
  }

  /** The packets that wait, but for the router solicitations that the kernel sends by itself. */
  readAll(): Uint8Array[] {
    const packets: Uint8Array[] = [];
    let end = -1;
    while (
      this.tun.read(
        packetByPacket((offset, length) => {
          expect(offset % 4).toBe(0);
          expect(offset - HEADROOM_BYTES).toBeGreaterThanOrEqual(end);
          end = offset + length + TAILROOM_BYTES - 15;
          const bytes = this.arena.bytes.slice(offset, offset + length);
          if (bytes[0] >> 4 === 4 || bytes[6] !== 58) packets.push(bytes);
        }),
        64,
      ) > 0
    );
    this.arena.reset();
    return packets;
  }

  deliver(...packets: Uint8Array[]): void {
    for (const packet of packets) {
      const offset = this.arena.allocate(HEADROOM_BYTES + packet.length) + HEADROOM_BYTES;
      this.arena.bytes.set(packet, offset);
      this.tun.deliver(offset, packet.length);
    }
    this.tun.flush();
    this.arena.reset();
  }
}

function openTestUdp(): { udp: Udp; arena: Arena } {
  const arena = new Arena(4 << 20);
  const onDrop = () => {};
  const udp = openUdp({ arena, port: 0, fwmark: 0, offload: true, onDrop, onNote: onDrop });
  cleanups.push(() => udp.close());
  return { udp, arena };
}

function swapAddresses(packet: Uint8Array): Uint8Array {
  const answer = packet.slice();
  answer.set(packet.subarray(16, 20), 12);
  answer.set(packet.subarray(12, 16), 16);
  answer.set(packet.subarray(22, 24), 20);
  answer.set(packet.subarray(20, 22), 22);
  return answer;
}

describe('interface names', () => {
  it.each(['wg0', 'a', 'fifteen-bytes-x', 'site.a_1', 'ü'])('takes %j', (name) => {
    expect(interfaceNameError(name)).toBeNull();
  });
  it.each([
    '',
    'sixteen-bytes-xx',
    '.',
    '..',
    'a/b',
    'a b',
    'a\n',
    'wg%d',
    'wg0:1',
    'a\0',
    'üüüüüüüü',
  ])('refuses %j', (name) => expect(interfaceNameError(name)).toMatch(/^expected /));
});

describeInNamespace('tun', () => {
  beforeAll(enterNamespace);

  for (const offload of [true, false]) {
    it(`reads and writes packets byte for byte: ${offload ? 'offloads' : 'plain'}`, () => {
      const bench = new Bench({ offload }).up('10.9.0.1/24');
      expect(bench.tun.isOffloading).toBe(offload);
      const { udp, arena } = openTestUdp();
      const sizes = [0, 1, 15, 16, 17, 1000, 1392];
      const there = new Endpoint(Uint8Array.of(10, 9, 0, 2), 7);
      for (const [i, size] of sizes.entries()) {
        const offset = arena.allocate(size);
        arena.bytes.fill(i + 1, offset, offset + size);
        udp.transmit(offset, size, there, 0);
      }
      udp.flush();
      arena.reset();
      const packets = bench.readAll();
      expect(packets.map(({ length }) => length)).toEqual(sizes.map((size) => 28 + size));

      bench.deliver(...packets.map(swapAddresses));
      const received: [number, number | undefined][] = [];
      udp.sockets[0].receive(
        (offset, length, endpoint) => {
          expect(
            endpoint.equals(
              new Endpoint(
                there.address,
                7,
                0,
                Uint8Array.of(10, 9, 0, 1),
                endpoint.sourceInterface,
              ),
            ),
          ).toBe(true);
          const bytes = arena.bytes.slice(offset, offset + length);
          expect(new Set(bytes).size).toBeLessThanOrEqual(1);
          received.push([length, bytes[0]]);
        },
        100,
        0,
      );
      expect(received).toEqual(sizes.map((size, i) => [size, size === 0 ? undefined : i + 1]));
      expect(bench.events).toEqual([]);
    });

    it(`counts what the kernel refuses and goes on: ${offload ? 'offloads' : 'plain'}`, () => {
      const bench = new Bench({ offload }).up('10.9.0.1/24');
      bench.deliver(Uint8Array.of(0xff, 1, 2), new Uint8Array(40));
      expect(bench.events).toEqual(['tunWriteFailed 1', 'tunWriteFailed 1']);
      expect([...bench.tun.errors]).toEqual([['EINVAL', 2]]);
      ip('link', 'set', 'tun0', 'down');
      bench.readAll();
      bench.deliver(Uint8Array.of(0x45, ...new Array(27).fill(0)));
      expect(bench.events.slice(2)).toEqual(['interfaceDown 1']);
      expect(bench.tun.read(() => {}, 1)).toBe(0);
    });

    it(`notices that the interface is deleted: ${offload ? 'offloads' : 'plain'}`, async () => {
      const bench = new Bench({ offload }).up('10.9.0.1/24');
      const bugs: unknown[] = [];
      const handle = watch(
        bench.tun.fd,
        () => void bench.readAll(),
        (bug) => bugs.push(bug),
      );
      cleanups.push(() => handle.close());
      ip('link', 'del', 'tun0');
      await eventually(() => bench.events.includes('gone'), 'gone');
      handle.close();
      bench.deliver(new Uint8Array(40));
      expect(bench.events).toEqual(['gone', 'tunWriteFailed 1']);
      expect(bugs).toEqual([]);
    });

    for (const family of [4, 6] as const) {
      it(`carries a TCP stream, IPv${family}, ${offload ? 'offloads' : 'plain'}`, async () => {
        await carryStream(offload, family);
      });
    }
  }

  it('keeps every packet of a turn in its place, super-packets and others by turns', () => {
    const bench = new Bench().up('10.9.0.1/24');
    const { udp, arena } = openTestUdp();
    const there = new Endpoint(Uint8Array.of(10, 9, 0, 2), 7);
    const sent: string[] = [];
    for (const [i, count] of [40, 1, 30, 35, 1, 1, 50, 40, 1, 64].entries()) {
      for (let n = 0; n < count; n++) {
        const size = count > 1 ? 1000 : 300 + i;
        const offset = arena.allocate(size);
        arena.bytes.fill(sent.length & 255, offset, offset + size);
        udp.transmit(offset, size, there, 0);
        sent.push(`${size}: ${sent.length & 255}`);
      }
      udp.flush();
    }
    const places: [number, number][] = [];
    bench.tun.read(
      packetByPacket((offset, length) => places.push([offset, length])),
      1000,
    );
    const seen = places.map(([offset, length]) => {
      const values = new Set(bench.arena.bytes.subarray(offset + 28, offset + length));
      return `${length - 28}: ${[...values].join()}`;
    });
    expect(seen.filter((text) => /^(1000|3..):/.test(text))).toEqual(sent);
    expect(bench.events).toEqual([]);
  });

  it('stops reading where the arena ends, and loses nothing', () => {
    const bench = new Bench().up('10.9.0.1/24');
    const { udp, arena } = openTestUdp();
    for (let i = 0; i < 5; i++) {
      udp.transmit(
        arena.allocate(100 + i),
        100 + i,
        new Endpoint(Uint8Array.of(10, 9, 0, 2), 7),
        0,
      );
    }
    udp.flush();
    bench.arena.allocate(bench.arena.available - 100_000);
    expect(bench.tun.read(() => {}, 10)).toBe(0);
    bench.arena.reset();
    expect(bench.readAll().map(({ length }) => length)).toEqual(
      [0, 1, 2, 3, 4].map((i) => 128 + i),
    );
  });

  for (const offload of [true, false]) {
    it(`ends a read early when packets are large: ${offload ? 'offloads' : 'plain'}`, () => {
      const bench = new Bench({ offload, mtu: 60_000 }).up('10.9.0.1/24');
      const { udp, arena } = openTestUdp();
      const there = new Endpoint(Uint8Array.of(10, 9, 0, 2), 7);
      const count = 10;
      const offset = arena.allocate(50_000);
      for (let i = 0; i < count; i++) {
        udp.transmit(offset, 50_000, there, 0);
        udp.flush();
      }
      const reads = [0, 1, 2].map(() => {
        const handed = bench.tun.read(() => {}, 256);
        bench.arena.reset();
        return handed;
      });
      expect(reads).toEqual([8, 2, 0]);
    });
  }

  it('adopts an inherited descriptor with its name and framing', () => {
    const bench = new Bench({ name: 'given0' });
    const { fd } = bench.tun;
    const adopted = new Bench({ name: 'ignored', fd, offload: false });
    expect(adopted.tun.name).toBe('given0');
    expect(adopted.tun.isOffloading).toBe(false);
    adopted.up('10.9.0.1/24');
    const { udp, arena } = openTestUdp();
    udp.transmit(arena.allocate(64), 64, new Endpoint(Uint8Array.of(10, 9, 0, 2), 7), 0);
    udp.flush();
    expect(adopted.readAll().map(({ length }) => length)).toEqual([92]);
    cleanups.splice(0, 1); // One close for the one descriptor.
  });

  it.each([
    ['a name in use', () => void new Bench({ name: 'busy0' }), 'busy0', /another program/],
    ['a name too long', () => {}, 'sixteen-bytes-xx', /expected 1 to 15 bytes/],
    ['an interface that is no TUN device', () => {}, 'lo', /lo: .*expected a TUN device/],
  ])('refuses %s in one line, and leaves nothing open', (_, prepare, name, message) => {
    prepare();
    const before = openDescriptors();
    expect(() => new Bench({ name })).toThrow(message);
    expect(() => new Bench({ name })).toThrow(/^create interface [^\n]+$/);
    expect(openDescriptors()).toBe(before);
  });

  it('gives an interface that it makes room for 1,000 packets, and leaves another as it is', () => {
    const { tun } = new Bench();
    expect(ip('-d', 'link', 'show', tun.name)).toMatch(/ qlen 1000$/m);
    ip('tuntap', 'add', 'dev', 'tun1', 'mode', 'tun');
    cleanups.push(() => ip('link', 'del', 'tun1'));
    ip('link', 'set', 'tun1', 'txqueuelen', '321');
    new Bench({ name: 'tun1', takeOver: true });
    expect(ip('-d', 'link', 'show', 'tun1')).toMatch(/ qlen 321$/m);
  });

  it('refuses an MTU that the kernel refuses', () => {
    expect(() => new Bench({ mtu: 20 })).toThrow('set the MTU of tun0 to 20: expected 68 to 65535');
  });

  it('refuses a descriptor that is no TUN device', () => {
    const fd = openSync('/dev/null', 'r');
    expect(() => new Bench({ fd })).toThrow(`use descriptor ${fd}: expected an open descriptor`);
    closeSync(fd);
    expect(() => new Bench({ fd: 9999 })).toThrow('use descriptor 9999: expected an open');
  });
});

/** 8 MB each way between two namespaces, through a Tun in each, whose packets are exchanged. */
async function carryStream(offload: boolean, family: 4 | 6): Promise<void> {
  const addresses = family === 4 ? ['10.9.0.1', '10.9.0.2'] : ['fd00::1', 'fd00::2'];
  const length = family === 4 ? 24 : 64;
  const here = new Bench({ offload }).up(`${addresses[0]}/${length}`);
  const other = new OtherNamespace();
  cleanups.push(() => other.close());
  const there = other.run(() => new Bench({ offload }).up(`${addresses[1]}/${length}`));
  let longest = 0;
  const pump = (from: Bench, to: Bench): Watch => {
    const exchange = () => {
      from.tun.read(
        packetByPacket((offset, bytes) => {
          const target = to.arena.allocate(HEADROOM_BYTES + bytes) + HEADROOM_BYTES;
          to.arena.bytes.set(from.arena.bytes.subarray(offset, offset + bytes), target);
          to.tun.deliver(target, bytes);
          longest = Math.max(longest, bytes);
        }),
        256,
      );
      to.tun.flush();
      from.arena.reset();
      to.arena.reset();
    };
    return watch(from.tun.fd, exchange, (bug) => {
      throw bug;
    });
  };
  const pumps = [pump(here, there), pump(there, here)];
  cleanups.push(() => pumps.forEach((handle) => void handle.close()));

  const payload = randomBytes(8 << 20);
  const echo: Server = createServer((socket) => socket.pipe(socket));
  cleanups.push(() => void echo.close());
  // Without a host it listens at once, in the namespace of this moment.
  other.run(() => echo.listen(7777));
  const hash = createHash('sha256');
  let received = 0;
  await new Promise<void>((resolve, reject) => {
    const client = connect(7777, addresses[1]);
    client.on('error', reject);
    client.on('data', (chunk) => {
      hash.update(chunk);
      received += chunk.length;
    });
    client.on('end', resolve);
    client.end(payload);
  });
  expect(received).toBe(payload.length);
  expect(hash.digest('hex')).toBe(createHash('sha256').update(payload).digest('hex'));
  expect(longest).toBeLessThanOrEqual(1420);
  expect([...here.events, ...there.events]).toEqual([]);
}
