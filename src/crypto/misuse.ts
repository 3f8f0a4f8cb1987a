/**
 * What no caller may ask of a cipher, whatever it is made of: each is our own bug, and throws before
 * anything is read or written.
 */

import { KEY_BYTES, TAG_BYTES } from './suite.ts';

/** What works by addresses reads 32 bytes, whatever it is given. */
export function checkKey(key: Uint8Array): void {
  if (key.length !== KEY_BYTES) throw new Error(`cipher: key of ${key.length} bytes`);
}

/** And it writes wherever it is told to, so a wrong offset must not get that far. */
export function checkPacket(offset: number, length: number, arenaBytes: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length + TAG_BYTES <= arenaBytes)) {
    throw new Error(`cipher: packet outside the arena (${length} bytes at ${offset})`);
  }
}

/** The key is gone, and so must be its holder. */
export function usedAfterWipe(): never {
  throw new Error('cipher: used after wipe');
}
