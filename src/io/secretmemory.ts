/**
 * Memory for keys: one block that the kernel keeps out of swap (mlock(2)), as far as
 * RLIMIT_MEMLOCK goes, given out in small pieces. Where the lock is refused, or the block is full,
 * the pieces are of ordinary memory; `secretMemoryFact` says which.
 */

import koffi from 'koffi';
import { wipe } from '../crypto/bytes.ts';
import { errno, errnoName, Scratch } from './libc.ts';

/** A key of 32 bytes and the counter block it is used with. */
export const SECRET_BYTES = 64;
/** A thousand peers' sessions, with what else there is; small enough for every system's limit. */
const SECRETS = 2_048 - 1;
const PAGE_BYTES = 4_096;

/** A piece, zeroed; at a fixed address. */
export interface Secret {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly address: number;
}

const mlock = koffi.load(null).func('mlock', 'int', ['uintptr_t', 'size_t']);

/** The pieces of the block that nobody has. */
let free: Secret[] | undefined;
let fact = '';

/** How it stands, for `stats`. Call once there can have been a need for it. */
export function secretMemoryFact(): { readonly holds: boolean; readonly text: string } {
  free ??= openBlock();
  return { holds: fact.startsWith('locked'), text: fact };
}

/** A piece, which is the caller's until `releaseSecret`. */
export function takeSecret(): Secret {
  free ??= openBlock();
  return free.pop() ?? new Scratch(SECRET_BYTES);
}

/** Erases it; the caller shall not use it any more. */
export function releaseSecret(secret: Secret): void {
  wipe(secret.bytes);
  // Ordinary memory is the collector's.
  if (!(secret instanceof Scratch)) free?.push(secret);
}

function openBlock(): Secret[] {
  // Whole pages of it, wherever it begins.
  const buffer = new ArrayBuffer(SECRETS * SECRET_BYTES + 2 * PAGE_BYTES);
  const start = Number(koffi.address(buffer));
  const skipped = PAGE_BYTES - (start % PAGE_BYTES);
  const length = buffer.byteLength - PAGE_BYTES - skipped;
  const isLocked = mlock(start + skipped, length) === 0;
  fact = isLocked ? `locked (${length >> 10} KiB)` : `no (mlock: ${errnoName(errno())})`;
  return Array.from({ length: Math.floor(length / SECRET_BYTES) }, (_, i) => {
    const offset = skipped + i * SECRET_BYTES;
    return {
      bytes: new Uint8Array(buffer, offset, SECRET_BYTES),
      words: new Int32Array(buffer, offset, SECRET_BYTES / 4),
      address: start + offset,
    };
  });
}
