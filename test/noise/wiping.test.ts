/**
 * Every secret of a handshake is erased when it is no longer needed. Secrets are private, so this
 * test watches the primitives instead: each array that they were given as a key, or gave back, is
 * remembered by reference and looked at afterwards.
 */

import { beforeEach, expect, it, vi } from 'vitest';
import type { CryptoSuite } from '../../src/crypto/suite.ts';
import type { Symmetric } from '../../src/crypto/symmetric/symmetric.ts';
import { Handshake, type Session } from '../../src/noise/handshake.ts';
import { INITIATION_BYTES, RESPONSE_BYTES } from '../../src/noise/messages.ts';
import { openInitiation } from '../../src/noise/openedinitiation.ts';
import {
  ALICE,
  BOB,
  createHandshake,
  hex,
  isAllZero,
  MALLORY,
  NOON,
  seeded,
  suite,
  TICK,
} from './parties.ts';

interface Seen {
  readonly what: string;
  readonly bytes: Uint8Array;
}

const watch = vi.hoisted(() => ({
  seen: [] as Seen[],
  note(what: string, ...arrays: Uint8Array[]) {
    for (const bytes of arrays) watch.seen.push({ what, bytes });
  },
}));

vi.mock('../../src/crypto/symmetric/choice.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/crypto/symmetric/choice.ts')>();
  const steps = original.symmetric();
  const watched: Symmetric = {
    mixHash: (state, data) => {
      watch.note('state', state);
      steps.mixHash(state, data);
    },
    mixEphemeral: (state, publicKey) => {
      watch.note('state', state);
      steps.mixEphemeral(state, publicKey);
    },
    mixSecret: (state, secret) => {
      watch.note('state', state);
      steps.mixSecret(state, secret);
    },
    mixSecretAndKey: (state, secret) => {
      watch.note('state', state);
      steps.mixSecretAndKey(state, secret);
    },
    mixPresharedKey: (state, presharedKey) => {
      watch.note('state', state);
      watch.note('preshared key', presharedKey);
      steps.mixPresharedKey(state, presharedKey);
    },
    seal: (state, ...rest) => {
      watch.note('state', state);
      steps.seal(state, ...rest);
    },
    open: (state, ...rest) => {
      watch.note('state', state);
      return steps.open(state, ...rest);
    },
    split: (state, out) => {
      watch.note('state', state);
      watch.note('session keys', out);
      steps.split(state, out);
    },
  };
  return { symmetric: () => watched };
});

const watched: CryptoSuite = {
  name: 'portable',
  createSealer: (key) => suite.createSealer(key),
  createOpener: (key) => suite.createOpener(key),
  xseal: suite.xseal,
  publicKey: (key) => suite.publicKey(key),
  sharedSecret: (out, privateKey, publicKey) => {
    const isSound = suite.sharedSecret(out, privateKey, publicKey);
    watch.note('shared secret', out);
    const isStatic = [ALICE, BOB, MALLORY].some((identity) => identity.privateKey === privateKey);
    if (!isStatic) watch.note('ephemeral private key', privateKey);
    return isSound;
  },
};

const PRESHARED_KEY = new Uint8Array(32).fill(0x5a);

beforeEach(() => {
  watch.seen.length = 0;
});

function createWatched(): { alice: Handshake; bob: Handshake } {
  const alice = createHandshake(ALICE, BOB.publicKey, PRESHARED_KEY, watched);
  const bob = createHandshake(BOB, ALICE.publicKey, PRESHARED_KEY, watched);
  // What they keep for life, ss, is `wipe`'s and has a test of its own.
  watch.seen.length = 0;
  return { alice, bob };
}

function initiation(from: Handshake, later = 0): Uint8Array {
  const message = new Uint8Array(INITIATION_BYTES);
  expect(from.createInitiation(message, 7, NOON + later, seeded(4))).toBe(true);
  return message;
}

function response(from: Handshake): Uint8Array {
  const message = new Uint8Array(RESPONSE_BYTES);
  expect(from.createResponse(message, 8, seeded(5))).toBe(true);
  return message;
}

/** The names of what is not erased, apart from the sessions' own keys and the preshared key. */
function left(...sessions: Session[]): string[] {
  // Both keys of one lie beside each other.
  const kept = sessions.map(({ sendKey }) => sendKey.buffer);
  return watch.seen
    .filter(
      ({ what, bytes }) => what !== 'preshared key' && !kept.includes(bytes.buffer as ArrayBuffer),
    )
    .filter(({ bytes }) => !isAllZero(bytes))
    .map(({ what }) => what);
}

