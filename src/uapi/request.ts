/**
 * Requests out of a stream: bytes as they arrive on one connection of the control socket -> whole
 * requests. Owns the framing and its limits; what the lines mean is for set.ts. One reader for
 * each connection, which may carry any number of requests.
 */

export type Operation = 'get' | 'set' | 'stats';

export interface Request {
  /** `invalid`: no request of ours, or one beyond the limits. Close the connection. */
  readonly operation: Operation | 'invalid';
  /** The lines after the first, without their newlines. Only `set` has any. */
  readonly lines: readonly string[];
}

/** Bytes of UTF-8 in one line, its newline apart. */
export const REQUEST_LINE_BYTES_MAX = 4096;
/** Characters in one request. 65,000 allowed IPs take about 2 Mi. */
export const REQUEST_CHARACTERS_MAX = 64 * 1024 * 1024;
/** What even an empty line costs in memory, so that the limit bounds that too. */
const LINE_CHARACTERS_MIN = 16;

const OPERATIONS: ReadonlyMap<string, Operation> = new Map([
  ['get=1', 'get'],
  ['set=1', 'set'],
  ['stats=1', 'stats'],
]);

const INVALID: Request = { operation: 'invalid', lines: [] };
const encoder = new TextEncoder();

export class RequestReader {
  // A byte order mark is no part of any request, so it must not vanish.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #partialLine = '';
  #operation: Operation | null = null;
  #lines: string[] = [];
  #characters = 0;
  #broken = false;

  /**
   * Takes the next bytes of the stream (only read) and returns the requests that they complete.
   * After an `invalid` one, which is always the last, the reader takes nothing more.
   */
  push(chunk: Uint8Array | string): Request[] {
    const requests: Request[] = [];
    if (this.#broken) return requests;
    const text = typeof chunk === 'string' ? chunk : this.#decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const line = this.#partialLine + text.slice(start, end);
      this.#partialLine = '';
      start = end + 1;
      if (!this.#take(line, requests)) return this.#refuse(requests);
    }
    this.#partialLine += text.slice(start);
    if (isTooLong(this.#partialLine)) return this.#refuse(requests);
    return requests;
  }

  /** Takes one line; false when it breaks the framing. */
  #take(line: string, requests: Request[]): boolean {
    if (isTooLong(line)) return false;
    if (this.#operation === null) {
      this.#operation = OPERATIONS.get(line) ?? null;
      return this.#operation !== null;
    }
    if (line === '') {
      requests.push({ operation: this.#operation, lines: this.#lines });
      this.#operation = null;
      this.#lines = [];
      this.#characters = 0;
      return true;
    }
    this.#characters += Math.max(line.length + 1, LINE_CHARACTERS_MIN);
    if (this.#operation !== 'set' || this.#characters > REQUEST_CHARACTERS_MAX) return false;
    this.#lines.push(line);
    return true;
  }

  #refuse(requests: Request[]): Request[] {
    this.#broken = true;
    this.#partialLine = '';
    this.#lines = [];
    requests.push(INVALID);
    return requests;
  }
}

function isTooLong(line: string): boolean {
  // A UTF-16 unit takes at most 3 bytes of UTF-8, so that few lines need to be encoded.
  if (line.length * 3 <= REQUEST_LINE_BYTES_MAX) return false;
  return (
    line.length > REQUEST_LINE_BYTES_MAX || encoder.encode(line).length > REQUEST_LINE_BYTES_MAX
  );
}
