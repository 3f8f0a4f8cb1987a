/** The rules of the handshake between honest parties, and what replays and mistakes get. */

import { describe, expect, it } from 'vitest';
import { Handshake } from '../../src/noise/handshake.ts';
import { INITIATION_BYTES, RESPONSE_BYTES, readUint32 } from '../../src/noise/messages.ts';
import { openInitiation } from '../../src/noise/openedinitiation.ts';
import {
  ALICE,
  BOB,
  consume,
  createHandshake,
  createIdentity,
  createPair,
  hex,
  initiate,
  MALLORY,
  NOON,
  PRESHARED_KEY,
  respond,
  seeded,
  suite,
  TICK,
} from './parties.ts';

describe('a handshake', () => {
  it.each([
    ['without a preshared key', undefined],
    ['with a preshared key', PRESHARED_KEY],
  ])('%s gives both sides the same two keys, crossed', (_, presharedKey) => {
    for (let seed = 10; seed < 16; seed += 2) {
      const { alice, bob } = createPair(presharedKey);
      const initiation = initiate(alice, BOB.publicKey, 7, NOON, seeded(seed));
      expect(consume(bob, BOB, initiation)).toBe('ok');
      const response = respond(bob, ALICE.publicKey, 8, seeded(seed + 1));
      expect(alice.consumeResponse(response)).toBe('ok');
      const ours = alice.beginSession()!;
      const theirs = bob.beginSession()!;
      expect(hex(ours.sendKey), `seed ${seed}`).toBe(hex(theirs.receiveKey));
      expect(hex(ours.receiveKey), `seed ${seed}`).toBe(hex(theirs.sendKey));
      expect(hex(ours.sendKey)).not.toBe(hex(ours.receiveKey));
      expect(ours).toMatchObject({ localIndex: 7, remoteIndex: 8, isInitiator: true });
      expect(theirs).toMatchObject({ localIndex: 8, remoteIndex: 7, isInitiator: false });
    }
  });

  it('gives other keys for other ephemeral keys', () => {
    const keys = [20, 22].map((seed) => {
      const { alice, bob } = createPair();
      consume(bob, BOB, initiate(alice, BOB.publicKey, 7, NOON, seeded(seed)));
      respond(bob, ALICE.publicKey, 8, seeded(5));
      return hex(bob.beginSession()!.sendKey);
    });
    expect(keys[0]).not.toBe(keys[1]);
  });

  it('goes through its states, and is nothing again once the session has begun', () => {
    const { alice, bob } = createPair();
    expect([alice.state, alice.localIndex]).toEqual(['none', 0]);
    const initiation = initiate(alice, BOB.publicKey, 7);
    expect([alice.state, alice.localIndex]).toEqual(['createdInitiation', 7]);
    expect(alice.beginSession()).toBeNull();
    consume(bob, BOB, initiation);
    expect([bob.state, bob.localIndex]).toEqual(['consumedInitiation', 0]);
    expect(bob.beginSession()).toBeNull();
    const response = respond(bob, ALICE.publicKey, 8);
    expect([bob.state, bob.localIndex]).toEqual(['finished', 8]);
    alice.consumeResponse(response);
    expect([alice.state, alice.localIndex]).toEqual(['finished', 7]);
    for (const handshake of [alice, bob]) {
      expect(handshake.beginSession()).not.toBeNull();
      expect([handshake.state, handshake.localIndex]).toEqual(['none', 0]);
      expect(handshake.beginSession()).toBeNull();
    }
  });

  it('writes nothing where the MACs go', () => {
    const { alice, bob } = createPair();
    const initiation = new Uint8Array(INITIATION_BYTES).fill(0xee);
    alice.createInitiation(initiation, 7, NOON, seeded(4));
    expect(hex(initiation.subarray(116))).toBe('ee'.repeat(32));
    consume(bob, BOB, initiation);
    const response = new Uint8Array(RESPONSE_BYTES).fill(0xee);
    bob.createResponse(response, 8, seeded(5));
    expect(hex(response.subarray(60))).toBe('ee'.repeat(32));
  });

  it('carries indices of all 32 bits', () => {
    const { alice, bob } = createPair();
    const initiation = initiate(alice, BOB.publicKey, 0xfedcba98);
    expect(readUint32(initiation, 4)).toBe(0xfedcba98);
    consume(bob, BOB, initiation);
    const response = respond(bob, ALICE.publicKey, 0x89abcdef);
    expect(alice.consumeResponse(response)).toBe('ok');
    expect(alice.beginSession()).toMatchObject({ localIndex: 0xfedcba98, remoteIndex: 0x89abcdef });
  });
});

