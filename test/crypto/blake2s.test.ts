import { createHmac, hkdfSync } from 'node:crypto';
import { blake2s } from '@noble/hashes/blake2.js';
import { describe, expect, it } from 'vitest';
import {
  hash,
  hashInto,
  hmac,
  kdf1,
  kdf2,
  kdf3,
  MacKey,
  mac,
  macInto,
} from '../../src/crypto/blake2s.ts';
import { ascii, counting, hex, Random, unhex } from './hex.ts';

const KEY = counting(32);

describe('known answers', () => {
  it('RFC 7693 appendix B, "abc"', () => {
    expect(hex(hash(ascii('abc')))).toBe(
      '508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982',
    );
  });

  // python3: hashlib.blake2s(d), hashlib.blake2s(d, key=bytes(range(32)), digest_size=16)
  it.each([
    [
      0,
      '69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9',
      '9536f9b267655743dee97b8a670f9f53',
    ],
    [
      1,
      'e34d74dbaf4ff4c6abd871cc220451d2ea2648846c7757fbaac82fe51ad64bea',
      '13bacfb85b48a1223c595f8c1e7e82cb',
    ],
    [
      32,
      '05825607d7fdf2d82ef4c3c8c2aea961ad98d60edff7d018983e21204c0d93d1',
      'c43b5e836af88620a8a71b1652cb8640',
    ],
    [
      63,
      'e57cb79487dd57902432b250733813bd96a84efce59f650fac26e6696aefafc3',
      'ece382a8bd5018f1de5da44b72cea75b',
    ],
    [
      64,
      '56f34e8b96557e90c1f24b52d0c89d51086acf1b00f634cf1dde9233b8eaaa3e',
      'f1efa90d2547036841ecd3627fafbc36',
    ],
    [
      65,
      '1b53ee94aaf34e4b159d48de352c7f0661d0a40edff95a0b1639b4090e974472',
      '811ff8686d23a435ecbd0bdafcd27b1b',
    ],
    [
      128,
      '1fa877de67259d19863a2a34bcc6962a2b25fcbf5cbecd7ede8f1fa36688a796',
      '8c09f698d03eaf88abf69f8147865ef6',
    ],
    [
      129,
      '5bd169e67c82c2c2e98ef7008bdf261f2ddf30b1c00f9e7f275bb3e8a28dc9a2',
      '5c363ae42a5bec26fbc5e996428d9bd7',
    ],
    [
      1000,
      '1c067a5e746fb0f6734efac9a8cdb0e11061f0077f255184365c690115392501',
      '8a0c93d51ede746600ef0dd2b32d6fb3',
    ],
  ])('of %i bytes', (length, hashed, authenticated) => {
    expect(hex(hash(counting(length)))).toBe(hashed);
    expect(hex(mac(KEY, counting(length)))).toBe(authenticated);
  });

  // python3: hmac.new(bytes(range(32)), d, hashlib.blake2s)
  it.each([
    [0, 'e2641d24dfa8dd89e8cb77f1cdc77d8c006e5bebdfc4d6a3a3a6f8d5b7586fb0'],
    [32, '8d2cc42fc1055ea43277dfd5d35d3863b228f9cc0c02007dc2afb20907bd7312'],
    [64, '3b35e945d05ac982850451ac8b6cdfffb98e56f50b95272fab665de081691056'],
    [100, 'a81c95080ba2a7c4ed1b7b4c21dec2c4fd6dc9f03ff37b6d65289dc95a7d1ef1'],
  ])('Hmac of %i bytes', (length, expected) => {
    expect(hex(hmac(KEY, counting(length)))).toBe(expected);
  });

  it('KDF of an empty input, as the transport keys are derived (whitepaper 5.4.5)', () => {
    const expected = [
      '7a38c34bf2b8738d7374ca77c44ecb309a11d2b2528304fa86052c365e722624',
      '1a17621f346abdc520746a9fb64d8eb03231d674fc15687537b0780fd9c060fd',
      '4eaf02809ac4b930ef63479de62275f1c55656e61f78a3cc653c18a2223d6c5f',
    ];
    const empty = new Uint8Array(0);
    expect([kdf1(KEY, empty)].map(hex)).toEqual(expected.slice(0, 1));
    expect(kdf2(KEY, empty).map(hex)).toEqual(expected.slice(0, 2));
    expect(kdf3(KEY, empty).map(hex)).toEqual(expected);
  });
});

