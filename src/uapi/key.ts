/** Keys as the UAPI spells them: 32 bytes in 64 hexadecimal digits. Knows nothing of Base64. */

import { KEY_BYTES } from '../crypto/suite.ts';

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
  if (text.length !== 2 * length) return null;
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const octet = (digitAt(text, 2 * i) << 4) | digitAt(text, 2 * i + 1);
    if (octet < 0) return null;
    bytes[i] = octet;
  }
  return bytes;
}

/** -1 for what is none. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Lower-case digits, two a byte. */
export function formatHex(bytes: Uint8Array): string {
  let text = '';
  for (const octet of bytes) text += OCTETS[octet];
  return text;
}
