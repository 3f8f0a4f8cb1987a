/** Forged messages: every bit of them, and the points of small order. */

import { describe, expect, it } from 'vitest';
import type { CryptoSuite } from '../../src/crypto/suite.ts';
import { CookieChecker, CookieMaker } from '../../src/noise/cookie.ts';
import { Handshake } from '../../src/noise/handshake.ts';
import type { Identity } from '../../src/noise/identity.ts';
import {
  COOKIE_REPLY_BYTES,
  classify,
  INITIATION,
  INITIATION_BYTES,
  RESPONSE,
  RESPONSE_BYTES,
} from '../../src/noise/messages.ts';
import { openInitiation } from '../../src/noise/openedinitiation.ts';
import {
  ALICE,
  BOB,
  consume,
  createPair,
  hex,
  initiate,
  NOON,
  respond,
  seeded,
  suite,
  unhex,
} from './parties.ts';

const REMOTE_ID = unhex('c0000201cafe');

function checkerOf(identity: Identity): CookieChecker {
  const checker = new CookieChecker(seeded(50));
  checker.setPublicKey(identity.publicKey);
  return checker;
}

/** Gives `maker` a cookie, as a receiver under load would. */
function giveCookie(maker: CookieMaker, checker: CookieChecker, message: Uint8Array): void {
  const reply = new Uint8Array(COOKIE_REPLY_BYTES);
  maker.addMacs(message, 0);
  checker.createReply(reply, message, 0, REMOTE_ID);
  expect(maker.consumeReply(reply, 0)).toBe(true);
  maker.addMacs(message, 0);
}

function* flips(message: Uint8Array, from = 0, to = message.length) {
  for (let i = from; i < to; i++)
    for (let bit = 0; bit < 8; bit++) {
      const forged = message.slice();
      forged[i] ^= 1 << bit;
      yield { forged, place: `byte ${i} bit ${bit}` };
    }
}

describe('a flipped bit', () => {
  it('anywhere in an initiation under load makes it refused', () => {
    const { alice } = createPair();
    const checker = checkerOf(BOB);
    const message = initiate(alice, BOB.publicKey);
    giveCookie(new CookieMaker(BOB.publicKey), checker, message);
    const isAdmitted = (m: Uint8Array) =>
      classify(m, 0, m.length) === INITIATION &&
      checker.verifyMac1(m) &&
      checker.verifyMac2(m, 0, REMOTE_ID);
    expect(isAdmitted(message)).toBe(true);
    for (const { forged, place } of flips(message)) expect(isAdmitted(forged), place).toBe(false);
  });

  it('anywhere in a response under load makes it refused', () => {
    const { alice, bob } = createPair();
    const checker = checkerOf(ALICE);
    consume(bob, BOB, initiate(alice, BOB.publicKey));
    const message = respond(bob, ALICE.publicKey);
    giveCookie(new CookieMaker(ALICE.publicKey), checker, message);
    const isAdmitted = (m: Uint8Array) =>
      classify(m, 0, m.length) === RESPONSE &&
      checker.verifyMac1(m) &&
      checker.verifyMac2(m, 0, REMOTE_ID);
    expect(isAdmitted(message)).toBe(true);
    for (const { forged, place } of flips(message)) expect(isAdmitted(forged), place).toBe(false);
  });

  it('in the key, identity or timestamp of an initiation makes it bad, whatever its MACs', () => {
    const { alice, bob } = createPair();
    const message = initiate(alice, BOB.publicKey);
    for (const { forged, place } of flips(message, 8, 116))
      expect(['unopened', 'bad'], place).toContain(consume(bob, BOB, forged));
    expect(consume(bob, BOB, message)).toBe('ok'); // and none of them did harm
  });

  it('in the indices, key or authenticator of a response makes it fail, whatever its MACs', () => {
    const { alice, bob } = createPair();
    consume(bob, BOB, initiate(alice, BOB.publicKey));
    const message = respond(bob, ALICE.publicKey);
    for (const { forged, place } of flips(message, 8, 12))
      expect(alice.consumeResponse(forged), place).toBe('unexpected');
    for (const { forged, place } of flips(message, 12, 60))
      expect(alice.consumeResponse(forged), place).toBe('bad');
    expect(alice.consumeResponse(message)).toBe('ok');
  });
});

