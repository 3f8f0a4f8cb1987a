/**
 * The first half of the responder's reading of a handshake: who is it? Before that is known there is
 * no peer whose Handshake could continue with it.
 */

import { type CryptoSuite, KEY_BYTES } from '../crypto/suite.ts';
import type { Identity } from './identity.ts';
import {
  INITIATION_EPHEMERAL,
  INITIATION_MAC1,
  INITIATION_SENDER,
  INITIATION_STATIC,
  INITIATION_TIMESTAMP,
  readUint32,
} from './messages.ts';
import { agree, Transcript } from './transcript.ts';

/**
 * An initiation read as far as one can without knowing its sender: enough to learn who that claims
 * to be. It proves nothing before `consumeInitiation` of that peer's Handshake has said so.
 */
export class OpenedInitiation {
  /** 32 bytes; stays when the rest is wiped. */
  readonly remoteStatic: Uint8Array;
  readonly remoteEphemeral: Uint8Array;
  readonly senderIndex: number;
  readonly encryptedTimestamp: Uint8Array;
  readonly transcript: Transcript;

  constructor(message: Uint8Array, remoteStatic: Uint8Array, transcript: Transcript) {
    this.remoteStatic = remoteStatic;
    this.remoteEphemeral = message.slice(INITIATION_EPHEMERAL, INITIATION_STATIC);
    this.senderIndex = readUint32(message, INITIATION_SENDER);
    this.encryptedTimestamp = message.slice(INITIATION_TIMESTAMP, INITIATION_MAC1);
    this.transcript = transcript;
  }

  /** Call when no peer has this static key; `consumeInitiation` does it itself. */
  wipe(): void {
    this.transcript.wipe();
  }
}

/**
 * Null when it does not decrypt or the ephemeral key is degenerate. `message`: 148 bytes, borrowed,
 * classified as an initiation, mac1 verified.
 */
export function openInitiation(
  suite: CryptoSuite,
  identity: Identity,
  message: Uint8Array,
): OpenedInitiation | null {
  const transcript = Transcript.begin(identity.publicKey);
  const remoteEphemeral = message.slice(INITIATION_EPHEMERAL, INITIATION_STATIC);
  // e
  transcript.mixEphemeral(remoteEphemeral);
  // es
  if (agree(suite, identity.privateKey, remoteEphemeral, transcript, true)) {
    // s
    const remoteStatic = transcript.open(message, INITIATION_STATIC, KEY_BYTES);
    if (remoteStatic !== null) return new OpenedInitiation(message, remoteStatic, transcript);
  }
  transcript.wipe();
  return null;
}
