import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/packet/address.ts';
import { checksum, pseudoHeaderSum, sum } from '../../src/packet/checksum.ts';
import { createUnreachable } from '../../src/packet/icmp.ts';
import { isSound } from '../../src/packet/ip.ts';

const AT = 7;
const OUT_AT = 5;

interface Shape {
  source?: string;
  destination?: string;
  protocol?: number;
  /** What stands behind the fixed header. */
  body?: number[];
  total?: number;
  fragment?: number;
}

function packet(family: 4 | 6, shape: Shape): Uint8Array {
  const header = family === 4 ? 20 : 40;
  const body = shape.body ?? [1, 2, 3, 4, 5, 6, 7, 8];
  const total = shape.total ?? header + body.length;
  const bytes = Uint8Array.from({ length: total }, (_, i) => i & 0xff);
  bytes.fill(0, 0, header);
  bytes.set(body.slice(0, total - header), header);
  bytes[0] = family === 4 ? 0x45 : 0x60;
  const length = family === 4 ? total : total - 40;
  bytes.set([length >> 8, length & 0xff], family === 4 ? 2 : 4);
  bytes[family === 4 ? 9 : 6] = shape.protocol ?? 17;
  if (family === 4) bytes.set([(shape.fragment ?? 0) >> 8, (shape.fragment ?? 0) & 0xff], 6);
  const local = family === 4 ? '10.0.0.2' : 'fd00::2';
  const remote = family === 4 ? '10.20.0.9' : 'fd20::9';
  bytes.set(parseAddress(shape.source ?? local)!, family === 4 ? 12 : 8);
  bytes.set(parseAddress(shape.destination ?? remote)!, family === 4 ? 16 : 24);
  return bytes;
}

/** The answer, created inside the array that holds the packet, as in the arena; null for none. */
function answerTo(original: Uint8Array, source: Uint8Array | null = null): Uint8Array | null {
  const arena = new Uint8Array(AT + original.length + OUT_AT + 1300).fill(0xcc);
  arena.set(original, AT);
  const slot = AT + original.length + OUT_AT;
  const length = createUnreachable(arena, AT, original.length, arena, slot, source);
  expect(arena.subarray(AT, AT + original.length)).toEqual(original);
  expect([...arena.subarray(slot + length)].every((byte) => byte === 0xcc)).toBe(true);
  return length === 0 ? null : arena.slice(slot, slot + length);
}

