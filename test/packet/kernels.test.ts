import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { createKernels } from '../../src/packet/kernels/fastest.ts';
import { createPortableKernels } from '../../src/packet/kernels/portable.ts';
import { LONE, OPAQUE, RECORD_BYTES, TCP, UDP } from '../../src/packet/kernels/record.ts';
import { createSimdKernels } from '../../src/packet/kernels/simd.ts';
import { ACK, build, Dice, hex, PSH, plainSum, seeds, spec, TIMESTAMPS } from './trains.ts';

const arena = new Arena(1 << 20);
const simd = createSimdKernels(arena);
if (simd === null) throw new Error('no WebAssembly SIMD here');
const portable = createPortableKernels(arena);
const { bytes } = arena;

describe('createKernels', () => {
  it('takes WebAssembly where it is to be had', () => {
    expect(createKernels(arena).name).toBe('simd');
  });

  it('falls back where SIMD cannot be compiled', () => {
    const original = WebAssembly.Module;
    WebAssembly.Module = class {
      constructor() {
        throw new WebAssembly.CompileError('invalid value type');
      }
    } as unknown as typeof WebAssembly.Module;
    try {
      expect(createKernels(arena).name).toBe('portable');
    } finally {
      WebAssembly.Module = original;
    }
  });

  it('claims no memory: low addresses of the arena stay as they are', () => {
    const fresh = new Arena(65_536);
    fresh.bytes.fill(0x77);
    createSimdKernels(fresh);
    expect(fresh.bytes.every((byte) => byte === 0x77)).toBe(true);
  });
});

describe.each([simd, portable])('sums and copies, $name', (kernels) => {
  const dice = new Dice(1);
  bytes.set(dice.bytes(200_000), 0);

  it('sums as RFC 1071 does, at every length and alignment', () => {
    for (let length = 0; length < 300; length++) {
      for (const offset of [1024, 1025, 1026, 1031]) {
        const expected = plainSum(bytes.subarray(offset, offset + length));
        expect(kernels.sum(offset, length, 0)).toBe(expected);
      }
    }
  });

  it('goes on with an earlier sum', () => {
    for (const initial of [0, 1, 0xffff, 0x1_0000, 0xffff_ffff]) {
      const start = [(initial >>> 24) & 255, (initial >>> 16) & 255, (initial >>> 8) & 255];
      const all = [...start, initial & 255, ...bytes.subarray(64, 64 + 33)];
      expect(kernels.sum(64, 33, initial)).toBe(plainSum(all));
    }
  });

  it.each([0x00, 0xff, 0x80, 0x7f])('holds sums of 128 KiB of %i', (value) => {
    const saved = bytes.slice();
    bytes.fill(value, 0, 131_072);
    expect(kernels.sum(0, 131_072, 0xffff)).toBe(value === 0 ? 0xffff : value * 257);
    bytes.set(saved);
  });

  it('copies, and writes nowhere else', () => {
    for (let length = 0; length < 300; length++) {
      const from = 2048 + (length % 7);
      const to = 300_000 + (length % 5);
      bytes.fill(0xa5, 299_000, 302_000);
      const source = bytes.subarray(from, from + length);
      kernels.copy(to, from, length);
      expect(hex(bytes.slice(to, to + length))).toBe(hex(source));
      bytes.fill(0xa5, to, to + length);
      expect(bytes.subarray(299_000, 302_000).every((byte) => byte === 0xa5)).toBe(true);
    }
  });

  it('reads up to the last byte of the arena', () => {
    for (let length = 0; length < 70; length++) {
      const offset = bytes.length - length;
      expect(kernels.sum(offset, length, 0)).toBe(plainSum(bytes.subarray(offset)));
      kernels.copy(0, offset, length);
    }
  });
});

