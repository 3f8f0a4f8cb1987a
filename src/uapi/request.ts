/**
 * Requests out of a stream: bytes as they arrive on one connection of the control socket -> whole
 * requests. Owns the framing and its limits; what the lines mean is for set.ts. One reader for
 * each connection, which may carry any number of requests.
 */

export type Operation = 'get' | 'set' | 'stats' | 'events' | 'upgrade';

/** `lines`: those after the first, without their newlines; only `set` and `events` have any. */
export type Request =
  | { readonly operation: 'set'; readonly lines: readonly string[] | LongText }
  | {
      /**
       * `invalid`: no request of ours, or one beyond the limits; `refused`: one that may not be made
       * on this connection. Close it after either.
       */
      readonly operation: Exclude<Operation, 'set'> | 'invalid' | 'refused';
      readonly lines: readonly string[];
    };

/** The lines of a long request, which can be read once: what was read is not kept. */
export class LongText implements Iterable<string> {
  readonly #pieces: string[];

  /** @param pieces of whole lines, each with its newline; the reader's from here on */
  constructor(pieces: string[]) {
    this.#pieces = pieces.reverse();
  }

  *[Symbol.iterator](): Generator<string> {
    for (let piece = this.#pieces.pop(); piece !== undefined; piece = this.#pieces.pop()) {
      for (let start = 0; start < piece.length; ) {
        const end = piece.indexOf('\n', start);
        yield piece.slice(start, end);
        start = end + 1;
      }
    }
  }
}

/** Bytes of UTF-8 in one line, its newline apart. */
export const REQUEST_LINE_BYTES_MAX = 4096;
/** Characters in one request. 65,000 allowed IPs take about 2 Mi, 10,000 peers about 4 Mi. */
export const REQUEST_CHARACTERS_MAX = 16 * 1024 * 1024;
/** What has more is a long text: to read it takes longer than packets should wait. */
const SHORT_CHARACTERS_MAX = 16 * 1024;
/** An `events` has few lines, and short ones. */
const EVENTS_CHARACTERS_MAX = 256;
/** What even an empty line costs in memory, so that the limit bounds that too. */
const LINE_CHARACTERS_MIN = 16;

/** Those that change nothing. */
export const READING: ReadonlySet<Operation> = new Set(['get', 'stats', 'events']);

const OPERATIONS: ReadonlyMap<string, Operation> = new Map([
  ['get=1', 'get'],
  ['set=1', 'set'],
  ['stats=1', 'stats'],
  ['events=1', 'events'],
  ['upgrade=1', 'upgrade'],
]);

const INVALID: Request = { operation: 'invalid', lines: [] };
const REFUSED: Request = { operation: 'refused', lines: [] };
const encoder = new TextEncoder();

export class RequestReader {
  // A byte order mark is no part of any request, so it must not vanish.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #partialLine = '';
  #operation: Operation | null = null;
  /**
   * The whole lines so far, as they came: one string a chunk, not one a line, or a request without
   * end would make millions of them for the garbage collector to carry about.
   */
  #pieces: string[] = [];
  #characters = 0;
  #broken = false;
  readonly #permitted: ReadonlySet<Operation>;

  /** @param permitted what may be asked here; nothing is kept of a request for anything else */
  constructor(permitted: ReadonlySet<Operation> = new Set(OPERATIONS.values())) {
    this.#permitted = permitted;
  }

  /** What is kept of a request that is not whole yet. */
  get heldCharacters(): number {
    return this.#characters + this.#partialLine.length;
  }

  /**
   * Takes the next bytes of the stream (only read) and returns the requests that they complete.
   * After one that is `invalid` or `refused`, which is always the last, the reader takes nothing
   * more.
   */
  push(chunk: Uint8Array | string): Request[] {
    const requests: Request[] = [];
    if (this.#broken) return requests;
    const arrived =
      typeof chunk === 'string' ? chunk : this.#decoder.decode(chunk, { stream: true });
    const text = this.#partialLine + arrived;
    this.#partialLine = '';
    let start = 0;
    let bodyStart = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      if (isTooLong(text, start, end)) return this.#refuse(requests);
      if (this.#operation === null) {
        this.#operation = OPERATIONS.get(text.slice(start, end)) ?? null;
        if (this.#operation === null) return this.#refuse(requests);
        if (!this.#permitted.has(this.#operation)) return this.#refuse(requests, REFUSED);
        bodyStart = end + 1;
      } else if (end === start) {
        requests.push(this.#complete(text.slice(bodyStart, start)));
        bodyStart = end + 1;
      } else if (!this.#countLine(end - start)) {
        return this.#refuse(requests);
      }
      start = end + 1;
    }
    if (start > bodyStart) this.#pieces.push(text.slice(bodyStart, start));
    if (isTooLong(text, start, text.length)) return this.#refuse(requests);
    this.#partialLine = text.slice(start);
    return requests;
  }

  /** Whether a request may have this line, too. */
  #countLine(length: number): boolean {
    this.#characters += Math.max(length + 1, LINE_CHARACTERS_MIN);
    if (this.#operation === 'events') return this.#characters <= EVENTS_CHARACTERS_MAX;
    return this.#operation === 'set' && this.#characters <= REQUEST_CHARACTERS_MAX;
  }

  /** The request whose last lines are these. */
  #complete(lastLines: string): Request {
    const operation = this.#operation!;
    const pieces = this.#pieces;
    if (lastLines !== '') pieces.push(lastLines);
    const isLong = this.#characters > SHORT_CHARACTERS_MAX;
    this.#operation = null;
    this.#pieces = [];
    this.#characters = 0;
    if (operation === 'set' && isLong) return { operation, lines: new LongText(pieces) };
    const body = pieces.join('');
    return { operation, lines: body === '' ? [] : body.slice(0, -1).split('\n') };
  }

  #refuse(requests: Request[], last = INVALID): Request[] {
    this.#broken = true;
    this.#partialLine = '';
    this.#pieces = [];
    this.#characters = 0;
    requests.push(last);
    return requests;
  }
}

/** Whether the line from `start` to `end` of the text has more bytes than a line may have. */
function isTooLong(text: string, start: number, end: number): boolean {
  const length = end - start;
  // A UTF-16 unit takes at most 3 bytes of UTF-8, so that few lines need to be encoded.
  if (length * 3 <= REQUEST_LINE_BYTES_MAX) return false;
  return (
    length > REQUEST_LINE_BYTES_MAX ||
    encoder.encode(text.slice(start, end)).length > REQUEST_LINE_BYTES_MAX
  );
}