describe('an initiation', () => {
  it('tells its responder who sent it before any peer is known', () => {
    const { alice } = createPair();
    const opened = openInitiation(suite, BOB, initiate(alice, BOB.publicKey, 7))!;
    expect(hex(opened.remoteStatic)).toBe(hex(ALICE.publicKey));
    expect(opened.senderIndex).toBe(7);
  });

  it('is closed to everybody else', () => {
    const { alice } = createPair();
    expect(openInitiation(suite, MALLORY, initiate(alice, BOB.publicKey))).toBeNull();
  });

  it('of another peer is our own mistake, not a verdict', () => {
    const { bob } = createPair();
    const mallory = new Handshake(suite, MALLORY, BOB.publicKey);
    const opened = openInitiation(suite, BOB, initiate(mallory, BOB.publicKey))!;
    expect(() => bob.consumeInitiation(opened, 0)).toThrow('another peer');
  });

  it('by somebody who only claims to be the peer is bad: ss proves it', () => {
    const { bob } = createPair();
    const impostor = { privateKey: MALLORY.privateKey, publicKey: ALICE.publicKey };
    const message = initiate(new Handshake(suite, impostor, BOB.publicKey), BOB.publicKey);
    expect(consume(bob, BOB, message)).toBe('bad');
  });

  it('is spent by reading it once', () => {
    const { alice, bob } = createPair();
    const opened = openInitiation(suite, BOB, initiate(alice, BOB.publicKey))!;
    expect(bob.consumeInitiation(opened, 0)).toBe('ok');
    expect(() => bob.consumeInitiation(opened, 1_000)).toThrow('used after wipe');
  });

  it('is refused when replayed, however much later', () => {
    const { alice, bob } = createPair();
    const message = initiate(alice, BOB.publicKey);
    expect(consume(bob, BOB, message, 0)).toBe('ok');
    expect(consume(bob, BOB, message, 1)).toBe('replayed');
    expect(consume(bob, BOB, message, 1e9)).toBe('replayed');
  });

  it.each([
    ['an older timestamp', -TICK, 'replayed'],
    ['the same timestamp', 0, 'replayed'],
    ['a newer timestamp', TICK, 'ok'],
    ['a timestamp of years ago', -1e11, 'replayed'],
    ['a timestamp of years to come', 1e11, 'ok'],
  ])('with %s than the last gets its verdict', (_, later, verdict) => {
    const { alice, bob } = createPair();
    consume(bob, BOB, initiate(alice, BOB.publicKey), 0);
    // Of an Alice who does not remember the last.
    const next = initiate(createPair().alice, BOB.publicKey, 9, NOON + later, seeded(6));
    expect(consume(bob, BOB, next, 5_000)).toBe(verdict);
  });

  it('does not become old by one that was refused', () => {
    const { alice, bob } = createPair();
    const early = initiate(alice, BOB.publicKey, 9, NOON, seeded(6));
    const late = initiate(alice, BOB.publicKey, 9, NOON + 60_000, seeded(7));
    late[100] ^= 1; // its timestamp no longer decrypts
    expect(consume(bob, BOB, late)).toBe('bad');
    expect(consume(bob, BOB, early)).toBe('ok');
  });

  it('is a flood less than 20 ms after the last, and not the last itself', () => {
    const { alice, bob } = createPair();
    const messages = [0, 1, 2, 3].map((i) =>
      initiate(alice, BOB.publicKey, 9, NOON + i * TICK, seeded(30 + i)),
    );
    expect(consume(bob, BOB, messages[0], 1_000)).toBe('ok');
    expect(consume(bob, BOB, messages[1], 1_019.9)).toBe('flood');
    expect(consume(bob, BOB, messages[2], 1_020)).toBe('ok');
    expect(consume(bob, BOB, messages[3], 1_030)).toBe('flood');
    expect(consume(bob, BOB, messages[3], 1_040)).toBe('ok'); // nothing was kept of it
  });

  it('is judged by timestamps carried over from an earlier life', () => {
    const { alice, bob } = createPair();
    const message = initiate(alice, BOB.publicKey);
    consume(bob, BOB, message);
    const reborn = createPair().bob;
    reborn.latestTimestamp = bob.latestTimestamp;
    expect(consume(reborn, BOB, message)).toBe('replayed');
    reborn.latestTimestamp = new Uint8Array(12); // older: passed over
    expect(hex(reborn.latestTimestamp)).toBe(hex(bob.latestTimestamp));
  });

  it('hands out its timestamps as copies', () => {
    const { bob } = createPair();
    bob.latestTimestamp.fill(0xff);
    bob.sentTimestamp.fill(0xff);
    expect(hex(bob.latestTimestamp)).toBe('00'.repeat(12));
    expect(hex(bob.sentTimestamp)).toBe('00'.repeat(12));
  });

  it('is newer than the one before though the clock stood still or was set back', () => {
    const { alice, bob } = createPair();
    for (const [i, later] of [0, 0, -1e11, -TICK, 1_000, 0].entries()) {
      const message = initiate(alice, BOB.publicKey, 9, NOON + later, seeded(i + 1));
      expect(consume(bob, BOB, message, 1_000 * i), `the ${i}th`).toBe('ok');
      expect(hex(alice.sentTimestamp)).toBe(hex(bob.latestTimestamp));
    }
  });

  it('is newer than those of an earlier life, once it knows of them', () => {
    const { alice, bob } = createPair();
    consume(bob, BOB, initiate(alice, BOB.publicKey));
    const reborn = createPair().alice;
    reborn.sentTimestamp = alice.sentTimestamp;
    reborn.sentTimestamp = new Uint8Array(12); // older: passed over
    const message = initiate(reborn, BOB.publicKey, 9, NOON - 1e10, seeded(6));
    expect(consume(bob, BOB, message, 1_000)).toBe('ok');
  });

  it('keeps the greatest timestamp when the keys change', () => {
    const { alice, bob } = createPair();
    const message = initiate(alice, BOB.publicKey);
    consume(bob, BOB, message);
    bob.clear();
    bob.setIdentity(BOB);
    expect(consume(bob, BOB, message, 1_000)).toBe('replayed');
  });

  it('that is refused leaves our own in flight', () => {
    const { alice, bob } = createPair();
    const replayed = initiate(alice, BOB.publicKey, 7, NOON, seeded(6));
    consume(bob, BOB, replayed);
    const ours = initiate(bob, ALICE.publicKey, 8);
    const forged = initiate(alice, BOB.publicKey, 7, NOON + TICK, seeded(7));
    forged[90] ^= 1;
    expect(consume(bob, BOB, replayed, 1_000)).toBe('replayed');
    expect(consume(bob, BOB, forged, 1_000)).toBe('bad');
    expect([bob.state, bob.localIndex]).toEqual(['createdInitiation', 8]);
    expect(consume(alice, ALICE, ours)).toBe('ok');
    expect(bob.consumeResponse(respond(alice, BOB.publicKey))).toBe('ok');
  });

  it('overtakes our own, whose index stays to be released', () => {
    const { alice, bob } = createPair();
    const ours = initiate(bob, ALICE.publicKey, 8);
    const theirs = initiate(alice, BOB.publicKey, 7, NOON, seeded(6));
    expect(consume(bob, BOB, theirs)).toBe('ok');
    expect([bob.state, bob.localIndex]).toEqual(['consumedInitiation', 8]);
    expect(consume(alice, ALICE, ours)).toBe('ok'); // both began at once, both answer
    const late = respond(alice, BOB.publicKey, 71);
    expect(bob.consumeResponse(late)).toBe('unexpected');
    respond(bob, ALICE.publicKey, 81);
    expect(bob.localIndex).toBe(81);
  });

  it('has a new ephemeral key every time, from the source of randomness that it is given', () => {
    const { alice } = createPair();
    const random = seeded(40);
    const first = initiate(alice, BOB.publicKey, 7, NOON, random);
    const second = initiate(alice, BOB.publicKey, 7, NOON, random);
    expect(hex(first.subarray(8, 40))).not.toBe(hex(second.subarray(8, 40)));
    const privateKey = new Uint8Array(32);
    seeded(40)(privateKey);
    expect(hex(first.subarray(8, 40))).toBe(hex(suite.publicKey(privateKey)));
  });
});

