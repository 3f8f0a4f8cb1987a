import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseAddress,
  parseAnswer,
  parseLink,
  parseLocalRoute,
  parseMessages,
  parseRoute,
} from '../../src/netlink/netlinkmessage.ts';
import {
  NLM_F_CREATE,
  writeAddress,
  writeGetLink,
  writeRoute,
  writeSetLink,
} from '../../src/netlink/netlinkrequest.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text.replace(/\s/g, ''), 'hex'));

/** A message as the kernel frames it. */
function message(type: number, flags: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((16 + body.length + 3) & -4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 16 + body.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, 7, true);
  bytes.set(body, 16);
  return bytes;
}

describe('netlink messages', () => {
  it('read as a local route what the table local delivers here, and no more', () => {
    const route = (family: number, table: number, type: number) =>
      Uint8Array.of(family, 16, 0, 0, table, 3, 254, type, 0, 0, 0, 0, 8, 0, 1, 0, 10, 9, 0, 0);
    const address = Uint8Array.of(10, 9, 0, 0);
    expect(parseLocalRoute(route(2, 255, 2), 2)).toEqual({ address, length: 16, linkIndex: 0 });
    expect(parseLocalRoute(route(2, 254, 2), 2)).toBeNull();
    expect(parseLocalRoute(route(2, 255, 3), 2)).toBeNull();
    expect(parseLocalRoute(route(2, 255, 2), 10)).toBeNull();
    expect(parseLocalRoute(route(2, 255, 2).fill(33, 1, 2), 2)).toBeNull();
    const all = Uint8Array.of(0, 0, 0, 0);
    const any = route(2, 255, 2).fill(0, 1, 2).subarray(0, 12);
    expect(parseLocalRoute(any, 2)).toEqual({ address: all, length: 0, linkIndex: 0 });
  });

  it('reads a link', () => {
    const body = bytesOf(`
      00 00 feff 05000000 d1100100 00000000
      0800 0300 77673000  0800 0400 8c050000
      0c00 1400 6f666669 63650000
      0c00 1280 0700 0100 74756e00`);
    expect(parseLink(body)).toEqual({
      index: 5,
      name: 'wg0',
      flags: 0x110d1,
      isUp: true,
      mtu: 1420,
      alias: 'office',
      kind: 'tun',
      isPersistent: false,
    });
  });

  it('reads an IPv4 address with broadcast, and a point-to-point one', () => {
    const body = bytesOf(`
      02 1e 80 00 05000000
      0800 0100 0a630001  0800 0200 0a630001  0800 0400 0a630003
      0800 0300 77673000  0800 0800 80000000`);
    expect(parseAddress(body)).toEqual({
      linkIndex: 5,
      address: Uint8Array.of(10, 99, 0, 1),
      prefixLength: 30,
      peer: null,
      broadcast: Uint8Array.of(10, 99, 0, 3),
      scope: 0,
      flags: 0x80,
      label: 'wg0',
    });
    const pointToPoint = bytesOf('02 20 80 00 05000000 0800 0100 0a630002 0800 0200 0a630001');
    expect(parseAddress(pointToPoint)).toMatchObject({
      address: Uint8Array.of(10, 99, 0, 1),
      peer: Uint8Array.of(10, 99, 0, 2),
    });
  });

  it.each([
    ['a length beyond the end', '0900 0100 0a630001'],
    ['a length too short for its header', '0300 0100 0a630001'],
    ['an address of the wrong length', '0700 0200 0a6300 00'],
    ['no address', ''],
  ])('leaves out an address with %s', (_, attributes) => {
    expect(parseAddress(bytesOf(`02 1e 80 00 05000000 ${attributes}`))).toBeNull();
  });

  it('refuses a prefix longer than the address', () => {
    expect(parseAddress(bytesOf('02 21 80 00 05000000 0800 0200 0a630001'))).toBeNull();
  });

  it('reads acknowledgements and errors, with the explanation behind the request', () => {
    const acknowledgement = message(
      2,
      0x100,
      bytesOf('00000000 20000000 1000 0500 07000000 00000000'),
    );
    expect(parseMessages(acknowledgement).map(parseAnswer)).toEqual([{ errno: 0, text: '' }]);
    const request = '14000000 1400 0500 07000000 00000000 aabbccdd';
    const explained = bytesOf(`f1ffffff ${request} 0700 0100 6e6f00 00`);
    expect(parseMessages(message(2, 0x200, explained)).map(parseAnswer)).toEqual([
      { errno: 15, text: 'no' },
    ]);
    const capped = bytesOf('f1ffffff 14000000 1400 0500 07000000 00000000 0700 0100 6e6f00 00');
    expect(parseMessages(message(2, 0x300, capped)).map(parseAnswer)).toEqual([
      { errno: 15, text: 'no' },
    ]);
    expect(parseMessages(message(3, 2, bytesOf('00000000'))).map(parseAnswer)).toEqual([
      { errno: 0, text: '' },
    ]);
  });

  it('writes what the kernel expects', () => {
    expect(hex(writeGetLink('wg0').finish(1))).toBe(
      hex(bytesOf('28000000 1200 0500 01000000 00000000')) +
        hex(bytesOf('00000000 00000000 00000000 00000000 0800 0300 77673000')),
    );
    expect(hex(writeSetLink(5, { isUp: true, mtu: 1420, alias: '' }).finish(2))).toBe(
      hex(bytesOf('2c000000 1000 0500 02000000 00000000 00000000 05000000 01000000 01000000')) +
        hex(bytesOf('0800 0400 8c050000 0400 1400')),
    );
    const address = { linkIndex: 5, address: Uint8Array.of(10, 99, 0, 1), prefixLength: 30 };
    expect(hex(writeAddress(20, NLM_F_CREATE, address).finish(3))).toBe(
      hex(bytesOf('28000000 1400 0504 03000000 00000000 02 1e 00 00 05000000')) +
        hex(bytesOf('0800 0200 0a630001 0800 0100 0a630001')),
    );
  });

  it('writes messages longer than its first room', () => {
    const alias = 'x'.repeat(3000);
    const bytes = writeSetLink(1, { alias }).finish(9);
    const [read] = parseMessages(bytes);
    expect(read!.body.length).toBe(16 + 4 + 3000);
    expect(read!.sequence).toBe(9);
  });

  it('reads back the route that it writes', () => {
    const route = {
      destination: Uint8Array.from({ length: 16 }, (_, i) => i),
      prefixLength: 64,
      linkIndex: 3,
      gateway: Uint8Array.from({ length: 16 }, (_, i) => 255 - i),
      metric: 77,
      table: 51820,
    };
    const [written] = parseMessages(writeRoute(24, 0, route).finish(1));
    expect(parseRoute(written!.body)).toEqual({ ...route, type: 1, preferredSource: null });
  });

  it('throws at nothing, whatever the bytes are', () => {
    const parseAll = (bytes: Uint8Array) => {
      for (const parsed of parseMessages(bytes)) {
        parseAnswer(parsed);
        parseLink(parsed.body);
        parseAddress(parsed.body);
        parseRoute(parsed.body);
        parseLocalRoute(parsed.body, 2);
      }
      parseLink(bytes);
      parseAddress(bytes);
      parseRoute(bytes);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), parseAll), { numRuns: 2000 });
    // Framed bodies get further than noise: right types, attributes with small lengths.
    const attribute = fc.tuple(fc.nat(40), fc.nat(70), fc.uint8Array({ maxLength: 24 }));
    const framed = fc
      .tuple(fc.nat(30), fc.nat(0xffff), fc.uint8Array({ maxLength: 20 }), fc.array(attribute))
      .map(([type, flags, fixed, attributes]) => {
        const parts = attributes.map(([length, kind, value]) => [length, 0, kind, 0, ...value]);
        return message(type, flags, Uint8Array.of(...fixed, ...parts.flat()));
      });
    fc.assert(fc.property(framed, parseAll), { numRuns: 5000 });
  });
});
