/**
 * The two keys of one session and the limits on their use (whitepaper 5.4.6, 6.1, 6.2). Owns the
 * keys' lives; knows neither whose session it is nor whether it has been confirmed: that is its
 * place among the peer's previous, current and next one (device/session.ts).
 */

import type { Opener, Sealer } from '../crypto/suite.ts';
import {
  KEEPALIVE_TIMEOUT_MS,
  REJECT_AFTER_MESSAGES,
  REJECT_AFTER_TIME_MS,
  REKEY_AFTER_MESSAGES,
  REKEY_AFTER_TIME_MS,
  REKEY_TIMEOUT_MS,
} from './constants.ts';
import { ReplayWindow } from './replay.ts';

/**
 * The age at which receiving makes an initiator begin again: a keepalive and one attempt still fit
 * in before the session is refused (whitepaper 6.2).
 */
const REKEY_ON_RECEIVE_AFTER_MS = REJECT_AFTER_TIME_MS - KEEPALIVE_TIMEOUT_MS - REKEY_TIMEOUT_MS;

export interface KeypairOptions {
  /** The index under which we receive, and the one the peer wants on what we send. */
  readonly localIndex: number;
  readonly remoteIndex: number;
  /** Whether we began the handshake: only that side renews by time, so that they do not collide. */
  readonly isInitiator: boolean;
  /** Monotonic ms. */
  readonly createdAt: number;
  /** Both become the Keypair's, which wipes them. */
  readonly sealer: Sealer;
  readonly opener: Opener;
  /** Of a session that was begun in another process: what it has seen, and its next counter. */
  readonly continued?: { readonly replay: ReplayWindow; readonly sendCounter: number };
}

export class Keypair {
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly isInitiator: boolean;
  readonly createdAt: number;
  readonly sealer: Sealer;
  readonly opener: Opener;
  readonly replay: ReplayWindow;
  /** The counter of the next packet we send. The sealer takes it and adds one, never less. */
  sendCounter: number;
  #isWiped = false;

  constructor(options: KeypairOptions) {
    this.localIndex = options.localIndex;
    this.remoteIndex = options.remoteIndex;
    this.isInitiator = options.isInitiator;
    this.createdAt = options.createdAt;
    this.sealer = options.sealer;
    this.opener = options.opener;
    this.replay = options.continued?.replay ?? new ReplayWindow();
    this.sendCounter = options.continued?.sendCounter ?? 0;
  }

  /** Whether one more packet may be sealed: REJECT_AFTER_TIME, REJECT_AFTER_MESSAGES. */
  canSend(now: number): boolean {
    return (
      !this.#isWiped &&
      now - this.createdAt < REJECT_AFTER_TIME_MS &&
      this.sendCounter < REJECT_AFTER_MESSAGES
    );
  }

  /** Whether `count` packets may be sealed of which none makes us begin again (mustRekeyOnSend). */
  canSendRun(now: number, count: number): boolean {
    return (
      this.canSend(now) &&
      !this.mustRekeyOnSend(now) &&
      this.sendCounter + count < REKEY_AFTER_MESSAGES
    );
  }

  /** Ask before opening a packet with this counter: REJECT_AFTER_TIME, REJECT_AFTER_MESSAGES. */
  canReceive(now: number, counter: number): boolean {
    return (
      !this.#isWiped &&
      now - this.createdAt < REJECT_AFTER_TIME_MS &&
      counter < REJECT_AFTER_MESSAGES
    );
  }

  /**
   * Ask after sending: REKEY_AFTER_TIME for the initiator, REKEY_AFTER_MESSAGES for both. True for
   * every later packet as well; the caller keeps REKEY_TIMEOUT between its initiations.
   */
  mustRekeyOnSend(now: number): boolean {
    return (
      this.sendCounter >= REKEY_AFTER_MESSAGES ||
      (this.isInitiator && now - this.createdAt >= REKEY_AFTER_TIME_MS)
    );
  }

  /** Ask after receiving: the initiator renews a session that is about to be refused. */
  mustRekeyOnReceive(now: number): boolean {
    return this.isInitiator && now - this.createdAt >= REKEY_ON_RECEIVE_AFTER_MS;
  }

  get isWiped(): boolean {
    return this.#isWiped;
  }

  /** Erases both keys, for good. Any number of times. */
  wipe(): void {
    if (this.#isWiped) return;
    this.#isWiped = true;
    this.sealer.wipe();
    this.opener.wipe();
  }
}
