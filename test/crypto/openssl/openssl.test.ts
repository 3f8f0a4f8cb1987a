import { hchacha } from '@noble/ciphers/chacha.js';
import koffi from 'koffi';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { Arena } from '../../../src/arena.ts';
import { bindAll, liveCiphers } from '../../../src/crypto/openssl/ciphers.ts';
import { createOpensslSuite, ROUTES, type Route } from '../../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../../src/crypto/portable.ts';
import type { CryptoSuite } from '../../../src/crypto/suite.ts';
import { counting, hex, Random } from '../hex.ts';
import { findInOwnMemory, loneSecret, ownMemory } from '../ownmemory.ts';
import { describeCipher, describeKeys, describeX25519, describeXseal } from '../suitecases.ts';

const exportsDirect = createOpensslSuite(new Arena(1 << 20), ['direct']) !== null;
const exportsEvp = createOpensslSuite(new Arena(1 << 20), ['evp']) !== null;

function creator(route: Route) {
  return (arena: Arena): CryptoSuite => {
    const suite = createOpensslSuite(arena, [route]);
    if (suite === null) throw new Error(`no ${route} route`);
    return suite;
  };
}

// Builds of Node differ in what they export; a way that is missing is skipped, and said so.
const isThere: Record<Route, boolean> = { direct: exportsDirect, evp: exportsEvp };
for (const route of ROUTES.filter((route) => !isThere[route])) {
  console.warn(`SKIPPED: this Node.js has no ${route} route to OpenSSL`);
}
const routes = ROUTES.filter((route) => isThere[route]);

for (const route of routes) {
  const create = creator(route);
  describeCipher(`openssl ${route}`, { create, arenaBytes: 1 << 20, lead: 64 });
  describeKeys(`openssl ${route}`, create);
  describeX25519(`openssl ${route}`, create(new Arena(1 << 20)), 1000);
  describeXseal(`openssl ${route}`, create(new Arena(1 << 20)));
}

// The direct route takes another way when a packet is longer than its scratch room.
if (exportsDirect) {
  describeCipher('openssl direct, little room', {
    create: creator('direct'),
    arenaBytes: 1 << 17,
    lead: 64,
  });
}

/** What native code leaves on its stack is not ours to erase: other keys take its place there. */
function overwriteStack(): void {
  for (const route of routes) {
    const arena = new Arena(1 << 20);
    const suite = creator(route)(arena);
    const sealer = suite.createSealer(counting(32));
    sealer.seal(arena.allocate(2048) + 64, 1420, 0);
    sealer.wipe();
    suite.sharedSecret(new Uint8Array(32), counting(32, 1), suite.publicKey(counting(32, 2)));
  }
}

