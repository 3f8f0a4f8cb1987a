import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Arena } from '../../../src/arena.ts';
import * as openssl from '../../../src/crypto/openssl/openssl.ts';
import { chooseSuite, prepareSuite } from '../../../src/crypto/openssl/suite.ts';
import { createPortableSuite } from '../../../src/crypto/portable.ts';
import type { CryptoSuite } from '../../../src/crypto/suite.ts';

vi.mock('../../../src/crypto/openssl/openssl.ts', () => ({
  createOpensslSuite: vi.fn(),
  hasOpensslSuite: vi.fn(),
}));

const arena = new Arena(1 << 16);
const warn = vi.fn();

function openSslIs(suite: CryptoSuite | null): void {
  vi.mocked(openssl.createOpensslSuite).mockReturnValue(suite);
  vi.mocked(openssl.hasOpensslSuite).mockReturnValue(suite !== null);
}

const working: CryptoSuite = { ...createPortableSuite(arena), name: 'openssl' };

describe('the choice of a suite', () => {
  beforeEach(() => warn.mockReset());

  // The first, since what was loaded once stays.
  it('loads no portable suite where none will be taken, and else wants to be prepared', async () => {
    openSslIs(working);
    await prepareSuite('auto');
    openSslIs(null);
    await prepareSuite('openssl');
    expect(() => chooseSuite(arena, 'auto', warn)).toThrow('was not prepared');
    expect(() => chooseSuite(arena, 'portable', warn)).toThrow('was not prepared');
  });

  it('auto and openssl take OpenSSL where it works, without a word', async () => {
    openSslIs(working);
    await prepareSuite('auto');
    expect(chooseSuite(arena, 'auto', warn)).toBe(working);
    expect(chooseSuite(arena, 'openssl', warn)).toBe(working);
    expect(warn).not.toHaveBeenCalled();
  });

  it('auto falls back to portable, and says so in one line', async () => {
    openSslIs(null);
    await prepareSuite('auto');
    expect(chooseSuite(arena, 'auto', warn).name).toBe('portable');
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toMatch(/^crypto: .*portable.*slower$/);
  });

  it('openssl does not fall back: it names the word and what was expected', () => {
    openSslIs(null);
    expect(() => chooseSuite(arena, 'openssl', warn)).toThrow(/^crypto: openssl: expected .*$/);
    expect(warn).not.toHaveBeenCalled();
  });

  it('portable does not even look for OpenSSL', async () => {
    vi.mocked(openssl.createOpensslSuite).mockClear();
    vi.mocked(openssl.hasOpensslSuite).mockClear();
    await prepareSuite('portable');
    expect(openssl.hasOpensslSuite).not.toHaveBeenCalled();
    expect(chooseSuite(arena, 'portable', warn).name).toBe('portable');
    expect(openssl.createOpensslSuite).not.toHaveBeenCalled();
    expect(warn).not.toHaveBeenCalled();
  });
});
