import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import type { Kernels } from '../../src/packet/kernels/kernels.ts';
import { createPortableKernels } from '../../src/packet/kernels/portable.ts';
import { createSimdKernels } from '../../src/packet/kernels/simd.ts';
import { messageStride, paddedLength } from '../../src/packet/padding.ts';
import { Segmenter } from '../../src/packet/segment.ts';
import {
  ACK,
  build,
  CWR,
  Dice,
  ECE,
  FIN,
  hex,
  type PacketSpec,
  PSH,
  plainSum,
  pseudoHeader,
  seeds,
  segments,
  spec,
  superFields,
  superFrame,
  transportChecksum,
  transportOffset,
  virtioHeader,
} from './trains.ts';

const CANARY = 0xa5;
const FRAME = 4096 - 10;

interface Bench {
  readonly arena: Arena;
  readonly segmenter: Segmenter;
}

function bench(create: (arena: Arena) => Kernels | null, size = 1 << 20): Bench {
  const arena = new Arena(size);
  arena.reserve(4096 + 80_000);
  const kernels = create(arena);
  if (kernels === null) throw new Error('no WebAssembly SIMD here');
  return { arena, segmenter: new Segmenter(arena, kernels) };
}

/** Segments the frame and returns the packets; null with its verdict not `ok`. */
function cut({ arena, segmenter }: Bench, frame: Uint8Array, mtu = 1420): Uint8Array[] | string {
  arena.reset();
  arena.bytes.set(frame, FRAME);
  const verdict = segmenter.segment(FRAME, frame.length, mtu);
  if (verdict !== 'ok') return verdict;
  return Array.from({ length: segmenter.count }, (_, i) => {
    const at = segmenter.offset + i * segmenter.stride;
    const isLast = i === segmenter.count - 1;
    const length = isLast ? segmenter.lastLength : segmenter.packetLength;
    return arena.bytes.slice(at, at + length);
  });
}

const payload = (length: number): number[] => new Dice(1).bytes(length);
const v6: Partial<PacketSpec> = { version: 6 };
const udp: Partial<PacketSpec> = { protocol: 'udp' };
const hopByHop = { type: 0, bytes: [0, 0, 1, 4, 0, 0, 0, 0] };
const destinationOptions = { type: 60, bytes: [0, 0, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] };

