/**
 * The control socket in a running daemon: served from its opening on, under the interface's name of
 * the moment, and given up with the interface or left to the process that continues. Its
 * connections and its file are control/'s.
 */

import type { SocketFile } from '../control/socketfile.ts';
import { serveUapi, type UapiServer, type UapiServerOptions } from '../control/uapiserver.ts';
import type { Log } from '../log.ts';
import type { Ending } from './ending.ts';
import type { EndKind, Subsystem } from './subsystem.ts';

export interface ControlSocketOptions {
  readonly log: Log;
  readonly ending: Ending;
  /** The interface has another name, and its control socket has followed it. */
  readonly onRenamed: (name: string) => void;
}

export class ControlSocket implements Subsystem {
  readonly #options: ControlSocketOptions;
  /** A predecessor's, before there is a server for it; null for a daemon that has none. */
  readonly #heldFile: SocketFile | null;
  #server: UapiServer | undefined;
  /** As the interface was called last. */
  #wanted = '';

  /** @param heldFile of a predecessor's socket; null without one */
  constructor(heldFile: SocketFile | null, options: ControlSocketOptions) {
    this.#heldFile = heldFile;
    this.#options = options;
  }

  /**
   * Serves requests from now on.
   *
   * @param name the interface's
   * @param fd a listening socket of that name, which is ours from here on; without it one is opened
   * @throws {SystemError} EADDRINUSE when another daemon serves this name, and others
   */
  async open(
    name: string,
    fd: number | undefined,
    handle: UapiServerOptions['handle'],
  ): Promise<void> {
    const { ending, log } = this.#options;
    this.#server = await serveUapi({
      name,
      file: this.#heldFile ?? undefined,
      handle,
      onGone: () => ending.endForGood('the control socket was deleted'),
      onRenamed: (found) => {
        log.debug(`Renamed: ${found}`);
        this.#options.onRenamed(found);
      },
      onKept: () =>
        log.error(
          `The interface is now named ${this.#wanted}; its control socket is still ${this.file?.path}`,
        ),
      ...(fd === undefined ? {} : { fd }),
    });
  }

  /** The interface is called `name`: false when that is the file's name already. */
  follow(name: string): boolean {
    this.#wanted = name;
    if (name === this.file?.name) return false;
    this.file?.follow(name);
    return true;
  }

  /** Undefined before there is any. */
  get file(): SocketFile | undefined {
    return this.#server?.file ?? this.#heldFile ?? undefined;
  }

  /** Once it is open. */
  get server(): UapiServer {
    if (this.#server === undefined) throw new Error('control socket: it is not open');
    return this.#server;
  }

  /** See UapiServer. */
  get isBusy(): boolean {
    return this.#server?.isBusy === true;
  }

  stop(kind: EndKind): void {
    if (kind === 'notOurs') this.#server?.leave();
  }

  async close(kind: EndKind): Promise<void> {
    if (kind !== 'notOurs') {
      await this.#server?.close();
      return;
    }
    await this.#server?.finish();
    this.#heldFile?.close();
  }
}