/**
 * The points of order 1, 2, 4 and 8 on Curve25519 and its twist, in every encoding below 2^255
 * (cr.yp.to/ecdh.html, "validate"); with the top bit set, which X25519 ignores, they are the same.
 */
const SMALL_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].flatMap((text) => {
  const point = unhex(text);
  const withTopBit = point.slice();
  withTopBit[31] |= 0x80;
  return [point, withTopBit];
});

/**
 * A party that sends `point` as its ephemeral key and takes the all-zero secret that follows for
 * granted: what it writes would be accepted by anyone who does not check.
 */
function reckless(point: Uint8Array): CryptoSuite {
  const isStatic = (key: Uint8Array) => key === ALICE.privateKey || key === BOB.privateKey;
  return {
    name: 'portable',
    createSealer: (key) => suite.createSealer(key),
    createOpener: (key) => suite.createOpener(key),
    xseal: suite.xseal,
    publicKey: () => point.slice(),
    sharedSecret: (out, privateKey, publicKey) => {
      if (isStatic(privateKey)) suite.sharedSecret(out, privateKey, publicKey);
      else out.fill(0); // what every secret with `point` is
      return true;
    },
  };
}

describe.each(SMALL_ORDER.map((point) => ({ point, name: hex(point) })))(
  'the point of small order $name',
  ({ point }) => {
    it('as an initiation’s ephemeral key does not open', () => {
      const alice = new Handshake(reckless(point), ALICE, BOB.publicKey);
      const message = initiate(alice, BOB.publicKey);
      expect(hex(message.subarray(8, 40))).toBe(hex(point));
      expect(openInitiation(suite, BOB, message)).toBeNull();
      // The check is what refuses it: who leaves it out reads the sender's name.
      expect(openInitiation(reckless(point), BOB, message)).not.toBeNull();
    });

    it('as a response’s ephemeral key is bad', () => {
      const alice = new Handshake(suite, ALICE, BOB.publicKey);
      const bob = new Handshake(reckless(point), BOB, ALICE.publicKey);
      const opened = openInitiation(suite, BOB, initiate(alice, BOB.publicKey))!;
      expect(bob.consumeInitiation(opened, 0)).toBe('ok');
      const response = respond(bob, ALICE.publicKey);
      expect(hex(response.subarray(12, 44))).toBe(hex(point));
      expect(alice.consumeResponse(response)).toBe('bad');
      expect(alice.state).toBe('createdInitiation');
    });

    it('as a peer’s static key makes no handshake possible', () => {
      const ours = new Handshake(suite, BOB, point);
      expect(ours.isUsable).toBe(false);
      const out = new Uint8Array(INITIATION_BYTES);
      expect(ours.createInitiation(out, 7, NOON, seeded(4))).toBe(false);
      expect(hex(out)).toBe('00'.repeat(INITIATION_BYTES));

      // Anybody can claim to be that peer, since ss is known to all: zero.
      const claimed = { privateKey: ALICE.privateKey, publicKey: point };
      const lenient: CryptoSuite = {
        ...reckless(point),
        publicKey: (key) => suite.publicKey(key),
        sharedSecret: (o, a, b) => {
          if (a === ALICE.privateKey) o.fill(0);
          else suite.sharedSecret(o, a, b);
          return true;
        },
      };
      const message = initiate(new Handshake(lenient, claimed, BOB.publicKey), BOB.publicKey);
      expect(consume(ours, BOB, message)).toBe('bad');
      expect(hex(ours.latestTimestamp)).toBe('00'.repeat(12));
      // Again the check is what refuses it.
      expect(consume(new Handshake(lenient, BOB, point), BOB, message)).toBe('ok');
    });
  },
);

it('a message of its size filled with anything is no more than a verdict', () => {
  const { alice, bob } = createPair();
  const random = seeded(60);
  initiate(alice, BOB.publicKey, 7);
  for (let i = 0; i < 32; i++) {
    const initiation = new Uint8Array(INITIATION_BYTES);
    random(initiation);
    expect(consume(bob, BOB, initiation)).toBe('unopened');
    const response = new Uint8Array(RESPONSE_BYTES);
    random(response);
    expect(alice.consumeResponse(response)).toBe('unexpected');
    response.set([7, 0, 0, 0], 8);
    expect(alice.consumeResponse(response)).toBe('bad');
  }
});
