/**
 * Whether a suite computes what the portable one does: asked once, before it is trusted with a
 * key. The inputs are fixed, and so is what the portable suite makes of them: it stands here, since
 * computing it would be half of a daemon's start. That it is so is test/crypto/agreement.test.ts'.
 */

import { Arena } from '../arena.ts';
import { isZero } from './bytes.ts';
import { type CryptoSuite, TAG_BYTES } from './suite.ts';

/**
 * Around a block of Poly1305 and of ChaCha20, small and not, the usual packet, and the largest: how
 * long, and the digest of the packet that is sealed, with what is around it.
 */
const PACKETS: readonly (readonly [length: number, digest: string])[] = [
  [0, 'f59917716b504c0e'],
  [1, 'a733fe097abc2b33'],
  [15, '04e7ec9e44059bc2'],
  [16, 'bbac6fa6a466a2c6'],
  [64, 'f6441b1ac16fd521'],
  [193, 'd91519f4c725b455'],
  [207, 'ae7688e2df2ebbe8'],
  [208, '351425f257976ac6'],
  [256, '99699d69bf096ce9'],
  [1420, '9bbc56a565333ffa'],
  [65_000, 'a990784eca6dfdc0'],
];
const COUNTERS: readonly number[] = [0, 1, 2 ** 32 - 1, 2 ** 32 + 7, 2 ** 53 - 1];
/** The same of cookies. */
const COOKIES: readonly (readonly [length: number, digest: string])[] = [
  [0, '1252b6a395e48644'],
  [1, '9f889665a4256557'],
  [16, 'b92c7fc0eed1b6bd'],
  [65, 'aae9f7a610d2b2c2'],
];
/** Digests of a public key, and of the secret shared with another's. */
const SECRETS: readonly (readonly [publicKey: string, secret: string])[] = [
  ['ed9c8a3037bb2949', 'feda6a0dce2ab408'],
  ['b86bc7ee74958f50', '81dfd75021819e92'],
];
/**
 * Of a longer packet the authenticator speaks for the ciphertext: it is the one that is expected, the
 * packet opens, and what comes of that has the same again. Looking at every byte would take as long as
 * all the rest.
 */
const WHOLE_BYTES_MAX = 1_420;
/** After so many words a pattern repeats, for the same reason. */
const PERIOD_WORDS = 511;
const ARENA_BYTES = 1 << 19;
/** Bytes around a packet that a suite may not change. */
const MARGIN_BYTES = 64;

/** @param create makes the suite under test for the given arena. It may throw: that is a no. */
export function agreesWithPortable(create: (arena: Arena) => CryptoSuite): boolean {
  try {
    const arena = new Arena(ARENA_BYTES);
    const tested = create(arena);
    return packetsAgree(arena, tested) && cookiesAgree(tested) && secretsAgree(tested);
  } catch {
    return false;
  }
}

function packetsAgree(arena: Arena, tested: CryptoSuite): boolean {
  const longest = Math.max(...PACKETS.map(([length]) => length));
  const place = arena.allocate(longest + TAG_BYTES + 2 * MARGIN_BYTES + 16);
  return PACKETS.every(([length, digest], i) => {
    const counter = COUNTERS[i % COUNTERS.length];
    const key = pattern(32, i);
    // Any alignment: a datagram's segments may be of odd length.
    const at = MARGIN_BYTES + (i % 4);
    const size = length + TAG_BYTES + 2 * MARGIN_BYTES + 4;
    const packet = arena.bytes.subarray(place, place + size);
    const plain = pattern(size, i + 1);
    packet.set(plain);

    const end = at + length;
    const isSealed = (): boolean => {
      const sealer = tested.createSealer(key);
      sealer.seal(place + at, length, counter);
      sealer.wipe();
      const isWhole = length <= WHOLE_BYTES_MAX;
      return digestOf(isWhole ? packet : join(packet, at, end)) === digest;
    };
    if (!isSealed()) return false;

    const opener = tested.createOpener(key);
    const isOpened = opensOnlyIntact(opener, packet, at, place + at, length, counter);
    opener.wipe();
    if (!isOpened) return false;
    if (length > WHOLE_BYTES_MAX) return isSealed();
    return isEqual(packet.subarray(0, end), plain.subarray(0, end));
  });
}

/** What is before `from`, and from `to` on. */
function join(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const joined = new Uint8Array(from + bytes.length - to);
  joined.set(bytes.subarray(0, from));
  joined.set(bytes.subarray(to), from);
  return joined;
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

function cookiesAgree(tested: CryptoSuite): boolean {
  return COOKIES.every(([length, digest], i) => {
    const out = new Uint8Array(128).fill(0x5a);
    const [key, nonce] = [pattern(32, 40 + i), pattern(24, 50 + i)];
    tested.xseal(out, MARGIN_BYTES - 60, key, nonce, pattern(length, i), pattern(16, i));
    return digestOf(out) === digest;
  });
}

function secretsAgree(tested: CryptoSuite): boolean {
  const out = new Uint8Array(32);
  const agree = SECRETS.every(([publicKey, secret], i) => {
    const privateKey = pattern(32, 10 + i);
    if (digestOf(tested.publicKey(privateKey)) !== publicKey) return false;
    const other = tested.publicKey(pattern(32, 20 + i));
    return tested.sharedSecret(out, privateKey, other) && digestOf(out) === secret;
  });
  if (!agree) return false;
  // The points 0 and 1 are of small order: no secret, and nothing left in `out`.
  return [0, 1].every((u) => {
    const point = new Uint8Array(32);
    point[0] = u;
    return !tested.sharedSecret(out.fill(1), pattern(32, 30), point) && isZero(out);
  });
}

// Word by word: this runs before the engine has compiled anything, and a byte takes it as long.

/** Of all bytes and their places; against accidents, not against anybody. */
function digestOf(bytes: Uint8Array): string {
  const words = wordsOf(bytes);
  let a = 0x811c9dc5 ^ bytes.length;
  let b = 0;
  for (let i = 0; i < words.length; i++) {
    // A multiplication carries to the left only; what it has put there comes back.
    a = Math.imul(a ^ words[i], 0x01000193);
    a ^= a >>> 15;
    b = (Math.imul(b, 31) + a) | 0;
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  const [words, others] = [wordsOf(one), wordsOf(other)];
  let difference = one.length ^ other.length;
  for (let i = 0; i < words.length; i++) difference |= words[i] ^ others[i];
  return difference === 0;
}

/** A copy, filled up with zeros. */
function wordsOf(bytes: Uint8Array): Int32Array {
  const words = new Int32Array((bytes.length + 3) >> 2);
  new Uint8Array(words.buffer).set(bytes);
  return words;
}

/** Bytes without a short period, different for every seed. */
function pattern(length: number, seed: number): Uint8Array {
  const words = new Int32Array((length + 3) >> 2);
  let state = seed * 2_654_435_761 + 1;
  for (let i = 0; i < Math.min(words.length, PERIOD_WORDS); i++) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    // The low bits of such a state have short periods.
    words[i] = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
  }
  for (let i = PERIOD_WORDS; i < words.length; i *= 2) words.copyWithin(i, 0, i);
  return new Uint8Array(words.buffer, 0, length);
}
