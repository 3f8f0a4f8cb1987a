/**
 * The AEADs of handshake messages, @noble's: ChaCha20-Poly1305 under a counter (whitepaper 5.4, RFC
 * 8439) and XChaCha20-Poly1305 under a random nonce for cookie replies (whitepaper 5.4.7,
 * draft-irtf-cfrg-xchacha-03), which a suite may seal faster. Transport data has its own path, in
 * place: see suite.ts.
 *
 * Inputs are borrowed for the call; results are new arrays. Keys are 32 bytes.
 */

import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { KEY_BYTES, TAG_BYTES } from './suite.ts';

/** A cipher of @noble's, ready for one message. */
type Cipher = ReturnType<typeof chacha20poly1305>;

/** Ciphertext and authenticator: 16 bytes longer than `plaintext`. */
export function sealAead(
  key: Uint8Array,
  counter: number,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  return cipher(key, counter, aad).encrypt(plaintext);
}

/** The plaintext, 16 bytes shorter than `ciphertext`; null when it was not sealed like this. */
export function openAead(
  key: Uint8Array,
  counter: number,
  ciphertext: Uint8Array,
  aad: Uint8Array,
): Uint8Array | null {
  return open(cipher(key, counter, aad), ciphertext);
}

/** As `sealAead`, with a nonce of 24 bytes, which may be random. */
export function xsealAead(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  return xcipher(key, nonce, aad).encrypt(plaintext);
}

/** `xsealAead` into `out` at `offset`. */
export function xsealInto(
  out: Uint8Array,
  offset: number,
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): void {
  out.set(xsealAead(key, nonce, plaintext, aad), offset);
}

/** As `openAead`, with a nonce of 24 bytes. */
export function xopenAead(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  aad: Uint8Array,
): Uint8Array | null {
  return open(xcipher(key, nonce, aad), ciphertext);
}

/** 32 zero bits and the counter in 64 bits, little-endian (whitepaper 5.4). */
export function counterNonce(counter: number): Uint8Array {
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  view.setUint32(4, counter >>> 0, true);
  view.setUint32(8, counter / 0x1_0000_0000, true);
  return nonce;
}

function cipher(key: Uint8Array, counter: number, aad: Uint8Array): Cipher {
  checkKey(key);
  return chacha20poly1305(key, counterNonce(counter), aad);
}

/** Throws for a nonce of another length. */
function xcipher(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array): Cipher {
  checkKey(key);
  return xchacha20poly1305(key, nonce, aad);
}

/** @noble looks at the key's length no earlier than when it works, where it would pass for a forgery. */
function checkKey(key: Uint8Array): void {
  if (key.length !== KEY_BYTES) throw new Error(`AEAD: key of ${key.length} bytes`);
}

/** Key and nonce are of the right length here, so all that is left to throw is a forgery. */
function open(cipher: Cipher, ciphertext: Uint8Array): Uint8Array | null {
  if (ciphertext.length < TAG_BYTES) return null;
  try {
    return cipher.decrypt(ciphertext);
  } catch {
    return null;
  }
}
