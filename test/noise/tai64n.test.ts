import { describe, expect, it } from 'vitest';
import {
  addSeconds,
  compareTimestamps,
  keepLaterThan,
  writeTimestamp,
} from '../../src/noise/tai64n.ts';
import { hex, unhex } from './parties.ts';

function stamp(wallClockMs: number): Uint8Array {
  const out = new Uint8Array(12);
  writeTimestamp(out, wallClockMs);
  return out;
}

describe('a timestamp', () => {
  it.each([
    ['1970 began', 0, '400000000000000a00000000'],
    // The captured handshake of captured.ts, within the grain of our clock.
    ['July 2018', 0x5b526471 * 1_000, '400000005b52647b00000000'],
    ['the last grain before', 999.999, '400000000000000a3b000000'],
    ['32 bits of seconds end', (2 ** 32 - 10) * 1_000, '400000010000000000000000'],
    ['a clock that is set before 1970', -11_000, '3fffffffffffffff00000000'],
  ])('when %s is TAI64N, big-endian', (_, wallClockMs, text) => {
    expect(hex(stamp(wallClockMs))).toBe(text);
  });

  it('hides all but multiples of 2^24 ns, rounding down', () => {
    for (let ms = 0; ms < 1_000; ms += 0.25) {
      const view = new DataView(stamp(1_700_000_000_000 + ms).buffer);
      const nanoseconds = view.getUint32(8);
      expect(nanoseconds % 2 ** 24).toBe(0);
      expect(nanoseconds).toBeLessThanOrEqual(ms * 1e6);
      expect(nanoseconds).toBeGreaterThan(ms * 1e6 - 2 ** 24);
    }
  });

  it('takes as few values a second as 50 initiations allow', () => {
    const values = new Set<string>();
    for (let ms = 0; ms < 1_000; ms++) values.add(hex(stamp(1_700_000_000_000 + ms)));
    expect(values.size).toBe(60); // the power of two at or below 20 ms is 16.8 ms
  });

  it('is newer 20 ms later, the least time between two initiations', () => {
    for (let ms = 0; ms < 2_000; ms++)
      expect(compareTimestamps(stamp(1e12 + ms + 20), stamp(1e12 + ms))).toBeGreaterThan(0);
  });

  it('writes 12 bytes and no more', () => {
    const out = new Uint8Array(16).fill(0xee);
    writeTimestamp(out, 0);
    expect(hex(out.subarray(12))).toBe('eeeeeeee');
  });
});

describe('a timestamp that is to be later than another', () => {
  it.each([
    [
      'stays when it is',
      '400000000000000a01000000',
      '400000000000000a00000000',
      '400000000000000a01000000',
    ],
    [
      'is the next grain when it is the same',
      '400000000000000a00000000',
      '400000000000000a00000000',
      '400000000000000a01000000',
    ],
    [
      'is the next grain when it is earlier',
      '3000000000000000ffffffff',
      '400000000000000a02000000',
      '400000000000000a03000000',
    ],
    [
      'is the next second behind the last grain',
      '00'.repeat(12),
      '400000000000000a3b000000',
      '400000000000000b00000000',
    ],
    [
      'carries over 32 bits',
      '00'.repeat(12),
      '40000000ffffffff3b000000',
      '400000010000000000000000',
    ],
  ])('%s', (_, own, earlier, expected) => {
    const timestamp = unhex(own);
    keepLaterThan(unhex(earlier), timestamp);
    expect(hex(timestamp)).toBe(expected);
  });

  it('moves by whole seconds', () => {
    const timestamp = unhex('40000000fffffff001000000');
    addSeconds(timestamp, 120);
    expect(hex(timestamp)).toBe('400000010000006801000000');
  });
});

describe('comparing timestamps', () => {
  const ascending = [
    '000000000000000000000000',
    '3fffffffffffffff3b9ac9ff',
    '400000000000000a00000000',
    '400000000000000a00000001',
    '400000000000000a000000ff',
    '400000000000000a00000100',
    '400000000000000b00000000',
    '4000000000000100000000ff',
    '400000010000000000000000',
    'ffffffffffffffffffffffff',
  ].map(unhex);

  it('orders them as times', () => {
    ascending.forEach((a, i) => {
      ascending.forEach((b, j) => {
        expect(Math.sign(compareTimestamps(a, b)), `${hex(a)} ${hex(b)}`).toBe(Math.sign(i - j));
      });
    });
  });
});
