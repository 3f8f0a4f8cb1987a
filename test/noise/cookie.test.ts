import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { createOpensslSuite } from '../../src/crypto/openssl/openssl.ts';
import { CookieChecker, CookieMaker } from '../../src/noise/cookie.ts';
import { COOKIE_REPLY_BYTES, INITIATION_BYTES, RESPONSE_BYTES } from '../../src/noise/messages.ts';
import { CAPTURED } from './captured.ts';
import { BOB, hex, MALLORY, seeded, unhex } from './parties.ts';

const REMOTE_ID = unhex('c0000201cafe'); // 192.0.2.1 port 51966
const TURN = 120_000;

function createMessage(seed = 70, length: number = INITIATION_BYTES): Uint8Array {
  const message = new Uint8Array(length);
  seeded(seed)(message);
  return message;
}

function createSides() {
  const checker = new CookieChecker(seeded(71));
  checker.setPublicKey(BOB.publicKey);
  const maker = new CookieMaker(BOB.publicKey);
  return { checker, maker };
}

/** The checker's reply to what the maker sent last. */
function reply(checker: CookieChecker, message: Uint8Array, now: number, id = REMOTE_ID) {
  const out = new Uint8Array(COOKIE_REPLY_BYTES);
  checker.createReply(out, message, now, id);
  return out;
}

/** A maker that got its cookie at `now`, and a message that carries it. */
function withCookie(now: number, id = REMOTE_ID) {
  const { checker, maker } = createSides();
  const message = createMessage();
  maker.addMacs(message, now);
  expect(maker.consumeReply(reply(checker, message, now, id), now)).toBe(true);
  maker.addMacs(message, now);
  return { checker, maker, message };
}

const mac2Of = (message: Uint8Array) => hex(message.subarray(message.length - 16));

describe('mac1', () => {
  it.each([INITIATION_BYTES, RESPONSE_BYTES])('of a message of %i bytes is verified', (length) => {
    const { checker, maker } = createSides();
    const message = createMessage(72, length);
    expect(checker.verifyMac1(message)).toBe(false);
    maker.addMacs(message, 0);
    expect(checker.verifyMac1(message)).toBe(true);
  });

  it('is for one public key', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    maker.addMacs(message, 0);
    checker.setPublicKey(MALLORY.publicKey);
    expect(checker.verifyMac1(message)).toBe(false);
    checker.setPublicKey(BOB.publicKey);
    expect(checker.verifyMac1(message)).toBe(true);
  });

  it('is never right while we have no key', () => {
    const checker = new CookieChecker(seeded(71));
    const message = createMessage();
    new CookieMaker(BOB.publicKey).addMacs(message, 0);
    expect(checker.verifyMac1(message)).toBe(false);
    checker.setPublicKey(BOB.publicKey);
    checker.setPublicKey(null);
    expect(checker.verifyMac1(message)).toBe(false);
  });

  it('covers neither itself nor mac2', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    maker.addMacs(message, 0);
    message.fill(0xff, INITIATION_BYTES - 16);
    expect(checker.verifyMac1(message)).toBe(true);
  });

  it('is verified in a message that lies in the middle of a larger array', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    maker.addMacs(message, 0);
    const room = new Uint8Array(512).fill(0xee);
    room.set(message, 101);
    expect(checker.verifyMac1(room.subarray(101, 101 + INITIATION_BYTES))).toBe(true);
  });
});