describe.each(routes)('openssl %s', (route) => {
  // The self-test makes a suite of its own: with other functions every call site would be undecided.
  it('binds what it calls once, however many suites are made', () => {
    const create = creator(route);
    create(new Arena(1 << 20));
    const load = vi.spyOn(koffi, 'load');
    create(new Arena(1 << 20));
    const loads = load.mock.calls.length;
    load.mockRestore();
    expect(loads).toBe(0);
  });

  it('is called openssl', () => {
    expect(creator(route)(new Arena(1 << 20)).name).toBe('openssl');
  });

  it('agrees with portable on packets at the very beginning of the arena', () => {
    // Without 64 bytes in front of them, which the direct route would use.
    const arena = new Arena(1 << 20);
    arena.reserve(2048);
    const suites = [creator(route)(arena), createPortableSuite(arena)];
    for (let offset = 0; offset <= 64; offset += 16) {
      const sealed = suites.map((suite) => {
        arena.bytes.set(counting(1420), offset);
        const sealer = suite.createSealer(counting(32));
        sealer.seal(offset, 1420, 77);
        sealer.wipe();
        return hex(arena.bytes.subarray(offset, offset + 1436));
      });
      expect(sealed[0], `offset ${offset}`).toBe(sealed[1]);
      const opener = suites[0].createOpener(counting(32));
      expect(opener.open(offset, 1420, 77)).toBe(true);
      expect(hex(arena.bytes.subarray(offset, offset + 1420))).toBe(hex(counting(1420)));
      expect(opener.open(offset, 1420, 77)).toBe(false);
      opener.wipe();
    }
  });

  it.each([1, 2, 3])('shares secrets with portable, seed %i', (seed) => {
    const random = new Random(seed);
    const arena = new Arena(1 << 20);
    const [suite, portable] = [creator(route)(arena), createPortableSuite(arena)];
    for (let round = 0; round < 5; round++) {
      const [mine, theirs] = [random.bytes(32), random.bytes(32)];
      const outs = [new Uint8Array(32), new Uint8Array(32)];
      expect(hex(suite.publicKey(mine))).toBe(hex(portable.publicKey(mine)));
      // Any 32 bytes are a public key, on the curve or on its twist.
      const point = random.bytes(32);
      expect(suite.sharedSecret(outs[0], mine, point)).toBe(true);
      expect(portable.sharedSecret(outs[1], mine, point)).toBe(true);
      expect(hex(outs[0])).toBe(hex(outs[1]));
      suite.sharedSecret(outs[0], mine, portable.publicKey(theirs));
      portable.sharedSecret(outs[1], theirs, suite.publicKey(mine));
      expect(hex(outs[0])).toBe(hex(outs[1]));
    }
  });

  it('counts what was not wiped', () => {
    const suite = creator(route)(new Arena(1 << 20));
    const before = liveCiphers();
    const sealer = suite.createSealer(counting(32));
    const opener = suite.createOpener(counting(32));
    expect(liveCiphers()).toBe(before + 2);
    sealer.wipe();
    sealer.wipe();
    expect(liveCiphers()).toBe(before + 1);
    opener.wipe();
    expect(liveCiphers()).toBe(before);
    expect(() => suite.createSealer(new Uint8Array(5))).toThrow();
    expect(liveCiphers()).toBe(before);
  });

  it('leaves no copy of a wiped key anywhere in the process', () => {
    const arena = new Arena(1 << 20);
    const suite = creator(route)(arena);
    const offset = arena.allocate(4096) + 64;
    const key = loneSecret(`key, ${route}`);

    const sealer = suite.createSealer(key);
    const opener = suite.createOpener(key);
    // OpenSSL keeps its own and gives none back.
    const copies = route === 'evp' ? 2 : 1;
    expect(findInOwnMemory(key), 'ours, and those of each').toBe(1 + 2 * copies);
    const exported = ownMemory(32);
    opener.copyKey(exported);
    expect(exported).toEqual(key);
    exported.fill(0);
    for (const length of [0, 64, 1420]) {
      sealer.seal(offset, length, length);
      expect(opener.open(offset, length, length)).toBe(true);
    }
    sealer.wipe();
    opener.wipe();
    overwriteStack();
    expect(findInOwnMemory(key)).toBe(1);
  });

  it('leaves no copy of a private key behind', () => {
    const suite = creator(route)(new Arena(1 << 20));
    const [privateKey, out] = [loneSecret(`private key, ${route}`), ownMemory(32)];
    const publicKey = suite.publicKey(counting(32));
    suite.publicKey(privateKey);
    expect(suite.sharedSecret(out, privateKey, publicKey)).toBe(true);
    overwriteStack();
    expect(findInOwnMemory(privateKey)).toBe(1);
    expect(findInOwnMemory(out), 'the secret').toBe(1);
  });

  it("leaves nothing in OpenSSL's queue of errors, which is Node's as well", () => {
    const errors = bindAll({ ERR_peek_error: ['ulong'], ERR_clear_error: ['void'] });
    if (errors === null) throw new Error('an OpenSSL without ERR_peek_error');
    errors.ERR_clear_error();
    const arena = new Arena(1 << 20);
    const suite = creator(route)(arena);
    const opener = suite.createOpener(counting(32));
    expect(opener.open(arena.allocate(2048) + 64, 100, 0)).toBe(false);
    opener.wipe();
    expect(suite.sharedSecret(new Uint8Array(32), counting(32), new Uint8Array(32))).toBe(false);
    expect(errors.ERR_peek_error()).toBe(0);
  });
});

it.runIf(exportsDirect)(
  'openssl direct leaves no copy of what sealed a cookie reply behind',
  () => {
    const arena = new Arena(1 << 20);
    const suite = creator('direct')(arena);
    const sealer = suite.createSealer(counting(32));
    const [key, subkey, nonce] = [loneSecret('cookie key'), ownMemory(32), counting(24)];
    const text = loneSecret('cookie');
    const words = (bytes: Uint8Array, length: number) => new Uint32Array(bytes.buffer, 0, length);
    const constants = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);
    hchacha(constants, words(key, 8), words(nonce, 4), words(subkey, 8));
    suite.xseal(new Uint8Array(48), 0, key, nonce, text, counting(16));
    // The stack, and not by a new suite: its self-test would use the same memory, and erase it.
    sealer.seal(arena.allocate(2048) + 64, 1420, 0);
    sealer.wipe();
    expect([key, subkey, text].map(findInOwnMemory)).toEqual([1, 1, 1]);
  },
);

describe('the choice of a route', () => {
  it('gives null when there is none', () => {
    expect(createOpensslSuite(new Arena(1 << 20), [])).toBeNull();
  });

  // Lest a fault of ours passes for a build that exports nothing, and skips its own tests.
  it('has every route whose functions this Node.js exports', () => {
    const names = ['ChaCha20_ctr32', 'Poly1305_Init', 'Poly1305_Update', 'Poly1305_Final'];
    const directNames = [...names, 'Poly1305_ctx_size'].map((name) => [name, ['void']]);
    expect(exportsDirect).toBe(bindAll(Object.fromEntries(directNames)) !== null);
    expect(exportsEvp).toBe(bindAll({ EVP_chacha20_poly1305: ['void'] }) !== null);
    expect(ROUTES).toEqual(['direct', 'evp']);
  });

  it('reserves scratch room once, and at most a quarter', () => {
    const arena = new Arena(1 << 20);
    const free = arena.available;
    createOpensslSuite(arena);
    expect(free - arena.available).toBeLessThan(70_000);
    const small = new Arena(1 << 16);
    createOpensslSuite(small);
    expect(small.available).toBeGreaterThan(3 * (1 << 14) - 32);
  });
});

afterAll(() => {
  expect(liveCiphers(), 'sealers and openers that no test wiped').toBe(0);
});
