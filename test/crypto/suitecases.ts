/** What every suite has to do, whatever it is made of: run by portable's tests and by openssl's. */

import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { counterNonce, xsealAead } from '../../src/crypto/aead.ts';
import { isZero } from '../../src/crypto/bytes.ts';
import { type CryptoSuite, XSEAL_AAD_BYTES_MAX, XSEAL_BYTES_MAX } from '../../src/crypto/suite.ts';
import { counting, hex, Random, unhex } from './hex.ts';
import { plaintextFor, SUMS } from './sums.ts';

/** RFC 7748: private key, public key, secret. */
const X25519_VECTORS = [
  [
    '5.2, first',
    'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
    'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
    'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
  ],
  [
    '5.2, second: the top bit of u is ignored',
    '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
    'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
    '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
  ],
  [
    "6.1, Bob's side",
    '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
    '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
    '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
  ],
] as const;

/** Every u of small order, reduced or not (cr.yp.to/ecdh.html), the last also with its top bit. */
const SMALL_ORDER_POINTS = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
];

const COUNTERS = [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 45 + 3, Number.MAX_SAFE_INTEGER];
const LENGTHS = [0, 1, 4, 15, 16, 17, 31, 32, 48, 63, 64, 65, 255, 256, 257, 511, 512, 513, 960];
const LONGER = [1023, 1024, 1025, 1280, 1420, 1424, 1440, 1500, 2048, 8920, 16_384, 65_000, 65_519];

