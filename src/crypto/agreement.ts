/**
 * Whether a suite computes what the portable one does: asked once, before it is trusted with a
 * key. The inputs are fixed, so the answer is the same at every start of the same build.
 */

import { Arena } from '../arena.ts';
import { equalConstantTime, isZero } from './bytes.ts';
import { createPortableSuite } from './portable.ts';
import { type CryptoSuite, TAG_BYTES } from './suite.ts';

/** Around a block of Poly1305 and of ChaCha20, the usual packet, and the largest. */
const LENGTHS: readonly number[] = [0, 1, 15, 16, 64, 1420, 65_000];
const COUNTERS: readonly number[] = [0, 1, 2 ** 32 - 1, 2 ** 32 + 7, 2 ** 53 - 1];
const ARENA_BYTES = 1 << 19;
/** Bytes around a packet that neither suite may change. */
const MARGIN_BYTES = 64;

/** @param create makes the suite under test for the given arena. It may throw: that is a no. */
export function agreesWithPortable(create: (arena: Arena) => CryptoSuite): boolean {
  try {
    const arena = new Arena(ARENA_BYTES);
    const tested = create(arena);
    const portable = createPortableSuite(arena);
    return (
      packetsAgree(arena, tested, portable) &&
      cookiesAgree(tested, portable) &&
      secretsAgree(tested, portable)
    );
  } catch {
    return false;
  }
}

function packetsAgree(arena: Arena, tested: CryptoSuite, portable: CryptoSuite): boolean {
  const longest = Math.max(...LENGTHS) + TAG_BYTES + 2 * MARGIN_BYTES + 16;
  const mine = arena.allocate(longest);
  const theirs = arena.allocate(longest);
  return LENGTHS.every((length, i) => {
    const counter = COUNTERS[i % COUNTERS.length];
    const key = pattern(32, i);
    // Any alignment: a datagram's segments may be of odd length.
    const at = MARGIN_BYTES + (i % 4);
    const size = length + TAG_BYTES + 2 * MARGIN_BYTES + 4;
    const a = arena.bytes.subarray(mine, mine + size);
    const b = arena.bytes.subarray(theirs, theirs + size);
    const plain = pattern(size, i + 1);
    a.set(plain);
    b.set(plain);

    const sealer = tested.createSealer(key);
    const reference = portable.createSealer(key);
    sealer.seal(mine + at, length, counter);
    reference.seal(theirs + at, length, counter);
    sealer.wipe();
    reference.wipe();
    if (!equalConstantTime(a, b)) return false;

    const opener = tested.createOpener(key);
    const isOpened = opensOnlyIntact(opener, a, at, mine + at, length, counter);
    opener.wipe();
    return (
      isOpened && equalConstantTime(a.subarray(0, at + length), plain.subarray(0, at + length))
    );
  });
}

/** One flipped bit in the authenticator, and one in the ciphertext, must be refused. */
function opensOnlyIntact(
  opener: { open(offset: number, length: number, counter: number): boolean },
  packet: Uint8Array,
  at: number,
  offset: number,
  length: number,
  counter: number,
): boolean {
  const sealed = packet.slice();
  for (const flipped of [at + length + TAG_BYTES - 1, at]) {
    packet[flipped] ^= 0x80;
    if (opener.open(offset, length, counter)) return false;
    packet.set(sealed);
  }
  return opener.open(offset, length, counter);
}

function cookiesAgree(tested: CryptoSuite, portable: CryptoSuite): boolean {
  const [mine, theirs] = [new Uint8Array(128), new Uint8Array(128)];
  return [0, 1, 16, 65].every((length, i) => {
    const inputs = [pattern(32, 40 + i), pattern(24, 50 + i), pattern(length, i), pattern(16, i)];
    for (const [suite, out] of [
      [tested, mine],
      [portable, theirs],
    ] as const) {
      const [key, nonce, plaintext, aad] = inputs;
      suite.xseal(out.fill(0x5a), MARGIN_BYTES - 60, key, nonce, plaintext, aad);
    }
    return equalConstantTime(mine, theirs);
  });
}

function secretsAgree(tested: CryptoSuite, portable: CryptoSuite): boolean {
  const mine = new Uint8Array(32);
  const theirs = new Uint8Array(32);
  for (let i = 0; i < 2; i++) {
    const privateKey = pattern(32, 10 + i);
    const publicKey = portable.publicKey(pattern(32, 20 + i));
    if (!equalConstantTime(tested.publicKey(privateKey), portable.publicKey(privateKey))) {
      return false;
    }
    if (!tested.sharedSecret(mine, privateKey, publicKey)) return false;
    if (!portable.sharedSecret(theirs, privateKey, publicKey)) return false;
    if (!equalConstantTime(mine, theirs)) return false;
  }
  // The points 0 and 1 are of small order: no secret, and nothing left in `out`.
  for (const u of [0, 1]) {
    const point = new Uint8Array(32);
    point[0] = u;
    if (tested.sharedSecret(mine.fill(1), pattern(32, 30), point) || !isZero(mine)) return false;
  }
  return true;
}

/** Bytes without a short period, different for every seed. */
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed * 2_654_435_761 + 1;
  for (let i = 0; i < length; i++) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
