/**
 * Whether a suite computes what the portable one does: asked once, before it is trusted with a
 * key. The inputs are fixed, and so is what the portable suite makes of them: it stands here, since
 * computing it would be half of a daemon's start. That it is so is test/crypto/agreement.test.ts'.
 */

import { Arena } from '../arena.ts';
import { equalConstantTime, isZero } from './bytes.ts';
import { type CryptoSuite, TAG_BYTES } from './suite.ts';

/**
 * Around a block of Poly1305 and of ChaCha20, small and not, the usual packet, and the largest: how
 * long, and the digest of the packet that is sealed, with what is around it.
 */
const PACKETS: readonly (readonly [length: number, digest: string])[] = [
  [0, '3d06f2ef3a08d4af'],
  [1, '668bdfeecb0741e1'],
  [15, '096b58928ac40bd4'],
  [16, 'a4e93b93584d66a1'],
  [64, '0f090d82926d501a'],
  [193, '0939398d29e09b4f'],
  [207, 'e79e010ec5ab7cd1'],
  [208, 'ac8f7a6b2c2514fb'],
  [256, 'a4c88d2b06140876'],
  [1420, '14f2c8ed8f3bc170'],
  [65_000, 'c16c8b081c17a17d'],
];
const COUNTERS: readonly number[] = [0, 1, 2 ** 32 - 1, 2 ** 32 + 7, 2 ** 53 - 1];
/** The same of cookies. */
const COOKIES: readonly (readonly [length: number, digest: string])[] = [
  [0, '2f174d41fcaee94e'],
  [1, '2b995e927e94a732'],
  [16, 'f3c5f4e39aef9826'],
  [65, '1fe962469952eec6'],
];
/** Digests of a public key, and of the secret shared with another's. */
const SECRETS: readonly (readonly [publicKey: string, secret: string])[] = [
  ['78e8a798d15e1c2a', '7cf2b3d7f89a3c39'],
  ['23f740ed46237d40', 'd166b996c017b723'],
];
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

    const sealer = tested.createSealer(key);
    sealer.seal(place + at, length, counter);
    sealer.wipe();
    if (digestOf(packet) !== digest) return false;

    const opener = tested.createOpener(key);
    const isOpened = opensOnlyIntact(opener, packet, at, place + at, length, counter);
    opener.wipe();
    const end = at + length;
    return isOpened && equalConstantTime(packet.subarray(0, end), plain.subarray(0, end));
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

/** Of all bytes and their places; against accidents, not against anybody. */
function digestOf(bytes: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0];
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i], 0x01000193);
    b = (Math.imul(b, 31) + a) | 0;
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
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
