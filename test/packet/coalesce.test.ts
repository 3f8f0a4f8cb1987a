import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { Coalescer } from '../../src/packet/coalesce.ts';
import type { Kernels } from '../../src/packet/kernels/kernels.ts';
import { createPortableKernels } from '../../src/packet/kernels/portable.ts';
import { createSimdKernels } from '../../src/packet/kernels/simd.ts';
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
  RST,
  SYN,
  seeds,
  segments,
  spec,
  TIMESTAMPS,
  transportChecksum,
  URG,
} from './trains.ts';

/** So near a multiple of 2^32 that some iovecs lie before it and some behind. */
const ADDRESS = 0x7f12_ffff_8000n;
const FRAMES = 1 << 19;
const PACKETS = 16_384;

interface Bench {
  readonly arena: Arena;
  readonly coalescer: Coalescer;
  readonly segmenter: Segmenter;
}

function bench(
  create: (arena: Arena) => Kernels | null,
  { mergeUdp = true, capacity = 512 } = {},
): Bench {
  const arena = new Arena(1 << 22);
  const kernels = create(arena);
  if (kernels === null) throw new Error('no WebAssembly SIMD here');
  const options = { arena, kernels, address: ADDRESS, capacity, mergeUdp };
  const coalescer = new Coalescer(options);
  expect(arena.allocate(16)).toBeLessThan(PACKETS + 8192);
  return { arena, coalescer, segmenter: new Segmenter(arena, kernels) };
}

/** Adds the packets, each with a message header's room before it, and gathers the frames. */
function coalesce({ arena, coalescer }: Bench, packets: readonly Uint8Array[]): Uint8Array[] {
  let at = 3 * 65_536;
  for (const packet of packets) {
    arena.bytes.fill(0xee, at, at + 16);
    arena.bytes.set(packet, at + 16);
    expect(coalescer.add(at + 16, packet.length)).toBe(true);
    at += (16 + packet.length + 16 + 15) & -16;
  }
  expect(coalescer.pending).toBe(packets.length);
  const frames: Uint8Array[] = [];
  coalescer.flush((iovecs, count, total) => {
    const frame: number[] = [];
    for (let i = 0; i < count; i++) {
      const address = arena.view.getBigUint64(iovecs + 16 * i, true);
      const length = Number(arena.view.getBigUint64(iovecs + 16 * i + 8, true));
      const offset = Number(address - ADDRESS);
      frame.push(...arena.bytes.subarray(offset, offset + length));
    }
    expect(frame.length).toBe(total);
    frames.push(Uint8Array.from(frame));
  });
  expect(coalescer.pending).toBe(0);
  return frames;
}

const read = (bytes: Uint8Array, at: number): number => bytes[at] * 256 + bytes[at + 1];
const readLittle = (bytes: Uint8Array, at: number): number => bytes[at] + bytes[at + 1] * 256;

/**
 * What the kernel makes of a frame, slowly: checks everything it relies on, then cuts it, one copy
 * of the headers per segment, every field written and every checksum computed anew.
 */
