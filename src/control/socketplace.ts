/**
 * A daemon's sockets in the file system: making a listening one in its place, and telling one that
 * is served from one that was left behind. What is said over it is the server's and the client's.
 */

import { chmodSync, linkSync, lstatSync, rmSync, unlinkSync } from 'node:fs';
import { makeDirectory } from '../sys/directory.ts';
import {
  bindSocket,
  close,
  connect,
  ERRNO,
  errno,
  listen,
  Scratch,
  SystemError,
  socket,
  systemErrorOf,
} from '../sys/libc.ts';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from '../sys/linux.ts';
import { putUnixAddress } from '../sys/unixaddress.ts';
import { type SocketPlace, socketPath } from './place.ts';

const BACKLOG = 128;
/** So that it never exists with a wider mode than 0600, not even for a moment. */
const PRIVATE_UMASK = 0o177;

const { EADDRINUSE, EAGAIN, ECONNREFUSED, ENAMETOOLONG, ENOENT, EEXIST } = ERRNO;

const address = new Scratch(128);

/**
 * A listening socket of mode 0600, in place of one that nobody answers. The descriptor is the
 * caller's: to serve from (see uapiserver.ts), or to hand to the daemon that will.
 *
 * @param bindAs has the socket bound, where it is to have another owner or mode
 * @throws {SystemError} EADDRINUSE when another daemon serves this name, and others
 */
export function openSocket(place: SocketPlace, name: string, bindAs = bindPrivately): number {
  const path = socketPath(place, name);
  prepare(place.directory);
  removeStale(place, name);
  // It gets its name once it listens: wg(8) deletes a socket that refuses it.
  const unnamed = `${place.directory}/.${name}.${process.pid}`;
  rmSync(unnamed, { force: true });
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const what = `open the ${place.what} ${path}`;
  if (fd < 0) throw new SystemError(what, 'socket', errno());
  try {
    const length = putPath(what, unnamed);
    const error = bindAs(() => (bindSocket(fd, address.address, length) < 0 ? errno() : 0));
    if (error !== 0) throw new SystemError(what, 'bind', error);
    if (listen(fd, BACKLOG) < 0) throw new SystemError(what, 'listen', errno());
    // Unlike a rename, this refuses to take the place of another daemon's.
    linkSync(unnamed, path);
    return fd;
  } catch (error) {
    close(fd);
    if (error instanceof SystemError) throw error;
    throw systemErrorOf(what, (error as NodeJS.ErrnoException).syscall ?? 'link', error);
  } finally {
    rmSync(unnamed, { force: true });
  }
}

/** @param bind returns 0, or the error number */
function bindPrivately(bind: () => number): number {
  const umask = process.umask(PRIVATE_UMASK);
  try {
    return bind();
  } finally {
    process.umask(umask);
  }
}

function prepare(directory: string): void {
  try {
    // The umask may be tight; `wg` must get in.
    if (makeDirectory(directory, 0o777)) chmodSync(directory, 0o755);
  } catch (error) {
    throw systemErrorOf(`make ${directory}`, 'mkdir', error);
  }
}

/** Whether a daemon listens on the socket of `name`; true also for who may not ask. */
export function isSocketServed(place: SocketPlace, name: string): boolean {
  try {
    return isServed(place, socketPath(place, name));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return true;
  }
}

/** Removes the socket of `name` that nobody serves. @throws {SystemError} when one does */
export function removeStale(place: SocketPlace, name: string): void {
  const { what } = place;
  const path = socketPath(place, name);
  let isSocket: boolean;
  try {
    isSocket = lstatSync(path).isSocket();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw systemErrorOf(`open the ${what} ${path}`, 'lstat', error);
  }
  if (!isSocket) {
    const hint = 'a file that is not a socket has this path';
    throw new SystemError(`open the ${what} ${path}`, 'lstat', EEXIST!, hint);
  }
  if (isServed(place, path)) {
    const hint = `another daemon serves ${name} (its ${what} ${path} answers)`;
    throw new SystemError(`serve ${name}`, 'connect', EADDRINUSE!, hint);
  }
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw systemErrorOf(`remove the stale ${what} ${path}`, 'unlink', error);
  }
}

function isServed({ what }: SocketPlace, path: string): boolean {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SystemError(`connect to ${path}`, 'socket', errno());
  const length = putPath(`open the ${what} ${path}`, path);
  const error = connect(fd, address.address, length) < 0 ? errno() : 0;
  close(fd);
  // EAGAIN: its queue is full, so somebody holds it.
  if (error === 0 || error === EAGAIN) return true;
  if (error === ECONNREFUSED || error === ENOENT) return false;
  throw new SystemError(`connect to ${path}`, 'connect', error);
}

/** Writes a struct sockaddr_un and returns its length. */
function putPath(what: string, path: string): number {
  const length = putUnixAddress(address, path);
  if (length !== null) return length;
  throw new SystemError(what, 'bind', ENAMETOOLONG!, 'path too long');
}