describe('a cookie reply', () => {
  // Reckoned in Python: hashlib's BLAKE2s, pyca/cryptography's AEAD, HChaCha20 from the draft.
  it.each([
    [
      'IPv4',
      'c0000201cafe',
      '9d84824c182decc5f46cb55a3858f623f4d4e0c1667557ddd55a16a6e6221874',
      '8c00559bbd256116067d73dd6c661daf',
    ],
    [
      'IPv6',
      '20010db8000000000000000000000001cafe',
      'edb1e7e5ef494b37fcb30b515d293be5d13a8ad3857c65bd5814d75522d76d58',
      '78bcec8b5eaf7a092be8ef93313460d2',
    ],
  ])(
    'over %s is the one that Python reckons, and so is the mac2 that follows',
    (_, id, sealed, mac2) => {
      const [captured] = CAPTURED;
      let calls = 0;
      const checker = new CookieChecker((out) => out.fill(0x11 * ++calls));
      checker.setPublicKey(unhex(captured.responderPublic));
      const message = unhex(captured.initiation);
      const answer = reply(checker, message, 0, unhex(id));
      expect(hex(answer)).toBe(`03000000d837d030${'22'.repeat(24)}${sealed}`);
      const maker = new CookieMaker(unhex(captured.responderPublic));
      maker.addMacs(message, 0);
      expect(maker.consumeReply(answer, 0)).toBe(true);
      maker.addMacs(message, 0);
      expect(mac2Of(message)).toBe(mac2);
    },
  );

  const openssl = createOpensslSuite(new Arena(1 << 20));
  it.skipIf(openssl === null)('is the same whichever suite seals it', () => {
    const [own, faster] = [new CookieChecker(seeded(71)), new CookieChecker(seeded(71), openssl!)];
    for (const one of [own, faster]) one.setPublicKey(BOB.publicKey);
    for (let i = 0; i < 50; i++) {
      const message = createMessage(100 + i, i % 2 === 0 ? INITIATION_BYTES : RESPONSE_BYTES);
      const replies = [own, faster].map((one) => hex(reply(one, message, i * 10_000)));
      expect(replies[0]).toBe(replies[1]);
    }
  });

  it('has a new nonce every time', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    maker.addMacs(message, 0);
    const nonces = [0, 1].map(() => hex(reply(checker, message, 0).subarray(8, 32)));
    expect(nonces[0]).not.toBe(nonces[1]);
  });

  it('to a response goes to the sender of the response', () => {
    const { checker, maker } = createSides();
    const message = createMessage(73, RESPONSE_BYTES);
    maker.addMacs(message, 0);
    expect(hex(reply(checker, message, 0).subarray(4, 8))).toBe(hex(message.subarray(4, 8)));
  });

  it('is refused at every flipped bit of its nonce and cookie', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    maker.addMacs(message, 0);
    const answer = reply(checker, message, 0);
    for (let i = 8; i < COOKIE_REPLY_BYTES; i++)
      for (let bit = 0; bit < 8; bit++) {
        const forged = answer.slice();
        forged[i] ^= 1 << bit;
        expect(maker.consumeReply(forged, 0), `byte ${i} bit ${bit}`).toBe(false);
      }
    maker.addMacs(message, 0);
    expect(mac2Of(message)).toBe('00'.repeat(16));
    expect(maker.consumeReply(answer, 0)).toBe(true);
  });

  it('to another message than our last is refused', () => {
    const { checker, maker } = createSides();
    const first = createMessage(74);
    const second = createMessage(75);
    maker.addMacs(first, 0);
    const late = reply(checker, first, 0);
    maker.addMacs(second, 0);
    expect(maker.consumeReply(late, 0)).toBe(false);
    expect(maker.consumeReply(reply(checker, second, 0), 0)).toBe(true);
  });

  it('is refused when we sent nothing, and the second time', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    expect(maker.consumeReply(reply(checker, message, 0), 0)).toBe(false);
    maker.addMacs(message, 0);
    const answer = reply(checker, message, 0);
    expect(maker.consumeReply(answer, 0)).toBe(true);
    expect(maker.consumeReply(answer, 1)).toBe(false);
  });

  it('made for another public key than the peer’s is refused', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    maker.addMacs(message, 0);
    checker.setPublicKey(MALLORY.publicKey);
    expect(maker.consumeReply(reply(checker, message, 0), 0)).toBe(false);
  });
});

describe('mac2', () => {
  it('is zero before there is a cookie, and never verifies', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    maker.addMacs(message, 0);
    expect(mac2Of(message)).toBe('00'.repeat(16));
    expect(checker.verifyMac2(message, 0, REMOTE_ID)).toBe(false);
    reply(checker, message, 0);
    expect(checker.verifyMac2(message, 0, REMOTE_ID)).toBe(false);
  });

  it('verifies with the cookie, and covers mac1', () => {
    const { checker, message } = withCookie(0);
    expect(checker.verifyMac1(message)).toBe(true);
    expect(checker.verifyMac2(message, 0, REMOTE_ID)).toBe(true);
    message[INITIATION_BYTES - 32] ^= 1;
    expect(checker.verifyMac2(message, 0, REMOTE_ID)).toBe(false);
  });

  it('stays the message’s own: another message needs another', () => {
    const { checker, message } = withCookie(0);
    const other = createMessage(76);
    other.set(message.subarray(INITIATION_BYTES - 32), INITIATION_BYTES - 32);
    expect(checker.verifyMac2(other, 0, REMOTE_ID)).toBe(false);
  });

  it.each([
    ['another address', 'c0000202cafe'],
    ['another port', 'c0000201caff'],
    ['the same address and port in IPv6', '00000000000000000000ffffc0000201cafe'],
    ['no address', ''],
  ])('does not verify from %s', (_, id) => {
    const { checker, message } = withCookie(0);
    expect(checker.verifyMac2(message, 0, unhex(id))).toBe(false);
  });

  it('verifies from a long address too', () => {
    const id = unhex('20010db8000000000000000000000001cafe');
    const { checker, message } = withCookie(0, id);
    expect(checker.verifyMac2(message, 0, id)).toBe(true);
    id[15] ^= 1;
    expect(checker.verifyMac2(message, 0, id)).toBe(false);
  });

  it('does not verify at another checker: its secret is its own', () => {
    const { message } = withCookie(0);
    const other = new CookieChecker(seeded(77));
    other.setPublicKey(BOB.publicKey);
    reply(other, message, 0);
    expect(other.verifyMac2(message, 0, REMOTE_ID)).toBe(false);
  });
});

