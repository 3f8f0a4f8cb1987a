/**
 * The control socket's place in the file system: where it is, making a listening one there, and
 * telling one that is served from one that was left behind. What is said over it is the server's
 * and the client's.
 */

import { chmodSync, linkSync, lstatSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
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
} from '../sys/libc.ts';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from '../sys/linux.ts';
import { putUnixAddress } from '../sys/unixaddress.ts';

/** Where every user-space WireGuard has its control sockets. */
export const UAPI_DIRECTORY = '/var/run/wireguard';
const BACKLOG = 128;

const { EADDRINUSE, EAGAIN, ECONNREFUSED, ENAMETOOLONG, ENOENT, EEXIST } = ERRNO;

const address = new Scratch(128);

const SOCKET_SUFFIX = '.sock';

export function uapiPath(name: string, directory = UAPI_DIRECTORY): string {
  return `${directory}/${name}${SOCKET_SUFFIX}`;
}

/** The interfaces that have a control socket, served or left behind, sorted. */
export function uapiSocketNames(directory = UAPI_DIRECTORY): string[] {
  let files: string[];
  try {
    files = readdirSync(directory);
  } catch {
    // It comes with the first daemon.
    return [];
  }
  return files
    .filter((file) => file.endsWith(SOCKET_SUFFIX))
    .map((file) => file.slice(0, -SOCKET_SUFFIX.length))
    .sort();
}

/**
 * A listening control socket of mode 0600, in place of one that nobody answers. The descriptor is
 * the caller's: to serve from (see uapiserver.ts), or to hand to the daemon that will.
 *
 * @throws {SystemError} EADDRINUSE when another daemon serves this name, and others
 */
export function openUapiSocket(name: string, directory = UAPI_DIRECTORY): number {
  const path = uapiPath(name, directory);
  prepare(directory);
  removeStale(name, path);
  // It gets its name once it listens: wg(8) deletes a socket that refuses it.
  const unnamed = `${directory}/.${name}.${process.pid}`;
  rmSync(unnamed, { force: true });
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SystemError(`open the control socket ${path}`, 'socket', errno());
  try {
    listenAt(fd, unnamed);
    // Unlike a rename, this refuses to take the place of another daemon's.
    linkSync(unnamed, path);
    return fd;
  } catch (error) {
    close(fd);
    if (error instanceof SystemError) throw error;
    throw systemErrorOf(`open the control socket ${path}`, 'link', error);
  } finally {
    rmSync(unnamed, { force: true });
  }
}

function listenAt(fd: number, path: string): void {
  const length = putPath(path);
  // So that it never exists with a wider mode than 0600, not even for a moment.
  const umask = process.umask(0o177);
  const bound = bindSocket(fd, address.address, length);
  const error = bound < 0 ? errno() : 0;
  process.umask(umask);
  if (error !== 0) throw new SystemError(`open the control socket ${path}`, 'bind', error);
  if (listen(fd, BACKLOG) < 0) {
    throw new SystemError(`open the control socket ${path}`, 'listen', errno());
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

/** Whether a daemon listens on the control socket of `name`; true also for who may not ask. */
export function isUapiServed(name: string, directory = UAPI_DIRECTORY): boolean {
  try {
    return isServed(uapiPath(name, directory));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return true;
  }
}

/** Removes the control socket of `name` that nobody serves. @throws {SystemError} when one does */
export function removeStaleSocket(name: string, directory = UAPI_DIRECTORY): void {
  removeStale(name, uapiPath(name, directory));
}

function removeStale(name: string, path: string): void {
  let isSocket: boolean;
  try {
    isSocket = lstatSync(path).isSocket();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw systemErrorOf(`open the control socket ${path}`, 'lstat', error);
  }
  if (!isSocket) {
    const hint = 'a file that is not a socket has this path';
    throw new SystemError(`open the control socket ${path}`, 'lstat', EEXIST!, hint);
  }
  if (isServed(path)) {
    const hint = `another daemon serves ${name} (its control socket ${path} answers)`;
    throw new SystemError(`serve ${name}`, 'connect', EADDRINUSE!, hint);
  }
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw systemErrorOf(`remove the stale control socket ${path}`, 'unlink', error);
  }
}

function isServed(path: string): boolean {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SystemError(`connect to ${path}`, 'socket', errno());
  const error = connect(fd, address.address, putPath(path)) < 0 ? errno() : 0;
  close(fd);
  // EAGAIN: its queue is full, so somebody holds it.
  if (error === 0 || error === EAGAIN) return true;
  if (error === ECONNREFUSED || error === ENOENT) return false;
  throw new SystemError(`connect to ${path}`, 'connect', error);
}

/** Writes a struct sockaddr_un and returns its length. */
function putPath(path: string): number {
  const length = putUnixAddress(address, path);
  if (length !== null) return length;
  throw new SystemError(`open the control socket ${path}`, 'bind', ENAMETOOLONG!, 'path too long');
}

/** One of Node's own errors, worded as ours are. */
export function systemErrorOf(
  what: string,
  call: string,
  error: unknown,
  hint?: string,
): SystemError {
  const { errno: number } = error as NodeJS.ErrnoException;
  if (number === undefined) throw error;
  return new SystemError(what, call, Math.abs(number), hint);
}
