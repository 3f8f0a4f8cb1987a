/**
 * The file of a daemon's socket, seen from the daemon that serves it: the deletion of the control
 * socket's is how an operator stops a daemon, and when the interface is renamed it gets another
 * name. Owns a descriptor of the file, by which it is told from others that have its name; who may
 * rename and remove it is the starter's (starter.ts).
 *
 * All that takes a right is done by the constructor. Later it only looks.
 */

import { type FSWatcher, fstatSync, statSync, unlinkSync, watch } from 'node:fs';
import { close, open } from '../sys/libc.ts';
import { O_CLOEXEC, O_NOFOLLOW, O_PATH } from '../sys/linux.ts';
import { controlPlace, type SocketPlace, socketNames, socketPath } from './place.ts';

/** How often the file is looked for, beside being told by the file system. */
const LOOK_INTERVAL_MS = 2_000;
/** How long the starter may take to rename it; a machine may be busy. */
const RENAME_MS = 5_000;
/** Names under which it may be, for an interface that is renamed again and again. */
const NAMES_MAX = 4;

export interface SocketFileListener {
  /** It was deleted or replaced. Called once. */
  readonly onGone: () => void;
  /** It has the interface's new name. */
  readonly onRenamed?: (name: string) => void;
  /** It has kept its name, since the new one is taken or nobody is there to rename it. */
  readonly onKept?: () => void;
}

export class SocketFile {
  readonly place: SocketPlace;
  #fd: number;
  /** Where it may be, as names of interfaces, the latest first. While there are two, that counts. */
  #names: readonly string[];
  #name: string;
  readonly #timer: NodeJS.Timeout;
  #listener: SocketFileListener | undefined;
  #renaming: NodeJS.Timeout | undefined;
  #watcher: FSWatcher | undefined;
  #isClosed = false;

  /**
   * @param name the interface's
   * @param fd of the file, from a predecessor's starter; it is the SocketFile's from here on
   */
  constructor(name: string, place: SocketPlace, fd?: number) {
    this.place = place;
    this.#names = [name];
    this.#name = name;
    this.#fd = fd ?? open(socketPath(place, name), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    // A look now and then too: inotify may be exhausted, or the folder itself be replaced.
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS).unref();
    try {
      this.#watcher = watch(place.directory, { persistent: false }, () => this.#look());
      this.#watcher.on('error', () => {});
    } catch {
      // Only slower.
    }
  }

  /** Of the file itself, not of the socket (O_PATH); -1 when there is none. */
  get fd(): number {
    return this.#fd;
  }

  /** The interface's name as the file has it. */
  get name(): string {
    return this.#name;
  }

  get path(): string {
    return socketPath(this.place, this.name);
  }

  /** Tells what becomes of it from now on. */
  listen(listener: SocketFileListener): void {
    this.#listener = listener;
    if (!this.#isAt(this.name)) setImmediate(() => this.#look());
  }

  /** The interface has this name now: the file will have it, if it can. */
  follow(name: string): void {
    if (this.#isClosed) return;
    this.#names = [name, ...this.#names.filter((other) => other !== name)].slice(0, NAMES_MAX);
    clearTimeout(this.#renaming);
    this.#renaming = setTimeout(() => this.#judge(name), RENAME_MS).unref();
    this.#look();
  }

  #look(): void {
    if (this.#isClosed || this.#listener === undefined) return;
    const found = this.#names.find((name) => this.#isAt(name));
    if (found === undefined) {
      this.leave();
      this.#listener.onGone();
    } else if (found !== this.#name) {
      this.#name = found;
      this.#listener.onRenamed?.(found);
    }
  }

  #judge(wanted: string): void {
    this.#look();
    if (!this.#isClosed && this.#name !== wanted) this.#listener?.onKept?.();
  }

  #isAt(name: string): boolean {
    return this.#fd >= 0 && isSameFile(this.#fd, socketPath(this.place, name));
  }

  /** Leaves the file to the process that serves it from now on. */
  leave(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#renaming);
    this.#watcher?.close();
  }

  /** Removes it if it is still there; one that has confined itself cannot, and has a starter. */
  remove(): void {
    this.leave();
    if (!this.#isAt(this.name)) return;
    try {
      unlinkSync(this.path);
    } catch {
      // Deleted in between, which is as good; or not permitted.
    }
  }

  /** Closes the descriptor, by which nobody tells the file any more. After `leave` or `remove`. */
  close(): void {
    this.leave();
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }
}

/**
 * The file of a predecessor's control socket, whatever that may say of it.
 *
 * @param name the interface's, when its first daemon was started
 * @param fd of the file, from the predecessor's starter; without it, the file has that name still
 * @throws Error with one line for the operator when there is no such file
 */
export function openHeldSocketFile(name: string, fd?: number): SocketFile {
  const place = controlPlace();
  const file = fd === undefined ? new SocketFile(name, place) : findSocketFile(place, fd);
  if (file !== null && file.fd >= 0) return file;
  throw new Error(`take over from the daemon: its ${place.what} is not in ${place.directory}`);
}

/**
 * The file that a descriptor is of, under whichever name; null when it is not in that place.
 *
 * @param fd the SocketFile's from here on, unless there is none
 */
export function findSocketFile(place: SocketPlace, fd: number): SocketFile | null {
  const found = socketNames(place).find((name) => isSameFile(fd, socketPath(place, name)));
  return found === undefined ? null : new SocketFile(found, place, fd);
}

function isSameFile(fd: number, path: string): boolean {
  const file = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (file === undefined) return false;
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return file.dev === dev && file.ino === ino;
}
