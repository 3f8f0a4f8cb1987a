/** What happened, in the order of virtual time: a digest always, lines for people when asked for. */

import { COOKIE_REPLY, classify, DATA, INITIATION, RESPONSE } from '../../src/noise/messages.ts';

const NAMES: Readonly<Record<number, string>> = {
  [INITIATION]: 'initiation',
  [RESPONSE]: 'response',
  [COOKIE_REPLY]: 'cookie reply',
  [DATA]: 'data',
};
const KEEPALIVE_BYTES = 32;
/** Of the bytes that are mixed these are looked at, and as many at the end: the authenticator. */
const [HEAD_FROM, HEAD_TO, TAIL_BYTES] = [4, 20, 16];
const NO_BYTES: Uint8Array = new Uint8Array(0);

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

  /** Mixes what happened into the digest, in the order of the calls. */
  mix(atMs: number, what: string, numbers: readonly number[], bytes = NO_BYTES): void {
    const { length } = bytes;
    this.#mix(atMs * 1_024);
    this.#mix(length);
    for (const number of numbers) this.#mix(number);
    for (let i = 0; i < what.length; i++) this.#mix(what.charCodeAt(i));
    for (let i = HEAD_FROM; i < length && i < HEAD_TO; i++) this.#mix(bytes[i]);
    for (let i = Math.max(HEAD_TO, length - TAIL_BYTES); i < length; i++) this.#mix(bytes[i]);
  }

  #mix(number: number): void {
    this.#hash = Math.imul(this.#hash ^ number, 0x01000193);
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
