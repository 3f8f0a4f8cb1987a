import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksum } from '../../src/packet/checksum.ts';
import {
  decapsulateEcn,
  ECN_CE,
  ECN_DROP,
  ECN_ECT0,
  ECN_ECT1,
  ECN_NOT_ECT,
  ipLength,
  ipVersion,
  isSound,
  readEcn,
  readTrafficClass,
  writeEcn,
  writeTrafficClass,
} from '../../src/packet/ip.ts';

const AT = 3;

/** A packet at AT of a larger array, with a right header checksum in IPv4. */
function ipv4(total: number, headerWords = 5, room = total): Uint8Array {
  const bytes = new Uint8Array(AT + Math.max(room, 60)).fill(0xee);
  bytes.fill(0, AT, AT + 20);
  bytes[AT] = 0x40 | headerWords;
  bytes[AT + 2] = total >> 8;
  bytes[AT + 3] = total & 0xff;
  bytes.set([10, 0, 0, 1, 10, 0, 0, 2], AT + 12);
  const value = checksum(bytes, AT, Math.max(headerWords, 5) * 4);
  bytes[AT + 10] = value >> 8;
  bytes[AT + 11] = value & 0xff;
  return bytes;
}

function ipv6(payload: number): Uint8Array {
  const bytes = new Uint8Array(AT + 40 + payload).fill(0xee);
  bytes.fill(0, AT, AT + 40);
  bytes[AT] = 0x60;
  bytes[AT + 4] = payload >> 8;
  bytes[AT + 5] = payload & 0xff;
  return bytes;
}

describe('a header is sound', () => {
  it.each<[what: string, bytes: Uint8Array, available: number, sound: boolean]>([
    ['an IPv4 header and nothing more', ipv4(20), 20, true],
    ['an IPv4 packet', ipv4(1420), 1420, true],
    ['an IPv4 packet with padding behind it', ipv4(21), 32, true],
    ['one with options', ipv4(60, 15), 60, true],
    ['one of 65,535 bytes', ipv4(65_535), 65_535, true],
    ['less than an IPv4 header', ipv4(20), 19, false],
    ['an IPv4 packet cut by a byte', ipv4(1420), 1419, false],
    ['a header length below 20', ipv4(40, 4), 40, false],
    ['options beyond the total length', ipv4(40, 15), 60, false],
    ['a total length below the header', ipv4(19), 40, false],
    ['an IPv6 header and nothing more', ipv6(0), 40, true],
    ['an IPv6 packet', ipv6(1380), 1420, true],
    ['less than an IPv6 header', ipv6(0), 39, false],
    ['an IPv6 packet cut by a byte', ipv6(1), 40, false],
    ['version 5', new Uint8Array(64).fill(0x55), 50, false],
    ['version 0', new Uint8Array(64), 50, false],
    ['no byte at all', new Uint8Array(AT), 0, false],
  ])('%s: %3$s', (_, bytes, available, sound) => {
    expect(isSound(bytes, AT, available)).toBe(sound);
  });

  it('never when the packet would reach beyond what is there', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(80), (bytes, available) => {
        const length = Math.min(available, bytes.length);
        if (isSound(bytes, 0, length)) expect(ipLength(bytes, 0)).toBeLessThanOrEqual(length);
      }),
    );
  });
});

describe('the fields', () => {
  it('of IPv4', () => {
    const bytes = ipv4(1234);
    expect(ipVersion(bytes, AT)).toBe(4);
    expect(ipLength(bytes, AT)).toBe(1234);
  });

  it('of IPv6', () => {
    const bytes = ipv6(1234);
    expect(ipVersion(bytes, AT)).toBe(6);
    expect(ipLength(bytes, AT)).toBe(1274);
  });

  it('there is no length without a version', () => {
    expect(ipLength(new Uint8Array(40), 0)).toBe(0);
  });
});

describe('the traffic class', () => {
  it('of IPv4 is rewritten with a right checksum, whatever it was', () => {
    const bytes = ipv4(40);
    for (let before = 0; before < 256; before += 5) {
      for (let after = 0; after < 256; after += 3) {
        writeTrafficClass(bytes, AT, before);
        writeTrafficClass(bytes, AT, after);
        expect(readTrafficClass(bytes, AT)).toBe(after);
        expect(checksum(bytes, AT, 20)).toBe(0);
      }
    }
  });

  it('of IPv4 leaves a wrong checksum wrong by as much', () => {
    const bytes = ipv4(40);
    bytes[AT + 11] ^= 0x10;
    writeTrafficClass(bytes, AT, 0xb8);
    expect(checksum(bytes, AT, 20)).not.toBe(0);
    writeTrafficClass(bytes, AT, 0);
    bytes[AT + 11] ^= 0x10;
    expect(bytes).toEqual(ipv4(40));
  });

  it('of IPv6 leaves version and flow label alone', () => {
    const bytes = ipv6(8);
    bytes.set([0x6a, 0xb1, 0x23, 0x45], AT);
    expect(readTrafficClass(bytes, AT)).toBe(0xab);
    writeTrafficClass(bytes, AT, 0xcd);
    expect([...bytes.subarray(AT, AT + 4)]).toEqual([0x6c, 0xd1, 0x23, 0x45]);
  });

  it.each([
    ['IPv4', ipv4(40)],
    ['IPv6', ipv6(8)],
  ])('of %s: ECN changes and DSCP stays', (_, bytes) => {
    writeTrafficClass(bytes, AT, 0b101110_00);
    for (const codepoint of [ECN_ECT1, ECN_ECT0, ECN_CE, ECN_CE, ECN_NOT_ECT]) {
      writeEcn(bytes, AT, codepoint);
      expect(readEcn(bytes, AT)).toBe(codepoint);
      expect(readTrafficClass(bytes, AT) >> 2).toBe(0b101110);
    }
  });
});

describe('leaving the tunnel (RFC 6040 4.2, figure 4)', () => {
  const columns = [ECN_NOT_ECT, ECN_ECT0, ECN_ECT1, ECN_CE];
  it.each<[inner: number, expected: number[]]>([
    [ECN_NOT_ECT, [ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT, ECN_DROP]],
    [ECN_ECT0, [ECN_ECT0, ECN_ECT0, ECN_ECT1, ECN_CE]],
    [ECN_ECT1, [ECN_ECT1, ECN_ECT1, ECN_ECT1, ECN_CE]],
    [ECN_CE, [ECN_CE, ECN_CE, ECN_CE, ECN_CE]],
  ])('inner codepoint %i', (inner, expected) => {
    expect(columns.map((outer) => decapsulateEcn(outer, inner))).toEqual(expected);
  });
});
