/**
 * Keys on the command line: what is wrong with a key's text, and new keys for genkey, pubkey and
 * genpsk. Uses node:crypto alone, since loading a curve library would take longer than the command.
 */

import { KEY_BYTES } from '../crypto/suite.ts';
import { formatKey } from '../keytext.ts';
import { nodeCrypto } from '../sys/nodecrypto.ts';

export { formatKey, parseKey } from '../keytext.ts';
export { ownKey, publicKeyOf } from '../sys/publickey.ts';

/** Those with a sibling that takes a path. */
const FILE_WORDS: ReadonlySet<string> = new Set(['wgkey', 'wgpsk']);

/** Enough of a key for people to know it again; never of a secret one. */
export function shortKey(publicKey: Uint8Array): string {
  return `${formatKey(publicKey).slice(0, 8)}...`;
}

/** What is wrong with a key's text as the argument of a word, without repeating any of it. */
export function keyMistake(word: string, text: string): string {
  const expected = 'expected a key of 44 base64 characters';
  const isPath = /^(\.{0,2}|~)\//.test(text) || /\.(key|pub|psk|txt)$/.test(text);
  if (isPath && text.length !== 44) {
    if (FILE_WORDS.has(word)) return `expected a key, not a path: ${word}file reads it from a file`;
    if (word !== 'pubkey')
      return `expected a key, not a path: "$(cat PATH)" gives what the file holds`;
  }
  if (text.length !== 44) return `${expected}, but it has ${text.length}`;
  if (/[^A-Za-z0-9+/=]/.test(text)) return `${expected}, but it has other characters, too`;
  return `${expected}: the last characters are wrong`;
}

/** A new private key, clamped (RFC 7748 5) as `wg genkey` does. */
export function createPrivateKeyBytes(): Uint8Array {
  const key = new Uint8Array(nodeCrypto().randomBytes(KEY_BYTES));
  key[0] &= 248;
  key[31] = (key[31] & 127) | 64;
  return key;
}

/** A new preshared key: 32 random bytes. */
export function createPresharedKeyBytes(): Uint8Array {
  return new Uint8Array(nodeCrypto().randomBytes(KEY_BYTES));
}
