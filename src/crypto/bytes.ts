/**
 * Secrets as bytes: where they lie, comparing and erasing them. Comparing takes the same time for the
 * same lengths, whatever the bytes are. Nothing here knows what the bytes mean.
 */

/**
 * Memory for secrets that outlast a call, as its owner likes it: locked, or such as secretBytes
 * gives.
 */
export type SecretSource = () => SecretPlace;

/** SECRET_BYTES, zero, and nobody else's until `release`, which erases them. */
export interface SecretPlace {
  readonly bytes: Uint8Array;
  release(): void;
}

/** Two keys. */
export const SECRET_BYTES = 64;

/**
 * Zeros with a place of their own. Small typed arrays live in the engine's heap, where the collector
 * moves them and leaves the old bytes behind, beyond the reach of `wipe`.
 */
export function secretBytes(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}

/** A copy in `secretBytes`, the caller's to wipe. */
export function copySecret(secret: Uint8Array): Uint8Array {
  const copy = secretBytes(secret.length);
  copy.set(secret);
  return copy;
}

export const ordinarySecrets: SecretSource = () => {
  const bytes = secretBytes(SECRET_BYTES);
  return { bytes, release: () => wipe(bytes) };
};

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
 * keep secrets in arrays of `secretBytes` that are filled in place, and few.
 */
export function wipe(...arrays: Uint8Array[]): void {
  for (const array of arrays) array.fill(0);
}
