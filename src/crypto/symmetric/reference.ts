/**
 * The steps in JavaScript, as they read in Noise: where WebAssembly has no SIMD, and what the steps in
 * WebAssembly are compared with.
 */

import { openAead, sealAead } from '../aead.ts';
import { hashInto, kdf1, kdf2, kdf3 } from '../blake2s.ts';
import { wipe } from '../bytes.ts';
import { KEY_BYTES, TAG_BYTES } from '../suite.ts';
import { CHAINING_KEY_AT, FIELD_KEY_AT, HASH_AT, type Symmetric } from './symmetric.ts';

const EMPTY = new Uint8Array(0);

export const referenceSymmetric: Symmetric = {
  mixHash(state, data) {
    const hash = hashOf(state);
    hashInto(hash, hash, data);
  },

  mixEphemeral(state, publicKey) {
    this.mixHash(state, publicKey);
    this.mixSecret(state, publicKey);
  },

  mixSecret(state, secret) {
    const chainingKey = kdf1(chainingKeyOf(state), secret);
    state.set(chainingKey, CHAINING_KEY_AT);
    wipe(chainingKey);
  },

  mixSecretAndKey(state, secret) {
    const [chainingKey, key] = kdf2(chainingKeyOf(state), secret);
    state.set(chainingKey, CHAINING_KEY_AT);
    state.set(key, FIELD_KEY_AT);
    wipe(chainingKey, key);
  },

  mixPresharedKey(state, presharedKey) {
    const [chainingKey, tau, key] = kdf3(chainingKeyOf(state), presharedKey);
    state.set(chainingKey, CHAINING_KEY_AT);
    this.mixHash(state, tau);
    state.set(key, FIELD_KEY_AT);
    wipe(chainingKey, tau, key);
  },

  seal(state, out, offset, plaintext) {
    const ciphertext = sealAead(fieldKeyOf(state), 0, plaintext, hashOf(state));
    out.set(ciphertext, offset);
    this.mixHash(state, ciphertext);
  },

  open(state, message, offset, length) {
    const ciphertext = message.subarray(offset, offset + length + TAG_BYTES);
    const plaintext = openAead(fieldKeyOf(state), 0, ciphertext, hashOf(state));
    if (plaintext !== null) this.mixHash(state, ciphertext);
    return plaintext;
  },

  split(state, out) {
    const [initiatorSends, initiatorReceives] = kdf2(chainingKeyOf(state), EMPTY);
    out.set(initiatorSends);
    out.set(initiatorReceives, KEY_BYTES);
    wipe(initiatorSends, initiatorReceives);
  },
};

function chainingKeyOf(state: Uint8Array): Uint8Array {
  return state.subarray(CHAINING_KEY_AT, CHAINING_KEY_AT + KEY_BYTES);
}

function hashOf(state: Uint8Array): Uint8Array {
  return state.subarray(HASH_AT, HASH_AT + KEY_BYTES);
}

function fieldKeyOf(state: Uint8Array): Uint8Array {
  return state.subarray(FIELD_KEY_AT, FIELD_KEY_AT + KEY_BYTES);
}
