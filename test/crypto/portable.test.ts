import { expect, it, vi } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { NobleCipher } from '../../src/crypto/noble.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import type { CryptoSuite } from '../../src/crypto/suite.ts';
import { describeCipher, describeKeys, describeX25519, describeXseal } from './suitecases.ts';
import { withoutSimd } from './withoutsimd.ts';

/** As where WebAssembly has no SIMD. */
function createNobleSuite(arena: Arena): CryptoSuite {
  const create = (key: Uint8Array): NobleCipher => new NobleCipher(arena, key);
  return { ...createPortableSuite(arena), createSealer: create, createOpener: create };
}

describeCipher('portable', { create: createPortableSuite, arenaBytes: 1 << 18, lead: 64 });
describeKeys('portable', createPortableSuite);
describeCipher('on @noble', { create: createNobleSuite, arenaBytes: 1 << 18, lead: 64 });
describeKeys('on @noble', createNobleSuite);
describeX25519('portable', createPortableSuite(new Arena(65_536)), 1);
describeXseal('portable', createPortableSuite(new Arena(65_536)));

it('is on @noble where WebAssembly has no SIMD', async () => {
  withoutSimd();
  const { SimdCipher } = await import('../../src/crypto/simd/simdcipher.ts');
  const { createPortableSuite: create } = await import('../../src/crypto/portable.ts');
  const arena = new Arena(65_536);
  expect(SimdCipher.create(arena)).toBe(null);
  expect(create(arena).createSealer(new Uint8Array(32)).constructor.name).toBe('NobleCipher');
  vi.restoreAllMocks();
});
