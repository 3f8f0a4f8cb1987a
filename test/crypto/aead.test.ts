import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { counterNonce, openAead, sealAead, xopenAead, xsealAead } from '../../src/crypto/aead.ts';
import { ascii, counting, hex, Random, unhex } from './hex.ts';

const SUNSCREEN = ascii(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
);
const KEY = counting(32, 0x80);
const AAD = unhex('50515253c0c1c2c3c4c5c6c7');
const COUNTERS = [0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER];

/** OpenSSL's ChaCha20-Poly1305, an implementation of its own. */
function reference(key: Uint8Array, nonce: Uint8Array, text: Uint8Array, aad: Uint8Array) {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: text.length });
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

describe('ChaCha20-Poly1305', () => {
  // The RFC's nonce does not begin with zeros, so it is no counter: the vector vouches for the
  // reference, and the reference for us.
  it('the reference computes RFC 8439 2.8.2', () => {
    const nonce = unhex('070000004041424344454647');
    expect(hex(reference(KEY, nonce, SUNSCREEN, AAD))).toBe(
      'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6' +
        '3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36' +
        '92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc' +
        '3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691',
    );
  });

  it.each([1, 2, 3])('agrees with the reference, seed %i', (seed) => {
    const random = new Random(seed);
    for (const counter of COUNTERS) {
      const key = random.bytes(32);
      const text = random.bytes(random.below(200));
      const aad = random.bytes(random.below(40));
      const sealed = sealAead(key, counter, text, aad);
      expect(hex(sealed)).toBe(hex(reference(key, counterNonce(counter), text, aad)));
      expect(hex(openAead(key, counter, sealed, aad) ?? AAD)).toBe(hex(text));
    }
  });

  it('puts the counter behind 32 zero bits, little-endian', () => {
    expect(hex(counterNonce(0))).toBe('000000000000000000000000');
    expect(hex(counterNonce(0x01020304))).toBe('000000000403020100000000');
    expect(hex(counterNonce(2 ** 53 - 1))).toBe('00000000ffffffffffff1f00');
  });

  it('answers null to anything that was not sealed like this', () => {
    const sealed = sealAead(KEY, 7, ascii('text'), AAD);
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const forged = sealed.slice();
      forged[bit >> 3] ^= 1 << (bit & 7);
      expect(openAead(KEY, 7, forged, AAD), `bit ${bit}`).toBeNull();
    }
    expect(openAead(KEY, 8, sealed, AAD)).toBeNull();
    expect(openAead(counting(32), 7, sealed, AAD)).toBeNull();
    expect(openAead(KEY, 7, sealed, AAD.subarray(1))).toBeNull();
    expect(openAead(KEY, 7, sealed, new Uint8Array(0))).toBeNull();
    for (let length = 0; length < sealed.length; length++) {
      expect(openAead(KEY, 7, sealed.subarray(0, length), AAD), `${length} bytes`).toBeNull();
    }
  });

  it('throws for a key of the wrong length, which is a bug of ours', () => {
    expect(() => openAead(new Uint8Array(31), 0, new Uint8Array(16), AAD)).toThrow();
    expect(() => sealAead(new Uint8Array(33), 0, AAD, AAD)).toThrow();
    expect(() => xopenAead(KEY, new Uint8Array(12), new Uint8Array(16), AAD)).toThrow();
  });
});

describe('XChaCha20-Poly1305', () => {
  const nonce = counting(24, 0x40);
  const sealed =
    'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb' +
    '731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452' +
    '2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9' +
    '21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49';

  it('draft-irtf-cfrg-xchacha-03 A.3.1', () => {
    expect(hex(xsealAead(KEY, nonce, SUNSCREEN, AAD))).toBe(sealed);
    expect(hex(xopenAead(KEY, nonce, unhex(sealed), AAD) ?? AAD)).toBe(hex(SUNSCREEN));
  });

  it('answers null to anything that was not sealed like this', () => {
    const cookie = xsealAead(KEY, nonce, counting(16), AAD);
    for (let bit = 0; bit < 8 * cookie.length; bit++) {
      const forged = cookie.slice();
      forged[bit >> 3] ^= 1 << (bit & 7);
      expect(xopenAead(KEY, nonce, forged, AAD), `bit ${bit}`).toBeNull();
    }
    expect(xopenAead(KEY, counting(24), cookie, AAD)).toBeNull();
    expect(xopenAead(KEY, nonce, cookie, counting(12))).toBeNull();
    expect(xopenAead(KEY, nonce, cookie.subarray(0, 15), AAD)).toBeNull();
    expect(xopenAead(KEY, nonce, new Uint8Array(0), AAD)).toBeNull();
  });
});
