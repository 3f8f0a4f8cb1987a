import { describe, expect, it } from 'vitest';
import { KEY_BYTES, TAG_BYTES, XNONCE_BYTES } from '../../src/crypto/suite.ts';
import * as messages from '../../src/noise/messages.ts';
import {
  COOKIE_REPLY,
  classify,
  DATA,
  INITIATION,
  MALFORMED,
  RESPONSE,
  readCounter,
  readReceiverIndex,
  readUint32,
  writeDataHeader,
  writeUint32,
} from '../../src/noise/messages.ts';
import { TIMESTAMP_BYTES } from '../../src/noise/tai64n.ts';
import { hex, seeded, unhex } from './parties.ts';

function datagram(type: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes[0] = type;
  return bytes;
}

describe('classify', () => {
  it.each([
    [1, 147, MALFORMED],
    [1, 148, INITIATION],
    [1, 149, MALFORMED],
    [1, 92, MALFORMED],
    [2, 91, MALFORMED],
    [2, 92, RESPONSE],
    [2, 93, MALFORMED],
    [2, 148, MALFORMED],
    [3, 63, MALFORMED],
    [3, 64, COOKIE_REPLY],
    [3, 65, MALFORMED],
    [4, 31, MALFORMED],
    [4, 32, DATA],
    [4, 33, DATA],
    [4, 148, DATA],
    [4, 65_535, DATA],
    [0, 32, MALFORMED],
    [0, 148, MALFORMED],
    [5, 148, MALFORMED],
    [255, 92, MALFORMED],
  ])('type %i of %i bytes is kind %i', (type, length, kind) => {
    expect(classify(datagram(type, length), 0, length)).toBe(kind);
  });

  it('takes every length of every type one way or the other', () => {
    const sizes: Record<number, (length: number) => boolean> = {
      1: (length) => length === 148,
      2: (length) => length === 92,
      3: (length) => length === 64,
      4: (length) => length >= 32,
    };
    for (let type = 0; type < 8; type++)
      for (let length = 0; length <= 200; length++) {
        const expected = sizes[type]?.(length) ? type : MALFORMED;
        const bytes = length === 0 ? new Uint8Array(0) : datagram(type, length);
        expect(classify(bytes, 0, length), `type ${type}, ${length} bytes`).toBe(expected);
      }
  });

  it('wants the three reserved bytes zero', () => {
    for (const [type, length] of [
      [1, 148],
      [2, 92],
      [3, 64],
      [4, 32],
    ])
      for (const at of [1, 2, 3])
        for (let bit = 0; bit < 8; bit++) {
          const bytes = datagram(type, length);
          bytes[at] = 1 << bit;
          expect(classify(bytes, 0, length)).toBe(MALFORMED);
        }
  });

  it('judges a datagram where it lies, and nothing around it', () => {
    const bytes = new Uint8Array(400).fill(0xff);
    bytes.set(datagram(1, 148), 100);
    expect(classify(bytes, 100, 148)).toBe(INITIATION);
    expect(classify(bytes, 99, 148)).toBe(MALFORMED);
    expect(classify(bytes, 101, 148)).toBe(MALFORMED);
  });
});

