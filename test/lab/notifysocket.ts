/** The service manager's end of sd_notify(3): a datagram socket that keeps what it is told. */

import { rmSync } from 'node:fs';
import {
  bindSocket,
  close,
  errno,
  errnoName,
  recv,
  Scratch,
  SystemError,
  socket,
} from '../../src/sys/libc.ts';
import { AF_UNIX, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM } from '../../src/sys/linux.ts';
import { putUnixAddress } from '../../src/sys/unixaddress.ts';

export class NotifySocket {
  readonly #name: string;
  readonly #fd: number;
  readonly #states: string[] = [];

  /** @param name a path, seen from the test, or `@name` */
  constructor(name: string) {
    this.#name = name;
    const address = new Scratch(128);
    this.#fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const length = putUnixAddress(address, name) ?? 0;
    if (bindSocket(this.#fd, address.address, length) < 0) {
      throw new SystemError(`listen on ${name}`, 'bind', errno());
    }
  }

  /** All that was said since the beginning, a datagram each. */
  get states(): readonly string[] {
    const buffer = new Scratch(4096);
    for (;;) {
      const length = recv(this.#fd, buffer.address, buffer.bytes.length, MSG_DONTWAIT);
      if (length < 0) {
        if (errnoName(errno()) === 'EAGAIN') return this.#states;
        throw new SystemError(`receive on ${this.#name}`, 'recv', errno());
      }
      this.#states.push(new TextDecoder().decode(buffer.bytes.subarray(0, length)));
    }
  }

  close(): void {
    close(this.#fd);
    if (!this.#name.startsWith('@')) rmSync(this.#name, { force: true });
  }
}