const rows: [name: string, packet: PacketSpec, size: number, mtu: number][] = [
  ['TCP over IPv4', spec({ payload: payload(5000) }), 1368, 1420],
  ['TCP over IPv6', spec({ ...v6, payload: payload(5000) }), 1348, 1420],
  ['TCP without options', spec({ tcpOptions: [], payload: payload(3000) }), 1380, 1420],
  [
    'TCP with the longest options',
    spec({ tcpOptions: Array(40).fill(1), payload: payload(3000) }),
    1340,
    1420,
  ],
  ['a whole number of segments', spec({ payload: payload(4104) }), 1368, 1420],
  ['an odd segment size', spec({ payload: payload(4001) }), 1001, 1420],
  ['a last segment of one byte', spec({ payload: payload(2737) }), 1368, 1420],
  ['segments of one byte', spec({ payload: payload(37) }), 1, 1420],
  ['less payload than one segment', spec({ payload: payload(100) }), 1368, 1420],
  ['FIN and PSH', spec({ flags: ACK | FIN | PSH, payload: payload(4000) }), 1368, 1420],
  ['CWR and ECE', spec({ flags: ACK | CWR | ECE, payload: payload(4000) }), 1368, 1420],
  ['CWR in a single segment', spec({ flags: ACK | CWR | PSH, payload: payload(40) }), 1368, 1420],
  ['reserved TCP bits', spec({ reserved: 1, payload: payload(4000) }), 1368, 1420],
  ['ECN marks', spec({ trafficClass: 0xb9, payload: payload(4000) }), 1368, 1420],
  ['ECN marks, IPv6', spec({ ...v6, trafficClass: 0xb9, payload: payload(4000) }), 1348, 1420],
  [
    'identification past 65535',
    spec({ identification: 0xfffe, payload: payload(6000) }),
    1368,
    1420,
  ],
  ['sequence past 2^32', spec({ sequence: 0xffff_fb00, payload: payload(6000) }), 1368, 1420],
  ['without DF', spec({ fragment: 0, payload: payload(4000) }), 1368, 1420],
  [
    'IPv4 options',
    spec({ ipOptions: [148, 4, 0, 0, 1, 1, 1, 0], payload: payload(4000) }),
    1360,
    1420,
  ],
  [
    '60 bytes of IPv4 header',
    spec({ ipOptions: Array(40).fill(1), payload: payload(4000) }),
    1328,
    1420,
  ],
  [
    'an extension header',
    spec({ ...v6, extensions: [hopByHop], payload: payload(4000) }),
    1340,
    1420,
  ],
  [
    'two extension headers',
    spec({ ...v6, extensions: [hopByHop, destinationOptions], payload: payload(4000) }),
    1324,
    1420,
  ],
  ['USO over IPv4', spec({ ...udp, payload: payload(5000) }), 1392, 1420],
  ['USO over IPv6', spec({ ...v6, ...udp, payload: payload(5001) }), 1372, 1420],
  ['USO of small datagrams', spec({ ...udp, payload: payload(64 * 17) }), 17, 1420],
  [
    'USO behind extension headers',
    spec({ ...v6, ...udp, extensions: [destinationOptions], payload: payload(5000) }),
    1300,
    1420,
  ],
  ['MTU 576', spec({ payload: payload(4000) }), 524, 576],
  ['MTU 1280', spec({ ...v6, payload: payload(9000) }), 1208, 1280],
  ['MTU 1500', spec({ payload: payload(60_000) }), 1448, 1500],
  ['MTU 8920', spec({ payload: payload(60_000) }), 8868, 8920],
  ['MTU 65535', spec({ payload: payload(60_000) }), 40_000, 65_535],
  ['the longest IPv4 packet', spec({ payload: payload(65_483) }), 1368, 1420],
  ['the longest IPv6 packet', spec({ ...v6, payload: payload(65_503) }), 1348, 1420],
  ['segments larger than a lowered MTU', spec({ payload: payload(9000) }), 1368, 1300],
];

