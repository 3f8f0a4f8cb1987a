/**
 * The handshake with one peer, in both roles. Owns its ephemeral secrets from the first message to
 * the session's keys; knows no table of peers, no clock and no source of randomness. The MACs
 * after the messages are cookie.ts's, their layout is messages.ts's.
 *
 *   Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, prologue "WireGuard v1 zx2c4 Jason@zx2c4.com"
 *
 *     <- s                              the initiator knows the responder's static key
 *     ...
 *     -> e, es, s, ss, {t}              createInitiation | openInitiation, consumeInitiation
 *     <- e, ee, se, psk, {}             createResponse   | consumeResponse
 *
 * {t} is the timestamp and {} the empty payload; each step below carries its token. Then
 * beginSession gives the keys, and nothing of the handshake is left.
 *
 * Messages are hostile: they get a verdict, and until the last check has passed nothing that was
 * here before has changed.
 */

import {
  copySecret,
  equalConstantTime,
  isZero,
  ordinarySecrets,
  type SecretPlace,
  type SecretSource,
  secretBytes,
  wipe,
} from '../crypto/bytes.ts';
import { type CryptoSuite, KEY_BYTES } from '../crypto/suite.ts';
import { INITIATIONS_PER_SECOND } from './constants.ts';
import type { Identity } from './identity.ts';
import {
  INITIATION,
  INITIATION_EPHEMERAL,
  INITIATION_SENDER,
  INITIATION_STATIC,
  INITIATION_TIMESTAMP,
  RESPONSE,
  RESPONSE_EPHEMERAL,
  RESPONSE_NOTHING,
  RESPONSE_RECEIVER,
  RESPONSE_SENDER,
  readUint32,
  writeUint32,
} from './messages.ts';
import type { OpenedInitiation } from './openedinitiation.ts';
import { compareTimestamps, keepLaterThan, TIMESTAMP_BYTES, writeTimestamp } from './tai64n.ts';
import { agree, Transcript } from './transcript.ts';

/** Fills the array from a cryptographically secure source. */
export type Random = (out: Uint8Array) => void;

/** What a finished handshake yields. The keys are 32 bytes each and the receiver's to wipe. */
export interface Session {
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly isInitiator: boolean;
}

/** `flood`: authentic and new, but too soon after the last one. */
export type InitiationVerdict = 'ok' | 'bad' | 'replayed' | 'flood';
/** `unexpected`: we have no initiation in flight that this could answer. */
export type ResponseVerdict = 'ok' | 'unexpected' | 'bad';

/** Every state owns what is in it; `localIndex` is what the peer's answers are addressed to. */
type State =
  | { readonly kind: 'none'; readonly localIndex: 0 }
  | {
      readonly kind: 'createdInitiation';
      readonly localIndex: number;
      readonly ephemeralPrivate: Uint8Array;
      readonly transcript: Transcript;
    }
  | {
      readonly kind: 'consumedInitiation';
      /** That of our own initiation, which the peer's has overtaken; 0 when there was none. */
      readonly localIndex: number;
      readonly remoteIndex: number;
      readonly remoteEphemeral: Uint8Array;
      readonly transcript: Transcript;
    }
  | {
      readonly kind: 'finished';
      readonly localIndex: number;
      readonly remoteIndex: number;
      readonly isInitiator: boolean;
      readonly transcript: Transcript;
    };

/** A responder's ephemeral key, which is of one call of createResponse; zero at any other time. */
const answering = secretBytes(KEY_BYTES);

const NONE: State = { kind: 'none', localIndex: 0 };
/** Before the first. Never written to. */
const NO_TIMESTAMP = new Uint8Array(TIMESTAMP_BYTES);

/** The secrets of a handshake's whole life, in a place of their own. */
class Kept {
  readonly place: SecretPlace;
  /** ss never changes while both keys stay, so it is reckoned once. */
  readonly staticSecret: Uint8Array;
  /** All zero for none. */
  readonly presharedKey: Uint8Array;

  constructor(place: SecretPlace) {
    this.place = place;
    this.staticSecret = place.bytes.subarray(0, KEY_BYTES);
    this.presharedKey = place.bytes.subarray(KEY_BYTES, 2 * KEY_BYTES);
  }
}

