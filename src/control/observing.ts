/**
 * Observing a daemon without the right to change it: a second socket, on which only reading words are
 * answered, and without a key. Owns the socket's life: opened before the daemon confines itself,
 * handed to a successor, following the interface's name, removed by the starter. A daemon works
 * without it, so that nothing here ends one; `stats` says what there is.
 *
 * Members of the group are trusted less than root: beyond the limits of the control socket
 * (uapiserver.ts) they have no more than a tenth of the processor's time for their answers, and a
 * quarter of the descriptors that the daemon may have.
 */

import { fstatSync, readFileSync } from 'node:fs';
import { findGroup } from '../sys/groups.ts';
import { close, SystemError } from '../sys/libc.ts';
import { READING, type Request } from '../uapi/request.ts';
import type { Feed } from './feed.ts';
import { OBSERVING_GROUP, openObservingSocket } from './observingsocket.ts';
import { observingPlace } from './place.ts';
import { findSocketFile, SocketFile } from './socketfile.ts';
import { serve, type UapiServer } from './uapiserver.ts';

/** Nine times as long as the answers of a turn took nobody is answered. */
const REST = 9;
const CLIENTS_MAX = 256;
const DESCRIPTORS_PER_CLIENT = 4;
/** Where there is no limit. */
const DESCRIPTORS = 1024;

export interface ObservingOptions {
  /** Answers a `get`, a `stats` or an `events`, and tells no key. May not throw. */
  readonly handle: (request: Request) => string | Feed;
  /** Takes a line for the operator when there is no socket, or not at its place. */
  readonly onNote: (line: string) => void;
  /** The file of the predecessor's socket, from its starter; it is ours from here on. */
  readonly fileFd?: number | undefined;
  /** The group that may connect, by its number; null when there is none. */
  readonly group?: number | null;
  readonly place?: ReturnType<typeof observingPlace>;
}

/** For whom there is a socket: for nobody, for root alone, or for the group too; and for people. */
export interface ObservingState {
  readonly word: 'no' | 'root' | 'group';
  readonly text: string;
}

export class Observing {
  readonly #options: ObservingOptions;
  readonly #clientsMax = limitClients();
  /** Until it is served; -1 for one that is still the predecessor's. */
  #fd = -1;
  #file: SocketFile | undefined;
  #server: UapiServer | undefined;
  /** Why there is no socket; '' as long as there is one. */
  #trouble = '';

  constructor(options: ObservingOptions) {
    this.#options = options;
  }

  /**
   * Opens the socket, or finds the predecessor's. All that takes a right is done here.
   *
   * @param name the interface's
   */
  open(name: string): void {
    const { fileFd, place = observingPlace(), group = findGroup(OBSERVING_GROUP) } = this.#options;
    try {
      this.#file = (fileFd === undefined ? null : findSocketFile(place, fileFd)) ?? undefined;
      if (this.#file !== undefined) return;
      if (fileFd !== undefined) close(fileFd);
      this.#fd = openObservingSocket(name, group, place);
      this.#file = new SocketFile(name, place);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#miss(error.message);
    }
  }

  /** What the starter has to rename and to remove; undefined when there is nothing. */
  get remains(): { name: string; directory: string; fd: number } | undefined {
    const file = this.#file;
    return file && { name: file.name, directory: file.place.directory, fd: file.fd };
  }

  /** The listening socket, for a successor; undefined when there is none. */
  get fd(): number | undefined {
    return this.#server?.fd;
  }

  /** See UapiServer. */
  get isBusy(): boolean {
    return this.#server?.isBusy === true;
  }

  /** What there is, for `stats`. */
  get state(): ObservingState {
    if (this.#file === undefined || this.#trouble !== '') {
      return { word: 'no', text: `no (${this.#trouble})` };
    }
    const { fd, path } = this.#file;
    if ((fstatSync(fd).mode & 0o060) !== 0) {
      return { word: 'group', text: `${path}, for root and group ${OBSERVING_GROUP}` };
    }
    const why = `there was no group ${OBSERVING_GROUP} when it was opened`;
    return { word: 'root', text: `${path}, for root alone: ${why}` };
  }

  /**
   * Answers from now on.
   *
   * @param inherited the predecessor's listening socket, which is ours from here on; -1 for none
   */
  serve(inherited = -1): void {
    const fd = this.#fd >= 0 ? this.#fd : inherited;
    if (inherited >= 0 && fd !== inherited) close(inherited);
    this.#fd = -1;
    if (this.#file === undefined) {
      if (fd >= 0) close(fd);
      return;
    }
    if (fd < 0) {
      this.#miss('the previous daemon did not hand it over');
      return;
    }
    const { handle } = this.#options;
    this.#server = serve({
      fd,
      file: this.#file,
      handle,
      permitted: READING,
      clientsMax: this.#clientsMax,
      rest: REST,
      onGone: () => this.#end('it was deleted: restart the daemon to open it again'),
      onKept: () => this.#options.onNote(`The observing socket is still ${this.#file?.path}`),
    });
  }

  /** The interface has this name now. */
  follow(name: string): void {
    this.#file?.follow(name);
  }

  /** Nobody can connect any more, as after `rm`. */
  #end(why: string): void {
    this.#miss(why);
    void this.#server?.close();
    this.#server = undefined;
    this.#file = undefined;
  }

  #miss(why: string): void {
    this.#trouble = why;
    this.#options.onNote(`Only root can observe: ${why}`);
  }

  /** Nobody is taken in any more when it is another process's, `notOurs`. */
  stop(kind: string): void {
    if (kind === 'notOurs') this.#server?.leave();
  }

  /** Ends all connections and, unless it is another process's, removes the file, if it may. */
  async close(kind: string): Promise<void> {
    await (kind === 'notOurs' ? this.#server?.finish() : this.#server?.close());
    this.#discard();
  }

  /** What was opened and is not served, as of a successor that does not begin. */
  #discard(): void {
    if (this.#fd >= 0) {
      close(this.#fd);
      this.#file?.remove();
    }
    this.#fd = -1;
    this.#file?.close();
  }
}

/** By the limit of this moment, which is the one for good. */
function limitClients(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const descriptors = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? DESCRIPTORS);
  return Math.max(1, Math.min(CLIENTS_MAX, Math.floor(descriptors / DESCRIPTORS_PER_CLIENT)));
}
