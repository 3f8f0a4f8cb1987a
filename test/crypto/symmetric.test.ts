import { chacha20 } from '@noble/ciphers/chacha.js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isZero } from '../../src/crypto/bytes.ts';
import { CompiledSymmetric } from '../../src/crypto/symmetric/compiled.ts';
import { referenceSymmetric } from '../../src/crypto/symmetric/reference.ts';
import {
  CHAINING_KEY_AT,
  FIELD_BYTES_MAX,
  FIELD_KEY_AT,
  HASH_AT,
  STATE_BYTES,
  type Symmetric,
} from '../../src/crypto/symmetric/symmetric.ts';
import { hex, Random } from './hex.ts';
import { findInOwnMemory, loneSecret, ownMemory } from './ownmemory.ts';
import { withoutSimd } from './withoutsimd.ts';

const SEED = 18;
const TAG_BYTES = 16;
const MESSAGE_BYTES = 148;

const compiled = CompiledSymmetric.create()!;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.resetModules();
});

/** Each step, with what it is given and what it gives back. */
type Step = (by: Symmetric, state: Uint8Array, random: Random) => Uint8Array | null;

const STEPS: Record<string, Step> = {
  mixHash: (by, state, random) => done(by.mixHash(state, random.bytes(32))),
  mixEphemeral: (by, state, random) => done(by.mixEphemeral(state, random.bytes(32))),
  mixSecret: (by, state, random) => done(by.mixSecret(state, random.bytes(32))),
  mixSecretAndKey: (by, state, random) => done(by.mixSecretAndKey(state, random.bytes(32))),
  mixPresharedKey: (by, state, random) => done(by.mixPresharedKey(state, random.bytes(32))),
  seal: (by, state, random) => {
    const out = random.bytes(MESSAGE_BYTES);
    const plaintext = random.bytes(random.below(FIELD_BYTES_MAX + 1));
    by.seal(state, out, random.below(MESSAGE_BYTES - plaintext.length - TAG_BYTES + 1), plaintext);
    return out;
  },
  split: (by, state) => {
    const out = new Uint8Array(64);
    by.split(state, out);
    return out;
  },
};

function done(_: unknown): null {
  return null;
}

describe('the steps in WebAssembly', () => {
  it.each(Object.keys(STEPS))('%s computes what the reference does', (name) => {
    for (let round = 0; round < 300; round++) {
      const seed = SEED + round;
      const [ours, theirs] = [0, 1].map(() => new Random(seed).bytes(STATE_BYTES));
      const our = STEPS[name](compiled, ours, new Random(seed + 1));
      const their = STEPS[name](referenceSymmetric, theirs, new Random(seed + 1));
      expect(hex(ours), `state, seed ${seed}`).toBe(hex(theirs));
      expect(our, `seed ${seed}`).toEqual(their);
    }
  });

  it('any sequence of them leaves the state of the reference', () => {
    const random = new Random(SEED);
    const names = Object.keys(STEPS);
    const [ours, theirs] = [0, 1].map(() => new Random(SEED).bytes(STATE_BYTES));
    for (let i = 0; i < 500; i++) {
      const step = STEPS[names[random.below(names.length)]];
      expect(step(compiled, ours, new Random(i))).toEqual(
        step(referenceSymmetric, theirs, new Random(i)),
      );
      expect(hex(ours), `step ${i}`).toBe(hex(theirs));
    }
  });

  it.each([compiled, referenceSymmetric])('opens what was sealed, wherever it lies', (by) => {
    const random = new Random(SEED);
    for (let length = 0; length <= FIELD_BYTES_MAX; length++) {
      const [sender, receiver] = [0, 1].map(() => new Random(length).bytes(STATE_BYTES));
      const [message, plaintext] = [random.bytes(MESSAGE_BYTES), random.bytes(length)];
      const at = random.below(MESSAGE_BYTES - length - TAG_BYTES + 1);
      referenceSymmetric.seal(sender, message, at, plaintext);
      const before = hex(message);
      expect(by.open(receiver, message, at, length)).toEqual(plaintext);
      expect(hex(receiver)).toBe(hex(sender));
      expect(hex(message), 'borrowed').toBe(before);
    }
  });

  it.each([0, 12, 32])(
    'refuse a field of %i bytes with any bit changed, and mix nothing',
    (length) => {
      const state = new Random(SEED).bytes(STATE_BYTES);
      const sealed = new Uint8Array(length + TAG_BYTES);
      referenceSymmetric.seal(state.slice(), sealed, 0, new Random(2).bytes(length));
      for (let bit = 0; bit < 8 * sealed.length; bit++) {
        const forged = sealed.slice();
        forged[bit >> 3] ^= 1 << (bit & 7);
        const after = state.slice();
        expect(compiled.open(after, forged, 0, length), `bit ${bit}`).toBe(null);
        expect(hex(after), `bit ${bit}`).toBe(hex(state));
      }
      for (const at of [HASH_AT, HASH_AT + 31, FIELD_KEY_AT, FIELD_KEY_AT + 31]) {
        const other = state.slice();
        other[at] ^= 0x80;
        expect(compiled.open(other, sealed, 0, length), `byte ${at} of the state`).toBe(null);
      }
      const other = state.slice();
      other[CHAINING_KEY_AT] ^= 1;
      expect(compiled.open(other, sealed, 0, length), 'the chaining key is no part of it').not.toBe(
        null,
      );
    },
  );

  it('take no input of another length', () => {
    const state = new Uint8Array(STATE_BYTES);
    for (const length of [0, 31, 33]) {
      expect(() => compiled.mixSecret(state, new Uint8Array(length))).toThrow('symmetric: input');
    }
    const out = new Uint8Array(MESSAGE_BYTES);
    const long = new Uint8Array(FIELD_BYTES_MAX + 1);
    expect(() => compiled.seal(state, out, 0, long)).toThrow('symmetric: field');
    expect(() => compiled.seal(state, out, MESSAGE_BYTES - 16, long.subarray(0, 1))).toThrow(
      'field',
    );
    expect(() => compiled.open(state, out, 0, -1)).toThrow('symmetric: field');
    expect(() => compiled.open(state, out, MESSAGE_BYTES - 28, 13)).toThrow('symmetric: field');
  });
});

