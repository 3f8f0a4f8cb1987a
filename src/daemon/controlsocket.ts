/**
 * The control socket in a running daemon: served from its opening on, given up with the interface,
 * or left to the process that continues. Its connections and its file are control/'s.
 */

import { openHeldSocketFile, type SocketFile } from '../control/socketfile.ts';
import { serveUapi, type UapiServer, type UapiServerOptions } from '../control/uapiserver.ts';
import type { EndKind, Subsystem } from './subsystem.ts';

export class ControlSocket implements Subsystem {
  /** A predecessor's, before there is a server for it. */
  #heldFile: SocketFile | undefined;
  #server: UapiServer | undefined;

  /** A successor looks at the file that its starter holds, before anything is handed over. */
  hold(name: string, controlFd: number | undefined): SocketFile {
    this.#heldFile = openHeldSocketFile(name, controlFd);
    return this.#heldFile;
  }

  /** @throws {SystemError} EADDRINUSE when another daemon serves this name, and others */
  async open(options: Omit<UapiServerOptions, 'file'>): Promise<void> {
    this.#server = await serveUapi({ ...options, file: this.#heldFile });
  }

  /** Undefined before there is any. */
  get file(): SocketFile | undefined {
    return this.#server?.file ?? this.#heldFile;
  }

  /** The listening socket; once it is open. */
  get server(): UapiServer {
    if (this.#server === undefined) throw new Error('control socket: it is not open');
    return this.#server;
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
