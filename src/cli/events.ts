/**
 * `tswg wg0 events`: what has happened to a tunnel, and, as it happens, what happens: printed, or told
 * to a command of the operator's. Who follows stays with the tunnel over the daemon's upgrades, by
 * the numbers of the events.
 */

import type { EventRecord } from '../events/record.ts';
import { EventsAnswer, type EventsItem, formatEventsRequest } from '../uapi/events.ts';
import { EAGAIN, EBUSY } from '../uapi/response.ts';
import type { EventsOptions } from './command.ts';
import { wordEvent, wordLost } from './eventwords.ts';
import { explainSocket, noSuchInterface, systemReason } from './explain.ts';
import type { Hooks } from './hooks.ts';
import { Refusal } from './refusal.ts';
import type { System } from './system.ts';

/** How often a daemon that has closed the connection is tried before it counts as ended. */
const TRIES = 10;
const TRY_MS = 200;

export interface Audience {
  /** Takes a line; resolves when there is room for the next one. */
  readonly print: (line: string) => Promise<void>;
  /** Takes a line for the operator, beside what is printed. */
  readonly note: (line: string) => void;
  /** Instead of printing. */
  readonly hooks: Hooks | null;
}

/**
 * Resolves to the exit code: 0, or 1 when the daemon of somebody who follows has ended.
 *
 * @throws Refusal with the line for the operator
 */
export async function events(
  name: string,
  options: EventsOptions,
  system: System,
  audience: Audience,
): Promise<number> {
  const link = system.links().find((other) => other.name === name);
  if (link === undefined) throw new Refusal(noSuchInterface(name));
  const place: Place = { stream: '', since: options.since, isNew: true };
  const { follow } = options;
  for (let tries = 0; tries < TRIES; ) {
    let end: End;
    try {
      end = await listen(name, place, options, system, audience);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (place.isNew) throw new Refusal(`${name}: events: ${explainSocket(link, error)}`);
      end = 'silent';
    }
    if (end === 'whole') return 0;
    if (end === 'silent' && place.isNew) {
      throw new Refusal(
        `${name}: events: the WireGuard that serves it is not tswgd, or one of a version that tells no events`,
      );
    }
    if (end === 'cut' && !follow) {
      throw new Refusal(`${name}: events: its daemon has ended in the midst of the answer`);
    }
    // An upgrade closes a connection, and the next one is taken by the successor.
    tries = end === 'cut' ? 0 : tries + 1;
    if (tries > 0) await system.sleep(TRY_MS);
  }
  await audience.hooks?.finish();
  audience.note(`${name}: its daemon has ended`);
  return 1;
}

/** How far has been read. */
interface Place {
  stream: string;
  since: number | null;
  /** Nothing has been heard yet. */
  isNew: boolean;
}

/** How a conversation ended: as asked for; without its end; without an answer; for who asks again. */
type End = 'whole' | 'cut' | 'silent' | 'early';

async function listen(
  name: string,
  place: Place,
  options: EventsOptions,
  system: System,
  audience: Audience,
): Promise<End> {
  const { follow } = options;
  const { stream, since } = place;
  const answer = new EventsAnswer();
  let end: End = 'silent';
  for await (const text of system.converse(name, formatEventsRequest({ since, stream, follow }))) {
    for (const item of answer.push(text)) {
      if (item.kind === 'end') {
        if (item.errno === 0) return 'whole';
        // Another process has just taken over, and will know.
        if (item.errno === EAGAIN) return 'early';
        throw new Refusal(`${name}: events: ${refusalOf(item.errno)}`);
      }
      end = 'cut';
      if (item.kind === 'head') begin(name, place, item, options, audience);
      else await tell(item, place, options, audience);
    }
  }
  return end;
}

function begin(
  name: string,
  place: Place,
  { stream, seq }: Extract<EventsItem, { kind: 'head' }>,
  { follow }: EventsOptions,
  { note }: Audience,
): void {
  if (place.stream !== '' && place.stream !== stream) {
    note(`${name}: another daemon serves it now, whose events are numbered from 1`);
    place.since = 0;
  } else if (follow) {
    place.since ??= seq;
  }
  place.stream = stream;
  place.isNew = false;
}

async function tell(
  item: Extract<EventsItem, { kind: 'event' | 'lost' }>,
  place: Place,
  options: EventsOptions,
  { print, hooks }: Audience,
): Promise<void> {
  if (item.kind === 'lost') {
    // Of those, too, when the connection is made again.
    place.since = (place.since ?? 0) + item.events;
    if (hooks !== null) hooks.lose(item.events);
    else if (options.json) await print(JSON.stringify(item));
    else await print(wordLost(item.events));
    return;
  }
  const { record } = item;
  place.since = record.seq;
  if (!isWanted(record, options)) return;
  if (hooks !== null) hooks.push(record);
  else await print(options.json ? JSON.stringify(record) : wordEvent(record));
}

function isWanted(record: EventRecord, { peer, on }: EventsOptions): boolean {
  if (on !== null && !on.includes(record.kind)) return false;
  if (peer === null) return true;
  return 'peer' in record && (record.peer === peer || (record.name !== '' && record.name === peer));
}

function refusalOf(errno: number): string {
  return errno === EBUSY
    ? 'as many as may already follow its events; try it again when one of them has ended'
    : systemReason({ errno });
}
