/**
 * Initiations by many peers to one responder, made beforehand so that only the responder's work is
 * measured. One set serves every daemon of the run: each begins without memory of timestamps.
 */

import { randomFillSync } from 'node:crypto';
import { Arena } from '../../src/arena.ts';
import { createOpensslSuite } from '../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { type CryptoSuite, KEY_BYTES } from '../../src/crypto/suite.ts';
import { CookieMaker } from '../../src/noise/cookie.ts';
import { Handshake } from '../../src/noise/handshake.ts';
import { INITIATION_BYTES } from '../../src/noise/messages.ts';

/** wireguard-go and tswg take 50 initiations a second from each peer: these are enough of them. */
const INITIATORS = 1_000;
/** Between two initiations of one peer; timestamps are whitened to about 17 ms. */
const TIMESTAMP_STEP_MS = 50;
const ARENA_BYTES = 65_536;

export interface InitiationSet {
  /** Of the responder, in base64. */
  readonly privateKey: string;
  /** wg(8) sections of the initiators. */
  readonly peers: string;
  /** One message after the other; each has its own number, from 1 on, as the sender's index. */
  readonly messages: Uint8Array;
}

interface Initiator {
  readonly handshake: Handshake;
  readonly cookieMaker: CookieMaker;
}

/** Takes about a tenth of a millisecond a message where OpenSSL is to be had. */
export function createInitiations(count: number): InitiationSet {
  const arena = new Arena(ARENA_BYTES);
  const suite = createOpensslSuite(arena) ?? createPortableSuite(arena);
  const responderPrivate = randomKey();
  const responderPublic = suite.publicKey(responderPrivate);
  const sections: string[] = [];
  const initiators = Array.from({ length: INITIATORS }, (_, index): Initiator => {
    const identity = createIdentity(suite);
    const allowedIp = `10.100.${index >> 8}.${index & 255}/32`;
    sections.push(`[Peer]\nPublicKey = ${base64(identity.publicKey)}\nAllowedIPs = ${allowedIp}\n`);
    return {
      handshake: new Handshake(suite, identity, responderPublic),
      cookieMaker: new CookieMaker(responderPublic),
    };
  });
  return {
    privateKey: base64(responderPrivate),
    peers: sections.join(''),
    messages: writeMessages(initiators, count),
  };
}

function writeMessages(initiators: readonly Initiator[], count: number): Uint8Array {
  const messages = new Uint8Array(count * INITIATION_BYTES);
  const begin = Date.now();
  for (let i = 0; i < count; i++) {
    const { handshake, cookieMaker } = initiators[i % INITIATORS];
    const message = messages.subarray(i * INITIATION_BYTES, (i + 1) * INITIATION_BYTES);
    const time = begin + Math.floor(i / INITIATORS) * TIMESTAMP_STEP_MS;
    if (!handshake.createInitiation(message, i + 1, time, randomFillSync)) {
      throw new Error('initiations: a key pair of ours is unusable');
    }
    cookieMaker.addMacs(message, 0);
  }
  return messages;
}

function createIdentity(suite: CryptoSuite): { privateKey: Uint8Array; publicKey: Uint8Array } {
  const privateKey = randomKey();
  return { privateKey, publicKey: suite.publicKey(privateKey) };
}

/** Clamped, as wg(8) clamps keys. */
function randomKey(): Uint8Array {
  const key = randomFillSync(new Uint8Array(KEY_BYTES));
  key[0] &= 248;
  key[31] = (key[31] & 127) | 64;
  return key;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
