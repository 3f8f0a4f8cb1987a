/** What happened, in the order of virtual time: a digest always, lines for people when asked for. */

import { COOKIE_REPLY, classify, DATA, INITIATION, RESPONSE } from '../../src/noise/messages.ts';

const NAMES: Readonly<Record<number, string>> = {
  [INITIATION]: 'initiation',
  [RESPONSE]: 'response',
  [COOKIE_REPLY]: 'cookie reply',
  [DATA]: 'data',
};
const KEEPALIVE_BYTES = 32;

export class Trace {
  /** Lines for people; empty unless they were asked for. */
  readonly lines: string[] = [];
  readonly #isKept: boolean;
  #hash = 0x811c9dc5;

  constructor(isKept: boolean) {
    this.#isKept = isKept;
  }

  get isKept(): boolean {
    return this.#isKept;
  }

  /** Eight hexadecimal digits: equal for runs in which the same happened at the same times. */
  get digest(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  /** Mixes what happened into the digest. */
  mix(atMs: number, bytes: Uint8Array, what: string): void {
    let hash = this.#hash;
    hash = Math.imul(hash ^ (atMs * 1_024), 0x01000193);
    hash = Math.imul(hash ^ bytes.length, 0x01000193);
    for (let i = 4; i < bytes.length && i < 20; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
    for (let i = 0; i < what.length; i++) hash = Math.imul(hash ^ what.charCodeAt(i), 0x01000193);
    this.#hash = hash;
  }

  line(atMs: number, text: string): void {
    if (this.#isKept) this.lines.push(`${(atMs / 1_000).toFixed(3).padStart(11)} s  ${text}`);
  }
}

/** What a datagram is, for people. */
export function describeMessage(bytes: Uint8Array): string {
  const name = NAMES[classify(bytes, 0, bytes.length)];
  if (name === undefined) return `${bytes.length} bytes of noise`;
  if (name !== 'data') return name;
  return bytes.length === KEEPALIVE_BYTES ? 'keepalive' : `data of ${bytes.length} bytes`;
}