/** Node's own binding to OpenSSL, which shares nothing with a suite but the standard. */
function reference(key: Uint8Array, counter: number, text: Uint8Array): Uint8Array {
  const nonce = counterNonce(counter);
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

export interface SuiteUnderTest {
  readonly create: (arena: Arena) => CryptoSuite;
  /** Bytes of the arena: too few make some suites take other ways. */
  readonly arenaBytes: number;
  /** Packets begin this far into what is left of the arena. */
  readonly lead: number;
}

/** Packets: sealed and opened as RFC 8439 2.8 says, in place, and nothing beside them touched. */
export function describeCipher(name: string, subject: SuiteUnderTest): void {
  describe(`${name}: packets`, () => {
    const arena = new Arena(subject.arenaBytes);
    const suite = subject.create(arena);
    const start = arena.allocate(arena.available - 16) + subject.lead;

    /** Runs `work` on `packet` at `offset`, and returns what became of it. */
    function inPlace(packet: Uint8Array, offset: number, work: () => void): Uint8Array {
      arena.bytes.fill(0xa5, offset - subject.lead, offset + packet.length + 100);
      arena.bytes.set(packet, offset);
      work();
      const end = offset + packet.length;
      const before = arena.bytes.subarray(offset - subject.lead, offset);
      const behind = arena.bytes.subarray(end, end + 100);
      expect(before.every((byte) => byte === 0xa5)).toBe(true);
      expect(behind.every((byte) => byte === 0xa5)).toBe(true);
      return arena.bytes.slice(offset, end);
    }

    it.each([...LENGTHS, ...LONGER])('of %i bytes, at every alignment', (length) => {
      const random = new Random(length + 1);
      for (let alignment = 0; alignment < (length > 2048 ? 2 : 16); alignment++) {
        const key = random.bytes(32);
        const counter = COUNTERS[random.below(COUNTERS.length)];
        const plain = random.bytes(length);
        const expected = reference(key, counter, plain);
        const offset = start + alignment;

        const sealer = suite.createSealer(key);
        const roomy = new Uint8Array(length + 16);
        roomy.set(plain);
        const sealed = inPlace(roomy, offset, () => sealer.seal(offset, length, counter));
        expect(hex(sealed)).toBe(hex(expected));
        sealer.wipe();

        const opener = suite.createOpener(key);
        let isOpened = false;
        const opened = inPlace(sealed, offset, () => {
          isOpened = opener.open(offset, length, counter);
        });
        expect(isOpened).toBe(true);
        expect(hex(opened.subarray(0, length))).toBe(hex(plain));
        opener.wipe();
      }
    });

    it.each([1, 2, 3, 4, 5])('many keys in turn, random lengths, seed %i', (seed) => {
      const random = new Random(seed);
      const keys = [random.bytes(32), random.bytes(32), random.bytes(32)];
      const sealers = keys.map((key) => suite.createSealer(key));
      const openers = keys.map((key) => suite.createOpener(key));
      for (let counter = 0; counter < 60; counter++) {
        const which = random.below(3);
        const plain = random.bytes(random.below(1600));
        arena.bytes.set(plain, start);
        sealers[which].seal(start, plain.length, counter);
        const sealed = arena.bytes.slice(start, start + plain.length + 16);
        expect(hex(sealed)).toBe(hex(reference(keys[which], counter, plain)));
        expect(openers[(which + 1) % 3].open(start, plain.length, counter)).toBe(false);
        arena.bytes.set(sealed, start);
        expect(openers[which].open(start, plain.length, counter)).toBe(true);
        expect(hex(arena.bytes.subarray(start, start + plain.length))).toBe(hex(plain));
      }
      for (const cipher of [...sealers, ...openers]) cipher.wipe();
    });

    it.each(SUMS)('whose sum is %i, which is easily carried wrong', (sum) => {
      for (let counter = 0; counter < 8; counter++) {
        const key = new Random(counter).bytes(32);
        const plain = plaintextFor(sum, key, counterNonce(counter));
        const [sealer, opener] = [suite.createSealer(key), suite.createOpener(key)];
        arena.bytes.set(plain, start);
        sealer.seal(start, plain.length, counter);
        const sealed = arena.bytes.slice(start, start + plain.length + 16);
        expect(hex(sealed)).toBe(hex(reference(key, counter, plain)));
        expect(opener.open(start, plain.length, counter)).toBe(true);
        for (const cipher of [sealer, opener]) cipher.wipe();
      }
    });

    it.each([0, 1, 16, 21, 64, 100])('refuses any flipped bit, %i bytes', (length) => {
      const key = counting(32);
      const opener = suite.createOpener(key);
      const sealed = reference(key, 9, counting(length));
      for (let bit = 0; bit < 8 * sealed.length; bit++) {
        const forged = new Uint8Array(sealed);
        forged[bit >> 3] ^= 1 << (bit & 7);
        arena.bytes.set(forged, start);
        expect(opener.open(start, length, 9), `bit ${bit}`).toBe(false);
      }
      arena.bytes.set(sealed, start);
      expect(opener.open(start, length, 10), 'another counter').toBe(false);
      arena.bytes.set(sealed, start);
      expect(opener.open(start, length, 9 + 2 ** 32), 'another upper half').toBe(false);
      arena.bytes.set(sealed, start);
      expect(opener.open(start, length, 9), 'unharmed by the forgeries').toBe(true);
      opener.wipe();
    });

    it('refuses a packet cut short, or with another length', () => {
      const key = counting(32);
      const opener = suite.createOpener(key);
      const sealed = reference(key, 1, counting(64));
      for (let length = 0; length < 64; length++) {
        arena.bytes.set(sealed, start);
        expect(opener.open(start, length, 1), `${length}`).toBe(false);
      }
      opener.wipe();
    });

    it('leaves neighbours alone when it refuses', () => {
      const opener = suite.createOpener(counting(32));
      for (const length of [0, 5, 16, 1420]) {
        inPlace(new Uint8Array(length + 16), start, () => {
          expect(opener.open(start, length, 0)).toBe(false);
        });
      }
      opener.wipe();
    });

    it('works up to the last byte of the arena', () => {
      const key = counting(32);
      const sealer = suite.createSealer(key);
      const opener = suite.createOpener(key);
      for (const length of [0, 4, 1420]) {
        const offset = arena.bytes.length - 16 - length;
        arena.bytes.set(counting(length), offset);
        sealer.seal(offset, length, 3);
        const sealed = arena.bytes.subarray(offset);
        expect(hex(sealed)).toBe(hex(reference(key, 3, counting(length))));
        expect(opener.open(offset, length, 3)).toBe(true);
      }
      sealer.wipe();
      opener.wipe();
    });

    it('throws, and touches nothing, outside the arena', () => {
      const sealer = suite.createSealer(counting(32));
      const opener = suite.createOpener(counting(32));
      const size = arena.bytes.length;
      const wrong = [
        [-1, 16],
        [-64, 16],
        [size - 31, 16],
        [size, 0],
        [0, size],
        [64, -1],
        [NaN, 16],
      ];
      const before = arena.bytes.slice();
      for (const [offset, length] of wrong) {
        expect(() => sealer.seal(offset, length, 0), `${offset} ${length}`).toThrow('outside');
        expect(() => opener.open(offset, length, 0), `${offset} ${length}`).toThrow('outside');
      }
      expect(Buffer.compare(arena.bytes, before)).toBe(0);
      sealer.wipe();
      opener.wipe();
    });
  });
}

/** Keys: who owns them, and that they are gone after `wipe`. */
export function describeKeys(name: string, create: (arena: Arena) => CryptoSuite): void {
  describe(`${name}: keys`, () => {
    const arena = new Arena(1 << 19);
    const suite = create(arena);
    const offset = arena.allocate(4096) + 64;

    it('copies the key: the caller may wipe its own', () => {
      const key = counting(32);
      const sealer = suite.createSealer(key);
      const opener = suite.createOpener(key);
      key.fill(0);
      arena.bytes.set(counting(100), offset);
      sealer.seal(offset, 100, 5);
      const sealed = arena.bytes.slice(offset, offset + 116);
      expect(hex(sealed)).toBe(hex(reference(counting(32), 5, counting(100))));
      expect(opener.open(offset, 100, 5)).toBe(true);
      sealer.wipe();
      opener.wipe();
    });

    it('refuses to work after wipe, which may be repeated', () => {
      const sealer = suite.createSealer(counting(32));
      const opener = suite.createOpener(counting(32));
      sealer.wipe();
      opener.wipe();
      sealer.wipe();
      opener.wipe();
      const before = arena.bytes.slice();
      expect(() => sealer.seal(offset, 64, 0)).toThrow('after wipe');
      expect(() => opener.open(offset, 64, 0)).toThrow('after wipe');
      expect(Buffer.compare(arena.bytes, before)).toBe(0);
    });

    it('gives a copy of the key, before packets and after, until it is wiped', () => {
      for (const cipher of [suite.createSealer(counting(32)), suite.createOpener(counting(32))]) {
        const copy = new Uint8Array(32);
        cipher.copyKey(copy);
        expect(hex(copy)).toBe(hex(counting(32)));
        arena.bytes.set(reference(counting(32), 5, counting(20)), offset);
        if ('open' in cipher) expect(cipher.open(offset, 20, 5)).toBe(true);
        else cipher.seal(offset, 20, 5);
        // The copy is the caller's.
        copy.fill(0);
        cipher.copyKey(copy);
        expect(hex(copy)).toBe(hex(counting(32)));
        cipher.wipe();
        copy.fill(0);
        expect(() => cipher.copyKey(copy)).toThrow('after wipe');
        expect(isZero(copy)).toBe(true);
      }
    });

    it('wiping one key leaves the others', () => {
      const [first, second] = [suite.createSealer(counting(32)), suite.createSealer(counting(32))];
      first.wipe();
      arena.bytes.set(counting(20), offset);
      second.seal(offset, 20, 1);
      const sealed = arena.bytes.slice(offset, offset + 36);
      expect(hex(sealed)).toBe(hex(reference(counting(32), 1, counting(20))));
      second.wipe();
    });

    it('takes keys of 32 bytes only', () => {
      for (const length of [0, 31, 33]) {
        expect(() => suite.createSealer(new Uint8Array(length))).toThrow(`${length} bytes`);
        expect(() => suite.createOpener(new Uint8Array(length))).toThrow(`${length} bytes`);
      }
    });
  });
}

/** XChaCha20-Poly1305, against the portable one, which has the draft's vector. */
export function describeXseal(name: string, suite: CryptoSuite): void {
  describe(`${name}: XChaCha20-Poly1305`, () => {
    it('draft-irtf-cfrg-xchacha-03 A.3.1', () => {
      const text =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the " +
        'future, sunscreen would be it.';
      const out = new Uint8Array(text.length + 16);
      const aad = unhex('50515253c0c1c2c3c4c5c6c7');
      suite.xseal(out, 0, counting(32, 0x80), counting(24, 0x40), Buffer.from(text), aad);
      expect(hex(out)).toBe(
        'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb' +
          '731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452' +
          '2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9' +
          '21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49',
      );
    });

    it.each([1, 2, 3])('seals as the portable one, and writes nothing beside, seed %i', (seed) => {
      const random = new Random(seed);
      for (let round = 0; round < 100; round++) {
        const [key, nonce] = [random.bytes(32), random.bytes(24)];
        // What counts blocks in ChaCha20 is of the nonce in HChaCha20, and may be at its end.
        if (round % 3 === 0) nonce.fill(0xff, 0, 4);
        const plaintext = random.bytes(random.below(XSEAL_BYTES_MAX + 1));
        const aad = random.bytes(random.below(XSEAL_AAD_BYTES_MAX + 1));
        const inputs = [key, nonce, plaintext, aad];
        const before = inputs.map(hex);
        const at = random.below(20);
        const out = new Uint8Array(at + plaintext.length + 16 + 5).fill(0xee);
        suite.xseal(out, at, key, nonce, plaintext, aad);
        const expected = hex(xsealAead(key, nonce, plaintext, aad));
        expect(hex(out)).toBe(`${'ee'.repeat(at)}${expected}${'ee'.repeat(5)}`);
        expect(inputs.map(hex)).toEqual(before);
      }
    });

    it('throws, and writes nothing, for lengths that are a bug of ours', () => {
      const out = new Uint8Array(40);
      const [key, nonce, short] = [counting(32), counting(24), counting(16)];
      const wrong: Parameters<CryptoSuite['xseal']>[] = [
        [out, 0, counting(31), nonce, short, short],
        [out, 0, counting(33), nonce, short, short],
        [out, 0, key, counting(23), short, short],
        [out, 0, key, counting(12), short, short],
        [out, 9, key, nonce, short, short],
        [out, -1, key, nonce, short, short],
        [out, 0, key, nonce, counting(25), short],
      ];
      for (const one of wrong) expect(() => suite.xseal(...one)).toThrow();
      expect(isZero(out)).toBe(true);
    });
  });
}

/** @param iterations of RFC 7748 5.2, 1 or 1000 */
export function describeX25519(name: string, suite: CryptoSuite, iterations: 1 | 1000): void {
  describe(`${name}: X25519`, () => {
    const out = new Uint8Array(32);

    it.each(X25519_VECTORS)('RFC 7748 %s', (_, privateKey, publicKey, secret) => {
      expect(suite.sharedSecret(out, unhex(privateKey), unhex(publicKey))).toBe(true);
      expect(hex(out)).toBe(secret);
    });

    it('RFC 7748 6.1: the public key', () => {
      const privateKey = unhex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
      expect(hex(suite.publicKey(privateKey))).toBe(
        'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
      );
    });

    it(`RFC 7748 5.2, ${iterations} times over`, () => {
      let k = new Uint8Array(32);
      k[0] = 9;
      let u = k.slice();
      for (let i = 0; i < iterations; i++) {
        const next = new Uint8Array(32);
        expect(suite.sharedSecret(next, k, u)).toBe(true);
        u = k;
        k = next;
      }
      expect(hex(k)).toBe(
        iterations === 1
          ? '422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079'
          : '684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51',
      );
    });

    it.each(SMALL_ORDER_POINTS)('refuses the zero secret of %s, and zeroes out', (point) => {
      out.fill(1);
      expect(suite.sharedSecret(out, counting(32, 1), unhex(point))).toBe(false);
      expect(isZero(out)).toBe(true);
    });

    it('works on after refusing, and changes no input', () => {
      const [privateKey, publicKey] = [counting(32, 1), suite.publicKey(counting(32, 2))];
      const copies = [hex(privateKey), hex(publicKey)];
      suite.sharedSecret(out, privateKey, new Uint8Array(32));
      expect(suite.sharedSecret(out, privateKey, publicKey)).toBe(true);
      const mirrored = new Uint8Array(32);
      suite.sharedSecret(mirrored, counting(32, 2), suite.publicKey(privateKey));
      expect(hex(out)).toBe(hex(mirrored));
      expect([hex(privateKey), hex(publicKey)]).toEqual(copies);
    });

    it('takes keys of 32 bytes only', () => {
      for (const length of [0, 31, 33]) {
        const wrong = new Uint8Array(length);
        expect(() => suite.sharedSecret(out, wrong, counting(32))).toThrow('bytes');
        expect(() => suite.sharedSecret(out, counting(32), wrong)).toThrow('bytes');
        expect(() => suite.publicKey(wrong)).toThrow();
      }
    });
  });
}
