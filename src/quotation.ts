/**
 * Foreign text on its way into a message, a log or a plan. Owns the rule that no text which could
 * be a key is repeated: an operator who mistypes a word puts a private key where another value
 * belongs, and a message ends in a journal that others read. Everything that quotes a value asks
 * here.
 */

/** Takes the place of what is not repeated. */
export const HIDDEN = '(hidden)';

/** Shortest run of a key's characters that is hidden: a key, cut a little, is still worth a search. */
const KEY_RUN_MIN = 40;
const CHARACTERS_MAX = 60;

/** Characters of base64, base64url and hexadecimal, also where a line break has come between. */
const RUN = new RegExp(`(?:[A-Za-z0-9+/=_-][\\p{C}\\p{Zl}\\p{Zp}]*){${KEY_RUN_MIN},}`, 'gu');
/** Of 10^9 keys in base64 not one is without a capital, `+` and `=`; a path or a name may be. */
const PLAIN = /^[a-z0-9/_-]+$/;
const HEXADECIMAL = new RegExp(`[0-9a-f]{${KEY_RUN_MIN}}`);
/** A whole key, once the blanks that it was broken by are taken out. */
const KEY = /^([A-Za-z0-9+/_-]{43}=?|[0-9A-Fa-f]{64})$/;

/** The text with `(hidden)` for everything that could be a key, whole or cut, or hold one. */
export function hideKeys(text: string): string {
  const joined = text.replace(/\s/gu, '');
  if (KEY.test(joined) && !isName(joined)) return HIDDEN;
  return text.replace(RUN, (run) => (isName(run) ? run : HIDDEN));
}

function isName(run: string): boolean {
  return PLAIN.test(run) && !HEXADECIMAL.test(run);
}

/** Whether hideKeys would take something out of the text. */
export function couldHoldKey(text: string): boolean {
  return hideKeys(text) !== text;
}

/** Foreign text without the characters that would steer a terminal. May hold keys. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
}

/** Foreign text for a message of one line: printable, short, and without keys. */
export function visible(text: string): string {
  const plain = printable(hideKeys(text));
  if (plain === '') return '""';
  return plain.length > CHARACTERS_MAX ? `${plain.slice(0, CHARACTERS_MAX - 3)}...` : plain;
}