function cutPlainly(frame: Uint8Array): Uint8Array[] {
  const packet = frame.slice(10);
  if (frame[1] === 0) {
    expect([...frame.subarray(0, 10)]).toEqual(Array(10).fill(0));
    return [packet];
  }
  const isIpv6 = packet[0] >> 4 === 6;
  const isUdp = frame[1] === 5;
  const start = isIpv6 ? 40 : (packet[0] & 15) * 4;
  const header = start + (isUdp ? 8 : (packet[start + 12] >> 4) * 4);
  const field = isUdp ? 6 : 16;
  const size = readLittle(frame, 4);
  const pseudo = (transportLength: number): number[] => [
    ...packet.slice(isIpv6 ? 8 : 12, isIpv6 ? 40 : 20),
    ...[0, isUdp ? 17 : 6, transportLength >> 8, transportLength & 255],
  ];
  expect(frame[0]).toBe(1);
  expect(frame[1]).toBe(isUdp ? 5 : isIpv6 ? 4 : 1);
  expect(readLittle(frame, 2)).toBe(header);
  expect(readLittle(frame, 6)).toBe(start);
  expect(readLittle(frame, 8)).toBe(field);
  expect(packet[isIpv6 ? 6 : 9]).toBe(isUdp ? 17 : 6);
  expect(packet.length).toBeLessThanOrEqual(65_535);
  expect(read(packet, isIpv6 ? 4 : 2)).toBe(packet.length - (isIpv6 ? 40 : 0));
  if (!isIpv6) expect(plainSum(packet.slice(0, start))).toBe(0xffff);
  if (isUdp) expect(read(packet, start + 4)).toBe(packet.length - start);
  expect(read(packet, start + field)).toBe(plainSum(pseudo(packet.length - start)));
  const count = Math.ceil((packet.length - header) / size);
  expect(count).toBeGreaterThan(1);
  expect(count).toBeLessThanOrEqual(64);

  return Array.from({ length: count }, (_, i) => {
    const payload = packet.slice(header + i * size, header + (i + 1) * size);
    const segment = Uint8Array.from([...packet.slice(0, header), ...payload]);
    const view = new DataView(segment.buffer);
    view.setUint16(isIpv6 ? 4 : 2, segment.length - (isIpv6 ? 40 : 0));
    if (!isIpv6) {
      view.setUint16(4, read(packet, 4) + i);
      view.setUint16(10, 0);
      view.setUint16(10, 0xffff - plainSum(segment.slice(0, start)));
    }
    if (isUdp) {
      view.setUint16(start + 4, segment.length - start);
    } else {
      view.setUint32(start + 4, view.getUint32(start + 4) + i * size);
      if (i > 0) segment[start + 13] &= ~CWR;
      if (i < count - 1) segment[start + 13] &= ~(FIN | PSH);
    }
    view.setUint16(start + field, 0);
    const all = [...pseudo(segment.length - start), ...segment.slice(start)];
    const checksum = 0xffff - plainSum(all);
    view.setUint16(start + field, isUdp && checksum === 0 ? 0xffff : checksum);
    return segment;
  });
}

/** Addresses, protocol, and ports where there are some: what must stay in order among itself. */
function flowOf(packet: Uint8Array): string {
  if (packet.length < 20) return 'none';
  const isIpv6 = packet[0] >> 4 === 6;
  const isFragment = !isIpv6 && (read(packet, 6) & 0x3fff) !== 0;
  const start = isIpv6 ? 40 : (packet[0] & 15) * 4;
  const protocol = packet[isIpv6 ? 6 : 9];
  const addresses = hex(packet.slice(isIpv6 ? 8 : 12, isIpv6 ? 40 : 20));
  if (isFragment || (protocol !== 6 && protocol !== 17)) return `${addresses} ${protocol}`;
  return `${addresses} ${protocol} ${hex(packet.slice(start, start + 4))}`;
}

function byFlow(packets: readonly Uint8Array[]): Record<string, string[]> {
  const flows: Record<string, string[]> = {};
  for (const packet of packets) {
    flows[flowOf(packet)] ??= [];
    flows[flowOf(packet)].push(hex(packet));
  }
  return flows;
}

const payload = (length: number): number[] => new Dice(length).bytes(length);
const train = (changes: Partial<PacketSpec>, length: number, size: number): PacketSpec[] =>
  segments(spec({ ...changes, payload: payload(length) }), size);
const udp: Partial<PacketSpec> = { protocol: 'udp' };
const v6: Partial<PacketSpec> = { version: 6 };

/** Three segments of one train; the second (or the one given) changed. */
function changed(
  change: (packet: PacketSpec) => Partial<PacketSpec>,
  base: Partial<PacketSpec> = {},
  at = 1,
): Uint8Array[] {
  return train(base, 300, 100).map((each, i) =>
    build(i === at ? { ...each, ...change(each) } : each),
  );
}

