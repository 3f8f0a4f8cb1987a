import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatAddress,
  formatPrefix,
  isMapped,
  maskAddress,
  parseAddress,
  parseDecimal,
  parsePort,
  parsePrefix,
} from '../../src/packet/address.ts';

const ipv4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Zero groups are as likely as others, or runs of them would hardly occur. */
const ipv6Bytes = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));
/** Text of the characters that addresses are made of, which is nearly right more often. */
const nearlyAddress = fc.oneof(
  fc.string({ maxLength: 45 }),
  fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF:.'), maxLength: 45 }),
  fc
    .array(fc.constantFrom('0', '1', 'ffff', '10', '255', '256', '01', '::', ':', '.', '1.2.3.4'), {
      maxLength: 16,
    })
    .map((parts) => parts.join('')),
  fc
    .array(fc.constantFrom('0', '1', 'ffff', 'abcd', '', '1.2.3.4', '12345'), { maxLength: 9 })
    .map((parts) => parts.join(':')),
);

describe('addresses are read', () => {
  it.each<[text: string, bytes: number[]]>([
    ['0.0.0.0', [0, 0, 0, 0]],
    ['10.99.0.1', [10, 99, 0, 1]],
    ['255.255.255.255', [255, 255, 255, 255]],
    ['::', Array(16).fill(0)],
    ['::1', [...Array(15).fill(0), 1]],
    ['1::', [0, 1, ...Array(14).fill(0)]],
    ['fe80::1:2', [0xfe, 0x80, ...Array(10).fill(0), 0, 1, 0, 2]],
    ['1:2:3:4:5:6:7:8', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ['1:2:3:4:5:6:7::', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0]],
    ['::2:3:4:5:6:7:8', [0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ['ABCD:EF01::', [0xab, 0xcd, 0xef, 0x01, ...Array(12).fill(0)]],
    ['0001::', [0, 1, ...Array(14).fill(0)]],
    ['::13.1.68.3', [...Array(12).fill(0), 13, 1, 68, 3]],
    ['::ffff:129.144.52.38', [...Array(10).fill(0), 255, 255, 129, 144, 52, 38]],
    ['1:2:3:4:5:6:1.2.3.4', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 1, 2, 3, 4]],
    ['1:2:3:4:5::1.2.3.4', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 0, 1, 2, 3, 4]],
  ])('%s', (text, bytes) => {
    expect(parseAddress(text)).toEqual(Uint8Array.from(bytes));
  });

  it.each([
    ['', '1', '1.2.3', '1.2.3.4.', '.1.2.3.4', '1..2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4'],
    ['1.2.3.04', '00.0.0.0', '+1.2.3.4', ' 1.2.3.4', '1.2.3.4 ', '0x1.2.3.4', '1.2.3.999999999999'],
    [':', ':::', '1', '1:', ':1', '1:2', '1::2::3', '1:::2', '12345::', 'g::', '::1%eth0', '[::1]'],
    ['1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8:', '1:2:3:4:5:6:7:8::'],
    ['1:2:3:4::5:6:7:8', '::1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:1.2.3.4', '1:2:3:4:5:6::1.2.3.4'],
    ['::1.2.3', '::1.2.3.4:1', '::1.2.3.256', '::01.2.3.4', '1.2.3.4::', '::.1.2.3', '::1.2.3.4.'],
  ])('but not what only looks like one: %s ...', (...texts) => {
    for (const text of texts) expect(parseAddress(text), text).toBeNull();
  });

  it('exactly when node:net takes them', () => {
    fc.assert(
      fc.property(nearlyAddress, (text) => {
        const bytes = parseAddress(text);
        expect(bytes?.length === 4, text).toBe(isIPv4(text));
        // node:net takes a zone, which is no part of an address.
        expect(bytes?.length === 16, text).toBe(isIPv6(text) && !text.includes('%'));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('addresses are written', () => {
  it.each([
    // RFC 5952 4.1 to 4.3 and 5.
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::AAAA', '2001:db8::aaaa'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['0:2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1.2.3.4', '1.2.3.4'],
  ])('%s as %s', (text, canonical) => {
    expect(formatAddress(parseAddress(text)!)).toBe(canonical);
  });

  it('as URL writes them, and read back the same', () => {
    fc.assert(
      fc.property(ipv6Bytes, (bytes) => {
        const text = formatAddress(bytes);
        expect(parseAddress(text)).toEqual(bytes);
        // URL knows no dotted quads in IPv6.
        if (!isMapped(bytes)) expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(ipv4Bytes, (bytes) => {
        const text = formatAddress(bytes);
        expect(parseAddress(text)).toEqual(bytes);
        expect(new URL(`http://${text}/`).hostname).toBe(text);
      }),
    );
  });

  it('refuses to write what is no address', () => {
    expect(() => formatAddress(new Uint8Array(5))).toThrow('address: 5 bytes');
  });
});

describe('prefixes', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1/32'],
    ['::1', '::1/128'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.255.255.255/9', '10.128.0.0/9'],
    ['10.99.0.3/30', '10.99.0.0/30'],
    ['1.2.3.4/32', '1.2.3.4/32'],
    ['1.2.3.4/31', '1.2.3.4/31'],
    ['255.255.255.255/0', '0.0.0.0/0'],
    ['ffff::/1', '8000::/1'],
    ['ffff::/0', '::/0'],
    ['2001:db8:ffff::1/33', '2001:db8:8000::/33'],
    ['::ffff/127', '::fffe/127'],
  ])('%s means %s', (text, canonical) => {
    expect(formatPrefix(parsePrefix(text)!)).toBe(canonical);
  });

  it.each([
    ['', '/', '/8', '10.0.0.0/', '10.0.0.0/33', '::/129', '10.0.0.0/-1', '10.0.0.0/08', '1.2.3/8'],
    ['10.0.0.0/8/8', '10.0.0.0/8 ', '10.0.0.0/255.0.0.0', '10.0.0.0/0x8', '-10.0.0.0/8', '::/1e1'],
  ])('%s %s ... mean nothing', (...texts) => {
    for (const text of texts) expect(parsePrefix(text), text).toBeNull();
  });

  it('keep the bits before the length and no others', () => {
    const address = fc.oneof(ipv4Bytes, ipv6Bytes);
    fc.assert(
      fc.property(address, fc.nat(128), (bytes, bits) => {
        const length = Math.min(bits, bytes.length * 8);
        const masked = maskAddress(bytes, length);
        const binary = (of: Uint8Array) =>
          [...of].map((o) => o.toString(2).padStart(8, '0')).join('');
        expect(binary(masked)).toBe(
          binary(bytes)
            .slice(0, length)
            .padEnd(bytes.length * 8, '0'),
        );
        const prefix = { address: masked, length };
        expect(parsePrefix(formatPrefix(prefix))).toEqual(prefix);
        expect(parsePrefix(`${formatAddress(bytes)}/${length}`)).toEqual(prefix);
      }),
    );
  });

  it('are read from any text without an exception', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearlyAddress), fc.string({ maxLength: 4 }), (a, b) => {
        parsePrefix(a);
        parsePrefix(`${a}/${b}`);
      }),
    );
  });
});

describe('numbers', () => {
  it.each<[text: string, value: number | null]>([
    ['0', 0],
    ['1', 1],
    ['51820', 51820],
    ['65535', 65535],
    ['65536', null],
    ['', null],
    ['00', null],
    ['01', null],
    ['-1', null],
    ['+1', null],
    [' 1', null],
    ['1 ', null],
    ['1.0', null],
    ['1e3', null],
    ['0x10', null],
    ['٣', null],
    ['99999999999999999999', null],
  ])('%j as a port', (text, value) => {
    expect(parsePort(text)).toBe(value);
  });

  it('are read to the last digit', () => {
    expect(parseDecimal('4294967295', 0xffff_ffff)).toBe(0xffff_ffff);
    expect(parseDecimal('4294967296', 0xffff_ffff)).toBeNull();
  });
});
