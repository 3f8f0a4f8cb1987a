import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksum, fold, pseudoHeaderSum, sum, updateChecksum } from '../../src/packet/checksum.ts';

/** RFC 1071 1, word by word, with a carry at a time. */
function slowSum(bytes: Uint8Array, initial = 0): number {
  let total = initial;
  for (let i = 0; i < bytes.length; i += 2) {
    total += bytes[i] * 256 + (i + 1 < bytes.length ? bytes[i + 1] : 0);
    if (total > 0xffff) total -= 0xffff;
  }
  return total;
}

describe('the sum', () => {
  it('is that of the example in RFC 1071 3', () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(sum(bytes, 0, 8)).toBe(0xddf2);
    expect(checksum(bytes, 0, 8)).toBe(0x220d);
  });

  it('agrees with a slow one at every length, offset and initial value', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(9),
        fc.nat(0xffff),
        (bytes, before, initial) => {
          const room = new Uint8Array(before + bytes.length + 5).fill(0xa5);
          room.set(bytes, before);
          expect(sum(room, before, bytes.length, initial)).toBe(slowSum(bytes, initial));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('does not overflow: 131,072 bytes of 0xff', () => {
    const bytes = new Uint8Array(131_072).fill(0xff);
    expect(sum(bytes, 0, bytes.length, 0xffff)).toBe(0xffff);
    bytes[131_071] = 0xfe;
    expect(sum(bytes, 0, bytes.length)).toBe(0xfffe);
  });

  it('works on a view that does not begin where its buffer does, after another array', () => {
    const buffer = Uint8Array.from({ length: 64 }, (_, i) => i * 7);
    const part = buffer.subarray(5, 60);
    const whole = sum(buffer, 5, 55);
    expect(sum(part, 0, 55)).toBe(whole);
    expect(sum(buffer, 5, 55)).toBe(whole);
  });

  it('continues over parts of even length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 99 }), fc.nat(48), (bytes, half) => {
        const split = Math.min(2 * half, bytes.length & ~1);
        const first = sum(bytes, 0, split);
        expect(sum(bytes, split, bytes.length - split, first)).toBe(slowSum(bytes));
      }),
    );
  });
});

describe('checksums of known packets', () => {
  it('the IPv4 header of a captured ping', () => {
    const header = '4500003c1c4640004006b1e6ac100a63ac100a0c';
    const bytes = Uint8Array.from(Buffer.from(header, 'hex'));
    expect(checksum(bytes, 0, 20)).toBe(0);
    bytes[10] = bytes[11] = 0;
    expect(checksum(bytes, 0, 20)).toBe(0xb1e6);
  });

  it.each([4, 6])('the pseudo-header of IPv%i', (version) => {
    const addresses = version === 4 ? 8 : 32;
    const at = version === 4 ? 12 : 8;
    const bytes = Uint8Array.from({ length: 50 }, (_, i) => (i * 37 + 11) & 0xff);
    bytes[3] = version << 4;
    const length = 70_000;
    const pseudo = Uint8Array.of(
      ...bytes.subarray(3 + at, 3 + at + addresses),
      ...[0, length >>> 16, (length >> 8) & 0xff, length & 0xff],
      ...[0, 0, 0, 17],
    );
    expect(pseudoHeaderSum(bytes, 3, 17, length)).toBe(slowSum(pseudo));
  });
});

describe('the incremental update', () => {
  it('yields what a whole computation does, by RFC 1624 4 also where that is zero', () => {
    // The RFC's example: 0xdd2f with 0x5555 becoming 0x3285 is 0x0000, not 0xffff.
    expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0);
  });

  it('agrees with the whole computation for any word', () => {
    const bytesWithWord = fc.tuple(
      fc.uint8Array({ minLength: 20, maxLength: 20 }),
      fc.nat(9),
      fc.nat(0xffff),
    );
    fc.assert(
      fc.property(bytesWithWord, ([bytes, word, after]) => {
        bytes[word === 0 ? 2 : 0] |= 0x40; // as in any IP header, something is not zero
        const before = (bytes[2 * word] << 8) | bytes[2 * word + 1];
        const updated = updateChecksum(checksum(bytes, 0, 20), before, after);
        bytes[2 * word] = after >> 8;
        bytes[2 * word + 1] = after & 0xff;
        expect(updated).toBe(checksum(bytes, 0, 20));
      }),
      { numRuns: 2000 },
    );
  });

  it('folds whatever fits 32 bits', () => {
    expect(fold(0)).toBe(0);
    expect(fold(0xffff_ffff)).toBe(0xffff);
    expect(fold(0x1_ffff)).toBe(1);
  });
});
