import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { hashInto, hmac, kdf3, macInto } from '../../src/crypto/blake2s.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { Random } from './hex.ts';
import { findInOwnMemory, ownMemory } from './ownmemory.ts';

function secret(seed: number): Uint8Array {
  const bytes = ownMemory(32);
  bytes.set(new Random(seed).bytes(32));
  return bytes;
}

describe('what is left in memory', () => {
  it('BLAKE2s keeps neither its input nor its output', () => {
    const [input, key] = [secret(71), secret(72)];
    const before = [findInOwnMemory(input), findInOwnMemory(key)];
    const out = ownMemory(32);
    hashInto(out, input);
    expect(findInOwnMemory(out), 'a digest').toBe(1);
    macInto(out, key, input);
    hmac(key, input);
    kdf3(key, input);
    expect([findInOwnMemory(input), findInOwnMemory(key)]).toEqual(before);
  });

  it('BLAKE2s keeps no derived key', () => {
    const derived = kdf3(secret(73), secret(74));
    const copies = derived.map((key) => {
      const copy = ownMemory(32);
      copy.set(key);
      key.fill(0);
      return copy;
    });
    expect(copies.map((copy) => findInOwnMemory(copy))).toEqual([1, 1, 1]);
  });

  // Without a packet in between: @noble copies the key for each, see portable.ts.
  it('the portable suite keeps no wiped key of its own', () => {
    const suite = createPortableSuite(new Arena(65_536));
    const key = secret(75);
    const before = findInOwnMemory(key);
    const ciphers = [suite.createSealer(key), suite.createOpener(key)];
    expect(findInOwnMemory(key)).toBe(before + 2);
    for (const cipher of ciphers) cipher.wipe();
    expect(findInOwnMemory(key)).toBe(before);
  });
});
