/** A private key as an operator gives it, and the form in which it is used. */

import { copySecret, isZero } from '../crypto/bytes.ts';

/**
 * A copy, clamped as RFC 7748 5 says, so that `get` shows the key in the form in which it is used;
 * null for the zero key, by which none is meant. The copy is the caller's to wipe.
 */
export function clamp(privateKey: Uint8Array): Uint8Array | null {
  if (isZero(privateKey)) return null;
  const clamped = copySecret(privateKey);
  clamped[0] &= 248;
  clamped[31] = (clamped[31] & 127) | 64;
  return clamped;
}
