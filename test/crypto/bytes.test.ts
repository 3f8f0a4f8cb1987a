import { describe, expect, it } from 'vitest';
import { equalConstantTime, isZero, wipe } from '../../src/crypto/bytes.ts';
import { counting } from './hex.ts';

describe('equalConstantTime', () => {
  it('is true for the same bytes, also none', () => {
    expect(equalConstantTime(counting(32), counting(32))).toBe(true);
    expect(equalConstantTime(counting(0), counting(0))).toBe(true);
  });

  it('sees every single flipped bit', () => {
    const a = counting(32);
    for (let bit = 0; bit < 256; bit++) {
      const b = counting(32);
      b[bit >> 3] ^= 1 << (bit & 7);
      expect(equalConstantTime(a, b), `bit ${bit}`).toBe(false);
    }
  });

  it('is false for a prefix', () => {
    expect(equalConstantTime(counting(16), counting(17))).toBe(false);
    expect(equalConstantTime(counting(17), counting(16))).toBe(false);
  });
});

describe('isZero', () => {
  it('is true for zeros only', () => {
    expect(isZero(new Uint8Array(32))).toBe(true);
    expect(isZero(new Uint8Array(0))).toBe(true);
    for (let i = 0; i < 32; i++) {
      const bytes = new Uint8Array(32);
      bytes[i] = 0x80;
      expect(isZero(bytes), `byte ${i}`).toBe(false);
    }
  });
});

describe('wipe', () => {
  it('zeroes every array it is given, and nothing around a view', () => {
    const buffer = counting(48, 1);
    const other = counting(5, 1);
    wipe(buffer.subarray(8, 40), other);
    expect(isZero(buffer.subarray(8, 40))).toBe(true);
    expect(isZero(other)).toBe(true);
    expect([buffer[7], buffer[40]]).toEqual([8, 41]);
  });
});