describe('a response', () => {
  it('to no initiation of ours is unexpected', () => {
    const { alice, bob } = createPair();
    consume(bob, BOB, initiate(alice, BOB.publicKey));
    const response = respond(bob, ALICE.publicKey);
    alice.clear();
    expect(alice.consumeResponse(response)).toBe('unexpected');
  });

  it('is unexpected the second time', () => {
    const { alice, bob } = createPair();
    consume(bob, BOB, initiate(alice, BOB.publicKey));
    const response = respond(bob, ALICE.publicKey);
    expect(alice.consumeResponse(response)).toBe('ok');
    expect(alice.consumeResponse(response)).toBe('unexpected');
    alice.beginSession();
    expect(alice.consumeResponse(response)).toBe('unexpected');
  });

  it('to an initiation that a later one replaced is not taken for an answer to that', () => {
    const { alice, bob } = createPair();
    consume(bob, BOB, initiate(alice, BOB.publicKey, 7));
    const response = respond(bob, ALICE.publicKey);
    initiate(alice, BOB.publicKey, 70, NOON + TICK, seeded(6));
    expect(alice.consumeResponse(response)).toBe('unexpected');
    initiate(alice, BOB.publicKey, 7, NOON + 2 * TICK, seeded(7)); // even under the same index
    expect(alice.consumeResponse(response)).toBe('bad');
  });

  it('that is bad leaves our initiation in flight for the right one', () => {
    const { alice, bob } = createPair();
    consume(bob, BOB, initiate(alice, BOB.publicKey));
    const response = respond(bob, ALICE.publicKey);
    const forged = response.slice();
    forged[50] ^= 1;
    expect(alice.consumeResponse(forged)).toBe('bad');
    expect(alice.beginSession()).toBeNull();
    expect(alice.consumeResponse(response)).toBe('ok');
  });

  it('is created only after an initiation was consumed, and once', () => {
    const { alice, bob } = createPair();
    const out = new Uint8Array(RESPONSE_BYTES);
    expect(bob.createResponse(out, 8, seeded(5))).toBe(false);
    initiate(bob, ALICE.publicKey);
    expect(bob.createResponse(out, 8, seeded(5))).toBe(false);
    expect(hex(out)).toBe('00'.repeat(RESPONSE_BYTES));
    consume(bob, BOB, initiate(alice, BOB.publicKey, 7, NOON, seeded(6)));
    expect(bob.createResponse(out, 8, seeded(5))).toBe(true);
    expect(bob.createResponse(out, 9, seeded(5))).toBe(false);
  });

  it.each([
    ['only the initiator has', PRESHARED_KEY, undefined],
    ['only the responder has', undefined, PRESHARED_KEY],
    [
      'differs by a bit',
      PRESHARED_KEY,
      PRESHARED_KEY.map((byte, i) => (i === 31 ? byte ^ 1 : byte)),
    ],
  ])('is bad under a preshared key that %s', (_, ours, theirs) => {
    const alice = createHandshake(ALICE, BOB.publicKey, ours);
    const bob = createHandshake(BOB, ALICE.publicKey, theirs);
    expect(consume(bob, BOB, initiate(alice, BOB.publicKey))).toBe('ok');
    const response = respond(bob, ALICE.publicKey);
    expect(alice.consumeResponse(response)).toBe('bad');
    alice.setPresharedKey(theirs ?? new Uint8Array(32)); // it holds at once
    expect(alice.consumeResponse(response)).toBe('ok');
    expect(hex(alice.beginSession()!.sendKey)).toBe(hex(bob.beginSession()!.receiveKey));
  });

  it('takes the preshared key that was set last', () => {
    const { alice, bob } = createPair();
    consume(bob, BOB, initiate(alice, BOB.publicKey));
    bob.setPresharedKey(PRESHARED_KEY);
    const response = respond(bob, ALICE.publicKey);
    alice.setPresharedKey(PRESHARED_KEY);
    expect(alice.consumeResponse(response)).toBe('ok');
  });

  it('copies the preshared key and the static key that it is given', () => {
    const presharedKey = PRESHARED_KEY.slice();
    const remoteStatic = BOB.publicKey.slice();
    const alice = createHandshake(ALICE, remoteStatic, presharedKey);
    presharedKey.fill(0);
    remoteStatic.fill(0);
    const { bob } = createPair(PRESHARED_KEY);
    expect(consume(bob, BOB, initiate(alice, BOB.publicKey))).toBe('ok');
    expect(alice.consumeResponse(respond(bob, ALICE.publicKey))).toBe('ok');
  });
});