describe('inspect', () => {
  const RECORDS = [8192, 8192 + RECORD_BYTES] as const;
  const v6 = { version: 6 } as const;
  const udp = { protocol: 'udp' } as const;
  const data = spec({ payload: [1, 2, 3] });

  function both(packet: Uint8Array, mergeUdp: 0 | 1): number {
    // At the arena's very end, where reading on would be a trap.
    const at = bytes.length - packet.length;
    bytes.set(packet, at);
    bytes.fill(0xa5, RECORDS[0] - 16, RECORDS[1] + RECORD_BYTES + 16);
    const verdict = portable.inspect(at, packet.length, RECORDS[0], mergeUdp);
    expect(simd?.inspect(at, packet.length, RECORDS[1], mergeUdp)).toBe(verdict);
    const [expected, actual] = RECORDS.map((r) => hex(bytes.slice(r, r + RECORD_BYTES)));
    expect(actual).toBe(expected);
    expect(portable.sameHeaders(RECORDS[0], RECORDS[1])).toBe(1);
    expect(simd?.sameHeaders(RECORDS[0], RECORDS[1])).toBe(1);
    expect(bytes[RECORDS[0] - 1]).toBe(0xa5);
    expect(bytes[RECORDS[1] + RECORD_BYTES]).toBe(0xa5);
    expect(hex(bytes.slice(at))).toBe(hex(packet));
    return verdict;
  }

  it.each([
    ['data', build(data), TCP],
    ['data with PSH', build({ ...data, flags: ACK | PSH }), TCP],
    ['data over IPv6', build({ ...data, ...v6 }), TCP],
    ['the longest headers', build({ ...data, ...v6, tcpOptions: Array(40).fill(1) }), TCP],
    ['a datagram', build({ ...data, ...udp }), UDP],
    ['a datagram over IPv6', build({ ...data, ...udp, ...v6 }), UDP],
    ['a TCP header shorter than it can be', refit(cutHeader(build(data))), LONE],
    ['a bare ACK', build({ ...data, payload: [] }), LONE],
    ['a wrong checksum', build(data, 1), LONE],
    ['a datagram without checksum', build({ ...data, ...udp }, 0), LONE],
    ['a fragment', build({ ...data, fragment: 0x2000 }), OPAQUE],
    ['IPv4 options', build({ ...data, ipOptions: [1, 1, 1, 1] }), OPAQUE],
    ['nothing', new Uint8Array(0), OPAQUE],
    ['19 bytes', build(data).subarray(0, 19), OPAQUE],
    ['39 bytes of IPv6', build({ ...data, ...v6 }).subarray(0, 39), OPAQUE],
    ['a cut packet', build(data).subarray(0, 50), OPAQUE],
  ])('of %s', (_name, packet, verdict) => {
    expect(both(packet, 1)).toBe(verdict);
    expect(both(packet, 0)).toBe(verdict === UDP ? LONE : verdict);
  });

  it.each(seeds(20))('is the same in both, whatever the bytes, seed %i', (seed) => {
    const dice = new Dice(seed);
    const verdicts = new Set<number>();
    for (let round = 0; round < 500; round++) {
      const packet = build(
        spec({
          version: dice.pick([4, 6] as const),
          protocol: dice.pick(['tcp', 'udp'] as const),
          tcpOptions: dice.pick([[], TIMESTAMPS, dice.bytes(40)]),
          payload: dice.bytes(dice.below(40)),
        }),
      );
      if (dice.oneIn(2)) packet[dice.below(Math.min(60, packet.length))] = dice.below(256);
      const length = dice.oneIn(8) ? dice.below(packet.length) : packet.length;
      verdicts.add(both(packet.slice(0, length), 1));
    }
    expect(verdicts).toEqual(new Set([OPAQUE, LONE, TCP, UDP]));
  });

  /** The packet, its TCP header claiming to be 16 bytes long. */
  function cutHeader(packet: Uint8Array): Uint8Array {
    packet[32] = 0x40;
    return packet;
  }

  /** The packet with the checksums it needs, whatever it has become. */
  function refit(packet: Uint8Array): Uint8Array {
    const view = new DataView(packet.buffer);
    view.setUint16(10, 0);
    view.setUint16(10, 0xffff - plainSum(packet.slice(0, 20)));
    view.setUint16(36, 0);
    const pseudo = [...packet.slice(12, 20), 0, packet[9], 0, packet.length - 20];
    view.setUint16(36, 0xffff - plainSum([...pseudo, ...packet.slice(20)]));
    return packet;
  }

  it.each([simd, portable])(
    'tells headers apart by every bit that must agree, $name',
    (kernels) => {
      const base = build(data);
      const inspect = (packet: Uint8Array, record: number): number => {
        bytes.set(packet, 100_000);
        return kernels.inspect(100_000, packet.length, record, 1);
      };
      expect(inspect(base, RECORDS[0])).toBe(TCP);
      const isFree = (at: number, bit: number): boolean =>
        // Identification and header checksum; sequence number, PSH and checksum.
        [4, 5, 10, 11, 24, 25, 26, 27, 36, 37].includes(at) || (at === 33 && bit === PSH);
      let compared = 0;
      for (let at = 0; at < 52; at++) {
        for (let bit = 1; bit < 256; bit <<= 1) {
          const packet = base.slice();
          packet[at] ^= bit;
          if (inspect(refit(packet), RECORDS[1]) !== TCP) continue;
          compared++;
          expect(kernels.sameHeaders(RECORDS[0], RECORDS[1])).toBe(isFree(at, bit) ? 1 : 0);
        }
      }
      expect(compared).toBeGreaterThan(300);
    },
  );
});