describe('IPv4 host unreachable', () => {
  it('comes from our address, or else from the original destination; quotes the packet', () => {
    const original = packet(4, {});
    const answer = answerTo(original)!;
    expect(answer.length).toBe(20 + 8 + 28);
    expect(isSound(answer, 0, answer.length)).toBe(true);
    expect(checksum(answer, 0, 20)).toBe(0);
    expect(answer[1]).toBe(0xc0);
    expect(answer[8]).toBe(64);
    expect(answer[9]).toBe(1);
    expect(answer.slice(12, 16)).toEqual(parseAddress('10.20.0.9'));
    expect(answer.slice(16, 20)).toEqual(parseAddress('10.0.0.2'));
    expect([...answer.slice(20, 22)]).toEqual([3, 1]);
    expect([...answer.slice(24, 28)]).toEqual([0, 0, 0, 0]);
    expect(sum(answer, 20, answer.length - 20)).toBe(0xffff);
    expect(answer.slice(28)).toEqual(original);

    const ours = answerTo(original, parseAddress('10.0.0.1'))!;
    expect(ours.slice(12, 16)).toEqual(parseAddress('10.0.0.1'));
    expect(checksum(ours, 0, 20)).toBe(0);
    expect(ours.slice(16, 20)).toEqual(answer.slice(16, 20));
    expect(ours.slice(20)).toEqual(answer.slice(20));
  });

  it('quotes as much as makes 576 bytes (RFC 1812 4.3.2.3)', () => {
    const original = packet(4, { total: 1400 });
    const answer = answerTo(original)!;
    expect(answer.length).toBe(576);
    expect(answer.slice(28)).toEqual(original.slice(0, 548));
    expect(sum(answer, 20, 556)).toBe(0xffff);
  });

  it('quotes the packet and not the padding behind it', () => {
    const padded = new Uint8Array(48).fill(9);
    padded.set(packet(4, {}));
    expect(answerTo(padded)!.length).toBe(20 + 8 + 28);
  });

  it.each<[what: string, shape: Shape]>([
    ['a packet to a multicast address', { destination: '224.0.0.251' }],
    ['a packet to the limited broadcast', { destination: '255.255.255.255' }],
    ['a packet to class E', { destination: '240.0.0.1' }],
    ['a packet to loopback', { destination: '127.0.0.1' }],
    ['a packet to the unspecified address', { destination: '0.0.0.0' }],
    ['a packet from the unspecified address', { source: '0.0.0.0' }],
    ['a packet from a multicast address', { source: '239.1.2.3' }],
    ['a packet from the limited broadcast', { source: '255.255.255.255' }],
    ['a packet from loopback', { source: '127.0.0.1' }],
    ['a later fragment', { fragment: 1 }],
    ['the last fragment', { fragment: 0x1fff }],
    ['ICMP destination unreachable', { protocol: 1, body: [3, 1, 0, 0] }],
    ['ICMP source quench', { protocol: 1, body: [4, 0, 0, 0] }],
    ['ICMP redirect', { protocol: 1, body: [5, 1, 0, 0] }],
    ['ICMP time exceeded', { protocol: 1, body: [11, 0, 0, 0] }],
    ['ICMP parameter problem', { protocol: 1, body: [12, 0, 0, 0] }],
    ['ICMP of an unknown type', { protocol: 1, body: [99, 0, 0, 0] }],
    ['ICMP without a type', { protocol: 1, body: [] }],
  ])('does not answer %s (RFC 1122 3.2.2)', (_, shape) => {
    expect(answerTo(packet(4, shape))).toBeNull();
  });

  it.each<[what: string, shape: Shape]>([
    ['a ping', { protocol: 1, body: [8, 0, 0, 0] }],
    ["a ping's reply", { protocol: 1, body: [0, 0, 0, 0] }],
    ['a timestamp request', { protocol: 1, body: [13, 0, 0, 0] }],
    ['the first of several fragments', { fragment: 0x2000 }],
    ['a header alone', { body: [] }],
    ['the last unicast address', { destination: '223.255.255.254' }],
  ])('answers %s', (_, shape) => {
    expect(answerTo(packet(4, shape))).not.toBeNull();
  });

  it('finds the ICMP type behind IP options', () => {
    const withOptions = packet(4, { protocol: 1, body: [1, 1, 1, 1, 3, 1, 0, 0] });
    withOptions[0] = 0x46;
    expect(answerTo(withOptions)).toBeNull();
    withOptions[24] = 8;
    expect(answerTo(withOptions)).not.toBeNull();
  });
});

