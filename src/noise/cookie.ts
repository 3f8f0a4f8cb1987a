/**
 * The two MACs that end a handshake message, and the cookie replies that make a sender prove its
 * address (whitepaper 5.3, 5.4.4, 5.4.7). CookieChecker is the receiver's side, one to a Device;
 * CookieMaker the sender's, one to a peer. They know neither the handshake in the message nor what
 * load is, and an address is only bytes to them.
 */

import { xopenAead, xsealInto } from '../crypto/aead.ts';
import { hash, MacKey, mac, macInto } from '../crypto/blake2s.ts';
import { secretBytes, wipe } from '../crypto/bytes.ts';
import { type CryptoSuite, KEY_BYTES, XNONCE_BYTES } from '../crypto/suite.ts';
import { COOKIE_REFRESH_TIME_MS, COOKIE_SECRET_LATENCY_MS } from './constants.ts';
import {
  COOKIE_REPLY,
  COOKIE_REPLY_COOKIE,
  COOKIE_REPLY_NONCE,
  COOKIE_REPLY_RECEIVER,
  INITIATION_SENDER,
  MAC_BYTES,
  MAC1_FROM_END,
  MAC2_FROM_END,
  readUint32,
  writeUint32,
} from './messages.ts';

const encoder = new TextEncoder();
const LABEL_MAC1 = encoder.encode('mac1----');
const LABEL_COOKIE = encoder.encode('cookie--');

/** A secret makes cookies for one turn and is honoured for the next: every cookie has one whole. */
const SECRET_HONOURED_MS = 2 * COOKIE_REFRESH_TIME_MS;

/** What cookies are made with, and since when (monotonic ms). */
class CookieSecret {
  readonly key = new MacKey();
  bornAt = Number.NEGATIVE_INFINITY;
}

/**
 * Checks what others send us. Messages are whole initiations or responses, borrowed. Nothing here
 * allocates: strangers decide how often it is called.
 */
export class CookieChecker {
  readonly #random: (out: Uint8Array) => void;
  readonly #xseal: CryptoSuite['xseal'];
  readonly #mac1Key = new MacKey();
  readonly #sealingKey = new Uint8Array(KEY_BYTES);
  #hasKeys = false;
  #secret = new CookieSecret();
  #previousSecret = new CookieSecret();
  /** mac2's key is a cookie, another one for every sender. */
  readonly #mac2Key = new MacKey();
  readonly #cookie = secretBytes(MAC_BYTES);
  readonly #newSecret = secretBytes(KEY_BYTES);
  readonly #expected = new Uint8Array(MAC_BYTES);
  readonly #mac1 = new Uint8Array(MAC_BYTES);
  readonly #nonce = new Uint8Array(XNONCE_BYTES);

  /**
   * `random` fills an array from a cryptographically secure source. `suite` seals the replies; by
   * default as the portable one does. Needs setPublicKey to begin.
   */
  constructor(
    random: (out: Uint8Array) => void,
    suite: Pick<CryptoSuite, 'xseal'> = { xseal: xsealInto },
  ) {
    this.#random = random;
    this.#xseal = suite.xseal;
  }

  /** Our own public key, 32 bytes; null when we have none, and then no message is for us. */
  setPublicKey(publicKey: Uint8Array | null): void {
    this.#hasKeys = publicKey !== null;
    if (publicKey === null) return;
    this.#mac1Key.set(hash(LABEL_MAC1, publicKey));
    this.#sealingKey.set(hash(LABEL_COOKIE, publicKey));
  }

