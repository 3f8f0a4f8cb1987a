/**
 * What the protocol needs of the primitives whose implementation is chosen at start: Node's own
 * OpenSSL where it is there and agrees with the portable one, @noble everywhere else.
 *
 * BLAKE2s and HMAC (blake2s.ts) and the AEAD of handshake messages (aead.ts) are not here: those are
 * the same everywhere.
 */

/** A key of any primitive, secret or public, what two of them agree on, and a BLAKE2s hash. */
export const KEY_BYTES = 32;
/** The authenticator that ends everything sealed (RFC 8439). */
export const TAG_BYTES = 16;
/** XChaCha20-Poly1305's nonce, which may be random. */
export const XNONCE_BYTES = 24;

/** Seals packets of the arena in place with one key. Owns its copy of the key until `wipe`. */
export interface Sealer {
  /**
   * Encrypts `length` bytes at `offset` in place and writes the 16-byte authenticator after
   * them. ChaCha20-Poly1305 with an empty AAD; the nonce is 32 zero bits and the 64-bit
   * little-endian `counter` (whitepaper 5.4.6, RFC 8439 2.8).
   */
  seal(offset: number, length: number, counter: number): void;
  /** Copies the key to `out`, 32 bytes, which are the caller's to wipe: for a daemon's successor. */
  copyKey(out: Uint8Array): void;
  /** Erases the key. Any later `seal` is a bug and throws. */
  wipe(): void;
}

/** Opens packets of the arena in place with one key. Owns its copy of the key until `wipe`. */
export interface Opener {
  /**
   * Decrypts `length` bytes at `offset` in place; the authenticator stands after them, and may be
   * gone afterwards. Returns false, and leaves unspecified bytes there, when it does not match.
   */
  open(offset: number, length: number, counter: number): boolean;
  /** As a Sealer's. */
  copyKey(out: Uint8Array): void;
  /** Erases the key. Any later `open` is a bug and throws. */
  wipe(): void;
}

/** The longest plaintext and AAD that every suite's `xseal` takes. */
export const XSEAL_BYTES_MAX = 128;
export const XSEAL_AAD_BYTES_MAX = 32;

export interface CryptoSuite {
  readonly name: 'openssl' | 'portable';
  /** `key`: 32 bytes, copied; the caller may wipe its own. */
  createSealer(key: Uint8Array): Sealer;
  createOpener(key: Uint8Array): Opener;
  /**
   * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), for cookie replies: writes ciphertext and
   * authenticator, 16 bytes more than `plaintext`, into `out` at `offset`. `key`: 32 bytes, `nonce`:
   * 24, `plaintext`: up to XSEAL_BYTES_MAX, `aad`: up to XSEAL_AAD_BYTES_MAX; all are borrowed.
   */
  xseal(
    out: Uint8Array,
    offset: number,
    key: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array,
  ): void;
  /**
   * X25519 (RFC 7748). `out`, `privateKey`, `publicKey`: 32 bytes each. Returns false, with `out`
   * zeroed, when the shared secret is all zero (a point of small order), which Noise must refuse.
   */
  sharedSecret(out: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): boolean;
  /** The public key of a 32-byte private key; a new array of 32 bytes. */
  publicKey(privateKey: Uint8Array): Uint8Array;
}
