/**
 * Keys as people know them: 32 bytes in 44 characters of base64, as wg(8) writes them. Runs wherever
 * JavaScript does. The UAPI spells them otherwise (uapi/key.ts).
 */

/** 43 significant characters and one `=`; the last one carries four bits, the other two are zero. */
const KEY_TEXT = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** As btoa has octets. */
const CHARACTERS = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet));

/** A new array of 32 bytes; null when the text is not exactly what `formatKey` would write. */
export function parseKey(text: string): Uint8Array | null {
  if (!KEY_TEXT.test(text)) return null;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** @param key 32 bytes, only read */
export function formatKey(key: Uint8Array): string {
  let octets = '';
  for (let at = 0; at < key.length; at++) octets += CHARACTERS[key[at]];
  return btoa(octets);
}
