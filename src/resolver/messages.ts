/**
 * What a daemon and its resolver say to each other, one message a datagram: formats and checks them.
 * Each takes the other for an enemy. The daemon may be in other hands and asks for anything; the
 * resolver reads what name servers send, and may be, too. The program on disk may be another version
 * than the daemon: both sides begin with the number of this format.
 *
 *   question   version 1, 0, number 4, name
 *   answer     version 1, 1, number 4, length 1, name, then for each address its length 1 and bytes
 *   failure    version 1, 2, number 4, length 1, name, an error's name
 *   report     version 1, 3, text: lines `STEP: how it stands`, what holds of its confinement
 *   end        version 1, 4, text: its last words, why it ends by itself
 */

import type { NameAnswer } from '../device/ways.ts';
import { isHostName } from '../packet/hostname.ts';
import { isLookupError } from './lookup.ts';
import { ADDRESSES_MAX, HOST_BYTES_MAX } from './resolver.ts';

const VERSION = 1;
const KIND = { question: 0, answer: 1, failure: 2, report: 3, end: 4 } as const;
const HEADER_BYTES = 6;
const STEPS_MAX = 16;
/** Without a name where nothing is confined. */
const STEP = /^([a-z_]{0,24}): ([\x20-\x7e]{1,120})$/;

/** No message is longer; a reader has room for one byte more, to see that one is. */
export const MESSAGE_BYTES_MAX = HEADER_BYTES + 1 + HOST_BYTES_MAX + ADDRESSES_MAX * 17;
const TEXT_BYTES_MAX = MESSAGE_BYTES_MAX - 2;

export interface Question {
  readonly id: number;
  readonly host: string;
}

/** What a resolver says. */
export type Word =
  | { readonly kind: 'answer'; readonly question: Question; readonly answer: NameAnswer }
  /** How it stands with each step of its confinement, by name. */
  | { readonly kind: 'report'; readonly steps: ReadonlyMap<string, string> }
  | { readonly kind: 'end'; readonly why: string };

export function formatQuestion({ id, host }: Question): Uint8Array {
  return concat([...header(KIND.question, id), ...new TextEncoder().encode(host)]);
}

/** null for what is none. */
export function parseQuestion(bytes: Uint8Array): Question | null {
  if (bytes.length <= HEADER_BYTES || bytes.length > HEADER_BYTES + HOST_BYTES_MAX) return null;
  if (bytes[0] !== VERSION || bytes[1] !== KIND.question) return null;
  const host = textOf(bytes.subarray(HEADER_BYTES));
  return host === null || !isHostName(host) ? null : { id: numberOf(bytes), host };
}

export function formatAnswer({ id, host }: Question, answer: NameAnswer): Uint8Array {
  const name = new TextEncoder().encode(host);
  if ('error' in answer) {
    const error = new TextEncoder().encode(answer.error);
    return concat([...header(KIND.failure, id), name.length, ...name, ...error]);
  }
  const addresses = answer.addresses.slice(0, ADDRESSES_MAX);
  const records = addresses.flatMap((address) => [address.length, ...address]);
  return concat([...header(KIND.answer, id), name.length, ...name, ...records]);
}

export function formatReport(steps: ReadonlyMap<string, string>): Uint8Array {
  return formatText(KIND.report, [...steps].map(([name, text]) => `${name}: ${text}`).join('\n'));
}

export function formatEnd(why: string): Uint8Array {
  return formatText(KIND.end, why.replaceAll(/[^\x20-\x7e]+/g, ' '));
}

function formatText(kind: number, text: string): Uint8Array {
  return concat([VERSION, kind, ...new TextEncoder().encode(text).subarray(0, TEXT_BYTES_MAX)]);
}

/** null for what no resolver of ours says. */
export function parseWord(bytes: Uint8Array): Word | null {
  if (bytes.length < 2 || bytes.length > MESSAGE_BYTES_MAX || bytes[0] !== VERSION) return null;
  switch (bytes[1]) {
    case KIND.answer:
    case KIND.failure:
      return parseAnswer(bytes, bytes[1] === KIND.failure);
    case KIND.report:
      return parseReport(textOf(bytes.subarray(2)));
    case KIND.end: {
      const why = textOf(bytes.subarray(2));
      return why !== null && /^[\x20-\x7e]*$/.test(why) ? { kind: 'end', why } : null;
    }
    default:
      return null;
  }
}

function parseAnswer(bytes: Uint8Array, isFailure: boolean): Word | null {
  const nameLength = bytes[HEADER_BYTES] ?? 0;
  const end = HEADER_BYTES + 1 + nameLength;
  const host = textOf(bytes.subarray(HEADER_BYTES + 1, end));
  if (host === null || !isHostName(host) || end > bytes.length) return null;
  const rest = bytes.subarray(end);
  const answer = isFailure ? parseFailure(rest) : parseAddresses(rest);
  return answer && { kind: 'answer', question: { id: numberOf(bytes), host }, answer };
}

function parseFailure(bytes: Uint8Array): NameAnswer | null {
  const error = textOf(bytes);
  return error !== null && isLookupError(error) ? { error } : null;
}

function parseAddresses(bytes: Uint8Array): NameAnswer | null {
  const addresses: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes[at];
    const end = at + 1 + length;
    if ((length !== 4 && length !== 16) || end > bytes.length) return null;
    if (addresses.length === ADDRESSES_MAX) return null;
    // The reader's memory is used again.
    addresses.push(bytes.slice(at + 1, end));
    at = end;
  }
  return { addresses };
}

function parseReport(text: string | null): Word | null {
  if (text === null) return null;
  const lines = text === '' ? [] : text.split('\n');
  const steps = lines.map((line) => STEP.exec(line));
  if (lines.length > STEPS_MAX || steps.includes(null)) return null;
  return { kind: 'report', steps: new Map(steps.map((step) => [step![1], step![2]])) };
}

function header(kind: number, id: number): readonly number[] {
  return [VERSION, kind, ...new Uint8Array(new Uint32Array([id]).buffer)];
}

function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(2, true);
}

/** null for what is not UTF-8. */
function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function concat(bytes: readonly number[]): Uint8Array {
  return Uint8Array.from(bytes);
}
