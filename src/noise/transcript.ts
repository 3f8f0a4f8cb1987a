/**
 * What both sides of a handshake hold in common as it proceeds: the chaining key, the hash of all
 * that was said, and the key of the field that comes next. Noise calls it SymmetricState
 * (noiseprotocol.org, 5.2); the whitepaper writes C, H and kappa (5.4). Owns these secrets, which
 * crypto/symmetric computes; knows no message layout, no order of tokens and no peer.
 */

import { hash } from '../crypto/blake2s.ts';
import { secretBytes, wipe } from '../crypto/bytes.ts';
import { type CryptoSuite, KEY_BYTES } from '../crypto/suite.ts';
import { symmetric } from '../crypto/symmetric/choice.ts';
import { CHAINING_KEY_AT, HASH_AT, STATE_BYTES } from '../crypto/symmetric/symmetric.ts';

const encoder = new TextEncoder();
const EMPTY = new Uint8Array(0);

/** The Construction: Noise's protocol name, hashed because it is longer than a hash. */
const INITIAL_CHAINING_KEY = hash(encoder.encode('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'));
/** The Identifier is Noise's prologue. */
const INITIAL_HASH = hash(
  INITIAL_CHAINING_KEY,
  encoder.encode('WireGuard v1 zx2c4 Jason@zx2c4.com'),
);

/** Memory of transcripts that were wiped: a responder needs three for each handshake, and briefly. */
const free: Uint8Array[] = [];

export class Transcript {
  /** null once it is wiped: then somebody else has it. */
  #memory: Uint8Array | null = free.pop() ?? secretBytes(STATE_BYTES);

  /** The beginning, for a handshake with this responder. Pre-message `<- s`. */
  static begin(responderStatic: Uint8Array): Transcript {
    const transcript = new Transcript();
    const state = transcript.#state();
    state.set(INITIAL_CHAINING_KEY, CHAINING_KEY_AT);
    state.set(INITIAL_HASH, HASH_AT);
    symmetric().mixHash(state, responderStatic);
    return transcript;
  }

  /** An independent copy, to compute on until the last check has passed. */
  copy(): Transcript {
    const transcript = new Transcript();
    transcript.#state().set(this.#state());
    return transcript;
  }

  /** `e`: an ephemeral public key, which a psk handshake mixes into the key as well (Noise 9.2). */
  mixEphemeral(publicKey: Uint8Array): void {
    symmetric().mixEphemeral(this.#state(), publicKey);
  }

  /** A shared secret after which nothing is encrypted before the next one is mixed in. */
  mixSecret(secret: Uint8Array): void {
    symmetric().mixSecret(this.#state(), secret);
  }

  /** A shared secret, and the key of the field that follows it. */
  mixSecretAndKey(secret: Uint8Array): void {
    symmetric().mixSecretAndKey(this.#state(), secret);
  }

  /** `psk` (Noise 9.2, whitepaper 5.4.3). 32 bytes, all zero when there is none. */
  mixPresharedKey(presharedKey: Uint8Array): void {
    symmetric().mixPresharedKey(this.#state(), presharedKey);
  }

  /** Encrypts the next field into `out` at `offset`; it takes 16 bytes more than `plaintext`. */
  seal(out: Uint8Array, offset: number, plaintext: Uint8Array = EMPTY): void {
    symmetric().seal(this.#state(), out, offset, plaintext);
  }

  /**
   * Decrypts the next field, of `length` bytes with 16 more at `offset` of the message, into a new array,
   * the caller's to wipe; null when it is forged.
   */
  open(message: Uint8Array, offset: number, length: number): Uint8Array | null {
    return symmetric().open(this.#state(), message, offset, length);
  }

  /** The session's two keys: what the initiator sends under and what it receives under. */
  split(): [initiatorSends: Uint8Array, initiatorReceives: Uint8Array] {
    const keys = secretBytes(2 * KEY_BYTES);
    symmetric().split(this.#state(), keys);
    return [keys.subarray(0, KEY_BYTES), keys.subarray(KEY_BYTES)];
  }

  /** Any number of times; whatever else is asked of it afterwards is a bug, and throws. */
  wipe(): void {
    const memory = this.#memory;
    if (memory === null) return;
    this.#memory = null;
    wipe(memory);
    free.push(memory);
  }

  #state(): Uint8Array {
    if (this.#memory === null) throw new Error('transcript: used after wipe');
    return this.#memory;
  }
}

/** Where a secret is between its computation and its mixing; zero at any other time. */
const shared = secretBytes(KEY_BYTES);

/**
 * One Diffie-Hellman token, mixed into the transcript, with the key of a field that follows or without:
 * false, and nothing mixed, when the shared secret is degenerate, which Noise must refuse.
 */
export function agree(
  suite: CryptoSuite,
  privateKey: Uint8Array,
  publicKey: Uint8Array,
  transcript: Transcript,
  isFieldNext: boolean,
): boolean {
  const isSound = suite.sharedSecret(shared, privateKey, publicKey);
  if (isSound && isFieldNext) transcript.mixSecretAndKey(shared);
  else if (isSound) transcript.mixSecret(shared);
  wipe(shared);
  return isSound;
}