  /** Whether the sender knows our public key. Everything else about the message is still open. */
  verifyMac1(message: Uint8Array): boolean {
    if (!this.#hasKeys) return false;
    const at = message.length - MAC1_FROM_END;
    this.#mac1Key.into(this.#expected, message, at);
    return matches(this.#expected, message, at);
  }

  /**
   * Whether the sender holds a cookie that we made for `remoteId`: its address and port, in bytes
   * that name them alike every time. `now`: monotonic ms.
   */
  verifyMac2(message: Uint8Array, now: number, remoteId: Uint8Array): boolean {
    // The sender says that it has none.
    if (isZeroFrom(message, message.length - MAC2_FROM_END)) return false;
    return (
      this.#isMadeWith(this.#secret, message, now, remoteId) ||
      this.#isMadeWith(this.#previousSecret, message, now, remoteId)
    );
  }

  /**
   * Writes the 64-byte cookie reply to a message whose mac1 is right. Only who saw that message
   * and knows our public key can open it.
   */
  createReply(out: Uint8Array, message: Uint8Array, now: number, remoteId: Uint8Array): void {
    this.#turnOver(now);
    const nonce = this.#nonce;
    this.#random(nonce);
    const mac1At = message.length - MAC1_FROM_END;
    for (let i = 0; i < MAC_BYTES; i++) this.#mac1[i] = message[mac1At + i];
    this.#secret.key.into(this.#cookie, remoteId, remoteId.length);
    writeUint32(out, 0, COOKIE_REPLY);
    // Initiations and responses carry their sender's index in the same place.
    writeUint32(out, COOKIE_REPLY_RECEIVER, readUint32(message, INITIATION_SENDER));
    for (let i = 0; i < XNONCE_BYTES; i++) out[COOKIE_REPLY_NONCE + i] = nonce[i];
    this.#xseal(out, COOKIE_REPLY_COOKIE, this.#sealingKey, nonce, this.#cookie, this.#mac1);
    wipe(this.#cookie);
  }

  /** A new secret when the last is COOKIE_REFRESH_TIME old; that one is honoured a turn longer. */
  #turnOver(now: number): void {
    if (now - this.#secret.bornAt < COOKIE_REFRESH_TIME_MS) return;
    const oldest = this.#previousSecret;
    this.#previousSecret = this.#secret;
    this.#random(this.#newSecret);
    oldest.key.set(this.#newSecret);
    wipe(this.#newSecret);
    oldest.bornAt = now;
    this.#secret = oldest;
  }

  #isMadeWith(
    secret: CookieSecret,
    message: Uint8Array,
    now: number,
    remoteId: Uint8Array,
  ): boolean {
    if (now - secret.bornAt >= SECRET_HONOURED_MS) return false;
    const at = message.length - MAC2_FROM_END;
    secret.key.into(this.#cookie, remoteId, remoteId.length);
    this.#mac2Key.set(this.#cookie);
    this.#mac2Key.into(this.#expected, message, at);
    this.#mac2Key.wipe();
    wipe(this.#cookie);
    return matches(this.#expected, message, at);
  }
}

/** Authenticates what we send to one peer. */
export class CookieMaker {
  readonly #mac1Key: Uint8Array;
  readonly #cookieKey: Uint8Array;
  readonly #cookie = new Uint8Array(MAC_BYTES);
  #cookieReceivedAt = Number.NEGATIVE_INFINITY;
  /** mac1 of the message we sent last; a cookie reply answers one message, and only once. */
  readonly #lastMac1 = new Uint8Array(MAC_BYTES);
  #awaitsReply = false;

  /** `remoteStatic`: the peer's public key, 32 bytes, not kept. */
  constructor(remoteStatic: Uint8Array) {
    this.#mac1Key = hash(LABEL_MAC1, remoteStatic);
    this.#cookieKey = hash(LABEL_COOKIE, remoteStatic);
  }

  /**
   * Writes mac1 and mac2, the last 32 bytes of an initiation or response whose other fields are
   * complete. mac2 is zero unless the peer gave us a cookie lately. `now`: monotonic ms.
   */
  addMacs(message: Uint8Array, now: number): void {
    const mac1At = message.length - MAC1_FROM_END;
    const mac2At = message.length - MAC2_FROM_END;
    macInto(this.#lastMac1, this.#mac1Key, message.subarray(0, mac1At));
    this.#awaitsReply = true;
    message.set(this.#lastMac1, mac1At);
    if (now - this.#cookieReceivedAt < COOKIE_REFRESH_TIME_MS - COOKIE_SECRET_LATENCY_MS)
      message.set(mac(this.#cookie, message.subarray(0, mac2At)), mac2At);
    else message.fill(0, mac2At);
  }

  /**
   * Takes the cookie out of a 64-byte reply; it goes with the next message. False when the reply
   * does not decrypt or answers nothing that we sent last.
   */
  consumeReply(message: Uint8Array, now: number): boolean {
    if (!this.#awaitsReply) return false;
    const nonce = message.subarray(COOKIE_REPLY_NONCE, COOKIE_REPLY_COOKIE);
    const encrypted = message.subarray(COOKIE_REPLY_COOKIE);
    const cookie = xopenAead(this.#cookieKey, nonce, encrypted, this.#lastMac1);
    if (cookie === null) return false;
    this.#cookie.set(cookie);
    wipe(cookie);
    this.#cookieReceivedAt = now;
    this.#awaitsReply = false;
    return true;
  }
}

/** Constant time: whether the MAC stands in the message at `at`. Makes no view of it to compare. */
function matches(expected: Uint8Array, message: Uint8Array, at: number): boolean {
  let difference = 0;
  for (let i = 0; i < MAC_BYTES; i++) difference |= expected[i] ^ message[at + i];
  return difference === 0;
}

function isZeroFrom(message: Uint8Array, at: number): boolean {
  for (let i = at; i < message.length; i++) if (message[i] !== 0) return false;
  return true;
}