describe('against @noble/hashes and OpenSSL', () => {
  it('Hash and Mac of every length around five blocks', () => {
    for (let length = 0; length <= 330; length++) {
      const data = counting(length, 3);
      expect(hex(hash(data)), `hash ${length}`).toBe(hex(blake2s(data)));
      const key = counting(1 + (length % 32), 9);
      const expected = blake2s(data, { key, dkLen: 16 });
      expect(hex(mac(key, data)), `mac ${length}`).toBe(hex(expected));
    }
  });

  it('Hmac and KDF of every length around three blocks', () => {
    for (let length = 0; length <= 200; length++) {
      const data = counting(length, 3);
      const key = counting(length % 65, 9);
      const expected = createHmac('blake2s256', key).update(data).digest();
      expect(hex(hmac(key, data)), `hmac ${length}`).toBe(hex(expected));
      // OpenSSL takes an HKDF's input key to be at least one byte long.
      if (length === 0) continue;
      const okm = new Uint8Array(hkdfSync('blake2s256', data, key, new Uint8Array(0), 96));
      expect(kdf3(key, data).map(hex).join(''), `kdf ${length}`).toBe(hex(okm));
    }
  });

  it.each([1, 2, 3, 4])('parts cut anywhere are one input, seed %i', (seed) => {
    const random = new Random(seed);
    for (let round = 0; round < 50; round++) {
      const data = random.bytes(random.below(400));
      const parts: Uint8Array[] = [];
      for (let at = 0; at < data.length; ) {
        const take = random.below(90);
        parts.push(data.subarray(at, at + take));
        at += take;
      }
      expect(hex(hash(...parts))).toBe(hex(blake2s(data)));
      expect(hex(hmac(KEY, ...parts))).toBe(hex(hmac(KEY, data)));
    }
  });
});

describe('a key of Mac that is kept', () => {
  const into = (key: MacKey, data: Uint8Array, length = data.length) => {
    const out = new Uint8Array(16);
    key.into(out, data, length);
    return hex(out);
  };

  it.each([1, 2])('gives the Mac of the beginning of any input, seed %i', (seed) => {
    const random = new Random(seed);
    const kept = new MacKey();
    for (let round = 0; round < 300; round++) {
      const key = random.bytes(1 + random.below(32));
      if (round % 4 === 0) kept.set(key);
      else kept.set(key.subarray(0, 1)); // and a longer one before leaves nothing of it
      const whole = random.bytes(round);
      const length = random.below(round + 1);
      const used = round % 4 === 0 ? key : key.subarray(0, 1);
      for (const taken of [length, round, 0]) {
        const expected = blake2s(whole.subarray(0, taken), { key: used, dkLen: 16 });
        expect(into(kept, whole, taken), `${taken} of ${round}`).toBe(hex(expected));
      }
      expect(hex(hash(whole)), 'after it').toBe(hex(blake2s(whole)));
    }
  });

  it('is its own: others are kept beside it, and the caller may wipe the bytes', () => {
    const [one, other, bytes] = [new MacKey(), new MacKey(), counting(32)];
    one.set(bytes);
    bytes.fill(0);
    other.set(counting(32, 5));
    mac(counting(32, 9), counting(10));
    const data = counting(116);
    expect(into(one, data)).toBe(hex(mac(counting(32), data)));
    expect(into(other, data)).toBe(hex(mac(counting(32, 5), data)));
    other.wipe();
    expect(into(one, data)).toBe(hex(mac(counting(32), data)));
  });

  it('throws before it has a key, after wipe, and for lengths that there are not', () => {
    const key = new MacKey();
    expect(() => into(key, KEY)).toThrow('without a key');
    key.set(KEY);
    for (const wrong of [33, -1, Number.NaN]) expect(() => into(key, KEY, wrong)).toThrow('bytes');
    for (const length of [0, 33]) expect(() => key.set(counting(length))).toThrow('bytes');
    expect(into(key, KEY)).toBe(hex(mac(KEY, KEY)));
    key.wipe();
    expect(() => into(key, KEY, 0)).toThrow('without a key');
  });
});

describe('what is written where', () => {
  it('hashes a chaining value into its own place', () => {
    const chained = counting(32);
    const expected = hash(chained, ascii('next'));
    hashInto(chained, chained, ascii('next'));
    expect(hex(chained)).toBe(hex(expected));
  });

  it('writes 16 bytes of Mac, at any alignment, and no more', () => {
    const out = new Uint8Array(24).fill(0xee);
    macInto(out.subarray(3), KEY, ascii('data'));
    expect(hex(out)).toBe(`eeeeee${hex(mac(KEY, ascii('data')))}eeeeeeeeee`);
  });

  it('gives the same answer after any other use: nothing is left of it', () => {
    const before = [hash(KEY), mac(KEY, KEY), hmac(KEY, KEY), ...kdf3(KEY, KEY)].map(hex);
    kdf3(counting(64, 7), counting(300));
    mac(counting(5), counting(77));
    const after = [hash(KEY), mac(KEY, KEY), hmac(KEY, KEY), ...kdf3(KEY, KEY)].map(hex);
    expect(after).toEqual(before);
  });

  it('refuses keys that BLAKE2s has no room for: a bug of ours', () => {
    expect(() => mac(new Uint8Array(0), KEY)).toThrow('key of 0 bytes');
    expect(() => mac(new Uint8Array(33), KEY)).toThrow('key of 33 bytes');
    expect(() => hmac(new Uint8Array(65), KEY)).toThrow('key of 65 bytes');
    expect(hex(hash(unhex('00')))).toBe(hex(blake2s(unhex('00'))));
  });
});
