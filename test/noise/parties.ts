/** Two parties for the tests of noise/: keys, a seeded random source and a walk through a handshake. */

import { Arena } from '../../src/arena.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import type { CryptoSuite } from '../../src/crypto/suite.ts';
import { CookieMaker } from '../../src/noise/cookie.ts';
import { Handshake, type InitiationVerdict, type Random } from '../../src/noise/handshake.ts';
import type { Identity } from '../../src/noise/identity.ts';
import { INITIATION_BYTES, RESPONSE_BYTES } from '../../src/noise/messages.ts';
import { openInitiation } from '../../src/noise/openedinitiation.ts';

export const arena = new Arena(65_536);
export const suite: CryptoSuite = createPortableSuite(arena);

export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
export const unhex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
export const isAllZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);

/** xorshift32: the same bytes for the same seed, everywhere. */
export function seeded(seed: number): Random {
  let state = seed >>> 0 || 1;
  return (out) => {
    for (let i = 0; i < out.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      out[i] = state >>> 8;
    }
  };
}

export function createIdentity(random: Random): Identity {
  const privateKey = new Uint8Array(32);
  random(privateKey);
  return { privateKey, publicKey: suite.publicKey(privateKey) };
}

/** Identities are costly, so all tests share two pairs and a stranger. */
export const ALICE = createIdentity(seeded(1));
export const BOB = createIdentity(seeded(2));
export const MALLORY = createIdentity(seeded(3));

export const PRESHARED_KEY = new Uint8Array(32).fill(0x5a);

/** A wall clock time, and the least step after which timestamps surely differ (ms). */
export const NOON = Date.UTC(2024, 1, 29, 12);
export const TICK = 17;

export interface Pair {
  /** The initiator's and the responder's handshake with the other one. */
  readonly alice: Handshake;
  readonly bob: Handshake;
}

export function createPair(presharedKey?: Uint8Array): Pair {
  return {
    alice: createHandshake(ALICE, BOB.publicKey, presharedKey),
    bob: createHandshake(BOB, ALICE.publicKey, presharedKey),
  };
}

export function createHandshake(
  identity: Identity,
  remoteStatic: Uint8Array,
  presharedKey?: Uint8Array,
  by = suite,
): Handshake {
  const handshake = new Handshake(by, identity, remoteStatic);
  if (presharedKey !== undefined) handshake.setPresharedKey(presharedKey);
  return handshake;
}

/** A whole initiation, with MACs. */
export function initiate(
  from: Handshake,
  toPublic: Uint8Array,
  localIndex = 0xa11ce,
  wallClockMs = NOON,
  random = seeded(4),
): Uint8Array {
  const message = new Uint8Array(INITIATION_BYTES);
  if (!from.createInitiation(message, localIndex, wallClockMs, random))
    throw new Error('no initiation created');
  new CookieMaker(toPublic).addMacs(message, 0);
  return message;
}

/** A whole response, with MACs. */
export function respond(
  from: Handshake,
  toPublic: Uint8Array,
  localIndex = 0xb0b,
  random = seeded(5),
): Uint8Array {
  const message = new Uint8Array(RESPONSE_BYTES);
  if (!from.createResponse(message, localIndex, random)) throw new Error('no response created');
  new CookieMaker(toPublic).addMacs(message, 0);
  return message;
}

/** Bob reads an initiation: undecipherable, or his handshake's verdict. */
export function consume(
  by: Handshake,
  identity: Identity,
  message: Uint8Array,
  now = 0,
): InitiationVerdict | 'unopened' {
  const opened = openInitiation(suite, identity, message);
  return opened === null ? 'unopened' : by.consumeInitiation(opened, now);
}
