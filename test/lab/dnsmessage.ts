/**
 * As much of DNS messages (RFC 1035 4) as a name server of the lab needs: it reads one question and
 * writes addresses, or that there are none. Knows neither sockets nor names.
 */

/** RFC 1035 4.1.1. */
export const RCODE = { noError: 0, serverFailure: 2, noSuchName: 3, refused: 5 } as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

const HEADER_BYTES = 12;
const QUERY_TYPES: Readonly<Record<number, 'A' | 'AAAA'>> = { 1: 'A', 28: 'AAAA' };
const CLASS_INTERNET = 1;
/** The name of the question, by its place. */
const POINTER_TO_QUESTION = 0xc000 | HEADER_BYTES;
const [FLAG_RESPONSE, FLAG_AUTHORITATIVE, FLAG_TRUNCATED] = [0x8000, 0x0400, 0x0200];
const [FLAG_RECURSION_DESIRED, FLAG_RECURSION_AVAILABLE] = [0x0100, 0x0080];

export interface Question {
  readonly id: number;
  /** In lower case, without the last dot. */
  readonly name: string;
  /** null for another type. */
  readonly type: 'A' | 'AAAA' | null;
  /** The question as it stands in the message. */
  readonly bytes: Uint8Array;
}

/** null for what is no query with one question. */
export function parseQuestion(message: Buffer): Question | null {
  if (message.length < HEADER_BYTES + 5 || (message.readUInt16BE(2) & FLAG_RESPONSE) !== 0) {
    return null;
  }
  if (message.readUInt16BE(4) !== 1) return null;
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return null;
    at++;
    if (length === 0) break;
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
  if (at + 4 > message.length) return null;
  return {
    id: message.readUInt16BE(0),
    name: labels.join('.').toLowerCase(),
    type: QUERY_TYPES[message.readUInt16BE(at)] ?? null,
    bytes: message.subarray(HEADER_BYTES, at + 4),
  };
}

export interface Answer {
  readonly rcode: Rcode;
  /** Each of 4 or 16 bytes. */
  readonly addresses: readonly Uint8Array[];
  /** The answer does not fit: ask again over TCP. */
  readonly isTruncated?: boolean;
  readonly ttlSeconds?: number;
}

export function formatAnswer(question: Question, answer: Answer): Buffer {
  const { rcode, addresses, isTruncated = false, ttlSeconds = 1 } = answer;
  const header = Buffer.alloc(HEADER_BYTES);
  const flags = [FLAG_RESPONSE, FLAG_AUTHORITATIVE, FLAG_RECURSION_DESIRED];
  flags.push(FLAG_RECURSION_AVAILABLE, isTruncated ? FLAG_TRUNCATED : 0);
  header.writeUInt16BE(question.id, 0);
  header.writeUInt16BE(
    flags.reduce((all, flag) => all | flag, rcode as number),
    2,
  );
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(isTruncated ? 0 : addresses.length, 6);
  const records = addresses.map((address) => {
    const record = Buffer.alloc(12);
    record.writeUInt16BE(POINTER_TO_QUESTION, 0);
    record.writeUInt16BE(address.length === 4 ? 1 : 28, 2);
    record.writeUInt16BE(CLASS_INTERNET, 4);
    record.writeUInt32BE(ttlSeconds, 6);
    record.writeUInt16BE(address.length, 10);
    return Buffer.concat([record, address]);
  });
  return Buffer.concat([header, question.bytes, ...(isTruncated ? [] : records)]);
}