for (const create of [createSimdKernels, createPortableKernels]) {
  describe(`segmentation, ${create === createSimdKernels ? 'SIMD' : 'portable'}`, () => {
    const shared = bench(create);

    it.each(rows)('gives the packets a host would have sent: %s', (_name, packet, size, mtu) => {
      const packets = cut(shared, superFrame(packet, size), mtu);
      if (typeof packets === 'string') throw new Error(packets);
      const expected = segments(packet, size).map((each) => build(each));
      expect(packets.map(hex)).toEqual(expected.map(hex));
    });

    it.each(rows)('trusts no hdr_len and needs no NEEDS_CSUM: %s', (_name, packet, size, mtu) => {
      const frame = superFrame(packet, size);
      const fields = {
        ...superFields(packet, size),
        flags: 0,
        headerLength: 3,
        start: 9,
        field: 9,
      };
      frame.set(virtioHeader(fields));
      const packets = cut(shared, frame, mtu);
      if (typeof packets === 'string') throw new Error(packets);
      expect(packets.map(hex)).toEqual(segments(packet, size).map((each) => hex(build(each))));
    });

    it.each(rows)(
      'lays messages end to end and writes nowhere else: %s',
      (_n, packet, size, mtu) => {
        const { arena, segmenter } = shared;
        const frame = superFrame(packet, size);
        arena.bytes.fill(CANARY);
        const packets = cut(shared, frame, mtu);
        if (typeof packets === 'string') throw new Error(packets);
        expect(segmenter.stride).toBe(messageStride(segmenter.packetLength, mtu));
        expect(segmenter.packetLength).toBe(packets[0].length);
        expect(segmenter.offset % 16).toBe(0);
        expect(segmenter.lastLength).toBeLessThanOrEqual(segmenter.packetLength);
        expect(paddedLength(segmenter.lastLength, mtu) + 32).toBeLessThanOrEqual(segmenter.stride);
        const untouched = arena.bytes.slice();
        untouched.fill(CANARY, FRAME, FRAME + frame.length);
        packets.forEach((each, i) => {
          const at = segmenter.offset + i * segmenter.stride;
          untouched.fill(CANARY, at, at + each.length);
        });
        expect(untouched.every((byte) => byte === CANARY)).toBe(true);
      },
    );

    it('keeps to the pseudo-header of the final destination behind a routing header', () => {
      const routing = { type: 43, bytes: [0, 0, 2, 1, ...Array(20).fill(9)] };
      const packet = spec({ ...v6, extensions: [routing], payload: payload(3000) });
      const final = (each: PacketSpec): PacketSpec => ({ ...each, destination: 99 });
      const bytes = build(packet, plainSum(pseudoHeader(final(packet))));
      const frame = Uint8Array.from([...virtioHeader(superFields(packet, 1000)), ...bytes]);
      const packets = cut(shared, frame) as Uint8Array[];
      const expected = segments(packet, 1000).map((each) =>
        build(each, transportChecksum(final(each))),
      );
      expect(packets.map(hex)).toEqual(expected.map(hex));
    });

    it('sends a UDP checksum of zero as all ones', () => {
      const packet = spec({ ...udp, payload: payload(300) });
      const [, second] = segments({ ...packet, payload: packet.payload.fill(0, 198, 200) }, 100);
      const missing = transportChecksum(second);
      packet.payload.splice(198, 2, missing >> 8, missing & 255);
      const packets = cut(shared, superFrame(packet, 100)) as Uint8Array[];
      expect([...packets[1].subarray(26, 28)]).toEqual([255, 255]);
      expect(packets.map(hex)).toEqual(segments(packet, 100).map((each) => hex(build(each))));
    });

    it.each(seeds(150))('random super-packets, seed %i', (seed) => {
      const dice = new Dice(seed);
      const version = dice.pick([4, 6] as const);
      const packet = spec({
        version,
        protocol: dice.pick(['tcp', 'udp'] as const),
        trafficClass: dice.below(256),
        ttl: 1 + dice.below(255),
        identification: dice.below(65_536),
        fragment: dice.pick([0, 0x4000, 0x8000]),
        ipOptions: dice.bytes(4 * dice.below(11)),
        extensions: Array.from({ length: dice.below(3) }, () => ({
          type: dice.pick([0, 43, 60]),
          bytes: dice.bytes(8 * (1 + dice.below(3))),
        })),
        sequence: dice.below(2 ** 32),
        acknowledgment: dice.below(2 ** 32),
        flags: dice.below(256),
        reserved: dice.below(16),
        window: dice.below(65_536),
        urgent: dice.below(65_536),
        tcpOptions: dice.bytes(4 * dice.below(11)),
        payload: dice.oneIn(3)
          ? Array(1 + dice.below(3000)).fill(dice.pick([0, 255]))
          : dice.bytes(1 + dice.below(dice.pick([100, 5000]))),
      });
      const size = 1 + dice.below(packet.payload.length + 10);
      const packets = cut(shared, superFrame(packet, Math.max(size, packet.payload.length >> 6)));
      if (typeof packets === 'string') throw new Error(packets);
      const expected = segments(packet, Math.max(size, packet.payload.length >> 6));
      expect(packets.map(hex)).toEqual(expected.map((each) => hex(build(each))));
    });
  });
}