describe('what is left', () => {
  it('of a step is nothing in its memory', () => {
    const memories: WebAssembly.Memory[] = [];
    class WatchedMemory extends WebAssembly.Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        super(descriptor);
        memories.push(this);
      }
    }
    vi.stubGlobal('WebAssembly', Object.create(WebAssembly, { Memory: { value: WatchedMemory } }));
    const steps = CompiledSymmetric.create()!;
    expect(memories.length).toBe(1);
    const all = new Uint8Array(memories[0].buffer);
    const state = new Random(SEED).bytes(STATE_BYTES);
    for (const [name, step] of Object.entries(STEPS)) {
      step(steps, state, new Random(SEED));
      expect(isZero(all), name).toBe(true);
    }
    const sealed = new Uint8Array(28);
    referenceSymmetric.seal(state.slice(), sealed, 0, new Uint8Array(12));
    for (const flip of [1, 0]) {
      sealed[0] ^= flip;
      steps.open(state.slice(), sealed, 0, 12);
      expect(isZero(all), 'open').toBe(true);
      sealed[0] ^= flip;
    }
  });

  it('of a secret, of the keys made of it and of the one-time key is what the caller has', () => {
    const state = ownMemory(STATE_BYTES);
    const secret = loneSecret('mixed by WebAssembly');
    compiled.mixSecretAndKey(state, secret);
    compiled.mixPresharedKey(state, secret);
    const keys = ownMemory(64);
    compiled.split(state, keys);
    const parts = [0, 64].map((at) => state.subarray(at, at + 32));
    const halves = [0, 32].map((at) => keys.subarray(at, at + 32));
    expect([secret, ...parts, ...halves].map(findInOwnMemory)).toEqual([1, 1, 1, 1, 1]);

    // Poly1305 changes the first half before it keeps it. Who computes it for us may leave copies.
    const oneTimeKey = ownMemory(32);
    chacha20(state.subarray(FIELD_KEY_AT), new Uint8Array(12), new Uint8Array(32), oneTimeKey);
    const half = oneTimeKey.subarray(16);
    const before = findInOwnMemory(half);
    compiled.seal(state, new Uint8Array(48), 0, new Uint8Array(32));
    expect(findInOwnMemory(half), 'the one-time key').toBe(before);
  });
});

it('the steps are in JavaScript where WebAssembly has no SIMD', async () => {
  withoutSimd();
  const { symmetric } = await import('../../src/crypto/symmetric/choice.ts');
  const { referenceSymmetric: reference } = await import('../../src/crypto/symmetric/reference.ts');
  expect(symmetric()).toBe(reference);
});

it('else they are in WebAssembly', async () => {
  vi.resetModules();
  const { symmetric } = await import('../../src/crypto/symmetric/choice.ts');
  expect(symmetric().constructor.name).toBe('CompiledSymmetric');
});
