/**
 * Names for the UNIX sockets that a process has. One without a name can be given any by whoever
 * has it, in the abstract space or in a folder that all may write to, and so take one by which
 * others expect to find a service. One that has a name keeps it. So those that have none are given
 * one of the kernel's choice (autobind, unix(7)), which nobody looks for.
 *
 * Nobody gets in by such a name: ends of a pair do not listen and cannot begin to, and a datagram
 * socket that is connected hears its other end alone.
 */

import { readdirSync } from 'node:fs';
import { bindSocket, errno, getsockname, Scratch } from './libc.ts';
import { AF_UNIX } from './linux.ts';

/** A struct sockaddr_un with a family and nothing else: no name, or, for bind, any. */
const FAMILY_BYTES = 2;
const ADDRESS_BYTES = 110;
const LENGTH_AT = 112;

const scratch = new Scratch(128);

/** Whether it is a UNIX socket and without a name. */
function isNameless(fd: number): boolean {
  scratch.view.setUint32(LENGTH_AT, ADDRESS_BYTES, true);
  if (getsockname(fd, scratch.address, scratch.address + LENGTH_AT) < 0) return false;
  const length = scratch.view.getUint32(LENGTH_AT, true);
  return length === FAMILY_BYTES && scratch.view.getUint16(0, true) === AF_UNIX;
}

/** The path that a UNIX socket is bound to; '' for one that is bound to none. */
export function unixSocketPath(fd: number): string {
  scratch.bytes.fill(0, 0, ADDRESS_BYTES);
  scratch.view.setUint32(LENGTH_AT, ADDRESS_BYTES, true);
  if (getsockname(fd, scratch.address, scratch.address + LENGTH_AT) < 0) return '';
  if (scratch.view.getUint16(0, true) !== AF_UNIX) return '';
  const path = scratch.bytes.subarray(FAMILY_BYTES, ADDRESS_BYTES);
  return new TextDecoder().decode(path.subarray(0, path.indexOf(0)));
}

/** Gives a UNIX socket without a name one. Returns 0, or the error number. */
export function nameSocket(fd: number): number {
  scratch.view.setUint16(0, AF_UNIX, true);
  return bindSocket(fd, scratch.address, FAMILY_BYTES) < 0 ? errno() : 0;
}

/** The same for every such socket of this process. Returns 0, or the last error number. */
export function nameAllSockets(): number {
  let error = 0;
  for (const entry of readdirSync('/proc/self/fd')) {
    // The listing's own descriptor is gone by now, and no socket.
    const fd = Number(entry);
    if (isNameless(fd)) error = nameSocket(fd) || error;
  }
  return error;
}
