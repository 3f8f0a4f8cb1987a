/**
 * Secrets as bytes: comparing and erasing them. These functions take the same time for the same
 * lengths, whatever the bytes are. They know nothing of what the bytes mean.
 */

/** Whether both hold the same bytes. Different lengths, which are not secret, are never equal. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}

/** Whether every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  let bits = 0;
  for (let i = 0; i < bytes.length; i++) bits |= bytes[i];
  return bits === 0;
}

/**
 * Overwrites secrets with zeros. The engine cannot promise that it made no copy of its own, so
 * keep secrets in arrays that are filled in place, and few.
 */
export function wipe(...arrays: Uint8Array[]): void {
  for (const array of arrays) array.fill(0);
}
