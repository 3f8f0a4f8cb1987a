/**
 * Noise's SymmetricState as WireGuard uses it (noiseprotocol.org 5.2, whitepaper 5.4): what it consists
 * of and what its steps are. The state is the caller's; no step keeps anything of it.
 */

// The state: the chaining key, the hash of all that was said, and the key of the field that comes next,
// which is good for one, with nonce 0. The whitepaper writes C, H and kappa.
export const CHAINING_KEY_AT = 0;
export const HASH_AT = 32;
export const FIELD_KEY_AT = 64;
export const STATE_BYTES = 96;

/** The longest plaintext of a field. */
export const FIELD_BYTES_MAX = 48;

/** Inputs are borrowed for the call; keys and secrets are 32 bytes. `state`: STATE_BYTES. */
export interface Symmetric {
  /** MixHash of what is said in clear: 32 bytes. */
  mixHash(state: Uint8Array, data: Uint8Array): void;
  /** `e`: MixHash and MixKey, without a key for a field (Noise 9.2). */
  mixEphemeral(state: Uint8Array, publicKey: Uint8Array): void;
  /** MixKey, after which nothing is encrypted before the next one. */
  mixSecret(state: Uint8Array, secret: Uint8Array): void;
  /** MixKey, with the key of the field that follows. */
  mixSecretAndKey(state: Uint8Array, secret: Uint8Array): void;
  /** `psk`: MixKeyAndHash. */
  mixPresharedKey(state: Uint8Array, presharedKey: Uint8Array): void;
  /** EncryptAndHash into `out` at `offset`: TAG_BYTES more than `plaintext`. */
  seal(state: Uint8Array, out: Uint8Array, offset: number, plaintext: Uint8Array): void;
  /**
   * DecryptAndHash of `length` bytes with their authenticator, which begin at `offset` of `message`,
   * into a new array, the caller's to wipe; null, and nothing mixed, when it is forged.
   */
  open(state: Uint8Array, message: Uint8Array, offset: number, length: number): Uint8Array | null;
  /**
   * Split: what the initiator sends under into the first 32 bytes of `out`, what it receives under into
   * the next.
   */
  split(state: Uint8Array, out: Uint8Array): void;
}
