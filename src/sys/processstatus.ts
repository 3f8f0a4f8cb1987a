/**
 * What the kernel says of this process's memory. Its file is opened while that is permitted, and
 * can be read for as long as the process lives: a daemon that has confined itself opens none.
 */

import { closeSync, openSync, readSync } from 'node:fs';

const PATH = '/proc/self/status';
/** The file has some 1,500 bytes. */
const BYTES_MAX = 8_192;
const BYTES_PER_KIB = 1_024;

export class ProcessStatus {
  readonly #buffer = Buffer.alloc(BYTES_MAX);
  #fd = -1;

  /** Opens it, or not: a system without /proc is no reason to fail. */
  open(): void {
    try {
      this.#fd = openSync(PATH, 'r');
    } catch {
      this.#fd = -1;
    }
  }

  /** Bytes of memory in use (VmRSS); null when they cannot be read. */
  residentBytes(): number | null {
    if (this.#fd < 0) return null;
    try {
      const length = readSync(this.#fd, this.#buffer, 0, BYTES_MAX, 0);
      const kib = /^VmRSS:\s+(\d+) kB/m.exec(this.#buffer.toString('latin1', 0, length))?.[1];
      return kib === undefined ? null : Number(kib) * BYTES_PER_KIB;
    } catch {
      return null;
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
