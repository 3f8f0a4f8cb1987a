/**
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) for short inputs, put together from the same private
 * halves of OpenSSL as chachapoly.ts, and to be trusted on the same terms. It owns the memory it
 * works in; it knows no cookie.
 *
 * HChaCha20, which OpenSSL does not export, is had from a block of key stream: ChaCha20 ends by
 * adding the words it began with to what its rounds made of them, and HChaCha20 is eight words of
 * the latter. The block's counter and nonce are 16 bytes, as many as HChaCha20's own.
 */

import { Scratch } from '../../sys/libc.ts';
import { checkKey } from '../misuse.ts';
import {
  type CryptoSuite,
  TAG_BYTES,
  XNONCE_BYTES,
  XSEAL_AAD_BYTES_MAX,
  XSEAL_BYTES_MAX,
} from '../suite.ts';
import { bindChaChaPoly } from './chachapoly.ts';

const CHACHA_BLOCK_BYTES = 64;

// Offsets in the work memory, which is zero between calls; the Poly1305 state follows. Block 0 of the
// key stream goes before the text, for its first 32 bytes are the Poly1305 key (RFC 8439 2.6). The AAD
// is put over its others, which nothing needs, so that it stands right before the ciphertext, as
// Poly1305 wants it.
const KEY = 0;
const HNONCE = 32;
const SUBKEY = 48;
const COUNTER = 80;
const ZEROS = 96;
const TEXT = ZEROS + CHACHA_BLOCK_BYTES;
const STREAM = TEXT + XSEAL_BYTES_MAX;
const SEALED = STREAM + CHACHA_BLOCK_BYTES;
const TAG = SEALED + XSEAL_BYTES_MAX + TAG_BYTES;
const POLY_STATE = TAG + TAG_BYTES;

/** RFC 8439 2.3: "expand 32-byte k", the first four words of a block. */
const CONSTANTS = Int32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);

let made: CryptoSuite['xseal'] | null | undefined;

/**
 * null where the functions are not exported. The same one for all, the self-test included: a second
 * closure would keep the optimizer from calling straight (see bindAll).
 */
export function createXseal(): CryptoSuite['xseal'] | null {
  if (made === undefined) made = makeXseal();
  return made;
}

function makeXseal(): CryptoSuite['xseal'] | null {
  const native = bindChaChaPoly();
  if (native === null) return null;
  const { address, bytes, words } = new Scratch(POLY_STATE + native.Poly1305_ctx_size());

  /** HChaCha20 of the key and the nonce's first 16 bytes (draft 2.2). */
  function deriveSubkey(): void {
    native!.ChaCha20_ctr32(
      address + STREAM,
      address + ZEROS,
      CHACHA_BLOCK_BYTES,
      address + KEY,
      address + HNONCE,
    );
    for (let i = 0; i < 4; i++) {
      words[(SUBKEY >> 2) + i] = words[(STREAM >> 2) + i] - CONSTANTS[i];
      words[(SUBKEY >> 2) + 4 + i] = words[(STREAM >> 2) + 12 + i] - words[(HNONCE >> 2) + i];
    }
  }

  /** Of the ciphertext of `length` bytes with its AAD (RFC 8439 2.8). */
  function authenticate(length: number, aad: Uint8Array): void {
    const aadAt = SEALED - padded(aad.length);
    for (let i = aadAt; i < SEALED; i++) bytes[i] = 0;
    copy(bytes, aadAt, aad, 0, aad.length);
    const lengthsAt = SEALED + padded(length);
    words[lengthsAt >> 2] = aad.length;
    words[(lengthsAt + 8) >> 2] = length;
    const authenticated = lengthsAt + TAG_BYTES - aadAt;
    native!.Poly1305_Init(address + POLY_STATE, address + STREAM);
    native!.Poly1305_Update(address + POLY_STATE, address + aadAt, authenticated);
    native!.Poly1305_Final(address + POLY_STATE, address + TAG);
  }

  return (out, offset, key, nonce, plaintext, aad) => {
    const { length } = plaintext;
    checkInputs(key, nonce, length, aad.length);
    if (!(offset >= 0 && offset + length + TAG_BYTES <= out.length)) {
      throw new Error(`xseal: ${length} bytes at ${offset} of ${out.length}`);
    }
    copy(bytes, KEY, key, 0, key.length);
    copy(bytes, HNONCE, nonce, 0, 16);
    deriveSubkey();
    // Block 0, then a nonce of 32 zero bits and the rest of the 24 bytes (draft 2.3).
    copy(bytes, COUNTER + 8, nonce, 16, 8);
    copy(bytes, TEXT, plaintext, 0, length);
    native.ChaCha20_ctr32(
      address + STREAM,
      address + ZEROS,
      CHACHA_BLOCK_BYTES + length,
      address + SUBKEY,
      address + COUNTER,
    );
    authenticate(length, aad);
    copy(out, offset, bytes, SEALED, length);
    copy(out, offset + length, bytes, TAG, TAG_BYTES);
    // OpenSSL has erased its own state.
    for (let i = 0; i < POLY_STATE >> 2; i++) words[i] = 0;
  };
}

/** Native code reads and writes what it is told to, so wrong lengths must not get that far. */
function checkInputs(key: Uint8Array, nonce: Uint8Array, length: number, aadLength: number): void {
  checkKey(key);
  if (nonce.length !== XNONCE_BYTES) throw new Error(`xseal: nonce of ${nonce.length} bytes`);
  if (length > XSEAL_BYTES_MAX || aadLength > XSEAL_AAD_BYTES_MAX) {
    throw new Error(`xseal: ${length} bytes with ${aadLength} of AAD`);
  }
}

const padded = (length: number) => (length + 15) & -16;

/** A call of `set` costs more than so few bytes, and most would take a view of them. */
function copy(
  to: Uint8Array,
  toAt: number,
  from: Uint8Array,
  fromAt: number,
  length: number,
): void {
  for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i];
}
