/**
 * The kernel as the oracle of coalescing and segmentation: super-packets that the coalescer made
 * are written to one interface, forwarded by the kernel, and read from another one; either cut by
 * the kernel, or handed over whole and cut by us. What comes out must be what went in.
 */

import { createHash } from 'node:crypto';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { Arena, HEADROOM_BYTES } from '../../src/arena.ts';
import { openTun, type Tun } from '../../src/tun/tun.ts';
import { packetByPacket } from '../datapath/onebyone.ts';
import { describeInNamespace, enterNamespace, ip, sysctl } from '../lab/namespace.ts';
import {
  ACK,
  build,
  CWR,
  Dice,
  ECE,
  hex,
  type PacketSpec,
  PSH,
  seeds,
  segments,
  spec,
  TIMESTAMPS,
} from '../packet/trains.ts';

const MTU = 1420;
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

interface Side {
  readonly arena: Arena;
  readonly tun: Tun;
}

function open(name: string, offload: boolean, peer: number): Side {
  const arena = new Arena(8 << 20);
  const fail = (note: string): never => expect.fail(`${name}: ${note}`);
  const tun = openTun({
    ...{ name, mtu: MTU, offload, arena },
    ...{ onDrop: fail, onNote: fail, onGone: () => fail('gone') },
  });
  cleanups.push(() => tun.close());
  ip('link', 'set', name, 'up');
  ip('route', 'add', `10.0.${peer - 1}.${peer}/32`, 'dev', name);
  ip('route', 'add', `2001:db8::${peer}/128`, 'dev', name);
  return { arena, tun };
}

function receivedFrames(name: string): number {
  return Number(/RX:[^\n]*\n\s*\d+\s+(\d+)/.exec(ip('-s', 'link', 'show', name))?.[1]);
}

/** Delivers the packets to one interface and returns what the kernel forwards to the other. */
function forward(packets: readonly Uint8Array[], offload: boolean): [Uint8Array[], number] {
  const entry = open('in0', true, 1);
  const exit = open('out0', offload, 2);
  for (const packet of packets) {
    const at = entry.arena.allocate(HEADROOM_BYTES + packet.length) + HEADROOM_BYTES;
    entry.arena.bytes.set(packet, at);
    entry.tun.deliver(at, packet.length);
  }
  entry.tun.flush();
  expect([...entry.tun.errors]).toEqual([]);
  const forwarded: Uint8Array[] = [];
  const keep = (offset: number, length: number): void => {
    const packet = exit.arena.bytes.slice(offset, offset + length);
    // Router solicitations and multicast reports (behind a hop-by-hop header) are the kernel's own.
    const isOwn = packet[0] >> 4 === 6 && (packet[6] === 58 || packet[6] === 0);
    if (!isOwn) forwarded.push(packet);
  };
  while (exit.tun.read(packetByPacket(keep), 64) > 0) exit.arena.reset();
  return [forwarded, receivedFrames('in0')];
}

/** Short enough to be read in a failure: the headers, and a digest of everything. */
function print(packet: Uint8Array): string {
  const digest = createHash('sha256').update(packet).digest('hex').slice(0, 16);
  return `${hex(packet.slice(0, 72))} ${packet.length} ${digest}`;
}

/** As it leaves a router. */
const routed = (packet: PacketSpec): string => print(build({ ...packet, ttl: packet.ttl - 1 }));

const payload = (length: number): number[] => new Dice(length).bytes(length);
const v6 = { version: 6 } as const;
const udp = { protocol: 'udp' } as const;

const rows: [name: string, packet: PacketSpec, size: number][] = [
  ['TCP over IPv4', spec({ payload: payload(60_001) }), 1368],
  ['TCP over IPv6', spec({ ...v6, payload: payload(60_001) }), 1348],
  ['TCP, PSH at the end', spec({ flags: ACK | PSH, payload: payload(6000) }), 1001],
  [
    'TCP with ECE and marks',
    spec({ flags: ACK | ECE, trafficClass: 3, payload: payload(6000) }),
    1001,
  ],
  [
    'TCP, numbers wrapping',
    spec({ identification: 0xfffe, sequence: 0xffff_fc00, payload: payload(6000) }),
    999,
  ],
  ['TCP without DF', spec({ fragment: 0, payload: payload(6000) }), 999],
  ['UDP over IPv4', spec({ ...udp, payload: payload(60_001) }), 1392],
  ['UDP over IPv6', spec({ ...udp, ...v6, payload: payload(60_001) }), 1372],
  ['small datagrams', spec({ ...udp, payload: payload(64 * 18) }), 18],
];

describeInNamespace('super-packets through the kernel', () => {
  beforeAll(() => {
    enterNamespace();
    for (const name of ['all', 'default']) sysctl(`net/ipv4/conf/${name}/rp_filter`, '0');
    sysctl('net/ipv4/ip_forward', '1');
    sysctl('net/ipv6/conf/all/forwarding', '1');
  });

  const paths = [
    ['cut by the kernel', false],
    ['cut by us', true],
  ] as const;

  for (const [path, offload] of paths) {
    it.each(rows)(`come out as their packets went in, ${path}: %s`, (_name, packet, size) => {
      const packets = segments(packet, size);
      const [forwarded, frames] = forward(
        packets.map((each) => build(each)),
        offload,
      );
      expect(forwarded.map(print)).toEqual(packets.map(routed));
      expect(frames).toBeLessThanOrEqual(2);
    });

    it.each(seeds(5))(`come out as their packets went in, ${path}: random, seed %i`, (seed) => {
      const dice = new Dice(seed);
      const packets: PacketSpec[] = [];
      for (let i = 0; i < 30; i++) {
        const packet = spec({
          version: dice.pick([4, 6] as const),
          protocol: dice.pick(['tcp', 'udp'] as const),
          sourcePort: 1 + dice.below(3),
          identification: dice.below(65_536),
          sequence: dice.below(2 ** 32),
          flags: dice.pick([ACK, ACK | PSH, ACK | CWR, ACK | ECE]),
          fragment: dice.pick([0, 0x4000]),
          tcpOptions: dice.pick([[], TIMESTAMPS]),
          payload: dice.bytes(1 + dice.below(4000)),
        });
        packets.push(...segments(packet, 100 + dice.below(1200)));
      }
      const [forwarded, frames] = forward(
        packets.map((each) => build(each)),
        offload,
      );
      // Of different flows the order may change.
      expect(forwarded.map(print).sort()).toEqual(packets.map(routed).sort());
      expect(frames).toBeLessThan(packets.length);
    });
  }
});