it('the fields of every message follow each other without a gap', () => {
  const m = messages;
  expect([m.INITIATION_BYTES, m.RESPONSE_BYTES, m.COOKIE_REPLY_BYTES]).toEqual([148, 92, 64]);
  expect([m.DATA_HEADER_BYTES, m.DATA_MIN_BYTES]).toEqual([16, 32]);
  expect(m.INITIATION_SENDER).toBe(4);
  expect(m.INITIATION_EPHEMERAL).toBe(m.INITIATION_SENDER + 4);
  expect(m.INITIATION_STATIC).toBe(m.INITIATION_EPHEMERAL + KEY_BYTES);
  expect(m.INITIATION_TIMESTAMP).toBe(m.INITIATION_STATIC + KEY_BYTES + TAG_BYTES);
  expect(m.INITIATION_MAC1).toBe(m.INITIATION_TIMESTAMP + TIMESTAMP_BYTES + TAG_BYTES);
  expect(m.INITIATION_BYTES).toBe(m.INITIATION_MAC1 + 2 * m.MAC_BYTES);
  expect(m.RESPONSE_SENDER).toBe(4);
  expect(m.RESPONSE_RECEIVER).toBe(m.RESPONSE_SENDER + 4);
  expect(m.RESPONSE_EPHEMERAL).toBe(m.RESPONSE_RECEIVER + 4);
  expect(m.RESPONSE_NOTHING).toBe(m.RESPONSE_EPHEMERAL + KEY_BYTES);
  expect(m.RESPONSE_MAC1).toBe(m.RESPONSE_NOTHING + TAG_BYTES);
  expect(m.RESPONSE_BYTES).toBe(m.RESPONSE_MAC1 + 2 * m.MAC_BYTES);
  expect(m.COOKIE_REPLY_RECEIVER).toBe(4);
  expect(m.COOKIE_REPLY_NONCE).toBe(m.COOKIE_REPLY_RECEIVER + 4);
  expect(m.COOKIE_REPLY_COOKIE).toBe(m.COOKIE_REPLY_NONCE + XNONCE_BYTES);
  expect(m.COOKIE_REPLY_BYTES).toBe(m.COOKIE_REPLY_COOKIE + m.MAC_BYTES + TAG_BYTES);
  expect(m.DATA_RECEIVER).toBe(4);
  expect(m.DATA_COUNTER).toBe(m.DATA_RECEIVER + 4);
  expect(m.DATA_HEADER_BYTES).toBe(m.DATA_COUNTER + 8);
  expect(m.MAC1_FROM_END).toBe(2 * m.MAC_BYTES);
  expect(m.MAC2_FROM_END).toBe(m.MAC_BYTES);
});

describe('a data header', () => {
  it.each([
    [0, 0, '04000000000000000000000000000000'],
    [0x12345678, 1, '04000000785634120100000000000000'],
    [0xfedcba98, 2 ** 31, '0400000098badcfe0000008000000000'],
    [0xffffffff, 2 ** 32 - 1, '04000000ffffffffffffffff00000000'],
    [1, 2 ** 32, '04000000010000000000000001000000'],
    [1, 2 ** 32 + 5, '04000000010000000500000001000000'],
    [1, 2 ** 53 - 2 ** 13 - 2, '0400000001000000fedfffffffff1f00'],
  ])('for receiver %i and counter %i is written and read', (receiver, counter, text) => {
    const bytes = new Uint8Array(40).fill(0xee);
    const view = new DataView(bytes.buffer);
    writeDataHeader(view, 9, receiver, counter);
    expect(hex(bytes.subarray(9, 25))).toBe(text);
    expect(hex(bytes.subarray(0, 9)) + hex(bytes.subarray(25))).toBe('ee'.repeat(24));
    expect(readReceiverIndex(view, 9)).toBe(receiver);
    expect(readCounter(view, 9)).toBe(counter);
  });

  it('with a counter that no number holds exactly is read as one beyond all limits', () => {
    for (const counter of ['ffffffffffffffff', '0000000000002000', '0100000000000080']) {
      const bytes = unhex(`0400000001000000${counter}`);
      expect(readCounter(new DataView(bytes.buffer), 0)).toBeGreaterThanOrEqual(2 ** 53);
    }
  });
});

it('32-bit integers are little-endian and unsigned, at any offset', () => {
  const bytes = new Uint8Array(16);
  const random = seeded(80);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 200; i++) {
    random(bytes);
    const at = i % 12;
    const value = view.getUint32(at, true);
    expect(readUint32(bytes, at)).toBe(value);
    writeUint32(bytes, at, value ^ 0xffffffff);
    expect(view.getUint32(at, true)).toBe((value ^ 0xffffffff) >>> 0);
  }
});
