import { describe, expect, it } from 'vitest';
import { Arena, SCRATCH_BYTES } from '../../src/arena.ts';
import { hashInto, hmac, kdf3, MacKey, macInto } from '../../src/crypto/blake2s.ts';
import { isZero } from '../../src/crypto/bytes.ts';
import { compress, IV } from '../../src/crypto/compression/unrolled.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { findInOwnMemory, loneSecret, ownMemory } from './ownmemory.ts';

describe('what is left in memory', () => {
  it('BLAKE2s keeps neither its input nor its output', () => {
    const [input, key] = [loneSecret('input'), loneSecret('key')];
    const out = ownMemory(32);
    hashInto(out, input);
    expect(findInOwnMemory(out), 'a digest').toBe(1);
    const uses = [
      () => hashInto(out, input),
      () => macInto(out, key, input),
      () => hmac(key, input),
      () => kdf3(key, input),
    ];
    for (const use of uses) {
      use();
      expect([findInOwnMemory(input), findInOwnMemory(key)], `${use}`).toEqual([1, 1]);
    }
  });

  it('BLAKE2s keeps no derived key', () => {
    const derived = kdf3(loneSecret('chaining key'), loneSecret('secret'));
    const copies = derived.map((key) => {
      const copy = ownMemory(32);
      copy.set(key);
      key.fill(0);
      return copy;
    });
    expect(copies.map((copy) => findInOwnMemory(copy))).toEqual([1, 1, 1]);
  });

  it('a key of Mac stands in one place, as does its state, and in none once it is wiped', () => {
    const [key, input] = [loneSecret('kept key'), loneSecret('input of a kept key')];
    const out = new Uint8Array(16);
    const kept = new MacKey();
    kept.set(key);
    kept.into(out, input, input.length);
    kept.into(out, input, 0);
    macInto(out, key, input);
    const [state, block] = [ownMemory(32), ownMemory(64)];
    const words = new Int32Array(state.buffer);
    words.set(IV);
    words[0] ^= 0x01010000 ^ (32 << 8) ^ 16;
    block.set(key);
    compress(words, new DataView(block.buffer), 0, 64, 0);
    block.fill(0);
    const found = () => [key, state, input].map(findInOwnMemory);
    expect(found(), 'ours and the kept').toEqual([2, 2, 1]);
    kept.wipe();
    expect(found(), 'ours').toEqual([1, 1, 1]);
  });

  it('the portable suite keeps no wiped key of its own', () => {
    const arena = new Arena(65_536);
    const suite = createPortableSuite(arena);
    const key = loneSecret('cipher key');
    const ciphers = [suite.createSealer(key), suite.createOpener(key)] as const;
    const [sealer, opener] = ciphers;
    sealer.seal(64, 1000, 1);
    expect(opener.open(64, 1000, 1)).toBe(true);
    expect(findInOwnMemory(key)).toBe(3);
    const room = new Uint8Array(arena.memory.buffer, arena.scratch, SCRATCH_BYTES);
    expect(isZero(room), 'key stream').toBe(false);
    for (const cipher of ciphers) cipher.wipe();
    expect(findInOwnMemory(key)).toBe(1);
    expect(isZero(room), 'key stream').toBe(true);
  });
});