const LEAST_INITIATION_INTERVAL_MS = 1_000 / INITIATIONS_PER_SECOND;

export class Handshake {
  readonly #suite: CryptoSuite;
  /** The peer's static public key, 32 bytes, borrowed. */
  readonly remoteStatic: Uint8Array;
  #identity: Identity | null = null;
  readonly #takeSecret: SecretSource;
  /** What is kept for life, once there is anything to keep: a peer that never speaks has nothing. */
  #kept: Kept | null = null;
  #isWiped = false;
  /** Whether ss has been reckoned, which is when it is first needed; and what came of that. */
  #isReckoned = false;
  #isUsable = false;
  #state: State = NONE;
  /** Greatest timestamp of an initiation consumed; no later one may be as old (whitepaper 5.1). */
  #latestTimestamp: Uint8Array = NO_TIMESTAMP;
  /** That of our last initiation: the next is later, whatever becomes of the wall clock. */
  #sentTimestamp: Uint8Array = NO_TIMESTAMP;
  #lastConsumedAt = Number.NEGATIVE_INFINITY;

  /** `remoteStatic`: 32 bytes, copied. `takeSecret`: for what is kept until `wipe`. */
  constructor(
    suite: CryptoSuite,
    identity: Identity | null,
    remoteStatic: Uint8Array,
    takeSecret: SecretSource = ordinarySecrets,
  ) {
    this.#suite = suite;
    this.remoteStatic = remoteStatic.slice();
    this.#takeSecret = takeSecret;
    this.#identity = identity;
  }

