import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isClamped, isPublicPoint } from '../../src/cli/curve.ts';
import { createPrivateKeyBytes, publicKeyOf } from '../../src/cli/keys.ts';

const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe('a public key', () => {
  it('is one, whichever private key it is made of', () => {
    fc.assert(
      fc.property(bytes, (privateKey) => {
        expect(isPublicPoint(publicKeyOf(privateKey))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('is one with its highest bit set, too, which nobody looks at', () => {
    const key = publicKeyOf(createPrivateKeyBytes());
    key[31] |= 0x80;
    expect(isPublicPoint(key)).toBe(true);
  });
});

describe('a private key', () => {
  it('is no public one, but for one in sixteen', () => {
    let taken = 0;
    for (let i = 0; i < 640; i++) if (isPublicPoint(createPrivateKeyBytes())) taken++;
    // 40 are expected; 100 come once in 10^15 runs.
    expect(taken).toBeLessThan(100);
  });

  it('is clamped', () => {
    for (let i = 0; i < 64; i++) expect(isClamped(createPrivateKeyBytes())).toBe(true);
    expect(isClamped(new Uint8Array(32))).toBe(false);
  });
});

describe('points of small order', () => {
  // RFC 7748 6.1, and those that Curve25519's page lists: 0, 1, one of order 8, p - 1.
  it.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('are no public keys: %s', (hex) => {
    expect(isPublicPoint(new Uint8Array(Buffer.from(hex, 'hex')))).toBe(false);
  });
});