describe('our own key', () => {
  it('missing makes a handshake impossible', () => {
    const alice = new Handshake(suite, null, BOB.publicKey);
    const out = new Uint8Array(INITIATION_BYTES);
    expect(alice.isUsable).toBe(false);
    expect(alice.createInitiation(out, 7, NOON, seeded(4))).toBe(false);
    expect(hex(out)).toBe('00'.repeat(INITIATION_BYTES));
    alice.setIdentity(ALICE);
    expect(alice.isUsable).toBe(true);
    expect(alice.createInitiation(out, 7, NOON, seeded(4))).toBe(true);
  });

  it('changed gives up what was under way with the old one', () => {
    const { alice, bob } = createPair();
    consume(bob, BOB, initiate(alice, BOB.publicKey));
    const response = respond(bob, ALICE.publicKey);
    alice.setIdentity(createIdentity(seeded(9)));
    expect(alice.state).toBe('none');
    expect(alice.consumeResponse(response)).toBe('unexpected');
  });

  it('taken away between opening and consuming an initiation refuses it', () => {
    const { alice, bob } = createPair();
    const opened = openInitiation(suite, BOB, initiate(alice, BOB.publicKey))!;
    bob.setIdentity(null);
    expect(bob.consumeInitiation(opened, 0)).toBe('bad');
  });

  it('changed is the one that the next handshake proves', () => {
    const next = createIdentity(seeded(9));
    const { alice } = createPair();
    alice.setIdentity(next);
    const bob = new Handshake(suite, BOB, next.publicKey);
    expect(consume(bob, BOB, initiate(alice, BOB.publicKey))).toBe('ok');
  });
});
