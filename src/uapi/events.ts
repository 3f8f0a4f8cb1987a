/**
 * The request for events, and its answer, both ways:
 *
 *   events=1                 stream=ID         which numbering this is
 *   since=SEQ                seq=LAST          the last number there is
 *   stream=ID                {"seq":...}       one event, as JSON, a line each
 *   follow=true              lost=COUNT        so many were pushed out before they were read
 *   (an empty line)          errno=0           and an empty line: the end
 *
 * `since` is the number after which to begin, in the numbering that `stream` names; in another one it
 * says nothing. Without it, or with 0, all that is kept is told; or, with `follow`, nothing of before
 * unless it is 0. With `follow` there is no end. A reader skips lines that it does not know.
 */

import { type EventRecord, readRecord } from '../events/record.ts';
import { parseErrno } from './response.ts';

export interface EventsRequest {
  /** null when it was not said. */
  readonly since: number | null;
  /** Empty when it was not said. */
  readonly stream: string;
  readonly follow: boolean;
}

const STREAM = /^[\w-]{1,40}$/;
const COUNT = /^\d{1,15}$/;

export function formatEventsRequest({ since, stream, follow }: EventsRequest): string {
  const lines = [
    'events=1',
    ...(since === null ? [] : [`since=${since}`]),
    ...(stream === '' ? [] : [`stream=${stream}`]),
    ...(follow ? ['follow=true'] : []),
  ];
  return `${lines.join('\n')}\n\n`;
}

/** `lines`: those after the first. null when one of them is none of ours. */
export function parseEventsRequest(lines: readonly string[]): EventsRequest | null {
  let request: EventsRequest = { since: null, stream: '', follow: false };
  for (const line of lines) {
    const equals = line.indexOf('=');
    const [key, value] = [line.slice(0, Math.max(0, equals)), line.slice(equals + 1)];
    if (key === 'since' && COUNT.test(value)) request = { ...request, since: Number(value) };
    else if (key === 'stream' && STREAM.test(value)) request = { ...request, stream: value };
    else if (key === 'follow' && value === 'true') request = { ...request, follow: true };
    else return null;
  }
  return request;
}

export function formatEventsHead(stream: string, seq: number): string {
  return `stream=${stream}\nseq=${seq}\n`;
}

/** JSON has no newline within. */
export function formatEvent(record: EventRecord): string {
  return `${JSON.stringify(record)}\n`;
}

export function formatLost(events: number): string {
  return `lost=${events}\n`;
}

/** What an answer consists of. */
export type EventsItem =
  | { readonly kind: 'head'; readonly stream: string; readonly seq: number }
  | { readonly kind: 'event'; readonly record: EventRecord }
  | { readonly kind: 'lost'; readonly events: number }
  /** Positive, 0 for success. */
  | { readonly kind: 'end'; readonly errno: number };

/** Takes an answer apart as it comes. Never throws. */
export class EventsAnswer {
  #partial = '';
  #stream = '';

  /** The next characters of the answer; what they complete. */
  push(text: string): EventsItem[] {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop()!;
    return lines.flatMap((line) => this.#item(line));
  }

  #item(line: string): EventsItem[] {
    if (line.startsWith('{')) {
      const record = readRecord(parseJson(line));
      return record === null ? [] : [{ kind: 'event', record }];
    }
    const equals = line.indexOf('=');
    const [key, value] = [line.slice(0, Math.max(0, equals)), line.slice(equals + 1)];
    if (key === 'errno') return [{ kind: 'end', errno: parseErrno(line) }];
    if (key === 'stream' && STREAM.test(value)) this.#stream = value;
    if (!COUNT.test(value)) return [];
    if (key === 'seq') return [{ kind: 'head', stream: this.#stream, seq: Number(value) }];
    return key === 'lost' ? [{ kind: 'lost', events: Number(value) }] : [];
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