describe('ICMPv6 address unreachable', () => {
  it('comes from our address, or else from the original destination; quotes the packet', () => {
    const original = packet(6, {});
    const answer = answerTo(original)!;
    expect(answer.length).toBe(40 + 8 + 48);
    expect(isSound(answer, 0, answer.length)).toBe(true);
    expect([...answer.slice(0, 4)]).toEqual([0x60, 0, 0, 0]);
    expect([...answer.slice(6, 8)]).toEqual([58, 64]);
    expect(answer.slice(8, 24)).toEqual(parseAddress('fd20::9'));
    expect(answer.slice(24, 40)).toEqual(parseAddress('fd00::2'));
    expect([...answer.slice(40, 42)]).toEqual([1, 3]);
    expect([...answer.slice(44, 48)]).toEqual([0, 0, 0, 0]);
    expect(sum(answer, 40, 56, pseudoHeaderSum(answer, 0, 58, 56))).toBe(0xffff);
    expect(answer.slice(48)).toEqual(original);

    const ours = answerTo(original, parseAddress('fd00::1'))!;
    expect(ours.slice(8, 24)).toEqual(parseAddress('fd00::1'));
    expect(sum(ours, 40, 56, pseudoHeaderSum(ours, 0, 58, 56))).toBe(0xffff);
  });

  it('quotes as much as makes 1280 bytes (RFC 4443 2.4 (c))', () => {
    const original = packet(6, { total: 1420 });
    const answer = answerTo(original)!;
    expect(answer.length).toBe(1280);
    expect(answer.slice(48)).toEqual(original.slice(0, 1232));
    expect(sum(answer, 40, 1240, pseudoHeaderSum(answer, 0, 58, 1240))).toBe(0xffff);
  });

  const ICMPV6 = 58;
  const hopByHop = (next: number) => [next, 0, 5, 2, 0, 0, 1, 0];
  const fragment = (next: number, offset: number) => [
    next,
    0,
    offset >> 5,
    (offset << 3) & 0xf8,
    0,
    0,
    0,
    1,
  ];
  it.each<[what: string, shape: Shape]>([
    ['a packet to a multicast address', { destination: 'ff02::1' }],
    ['a packet to the unspecified address', { destination: '::' }],
    ['a packet to loopback', { destination: '::1' }],
    ['a packet from a multicast address', { source: 'ff02::1' }],
    ['a packet from the unspecified address', { source: '::' }],
    ['a packet from loopback', { source: '::1' }],
    ['destination unreachable', { protocol: ICMPV6, body: [1, 0, 0, 0] }],
    ['packet too big', { protocol: ICMPV6, body: [2, 0, 0, 0] }],
    ['an error of an unknown type', { protocol: ICMPV6, body: [127, 0, 0, 0] }],
    ['a redirect', { protocol: ICMPV6, body: [137, 0, 0, 0] }],
    ['ICMPv6 without a type', { protocol: ICMPV6, body: [] }],
    ['an error behind hop-by-hop options', { protocol: 0, body: [...hopByHop(ICMPV6), 1, 3] }],
    [
      'an error behind a long option header',
      { protocol: 60, body: [ICMPV6, 1, ...Array(14).fill(0), 1] },
    ],
    [
      'an error behind authentication',
      { protocol: 51, body: [ICMPV6, 4, ...Array(22).fill(0), 3] },
    ],
    ['an error in a first fragment', { protocol: 44, body: [...fragment(ICMPV6, 0), 1, 3] }],
    ['a later fragment', { protocol: 44, body: [...fragment(17, 1), 1, 2] }],
    [
      'a late fragment behind options',
      { protocol: 0, body: [...hopByHop(44), ...fragment(17, 4096)] },
    ],
    ['a chain of headers that is cut', { protocol: 0, body: [0, 0, 1, 4] }],
    [
      'a chain that points beyond the packet',
      { protocol: 0, body: [ICMPV6, 255, 1, 4, 0, 0, 0, 0] },
    ],
  ])('does not answer %s (RFC 4443 2.4 (e))', (_, shape) => {
    expect(answerTo(packet(6, shape))).toBeNull();
  });

  it.each<[what: string, shape: Shape]>([
    ['a ping', { protocol: ICMPV6, body: [128, 0, 0, 0] }],
    ['a ping behind options', { protocol: 0, body: [...hopByHop(ICMPV6), 128, 0] }],
    [
      'a ping behind authentication',
      { protocol: 51, body: [ICMPV6, 4, ...Array(22).fill(0), 128] },
    ],
    ['the first of several fragments', { protocol: 44, body: [...fragment(17, 0), 1, 2] }],
    ['a header alone', { protocol: 59, body: [] }],
    ['encrypted payload, which hides what it is', { protocol: 50, body: [1, 2, 3, 4] }],
    ['link-local addresses', { source: 'fe80::1', destination: 'fe80::2' }],
  ])('answers %s', (_, shape) => {
    expect(answerTo(packet(6, shape))).not.toBeNull();
  });
});

it('any bytes are answered soundly or not at all, and an answer is never answered', () => {
  const start = fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0x6f, 0x00);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 120 }), start, (bytes, first) => {
      bytes[0] = first;
      const family = first >> 4;
      const length = family === 4 ? bytes.length : bytes.length - 40;
      bytes.set([0, Math.max(length, 0)], family === 4 ? 2 : 4);
      const answer = answerTo(bytes);
      if (answer === null) return;
      expect(isSound(answer, 0, answer.length)).toBe(true);
      expect(answerTo(answer)).toBeNull();
      const [at, initial] =
        family === 4 ? [20, 0] : [40, pseudoHeaderSum(answer, 0, 58, answer.length - 40)];
      expect(sum(answer, at, answer.length - at, initial)).toBe(0xffff);
    }),
    { numRuns: 3000 },
  );
});
