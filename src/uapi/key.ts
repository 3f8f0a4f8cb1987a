/** Keys as the UAPI spells them: 32 bytes in 64 hexadecimal digits. Knows nothing of Base64. */

import { KEY_BYTES } from '../crypto/suite.ts';

const DIGITS = /^[0-9a-fA-F]*$/;
const OCTETS = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, '0'));

/** A new array of 32 bytes; null unless the text is 64 hexadecimal digits, in either case. */
export function parseKey(text: string): Uint8Array | null {
  return parseHex(text, KEY_BYTES);
}

/** 64 lower-case digits. `key`: 32 bytes. */
export function formatKey(key: Uint8Array): string {
  if (key.length !== KEY_BYTES) throw new Error(`key: ${key.length} bytes`);
  return formatHex(key);
}

/** A new array of `length` bytes; null unless the text is as many pairs of digits. */
export function parseHex(text: string, length: number): Uint8Array | null {
  if (text.length !== 2 * length || !DIGITS.test(text)) return null;
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Lower-case digits, two a byte. */
export function formatHex(bytes: Uint8Array): string {
  let text = '';
  for (const octet of bytes) text += OCTETS[octet];
  return text;
}