describe('frames of one packet', () => {
  const shared = bench(createSimdKernels);
  const none = { flags: 0, type: 0, headerLength: 0, size: 0, start: 0, field: 0 };

  it('leaves a plain packet where it is', () => {
    const packet = build(spec({ payload: payload(333) }));
    const frame = Uint8Array.from([...virtioHeader(none), ...packet]);
    expect(cut(shared, frame)).toEqual([packet]);
    expect(shared.segmenter.offset).toBe(FRAME + 10);
    expect(shared.segmenter.stride).toBe(messageStride(packet.length, 1420));
  });

  it.each([
    ['TCP over IPv4', spec({ payload: payload(333) })],
    ['TCP over IPv6', spec({ ...v6, payload: payload(332) })],
    ['UDP over IPv4', spec({ ...udp, payload: payload(1) })],
    ['UDP over IPv6', spec({ ...v6, ...udp, payload: [] })],
    ['UDP behind extension headers', spec({ ...v6, ...udp, extensions: [hopByHop], payload: [9] })],
    ['TCP behind IPv4 options', spec({ ipOptions: [1, 1, 1, 0], payload: payload(21) })],
    ['a datagram of 65,507 bytes', spec({ ...udp, payload: payload(65_507) })],
  ])('completes the checksum: %s', (_name, packet) => {
    const bytes = build(packet, plainSum(pseudoHeader(packet)));
    const start = transportOffset(packet);
    const field = packet.protocol === 'tcp' ? 16 : 6;
    const frame = Uint8Array.from([...virtioHeader({ ...none, flags: 1, start, field }), ...bytes]);
    expect(cut(shared, frame)).toEqual([build(packet)]);
  });

  it('completes a checksum that stands anywhere', () => {
    const bytes = new Dice(5).bytes(101);
    bytes[0] = 0x45;
    const expected = [...bytes];
    const checksum = 0xffff - plainSum(bytes.slice(33));
    expected.splice(57, 2, checksum >> 8, checksum & 255);
    const header = virtioHeader({ ...none, flags: 1, start: 33, field: 24 });
    expect(cut(shared, Uint8Array.from([...header, ...bytes]))).toEqual([
      Uint8Array.from(expected),
    ]);
  });

  it('sends a UDP checksum of zero as all ones, and a TCP checksum of zero as it is', () => {
    for (const protocol of ['udp', 'tcp'] as const) {
      const zero = spec({ protocol, payload: zeroing(protocol) });
      const start = 20;
      const field = protocol === 'tcp' ? 16 : 6;
      const bytes = build(zero, plainSum(pseudoHeader(zero)));
      const header = virtioHeader({ ...none, flags: 1, start, field });
      const packets = cut(shared, Uint8Array.from([...header, ...bytes])) as Uint8Array[];
      const at = start + field;
      expect(packets[0][at] * 256 + packets[0][at + 1]).toBe(protocol === 'udp' ? 0xffff : 0);
    }
  });
});

/** Two bytes of payload with which the packet's transport checksum comes out as zero. */
function zeroing(protocol: 'tcp' | 'udp'): number[] {
  const bare = spec({ protocol, payload: [0, 0] });
  const bytes = build(bare, 0).subarray(20);
  const missing = 0xffff - plainSum([...pseudoHeader(bare), ...bytes]);
  return [missing >> 8, missing & 255];
}