const merged: [name: string, packets: Uint8Array[], pieces: number[]][] = [
  ['TCP over IPv4', train({}, 5000, 1368).map((p) => build(p)), [4]],
  ['TCP over IPv6', train(v6, 5000, 1348).map((p) => build(p)), [4]],
  ['TCP without options', train({ tcpOptions: [] }, 500, 100).map((p) => build(p)), [5]],
  ['TCP with ECE', train({ flags: ACK | ECE }, 500, 100).map((p) => build(p)), [5]],
  ['UDP over IPv4', train(udp, 5000, 1300).map((p) => build(p)), [4]],
  ['UDP over IPv6', train({ ...udp, ...v6 }, 5000, 1300).map((p) => build(p)), [4]],
  ['PSH on the last', train({ flags: ACK | PSH }, 500, 100).map((p) => build(p)), [5]],
  ['odd lengths', train({}, 505, 101).map((p) => build(p)), [5]],
  [
    'identification past 65535',
    train({ identification: 0xfffe }, 500, 100).map((p) => build(p)),
    [5],
  ],
  ['sequence past 2^32', train({ sequence: 0xffff_ff80 }, 500, 100).map((p) => build(p)), [5]],
  ['not more than 64', train({}, 6500, 100).map((p) => build(p)), [64, 1]],
  ['not more than 65,535 bytes', train({}, 71_136, 1368).map((p) => build(p)), [47, 5]],
  ['not more than 65,535 bytes, IPv6', train(v6, 70_096, 1348).map((p) => build(p)), [48, 4]],
  ['nothing behind PSH', changed((p) => ({ flags: p.flags | PSH })), [2, 1]],
  ['nothing behind a first PSH', changed((p) => ({ flags: p.flags | PSH }), {}, 0), [1, 2]],
  ['no FIN', changed((p) => ({ flags: p.flags | FIN })), [1, 1, 1]],
  ['no SYN', changed((p) => ({ flags: p.flags | SYN })), [1, 1, 1]],
  ['no RST', changed((p) => ({ flags: p.flags | RST })), [1, 1, 1]],
  ['no URG', changed((p) => ({ flags: p.flags | URG })), [1, 1, 1]],
  ['no CWR', changed((p) => ({ flags: p.flags | CWR })), [1, 1, 1]],
  ['no change of ECE', changed((p) => ({ flags: p.flags | ECE })), [1, 1, 1]],
  ['no reserved bit', changed(() => ({ reserved: 1 })), [1, 1, 1]],
  ['nothing without ACK', train({ flags: 0 }, 300, 100).map((p) => build(p)), [1, 1, 1]],
  ['no other acknowledgment', changed(() => ({ acknowledgment: 78 })), [1, 1, 1]],
  ['no other window', changed(() => ({ window: 501 })), [1, 1, 1]],
  ['no other timestamp', changed(() => ({ tcpOptions: TIMESTAMPS.map((b) => b ^ 1) })), [1, 1, 1]],
  ['no other options', changed(() => ({ tcpOptions: [] })), [1, 1, 1]],
  ['no hole in the sequence', changed((p) => ({ sequence: p.sequence + 1 })), [1, 1, 1]],
  [
    'no hole in the identification',
    changed((p) => ({ identification: p.identification + 1 })),
    [1, 1, 1],
  ],
  [
    'no constant identification',
    train({ identification: 0 }, 300, 100).map((p) => build({ ...p, identification: 0 })),
    [1, 1, 1],
  ],
  ['no other TTL', changed(() => ({ ttl: 63 })), [1, 1, 1]],
  ['no other hop limit', changed(() => ({ ttl: 63 }), v6), [1, 1, 1]],
  ['no other TOS', changed(() => ({ trafficClass: 3 })), [1, 1, 1]],
  ['no other traffic class', changed(() => ({ trafficClass: 3 }), v6), [1, 1, 1]],
  ['no other flow label', changed(() => ({ flowLabel: 3 }), v6), [1, 1, 1]],
  ['no other DF', changed(() => ({ fragment: 0 })), [1, 1, 1]],
  ['no fragment', changed(() => ({ fragment: 0x2000 })), [1, 1, 1]],
  ['no later fragment', changed(() => ({ fragment: 0x0010 })), [1, 1, 1]],
  ['no reserved IP flag', train({ fragment: 0x8000 }, 300, 100).map((p) => build(p)), [1, 1, 1]],
  ['no IPv4 options', train({ ipOptions: [1, 1, 1, 0] }, 300, 100).map((p) => build(p)), [1, 1, 1]],
  [
    'no extension headers',
    train({ ...v6, extensions: [{ type: 0, bytes: [0, 0, 1, 4, 0, 0, 0, 0] }] }, 300, 100).map(
      (p) => build(p),
    ),
    [1, 1, 1],
  ],
  ['nothing behind a shorter one', changed((p) => ({ payload: p.payload.slice(1) })), [2, 1]],
  ['nothing longer', changed((p) => ({ payload: [...p.payload, 1] })), [1, 1, 1]],
  ['no bare ACK', changed(() => ({ payload: [] })), [1, 1, 1]],
  ['no empty datagram', changed(() => ({ payload: [] }), udp), [1, 1, 1]],
  ['other ports apart', changed((p) => ({ sourcePort: p.sourcePort + 1 })), [1, 1, 1]],
  ['no UDP without checksum', train(udp, 300, 100).map((p) => build(p, 0)), [1, 1, 1]],
];

