/** Looks for secrets in the memory of the test's own process, wherever they may have been copied. */

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import koffi from 'koffi';
import { Random } from './hex.ts';

/** Bytes with a place of their own outside the heap, where no collector copies them. */
export function ownMemory(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}

const given = new Set<string>();

/** 32 bytes of which there is no other copy. A name can be used once: the last test's may linger. */
export function loneSecret(name: string): Uint8Array {
  if (given.has(name)) throw new Error(`the secret '${name}' was given out before`);
  given.add(name);
  let seed = 0;
  for (const letter of name) seed = Math.imul(seed, 31) + letter.charCodeAt(0);
  const random = new Random(seed);
  const bytes = ownMemory(32);
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
  return bytes;
}

/** How many times `needle` stands in the writable memory of this process. */
export function findInOwnMemory(needle: Uint8Array): number {
  const window = new ArrayBuffer(1 << 20);
  const chunk = Buffer.from(window);
  const windowAt = Number(koffi.address(window));
  const fd = openSync('/proc/self/mem', 'r');
  let found = 0;
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
    if (range === null) continue;
    const end = Number.parseInt(range[2], 16);
    for (let at = Number.parseInt(range[1], 16); at < end; ) {
      let size = 0;
      try {
        size = readSync(fd, chunk, 0, Math.min(chunk.length, end - at), at);
      } catch {
        break; // A mapping that cannot be read, or is gone by now.
      }
      for (let i = chunk.indexOf(needle); i >= 0 && i + needle.length <= size; ) {
        // The window sees itself.
        if (at + i < windowAt || at + i >= windowAt + chunk.length) found++;
        i = chunk.indexOf(needle, i + 1);
      }
      // Overlapping, lest a copy hides across the border.
      at += size < chunk.length ? size : size - needle.length;
      if (size === 0) break;
    }
  }
  closeSync(fd);
  chunk.fill(0);
  return found;
}
