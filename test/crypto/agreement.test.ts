import { describe, expect, it } from 'vitest';
import type { Arena } from '../../src/arena.ts';
import { agreesWithPortable } from '../../src/crypto/agreement.ts';
import { NobleCipher } from '../../src/crypto/noble.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import type { CryptoSuite, Opener, Sealer } from '../../src/crypto/suite.ts';

/** The portable suite with one fault in it. */
function faulty(fault: (suite: CryptoSuite, arena: Arena) => Partial<CryptoSuite>) {
  return (arena: Arena): CryptoSuite => {
    const suite = createPortableSuite(arena);
    return { ...suite, ...fault(suite, arena) };
  };
}

function sealing(suite: CryptoSuite, seal: (sealer: Sealer) => Sealer['seal']) {
  return {
    createSealer: (key: Uint8Array) => {
      const sealer = suite.createSealer(key);
      return {
        seal: seal(sealer),
        copyKey: (out: Uint8Array) => sealer.copyKey(out),
        wipe: () => sealer.wipe(),
      };
    },
  };
}

function opening(suite: CryptoSuite, open: (opener: Opener) => Opener['open']) {
  return {
    createOpener: (key: Uint8Array) => {
      const opener = suite.createOpener(key);
      return {
        open: open(opener),
        copyKey: (out: Uint8Array) => opener.copyKey(out),
        wipe: () => opener.wipe(),
      };
    },
  };
}

describe('agreement with the portable suite', () => {
  it('accepts the portable suite itself', () => {
    expect(agreesWithPortable(createPortableSuite)).toBe(true);
  });

  it('accepts it on @noble, which shares nothing with WebAssembly', () => {
    const create = (arena: Arena) => (key: Uint8Array) => new NobleCipher(arena, key);
    expect(
      agreesWithPortable((arena) => ({
        ...createPortableSuite(arena),
        createSealer: create(arena),
        createOpener: create(arena),
      })),
    ).toBe(true);
  });

  const faults: [name: string, create: (arena: Arena) => CryptoSuite][] = [
    [
      'leaves out the upper half of the counter',
      faulty((suite) =>
        sealing(suite, (sealer) => (o, l, counter) => sealer.seal(o, l, counter >>> 0)),
      ),
    ],
    [
      'accepts everything',
      faulty((suite) =>
        opening(suite, (opener) => (o, l, c) => {
          opener.open(o, l, c);
          return true;
        }),
      ),
    ],
    ['refuses everything', faulty((suite) => opening(suite, () => () => false))],
    [
      'ignores the last byte of the authenticator',
      faulty((suite, arena) =>
        opening(suite, (opener) => (offset, length, counter) => {
          const sealed = arena.bytes.slice(offset, offset + length + 16);
          for (let last = 0; last < 256; last++) {
            arena.bytes.set(sealed, offset);
            arena.bytes[offset + length + 15] = last;
            if (opener.open(offset, length, counter)) return true;
          }
          return false;
        }),
      ),
    ],
    [
      'takes 12 bytes of the nonce of a cookie reply',
      faulty((suite) => ({
        xseal: (out, at, key, nonce, plaintext, aad) =>
          suite.xseal(out, at, key, nonce.slice().fill(0, 12), plaintext, aad),
      })),
    ],
    [
      'leaves the AAD of a cookie reply out',
      faulty((suite) => ({
        xseal: (out, at, key, nonce, plaintext) =>
          suite.xseal(out, at, key, nonce, plaintext, new Uint8Array(0)),
      })),
    ],
    [
      'writes a cookie reply a byte too far',
      faulty((suite) => ({
        xseal: (out, at, ...inputs) => suite.xseal(out, at + 1, ...inputs),
      })),
    ],
    [
      'writes a byte too many',
      faulty((suite, arena) =>
        sealing(suite, (sealer) => (offset, length, counter) => {
          sealer.seal(offset, length, counter);
          arena.bytes[offset + length + 16] ^= 1;
        }),
      ),
    ],
    [
      'is wrong for packets of 65,000 bytes only',
      faulty((suite, arena) =>
        sealing(suite, (sealer) => (offset, length, counter) => {
          sealer.seal(offset, length, counter);
          if (length > 60_000) arena.bytes[offset + 1000] ^= 1;
        }),
      ),
    ],
    [
      'opens packets of 65,000 bytes to something else',
      faulty((suite, arena) =>
        opening(suite, (opener) => (offset, length, counter) => {
          const isOpened = opener.open(offset, length, counter);
          if (length > 60_000) arena.bytes[offset + 1000] ^= 1;
          return isOpened;
        }),
      ),
    ],
    [
      'writes before packets of 65,000 bytes',
      faulty((suite, arena) =>
        sealing(suite, (sealer) => (offset, length, counter) => {
          sealer.seal(offset, length, counter);
          if (length > 60_000) arena.bytes[offset - 1] ^= 1;
        }),
      ),
    ],
    [
      'lets a zero secret pass',
      faulty((suite) => ({
        sharedSecret: (out, privateKey, publicKey) => {
          suite.sharedSecret(out, privateKey, publicKey);
          return true;
        },
      })),
    ],
    [
      'leaves something in `out` with a zero secret',
      faulty((suite) => ({
        sharedSecret: (out, privateKey, publicKey) => {
          const isUsable = suite.sharedSecret(out, privateKey, publicKey);
          if (!isUsable) out[31] = 1;
          return isUsable;
        },
      })),
    ],
    [
      'has a wrong public key',
      faulty((suite) => ({ publicKey: (key) => suite.publicKey(key).reverse() })),
    ],
    [
      'throws',
      faulty(() => ({
        createOpener: () => {
          throw new Error('no such function');
        },
      })),
    ],
  ];

  it.each(faults)('refuses a suite that %s', (_, create) => {
    expect(agreesWithPortable(create)).toBe(false);
  });
});
