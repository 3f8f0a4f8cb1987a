/**
 * A struct sockaddr_un out of the name of a socket: a path, or `@name` for one of Linux's abstract
 * sockets, which live in no folder. Opens and binds nothing.
 */

import type { Scratch } from './libc.ts';
import { AF_UNIX } from './linux.ts';

const FAMILY_BYTES = 2;
const NAME_BYTES_MAX = 108;

/** Writes it at the beginning of `scratch` and returns its length; null when the name is too long. */
export function putUnixAddress(scratch: Scratch, name: string): number | null {
  const bytes = new TextEncoder().encode(name);
  const isAbstract = name.startsWith('@');
  // A path ends with a zero byte. An abstract name begins with one and ends with its length.
  const length = isAbstract ? bytes.length : bytes.length + 1;
  if (length > NAME_BYTES_MAX) return null;
  if (isAbstract) bytes[0] = 0;
  scratch.bytes.fill(0, 0, FAMILY_BYTES + NAME_BYTES_MAX);
  scratch.view.setUint16(0, AF_UNIX, true);
  scratch.bytes.set(bytes, FAMILY_BYTES);
  return FAMILY_BYTES + length;
}