describe.each([
  ['SIMD', createSimdKernels],
  ['portable', createPortableKernels],
] as const)('coalescing, %s', (_name, create) => {
  const shared = bench(create);

  it.each(merged)('merges %s', (_case, packets, pieces) => {
    const frames = coalesce(shared, packets);
    const cut = frames.map(cutPlainly);
    expect(byFlow(cut.flat())).toEqual(byFlow(packets));
    expect(cut.map((each) => each.length)).toEqual(pieces);
  });

  const counts = (packets: Uint8Array[]): number[] => {
    const cut = coalesce(shared, packets).map(cutPlainly);
    expect(byFlow(cut.flat())).toEqual(byFlow(packets));
    return cut.map((each) => each.length);
  };

  it('passes a segment with a wrong checksum alone and untouched', () => {
    const packets = train({}, 500, 100).map((p) => build(p));
    packets[2][90] ^= 0x10;
    expect(counts(packets)).toEqual([2, 1, 2]);
  });

  it('passes a packet with a wrong IPv4 header checksum alone and untouched', () => {
    const packets = train({}, 500, 100).map((p) => build(p));
    packets[2][10] ^= 0x10;
    expect(counts(packets)).toEqual([2, 1, 2]);
  });

  it('merges no checksum that a host would not have written', () => {
    // In one's complement all ones and zero are the same, but only one of them comes back.
    const [first, second] = train({}, 200, 100);
    const bytes = (each: PacketSpec): PacketSpec => {
      const free = { ...each, payload: [...each.payload.slice(0, 98), 0, 0] };
      const missing = transportChecksum(free);
      return { ...free, payload: [...each.payload.slice(0, 98), missing >> 8, missing & 255] };
    };
    expect(transportChecksum(bytes(second))).toBe(0);
    expect(counts([build(first), build(bytes(second))])).toEqual([2]);
    expect(counts([build(first), build(bytes(second), 0xffff)])).toEqual([1, 1]);
  });

  it('merges UDP whose checksum comes out as all ones', () => {
    const [first, second] = train(udp, 200, 100);
    const free = { ...second, payload: [...second.payload.slice(0, 98), 0, 0] };
    const missing = transportChecksum(free);
    const ones = { ...free, payload: [...free.payload.slice(0, 98), missing >> 8, missing & 255] };
    expect(transportChecksum(ones)).toBe(0xffff);
    expect(counts([build(first), build(ones)])).toEqual([2]);
  });

  it('keeps interleaved flows apart, frames in the order of their first packets', () => {
    const a = train({ sourcePort: 1 }, 300, 100).map((p) => build(p));
    const b = train({ sourcePort: 2, ...udp }, 300, 100).map((p) => build(p));
    const c = train({ sourcePort: 3, ...v6 }, 300, 100).map((p) => build(p));
    const frames = coalesce(shared, [a[0], b[0], a[1], c[0], b[1], c[1], a[2], c[2], b[2]]);
    expect(frames.map(cutPlainly)).toEqual([a, b, c]);
  });

  it('lets no packet overtake one of its flow', () => {
    const a = train({}, 400, 100);
    const ack = build({ ...a[2], payload: [] });
    const packets = [a[0], a[1]].map((p) => build(p));
    const rest = [a[2], a[3]].map((p) => build(p));
    expect(coalesce(shared, [...packets, ack, ...rest]).map(cutPlainly)).toEqual([
      packets,
      [ack],
      rest,
    ]);
  });

  it('lets nothing overtake a packet of which the flow cannot be told, but for other hosts', () => {
    const a = train({}, 400, 100).map((p) => build(p));
    const b = train({ source: 9 }, 400, 100).map((p) => build(p));
    const fragment = build(spec({ fragment: 0x2000, payload: [1, 2, 3] }));
    const cut = coalesce(shared, [a[0], b[0], a[1], b[1], fragment, a[2], b[2], a[3], b[3]]);
    const expected = [[a[0], a[1]], b, [fragment], [a[2], a[3]]];
    expect(cut.map(cutPlainly)).toEqual(expected);
  });

  it('does not let pure ACKs of one connection part the segments of another', () => {
    const a = train({}, 300, 100).map((p) => build(p));
    const ack = build(spec({ sourcePort: 2 }));
    expect(counts([a[0], ack, a[1], ack, a[2]])).toEqual([3, 1, 1]);
  });

  it('merges within a bounded number of flows and loses nothing beyond it', () => {
    const flows = Array.from({ length: 80 }, (_, i) =>
      train({ sourcePort: 100 + i }, 300, 100).map((p) => build(p)),
    );
    counts([0, 1, 2].flatMap((i) => flows.map((flow) => flow[i])));
    const few = flows.slice(0, 32);
    const pieces = counts([0, 1, 2].flatMap((i) => few.map((flow) => flow[i])));
    expect(pieces).toEqual(Array(32).fill(3));
  });

  it('leaves UDP alone where the interface takes no UDP super-packets', () => {
    const tcpOnly = bench(create, { mergeUdp: false });
    const packets = [...train(udp, 300, 100), ...train({}, 300, 100)].map((p) => build(p));
    const cut = coalesce(tcpOnly, packets).map(cutPlainly);
    expect(cut.map((each) => each.length)).toEqual([1, 1, 1, 3]);
    expect(cut.flat()).toEqual(packets);
  });

  it('takes no more packets than its capacity, and all again after a flush', () => {
    const small = bench(create, { capacity: 3 });
    const packets = train({}, 300, 100).map((p) => build(p));
    for (let round = 0; round < 3; round++) {
      const written: number[] = [];
      packets.forEach((packet, i) => {
        const at = 3 * 65_536 + 1024 * i;
        small.arena.bytes.set(packet, at);
        expect(small.coalescer.add(at, packet.length)).toBe(true);
      });
      expect(small.coalescer.add(3 * 65_536 + 4096, packets[0].length)).toBe(false);
      small.coalescer.flush((_iovecs, count) => written.push(count));
      expect(written).toEqual([3]);
    }
    small.coalescer.flush(() => expect.fail('nothing is left'));
  });

  it('merges datagrams of up to 65,507 bytes no further than a packet goes', () => {
    const packets = [
      build(spec({ ...udp, payload: payload(65_507) })),
      build(spec({ ...udp, payload: payload(40_000), identification: 9 })),
      build(spec({ ...udp, payload: payload(40_000), identification: 10 })),
    ];
    expect(counts(packets)).toEqual([1, 1, 1]);
  });

  it.each(seeds(60))('random trains, bit for bit and in order, seed %i', (seed) => {
    const packets = randomTrain(new Dice(seed));
    const frames = coalesce(shared, packets);
    const cut = frames.map(cutPlainly);
    expect(byFlow(cut.flat())).toEqual(byFlow(packets));
    expect(frames.length).toBeLessThan(packets.length);

    // The same through our own segmentation.
    const restored = frames.flatMap((frame) => segmentAgain(shared, frame));
    expect(restored.map(hex)).toEqual(cut.flat().map(hex));
  });
});