describe('the cookie secret', () => {
  it('turns over after 120 s, when the next cookie is asked for', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    const cookieAt = (now: number) => {
      maker.addMacs(message, now);
      expect(maker.consumeReply(reply(checker, message, now), now)).toBe(true);
      maker.addMacs(message, now);
      return mac2Of(message);
    };
    const first = cookieAt(0);
    expect(cookieAt(TURN - 1)).toBe(first);
    const second = cookieAt(TURN);
    expect(second).not.toBe(first);
    expect(cookieAt(2 * TURN - 1)).toBe(second);
    expect(cookieAt(2 * TURN)).not.toBe(second);
  });

  it('is honoured across one turnover, and no longer', () => {
    const { checker, message } = withCookie(0);
    const other = createMessage(78);
    new CookieMaker(BOB.publicKey).addMacs(other, 0);
    expect(checker.verifyMac2(message, TURN, REMOTE_ID)).toBe(true);
    reply(checker, other, TURN); // turns over
    expect(checker.verifyMac2(message, TURN, REMOTE_ID)).toBe(true);
    expect(checker.verifyMac2(message, 2 * TURN - 1, REMOTE_ID)).toBe(true);
    expect(checker.verifyMac2(message, 2 * TURN, REMOTE_ID)).toBe(false);
  });

  it('goes after two turnovers, and after 240 s without any', () => {
    const twice = withCookie(0);
    const other = createMessage(78);
    reply(twice.checker, other, TURN);
    reply(twice.checker, other, 2 * TURN);
    expect(twice.checker.verifyMac2(twice.message, 2 * TURN, REMOTE_ID)).toBe(false);
    const idle = withCookie(0);
    expect(idle.checker.verifyMac2(idle.message, 2 * TURN - 1, REMOTE_ID)).toBe(true);
    expect(idle.checker.verifyMac2(idle.message, 2 * TURN, REMOTE_ID)).toBe(false);
  });

  it('is not one that was never drawn', () => {
    const { checker, message } = withCookie(0);
    const fresh = new CookieChecker(seeded(71));
    fresh.setPublicKey(BOB.publicKey);
    expect(fresh.verifyMac2(message, 0, REMOTE_ID)).toBe(false);
    expect(checker.verifyMac2(message, 0, REMOTE_ID)).toBe(true);
  });

  it('gives a cookie made at its last moment as long a life as any', () => {
    const { checker, maker } = createSides();
    const message = createMessage();
    reply(checker, message, 0); // the secret is born
    maker.addMacs(message, TURN - 1);
    maker.consumeReply(reply(checker, message, TURN - 1), TURN - 1);
    const last = TURN - 1 + 115_000 - 1; // when the maker uses it for the last time
    maker.addMacs(message, last);
    reply(checker, createMessage(78), last);
    expect(checker.verifyMac2(message, last, REMOTE_ID)).toBe(true);
  });
});

describe('a received cookie', () => {
  it('is used for 120 s less 5 s', () => {
    const { maker, message } = withCookie(1_000);
    maker.addMacs(message, 1_000 + 114_999);
    expect(mac2Of(message)).not.toBe('00'.repeat(16));
    maker.addMacs(message, 1_000 + 115_000);
    expect(mac2Of(message)).toBe('00'.repeat(16));
  });

  it('is replaced by a newer one', () => {
    const { checker, maker, message } = withCookie(0);
    maker.addMacs(message, 100_000);
    expect(maker.consumeReply(reply(checker, message, 100_000), 100_000)).toBe(true);
    maker.addMacs(message, 200_000);
    expect(mac2Of(message)).not.toBe('00'.repeat(16));
    expect(checker.verifyMac2(message, 200_000, REMOTE_ID)).toBe(true);
  });
});