  /** Call when our own key changed; a handshake under way was the old key's, and is given up. */
  setIdentity(identity: Identity | null): void {
    if (this.#isWiped) throw new Error('handshake: used after wipe');
    this.clear();
    this.#identity = identity;
    if (this.#kept !== null) wipe(this.#kept.staticSecret);
    this.#isReckoned = false;
  }

  #keep(): Kept {
    this.#kept ??= new Kept(this.#takeSecret());
    return this.#kept;
  }

  /** 32 bytes, copied; all zero for none. It holds from the next response on, either way. */
  setPresharedKey(presharedKey: Uint8Array): void {
    if (this.#isWiped) throw new Error('handshake: used after wipe');
    if (this.#kept !== null || !isZero(presharedKey)) this.#keep().presharedKey.set(presharedKey);
  }

  /** A copy, 32 bytes, the caller's to wipe; null when there is none. */
  copyPresharedKey(): Uint8Array | null {
    return this.#presharedKey === null ? null : copySecret(this.#presharedKey);
  }

  get hasPresharedKey(): boolean {
    return this.#presharedKey !== null;
  }

  /** Copies it into `out`, 32 bytes, the caller's to wipe; false, and nothing done, when there is none. */
  readPresharedKey(out: Uint8Array): boolean {
    if (this.#presharedKey === null) return false;
    out.set(this.#presharedKey);
    return true;
  }

  get #presharedKey(): Uint8Array | null {
    return this.#kept === null || isZero(this.#kept.presharedKey) ? null : this.#kept.presharedKey;
  }

  /** False without a private key, or with a peer's key of small order: no handshake is possible. */
  get isUsable(): boolean {
    if (this.#identity === null) return false;
    if (!this.#isReckoned) {
      const { staticSecret } = this.#keep();
      this.#isUsable = this.#suite.sharedSecret(
        staticSecret,
        this.#identity.privateKey,
        this.remoteStatic,
      );
      this.#isReckoned = true;
    }
    return this.#isUsable;
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  /** The index last given to createInitiation or createResponse; 0 when no handshake is under way. */
  get localIndex(): number {
    return this.#state.localIndex;
  }

  /** A copy, 12 bytes, for whoever restarts us to carry over. All zero: none yet. */
  get latestTimestamp(): Uint8Array {
    return this.#latestTimestamp.slice();
  }

  /** Carries a timestamp over; an older one than we have is skipped. 12 bytes, copied. */
  set latestTimestamp(timestamp: Uint8Array) {
    if (compareTimestamps(timestamp, this.#latestTimestamp) > 0)
      this.#latestTimestamp = timestamp.slice();
  }

  /** A copy, 12 bytes, for whoever restarts us to carry over. All zero: none yet. */
  get sentTimestamp(): Uint8Array {
    return this.#sentTimestamp.slice();
  }

  /** Carries a timestamp over; an older one than we have is skipped. 12 bytes, copied. */
  set sentTimestamp(timestamp: Uint8Array) {
    if (compareTimestamps(timestamp, this.#sentTimestamp) > 0)
      this.#sentTimestamp = timestamp.slice();
  }

  /**
   * Writes the first 116 bytes of an initiation; the MACs after it are CookieMaker.addMacs'. False,
   * and nothing changed, when not usable. A handshake under way is given up, so release its
   * `localIndex` before. `localIndex`: not zero, and not the one of another handshake or session.
   */
  createInitiation(
    out: Uint8Array,
    localIndex: number,
    wallClockMs: number,
    random: Random,
  ): boolean {
    if (this.#identity === null || !this.isUsable) return false;
    const transcript = Transcript.begin(this.remoteStatic);
    const ephemeralPrivate = secretBytes(KEY_BYTES);
    random(ephemeralPrivate);
    // e
    const ephemeralPublic = this.#suite.publicKey(ephemeralPrivate);
    transcript.mixEphemeral(ephemeralPublic);
    // es
    if (!agree(this.#suite, ephemeralPrivate, this.remoteStatic, transcript, true)) {
      wipe(ephemeralPrivate);
      transcript.wipe();
      return false;
    }
    // s
    transcript.seal(out, INITIATION_STATIC, this.#identity.publicKey);
    // ss
    transcript.mixSecretAndKey(this.#keep().staticSecret);
    // {t}
    const timestamp = new Uint8Array(TIMESTAMP_BYTES);
    writeTimestamp(timestamp, wallClockMs);
    keepLaterThan(this.#sentTimestamp, timestamp);
    this.#sentTimestamp = timestamp;
    transcript.seal(out, INITIATION_TIMESTAMP, timestamp);

    writeUint32(out, 0, INITIATION);
    writeUint32(out, INITIATION_SENDER, localIndex);
    out.set(ephemeralPublic, INITIATION_EPHEMERAL);
    this.#become({ kind: 'createdInitiation', localIndex, ephemeralPrivate, transcript });
    return true;
  }

  /**
   * Second half of the responder's reading: is it them, and now? Spends `opened`, whose
   * `remoteStatic` must be this peer's. `now`: monotonic ms. After `ok` an initiation of our own is
   * given up, and createResponse is next.
   */
  consumeInitiation(opened: OpenedInitiation, now: number): InitiationVerdict {
    if (!equalConstantTime(opened.remoteStatic, this.remoteStatic))
      throw new Error('handshake: initiation of another peer');
    const transcript = opened.transcript.copy();
    opened.wipe();
    // ss
    if (this.isUsable) transcript.mixSecretAndKey(this.#keep().staticSecret);
    // {t}
    const timestamp = this.isUsable
      ? transcript.open(opened.encryptedTimestamp, 0, TIMESTAMP_BYTES)
      : null;
    const verdict = this.#judge(timestamp, now);
    if (timestamp === null || verdict !== 'ok') {
      transcript.wipe();
      return verdict;
    }

    this.#latestTimestamp = timestamp.slice();
    this.#lastConsumedAt = now;
    this.#become({
      kind: 'consumedInitiation',
      localIndex: this.#state.localIndex,
      remoteIndex: opened.senderIndex,
      remoteEphemeral: opened.remoteEphemeral,
      transcript,
    });
    return 'ok';
  }

  /**
   * Writes the first 60 bytes of the response to the initiation just consumed; the MACs after it
   * are CookieMaker.addMacs'. False, and nothing changed, when there is none. `localIndex`: a new
   * one; release the one the handshake had before. beginSession is next.
   */
  createResponse(out: Uint8Array, localIndex: number, random: Random): boolean {
    const state = this.#state;
    if (state.kind !== 'consumedInitiation') return false;
    const transcript = state.transcript.copy();
    const ephemeralPrivate = answering;
    random(ephemeralPrivate);
    // e
    const ephemeralPublic = this.#suite.publicKey(ephemeralPrivate);
    transcript.mixEphemeral(ephemeralPublic);
    const isSound =
      // ee
      agree(this.#suite, ephemeralPrivate, state.remoteEphemeral, transcript, false) &&
      // se
      agree(this.#suite, ephemeralPrivate, this.remoteStatic, transcript, false);
    wipe(ephemeralPrivate);
    if (!isSound) {
      transcript.wipe();
      return false;
    }
    // psk
    transcript.mixPresharedKey(this.#keep().presharedKey);
    // {}
    transcript.seal(out, RESPONSE_NOTHING);

    writeUint32(out, 0, RESPONSE);
    writeUint32(out, RESPONSE_SENDER, localIndex);
    writeUint32(out, RESPONSE_RECEIVER, state.remoteIndex);
    out.set(ephemeralPublic, RESPONSE_EPHEMERAL);
    const { remoteIndex } = state;
    this.#become({ kind: 'finished', localIndex, remoteIndex, isInitiator: false, transcript });
    return true;
  }

  /**
   * The initiator's reading. `message`: 92 bytes, borrowed, classified as a response, mac1
   * verified. After `ok` beginSession is next; otherwise the initiation stays in flight, since
   * anyone may have sent this.
   */
  consumeResponse(message: Uint8Array): ResponseVerdict {
    const state = this.#state;
    if (this.#identity === null || state.kind !== 'createdInitiation') return 'unexpected';
    if (readUint32(message, RESPONSE_RECEIVER) !== state.localIndex) return 'unexpected';
    const transcript = state.transcript.copy();
    const remoteEphemeral = message.slice(RESPONSE_EPHEMERAL, RESPONSE_NOTHING);
    // e
    transcript.mixEphemeral(remoteEphemeral);
    const isSound =
      // ee
      agree(this.#suite, state.ephemeralPrivate, remoteEphemeral, transcript, false) &&
      // se
      agree(this.#suite, this.#identity.privateKey, remoteEphemeral, transcript, false);
    // psk
    if (isSound) transcript.mixPresharedKey(this.#keep().presharedKey);
    // {}
    if (!isSound || transcript.open(message, RESPONSE_NOTHING, 0) === null) {
      transcript.wipe();
      return 'bad';
    }

    const { localIndex } = state;
    const remoteIndex = readUint32(message, RESPONSE_SENDER);
    this.#become({ kind: 'finished', localIndex, remoteIndex, isInitiator: true, transcript });
    return 'ok';
  }

  /** The session of a finished handshake, once; null when none is finished. Wipes the handshake. */
  beginSession(): Session | null {
    const state = this.#state;
    if (state.kind !== 'finished') return null;
    const { localIndex, remoteIndex, isInitiator } = state;
    const [initiatorSends, initiatorReceives] = state.transcript.split();
    this.clear();
    return {
      sendKey: isInitiator ? initiatorSends : initiatorReceives,
      receiveKey: isInitiator ? initiatorReceives : initiatorSends,
      localIndex,
      remoteIndex,
      isInitiator,
    };
  }

  /** Gives up a handshake under way and erases its secrets. Release its `localIndex` before. */
  clear(): void {
    this.#become(NONE);
  }

  /** Call when the peer is removed: erases what `clear` keeps, too. Of no use afterwards. */
  wipe(): void {
    this.setIdentity(null);
    this.#kept?.place.release();
    this.#kept = null;
    this.#isWiped = true;
  }

  /** `timestamp`: null when it did not decrypt. */
  #judge(timestamp: Uint8Array | null, now: number): InitiationVerdict {
    if (timestamp === null) return 'bad';
    if (compareTimestamps(timestamp, this.#latestTimestamp) <= 0) return 'replayed';
    if (now - this.#lastConsumedAt < LEAST_INITIATION_INTERVAL_MS) return 'flood';
    return 'ok';
  }

  /** The only place where the state changes: what the old one owned is erased. */
  #become(next: State): void {
    const old = this.#state;
    this.#state = next;
    if (old.kind === 'none') return;
    old.transcript.wipe();
    if (old.kind === 'createdInitiation') wipe(old.ephemeralPrivate);
  }
}