function segmentAgain({ arena, segmenter }: Bench, frame: Uint8Array): Uint8Array[] {
  arena.reset();
  arena.allocate(2 * FRAMES);
  arena.bytes.set(frame, FRAMES);
  expect(segmenter.segment(FRAMES, frame.length, 1420)).toBe('ok');
  return Array.from({ length: segmenter.count }, (_, i) => {
    const at = segmenter.offset + i * segmenter.stride;
    const isLast = i === segmenter.count - 1;
    return arena.bytes.slice(at, at + (isLast ? segmenter.lastLength : segmenter.packetLength));
  });
}

/** Packets of a few interleaved flows, most of them fit to be merged, some spoilt. */
function randomTrain(dice: Dice): Uint8Array[] {
  const flows = Array.from({ length: 1 + dice.below(6) }, (_, i) => ({
    size: 1 + dice.below(200),
    next: spec({
      version: dice.pick([4, 6] as const),
      protocol: dice.pick(['tcp', 'tcp', 'udp'] as const),
      destination: dice.below(2),
      sourcePort: i,
      identification: dice.below(65_536),
      sequence: dice.below(2 ** 32),
      tcpOptions: dice.pick([[], TIMESTAMPS]),
      trafficClass: dice.below(4),
      fragment: dice.pick([0, 0x4000]),
    }),
  }));
  const odds = dice.pick([5, 20, 100]);
  return Array.from({ length: 300 }, () => {
    const flow = dice.pick(flows);
    const length = dice.oneIn(10) ? dice.below(flow.size) : flow.size;
    flow.next = { ...flow.next, payload: dice.bytes(length), flags: ACK };
    if (dice.oneIn(12)) flow.next = { ...flow.next, flags: ACK | PSH };
    const packet = dice.oneIn(odds) ? spoil(dice, flow.next) : build(flow.next);
    flow.next = {
      ...flow.next,
      identification: (flow.next.identification + 1) & 0xffff,
      sequence: (flow.next.sequence + length) >>> 0,
    };
    if (dice.oneIn(odds)) flow.size = 1 + dice.below(200);
    return packet;
  });
}

