/**
 * The handshakes of captured.ts, replayed in both roles: what we read in them, and that we would
 * have written them byte for byte. Their timestamps are finer than ours, so the clock's stamp is
 * replaced here.
 */

import { describe, expect, it, vi } from 'vitest';
import { TAG_BYTES } from '../../src/crypto/suite.ts';
import { CookieChecker, CookieMaker } from '../../src/noise/cookie.ts';
import type { Handshake } from '../../src/noise/handshake.ts';
import type { Identity } from '../../src/noise/identity.ts';
import {
  DATA_HEADER_BYTES,
  INITIATION_BYTES,
  RESPONSE_BYTES,
  readCounter,
  readReceiverIndex,
} from '../../src/noise/messages.ts';
import { openInitiation } from '../../src/noise/openedinitiation.ts';
import { CAPTURED, type CapturedHandshake } from './captured.ts';
import { arena, createHandshake, hex, suite, unhex } from './parties.ts';

const clock = vi.hoisted(() => ({ stamp: new Uint8Array(12) }));
vi.mock('../../src/noise/tai64n.ts', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  writeTimestamp: (out: Uint8Array) => out.set(clock.stamp),
}));

const identityOf = (privateKey: string, publicKey: string): Identity => ({
  privateKey: unhex(privateKey),
  publicKey: unhex(publicKey),
});
const initiatorOf = (c: CapturedHandshake) => identityOf(c.initiatorPrivate, c.initiatorPublic);
const responderOf = (c: CapturedHandshake) => identityOf(c.responderPrivate, c.responderPublic);

/** "Random" bytes that are the captured ephemeral key. */
const always = (text: string) => (out: Uint8Array) => out.set(unhex(text));

function initiator(c: CapturedHandshake): Handshake {
  return createHandshake(initiatorOf(c), unhex(c.responderPublic), unhex(c.presharedKey));
}

function responder(c: CapturedHandshake): Handshake {
  return createHandshake(responderOf(c), unhex(c.initiatorPublic), unhex(c.presharedKey));
}

function createInitiation(by: Handshake, c: CapturedHandshake): Uint8Array {
  clock.stamp.set(unhex(c.timestamp));
  const message = new Uint8Array(INITIATION_BYTES);
  const random = always(c.initiatorEphemeral);
  expect(by.createInitiation(message, c.initiatorIndex, 0, random)).toBe(true);
  new CookieMaker(unhex(c.responderPublic)).addMacs(message, 0);
  return message;
}

function consumeInitiation(by: Handshake, c: CapturedHandshake): void {
  const opened = openInitiation(suite, responderOf(c), unhex(c.initiation));
  expect(opened).not.toBeNull();
  expect(hex(opened!.remoteStatic)).toBe(c.initiatorPublic);
  expect(opened!.senderIndex).toBe(c.initiatorIndex);
  expect(by.consumeInitiation(opened!, 0)).toBe('ok');
}

describe.each(CAPTURED)('a handshake of the Linux kernel $name', (c) => {
  it('has the keys that were published for it', () => {
    expect(hex(suite.publicKey(unhex(c.initiatorPrivate)))).toBe(c.initiatorPublic);
    expect(hex(suite.publicKey(unhex(c.responderPrivate)))).toBe(c.responderPublic);
  });

  it('has a mac1 for the receiver of each message, and for nobody else', () => {
    const checker = new CookieChecker(() => {});
    checker.setPublicKey(unhex(c.responderPublic));
    expect(checker.verifyMac1(unhex(c.initiation))).toBe(true);
    expect(checker.verifyMac1(unhex(c.response))).toBe(false);
    checker.setPublicKey(unhex(c.initiatorPublic));
    expect(checker.verifyMac1(unhex(c.initiation))).toBe(false);
    expect(checker.verifyMac1(unhex(c.response))).toBe(true);
  });

  it('has the initiation that we write', () => {
    expect(hex(createInitiation(initiator(c), c))).toBe(c.initiation);
  });

  it('has the initiation that we read, with its timestamp', () => {
    const bob = responder(c);
    consumeInitiation(bob, c);
    expect(hex(bob.latestTimestamp)).toBe(c.timestamp);
  });

  it('has the response that we write, and the session keys of a responder', () => {
    const bob = responder(c);
    consumeInitiation(bob, c);
    const message = new Uint8Array(RESPONSE_BYTES);
    expect(bob.createResponse(message, c.responderIndex, always(c.responderEphemeral))).toBe(true);
    new CookieMaker(unhex(c.initiatorPublic)).addMacs(message, 0);
    expect(hex(message)).toBe(c.response);
    const session = bob.beginSession()!;
    expect(hex(session.sendKey)).toBe(c.initiatorReceives);
    expect(hex(session.receiveKey)).toBe(c.initiatorSends);
    expect(session).toMatchObject({
      localIndex: c.responderIndex,
      remoteIndex: c.initiatorIndex,
      isInitiator: false,
    });
  });

  it('has the response that we read, and the session keys of an initiator', () => {
    const alice = initiator(c);
    createInitiation(alice, c);
    expect(alice.consumeResponse(unhex(c.response))).toBe('ok');
    const session = alice.beginSession()!;
    expect(hex(session.sendKey)).toBe(c.initiatorSends);
    expect(hex(session.receiveKey)).toBe(c.initiatorReceives);
    expect(session).toMatchObject({
      localIndex: c.initiatorIndex,
      remoteIndex: c.responderIndex,
      isInitiator: true,
    });
  });
});

/** The two ends' data, each with the key that opens it and the index that it is addressed to. */
const DATA = CAPTURED.flatMap((c) => [
  { from: `initiator ${c.name}`, ...c.fromInitiator!, key: c.initiatorSends, to: c.responderIndex },
  {
    from: `responder ${c.name}`,
    ...c.fromResponder!,
    key: c.initiatorReceives,
    to: c.initiatorIndex,
  },
]).filter(({ message }) => message !== undefined);

it.each(DATA)('data of the $from opens with its session key', ({ message, packet, key, to }) => {
  const data = unhex(message);
  const length = data.length - DATA_HEADER_BYTES - TAG_BYTES;
  arena.bytes.set(data, 64);
  expect(readReceiverIndex(arena.view, 64)).toBe(to);
  const start = 64 + DATA_HEADER_BYTES;
  const counter = readCounter(arena.view, 64);
  expect(suite.createOpener(unhex(key)).open(start, length, counter)).toBe(true);
  expect(hex(arena.bytes.subarray(start, start + length))).toBe(packet);
});
