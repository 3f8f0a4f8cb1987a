/**
 * The collector moves what lies in the heap and leaves the old bytes where they were. So a secret
 * that a handshake keeps from one call to the next must lie elsewhere: after it is erased, a search
 * of the process's own memory finds no copy.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { hash, kdf2 } from '../../src/crypto/blake2s.ts';
import { createOpensslSuite } from '../../src/crypto/openssl/openssl.ts';
import { Handshake, type Random } from '../../src/noise/handshake.ts';
import { INITIATION_BYTES, RESPONSE_BYTES } from '../../src/noise/messages.ts';
import { openInitiation } from '../../src/noise/openedinitiation.ts';
import { Transcript } from '../../src/noise/transcript.ts';
import { findInOwnMemory, loneSecret, ownMemory } from '../crypto/ownmemory.ts';
import { ALICE, BOB, NOON } from './parties.ts';

setFlagsFromString('--expose-gc');
const collect: (options: { type: 'minor' }) => void = runInNewContext('gc');

const suite = createOpensslSuite(new Arena(1 << 20));

/** Moves what is young in the heap, and once more. */
function move(): void {
  for (let i = 0; i < 2; i++) collect({ type: 'minor' });
}

const giving =
  (secret: Uint8Array): Random =>
  (out) =>
    out.set(secret);

it.skipIf(suite === null)('what a handshake keeps is nowhere once it is erased', () => {
  const presharedKey = loneSecret('preshared key');
  const ephemeral = loneSecret('ephemeral of an initiation');
  const responderEphemeral = loneSecret('ephemeral of a response');
  const staticSecret = ownMemory(32);
  suite!.sharedSecret(staticSecret, ALICE.privateKey, BOB.publicKey);

  const [alice, bob] = [
    new Handshake(suite!, ALICE, BOB.publicKey),
    new Handshake(suite!, BOB, ALICE.publicKey),
  ];
  for (const one of [alice, bob]) one.setPresharedKey(presharedKey);
  move();
  const initiation = new Uint8Array(INITIATION_BYTES);
  expect(alice.createInitiation(initiation, 1, NOON, giving(ephemeral))).toBe(true);
  move();
  expect(findInOwnMemory(ephemeral)).toBe(2);
  expect(bob.consumeInitiation(openInitiation(suite!, BOB, initiation)!, 0)).toBe('ok');
  move();
  const response = new Uint8Array(RESPONSE_BYTES);
  expect(bob.createResponse(response, 2, giving(responderEphemeral))).toBe(true);
  move();
  expect(alice.consumeResponse(response)).toBe('ok');
  move();
  for (const one of [alice, bob]) {
    const session = one.beginSession()!;
    session.sendKey.fill(0);
    session.receiveKey.fill(0);
  }
  expect([ephemeral, responderEphemeral].map(findInOwnMemory), 'ephemeral keys').toEqual([1, 1]);

  expect([presharedKey, staticSecret].map(findInOwnMemory), 'keys for life').toEqual([3, 3]);
  for (const one of [alice, bob]) one.wipe();
  expect([presharedKey, staticSecret].map(findInOwnMemory), 'keys for life').toEqual([1, 1]);
});

it('nor is what both sides hold in common', () => {
  const secret = loneSecret('shared secret');
  const chainingKey = hash(new TextEncoder().encode('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'));
  const expected = kdf2(chainingKey, secret);
  const transcript = Transcript.begin(BOB.publicKey);
  transcript.mixSecretAndKey(secret);
  move();
  const copy = transcript.copy();
  move();
  expect(expected.map(findInOwnMemory), 'ours, its own, its copy').toEqual([3, 3]);
  transcript.wipe();
  copy.wipe();
  expect(expected.map(findInOwnMemory), 'ours').toEqual([1, 1]);
});