it('nothing of a finished handshake is left once the sessions have begun', () => {
  const { alice, bob } = createWatched();
  const opened = openInitiation(watched, BOB, initiation(alice))!;
  expect(bob.consumeInitiation(opened, 0)).toBe('ok');
  expect(alice.consumeResponse(response(bob))).toBe('ok');
  expect(left()).not.toEqual([]); // the watch does see secrets
  const sessions = [alice.beginSession()!, bob.beginSession()!];
  const names = new Set(watch.seen.map(({ what }) => what));
  expect([...names].sort()).toEqual([
    'ephemeral private key',
    'preshared key',
    'session keys',
    'shared secret',
    'state',
  ]);
  expect(left(...sessions)).toEqual([]);
  for (const { sendKey, receiveKey } of sessions)
    expect([isAllZero(sendKey), isAllZero(receiveKey)]).toEqual([false, false]);
});

it('clear erases an initiation in flight', () => {
  const { alice } = createWatched();
  initiation(alice);
  alice.clear();
  expect(left()).toEqual([]);
});

it('a new initiation erases the one before', () => {
  const { alice } = createWatched();
  initiation(alice);
  const before = watch.seen.length;
  initiation(alice, TICK);
  watch.seen.length = before;
  expect(left()).toEqual([]);
});

it('clear erases an initiation consumed, and one answered', () => {
  for (const isAnswered of [false, true]) {
    const { alice, bob } = createWatched();
    const message = initiation(alice);
    alice.clear();
    bob.consumeInitiation(openInitiation(watched, BOB, message)!, 0);
    if (isAnswered) response(bob);
    bob.clear();
    expect(left()).toEqual([]);
  }
});

it('nothing is left of messages that are refused', () => {
  const { alice, bob } = createWatched();
  const message = initiation(alice);
  const forged = message.slice();
  forged[90] ^= 1;
  alice.clear();
  watch.seen.length = 0;
  expect(openInitiation(watched, MALLORY, message)).toBeNull();
  expect(bob.consumeInitiation(openInitiation(watched, BOB, forged)!, 0)).toBe('bad');
  expect(left()).toEqual([]);

  bob.latestTimestamp = new Uint8Array(12).fill(0xff);
  expect(bob.consumeInitiation(openInitiation(watched, BOB, message)!, 0)).toBe('replayed');
  expect(left()).toEqual([]);
});

it('nothing is left of a flood, or of an initiation by a stranger', () => {
  const { alice, bob } = createWatched();
  const first = initiation(alice);
  const second = initiation(alice, TICK);
  alice.clear();
  expect(bob.consumeInitiation(openInitiation(watched, BOB, first)!, 0)).toBe('ok');
  bob.clear();
  expect(bob.consumeInitiation(openInitiation(watched, BOB, second)!, 1)).toBe('flood');
  openInitiation(watched, BOB, second)!.wipe();
  expect(left()).toEqual([]);
});

it('a refused response leaves nothing but the initiation in flight', () => {
  const { alice, bob } = createWatched();
  bob.consumeInitiation(openInitiation(watched, BOB, initiation(alice))!, 0);
  const forged = response(bob);
  bob.clear();
  forged[50] ^= 1;
  watch.seen.length = 0;
  expect(alice.consumeResponse(forged)).toBe('bad');
  expect(left()).toEqual(['ephemeral private key']); // alice still waits for the right one
  alice.clear();
  expect(left()).toEqual([]);
});

it('a degenerate key leaves nothing', () => {
  const { alice, bob } = createWatched();
  const message = initiation(alice);
  message.fill(0, 8, 40);
  expect(openInitiation(watched, BOB, message)).toBeNull();
  bob.consumeInitiation(openInitiation(watched, BOB, initiation(alice, TICK))!, 0);
  const degenerate = response(bob);
  degenerate.fill(0, 12, 44);
  expect(alice.consumeResponse(degenerate)).toBe('bad');
  alice.clear();
  bob.clear();
  expect(left()).toEqual([]);
});

it('wipe erases what lasts longer than a handshake', () => {
  const alice = createHandshake(ALICE, BOB.publicKey, PRESHARED_KEY, watched);
  const bob = createHandshake(BOB, ALICE.publicKey, PRESHARED_KEY, watched);
  bob.consumeInitiation(openInitiation(watched, BOB, initiation(alice))!, 0);
  response(bob);
  alice.wipe();
  bob.wipe();
  const kept = watch.seen.filter(({ bytes }) => !isAllZero(bytes)).map(({ what }) => what);
  expect(kept).toEqual([]);
  expect(watch.seen.map(({ what }) => what)).toContain('preshared key');
  expect([alice.isUsable, bob.isUsable]).toEqual([false, false]);
  expect(hex(PRESHARED_KEY)).toBe('5a'.repeat(32)); // the caller's own is the caller's
});

it('a change of our key erases the secret shared under the old one', () => {
  const alice = new Handshake(watched, ALICE, BOB.publicKey);
  alice.setIdentity(null);
  expect(watch.seen.map(({ what }) => what)).toEqual(['shared secret']);
  expect(left()).toEqual([]);
});