function spoil(dice: Dice, packet: PacketSpec): Uint8Array {
  const bytes = build(packet);
  switch (dice.below(14)) {
    case 0:
      return build({ ...packet, flags: dice.below(256) });
    case 1:
      return build({ ...packet, acknowledgment: packet.acknowledgment + 1 });
    case 2:
      return build({ ...packet, ttl: dice.below(256) });
    case 3:
      return build({ ...packet, trafficClass: dice.below(256) });
    case 4:
      return build({ ...packet, identification: dice.below(65_536) });
    case 5:
      return build({ ...packet, fragment: dice.below(65_536) });
    case 6:
      return build({ ...packet, ipOptions: dice.bytes(4 * dice.below(11)) });
    case 7:
      return build({ ...packet, tcpOptions: dice.bytes(4 * dice.below(11)) });
    case 8:
      return build({ ...packet, sequence: dice.below(2 ** 32) });
    case 9:
      return build({ ...packet, extensions: [{ type: 60, bytes: dice.bytes(8) }] });
    case 10:
      return build(packet, dice.pick([0, 0xffff, dice.below(65_536)]));
    case 11:
      return bytes.subarray(0, 1 + dice.below(bytes.length));
    case 12:
      return Uint8Array.from(dice.bytes(1 + dice.below(100)));
    default:
      bytes[dice.below(bytes.length)] = dice.below(256);
      return bytes;
  }
}