describe('hostile and broken frames', () => {
  const shared = bench(createSimdKernels);
  const good = spec({ payload: payload(3000) });
  const good6 = spec({ ...v6, extensions: [hopByHop], payload: payload(3000) });

  /** A good frame with some bytes of it changed. */
  function broken(packet: PacketSpec, changes: Record<number, number>): Uint8Array {
    const frame = superFrame(packet, 1000);
    for (const [at, value] of Object.entries(changes)) frame[Number(at)] = value;
    return frame;
  }

  it.each([
    ['an empty frame', new Uint8Array(0)],
    ['half a virtio header', new Uint8Array(5)],
    ['nothing behind the virtio header', new Uint8Array(10)],
    ['an unknown GSO type', broken(good, { 1: 7 })],
    ['UFO, which was not asked for', broken(good, { 1: 3 })],
    ['IPv6 segmentation of an IPv4 packet', broken(good, { 1: 4 })],
    ['IPv4 segmentation of an IPv6 packet', broken(good6, { 1: 1 })],
    ['UDP segmentation of a TCP packet', broken(good, { 1: 5 })],
    [
      'TCP segmentation of a UDP packet',
      broken(spec({ ...udp, payload: payload(3000) }), { 1: 1 }),
    ],
    ['a segment size of zero', broken(good, { 4: 0, 5: 0 })],
    ['no IP version', broken(good, { 10: 0x05 })],
    ['an IP header shorter than it can be', broken(good, { 10: 0x44 })],
    ['an IP header longer than the frame', superFrame(good, 1000).subarray(0, 10 + 19)],
    ['a total length that is not the frame', broken(good, { 12: 0, 13: 99 })],
    ['a fragment', broken(good, { 16: 0x20 })],
    ['a later fragment', broken(good, { 17: 1 })],
    ['another protocol', broken(good, { 19: 50 })],
    ['a TCP header shorter than it can be', broken(good, { 42: 0x40 })],
    ['a payload length that is not the frame', broken(good6, { 14: 0 })],
    ['an extension header past the end', broken(good6, { 51: 255 })],
    ['an IPv6 fragment', broken(good6, { 16: 44 })],
    ['another csum_start', broken(good, { 6: 24 })],
    ['another csum_offset', broken(good, { 8: 6 })],
    ['no payload', superFrame(spec({ payload: [] }), 1000)],
    [
      'a TCP header longer than the frame',
      superFrame(spec({ tcpOptions: [], payload: [0] }), 1000).map((b, i) => (i === 42 ? 0xf0 : b)),
    ],
    [
      'a checksum beyond the packet',
      Uint8Array.from([
        ...virtioHeader({ flags: 1, type: 0, headerLength: 0, size: 0, start: 20, field: 65_535 }),
        ...build(spec()),
      ]),
    ],
    [
      'a checksum half beyond the packet',
      Uint8Array.from([
        ...virtioHeader({ flags: 1, type: 0, headerLength: 0, size: 0, start: 50, field: 1 }),
        ...build(spec()),
      ]),
    ],
  ])('drops %s', (_name, frame) => {
    expect(cut(shared, frame)).toBe('malformedPacket');
    expect(shared.segmenter.count).toBe(0);
  });

  it('says so when the arena has no room for the segments', () => {
    const small = bench(createSimdKernels, 131_072);
    const frame = superFrame(spec({ payload: payload(60_000) }), 100);
    expect(cut(small, frame)).toBe('arenaExhausted');
  });

  it.each(seeds(3))('takes any bytes without an exception, seed %i', (seed) => {
    const dice = new Dice(seed);
    const { arena } = shared;
    const bases = [good, good6, spec({ ...udp, payload: payload(500) })];
    for (let round = 0; round < 2000; round++) {
      const frame = superFrame({ ...dice.pick(bases), payload: payload(dice.below(50)) }, 7);
      for (let i = dice.below(6); i > 0; i--) frame[dice.below(70)] = dice.below(256);
      const length = dice.oneIn(2) ? dice.below(frame.length + 1) : frame.length;
      arena.bytes.fill(CANARY, 0, FRAME);
      cut(shared, frame.subarray(0, length));
      expect(arena.bytes.subarray(0, FRAME).every((byte) => byte === CANARY)).toBe(true);
    }
  });

  it('takes a frame that ends where the arena ends', () => {
    const { arena, segmenter } = bench(createSimdKernels);
    const frame = superFrame(spec({ payload: payload(3001) }), 1000);
    const at = arena.bytes.length - frame.length;
    arena.bytes.set(frame, at);
    expect(segmenter.segment(at, frame.length, 1420)).toBe('ok');
    expect(segmenter.count).toBe(4);
  });
});

describe('padding', () => {
  it.each([
    [0, 1420, 0],
    [1, 1420, 16],
    [16, 1420, 16],
    [1409, 1420, 1420],
    [1420, 1420, 1420],
    [1421, 1420, 1436],
    [2840, 1420, 2840],
    [2839, 1420, 2840],
    [100, 0, 112],
    [8913, 8920, 8920],
  ])('of %i bytes at MTU %i is to %i', (length, mtu, expected) => {
    expect(paddedLength(length, mtu)).toBe(expected);
  });

  it('never makes a shorter packet longer than a longer one', () => {
    for (const mtu of [0, 576, 1280, 1420]) {
      for (let length = 1; length < 3000; length++) {
        expect(paddedLength(length, mtu)).toBeGreaterThanOrEqual(paddedLength(length - 1, mtu));
        expect(paddedLength(length, mtu)).toBeGreaterThanOrEqual(length);
      }
    }
  });
});
