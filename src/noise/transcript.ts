/**
 * What both sides of a handshake hold in common as it proceeds: the chaining key, the hash of all
 * that was said, and the key of the field that comes next. Noise calls it SymmetricState
 * (noiseprotocol.org, 5.2); the whitepaper writes C, H and kappa (5.4). Owns these secrets; knows
 * no message layout, no order of tokens and no peer.
 */

import { openAead, sealAead } from '../crypto/aead.ts';
import { hash, hashInto, kdf1, kdf2, kdf3 } from '../crypto/blake2s.ts';
import { secretBytes, wipe } from '../crypto/bytes.ts';
import { type CryptoSuite, KEY_BYTES } from '../crypto/suite.ts';

const encoder = new TextEncoder();
const EMPTY = new Uint8Array(0);

/** The Construction: Noise's protocol name, hashed because it is longer than a hash. */
const INITIAL_CHAINING_KEY = hash(encoder.encode('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'));
/** The Identifier is Noise's prologue. */
const INITIAL_HASH = hash(
  INITIAL_CHAINING_KEY,
  encoder.encode('WireGuard v1 zx2c4 Jason@zx2c4.com'),
);

export class Transcript {
  readonly #memory = secretBytes(3 * KEY_BYTES);
  readonly #chainingKey = this.#memory.subarray(0, KEY_BYTES);
  readonly #hash = this.#memory.subarray(KEY_BYTES, 2 * KEY_BYTES);
  /** Good for one field: every key is used once, with nonce 0. */
  readonly #key = this.#memory.subarray(2 * KEY_BYTES);

  /** The beginning, for a handshake with this responder. Pre-message `<- s`. */
  static begin(responderStatic: Uint8Array): Transcript {
    const transcript = new Transcript();
    transcript.#chainingKey.set(INITIAL_CHAINING_KEY);
    transcript.#hash.set(INITIAL_HASH);
    transcript.#mixHash(responderStatic);
    return transcript;
  }

  /** An independent copy, to compute on until the last check has passed. */
  copy(): Transcript {
    const transcript = new Transcript();
    transcript.#memory.set(this.#memory);
    return transcript;
  }

  /** `e`: an ephemeral public key, which a psk handshake mixes into the key as well (Noise 9.2). */
  mixEphemeral(publicKey: Uint8Array): void {
    this.#mixHash(publicKey);
    this.mixSecret(publicKey);
  }

  /** A shared secret after which nothing is encrypted before the next one is mixed in. */
  mixSecret(secret: Uint8Array): void {
    const chainingKey = kdf1(this.#chainingKey, secret);
    this.#chainingKey.set(chainingKey);
    wipe(chainingKey);
  }

  /** A shared secret, and the key of the field that follows it. */
  mixSecretAndKey(secret: Uint8Array): void {
    const [chainingKey, key] = kdf2(this.#chainingKey, secret);
    this.#chainingKey.set(chainingKey);
    this.#key.set(key);
    wipe(chainingKey, key);
  }

  /** `psk` (Noise 9.2, whitepaper 5.4.3). 32 bytes, all zero when there is none. */
  mixPresharedKey(presharedKey: Uint8Array): void {
    const [chainingKey, tau, key] = kdf3(this.#chainingKey, presharedKey);
    this.#chainingKey.set(chainingKey);
    this.#mixHash(tau);
    this.#key.set(key);
    wipe(chainingKey, tau, key);
  }

  /** Encrypts the next field into `out` at `offset`; it takes 16 bytes more than `plaintext`. */
  seal(out: Uint8Array, offset: number, plaintext: Uint8Array = EMPTY): void {
    const ciphertext = sealAead(this.#key, 0, plaintext, this.#hash);
    out.set(ciphertext, offset);
    this.#mixHash(ciphertext);
  }

  /** Decrypts the next field into a new array, the caller's to wipe; null when it is forged. */
  open(ciphertext: Uint8Array): Uint8Array | null {
    const plaintext = openAead(this.#key, 0, ciphertext, this.#hash);
    if (plaintext === null) return null;
    this.#mixHash(ciphertext);
    return plaintext;
  }

  /** The session's two keys: what the initiator sends under and what it receives under. */
  split(): [initiatorSends: Uint8Array, initiatorReceives: Uint8Array] {
    return kdf2(this.#chainingKey, EMPTY);
  }

  wipe(): void {
    wipe(this.#memory);
  }

  #mixHash(data: Uint8Array): void {
    hashInto(this.#hash, this.#hash, data);
  }
}

/**
 * One Diffie-Hellman token, for a transcript to `mix`: false, and nothing mixed, when the shared
 * secret is degenerate, which Noise must refuse.
 */
export function agree(
  suite: CryptoSuite,
  privateKey: Uint8Array,
  publicKey: Uint8Array,
  mix: (secret: Uint8Array) => void,
): boolean {
  const secret = secretBytes(KEY_BYTES);
  const isSound = suite.sharedSecret(secret, privateKey, publicKey);
  if (isSound) mix(secret);
  wipe(secret);
  return isSound;
}
