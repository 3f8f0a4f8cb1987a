/**
 * The observing socket's place in the file system, and for whom it is: the members of a group, who
 * may connect to it and to nothing else of ours.
 */

import { chmodSync, lstatSync } from 'node:fs';
import { makeDirectory } from '../sys/directory.ts';
import { ERRNO, errno, SystemError, setegid, systemErrorOf } from '../sys/libc.ts';
import { observingPlace, type SocketPlace } from './place.ts';
import { openSocket, removeStale } from './socketplace.ts';

/** Who is in it is the operator's affair; no daemon makes it. */
export const OBSERVING_GROUP = '_tswg';

const DIRECTORY_MODE = 0o755;
/** The socket comes to be with mode 0660. */
const GROUP_UMASK = 0o117;

/**
 * A listening observing socket, in place of one that nobody answers: of that group and mode 0660,
 * or, without a group, of mode 0600. The descriptor is the caller's.
 *
 * @throws {SystemError} EADDRINUSE when another daemon serves this name, and others
 */
export function openObservingSocket(
  name: string,
  group: number | null,
  place: SocketPlace,
): number {
  prepare(place);
  return openSocket(place, name, group === null ? undefined : (bind) => bindFor(group, bind));
}

/**
 * As the group's from the first moment on, and without chown(2), which the service of examples/ may
 * not call.
 */
function bindFor(group: number, bind: () => number): number {
  const [umask, own] = [process.umask(GROUP_UMASK), process.getegid!()];
  try {
    if (setegid(group) < 0) throw new SystemError('open the observing socket', 'setegid', errno());
    return bind();
  } finally {
    // It was ours before, so that nothing can refuse it.
    setegid(own);
    process.umask(umask);
  }
}

/**
 * The folder is ours alone: a process that could write to it could have others connect to what is
 * no daemon. One that an older tswg has made with a tight umask is opened, since members must get
 * in.
 */
function prepare({ what, directory }: SocketPlace): void {
  try {
    makeDirectory(directory, DIRECTORY_MODE);
    const folder = lstatSync(directory);
    if (!folder.isDirectory() || folder.uid !== process.geteuid!()) {
      const hint = `expected ${directory} to be a folder owned by root, since others could put their own socket in it`;
      throw new SystemError(`open the ${what}`, 'lstat', ERRNO.EPERM!, hint);
    }
    if ((folder.mode & 0o777) !== DIRECTORY_MODE) chmodSync(directory, DIRECTORY_MODE);
  } catch (error) {
    if (error instanceof SystemError) throw error;
    throw systemErrorOf(`make ${directory}`, 'mkdir', error);
  }
}

/** Removes the observing socket of `name` that nobody serves. @throws {SystemError} when one does */
export function removeStaleObservingSocket(name: string, place = observingPlace()): void {
  removeStale(place, name);
}
