/** Evidence: what has happened, as far as the daemon's ring still knows it. */

import { observe } from '../../control/uapiclient.ts';
import type { EventRecord } from '../../events/record.ts';
import { EventsAnswer, formatEventsRequest } from '../../uapi/events.ts';
import type { RingEvent } from '../evidence.ts';
import { CannotLook } from './looking.ts';

const TIMEOUT_MS = 3_000;

/** Oldest first. @throws {CannotLook} and {SystemError} */
export async function gatherEvents(name: string): Promise<RingEvent[]> {
  const request = formatEventsRequest({ since: null, stream: '', follow: false });
  const items = new EventsAnswer().push(
    await observe(name, request, undefined, undefined, TIMEOUT_MS).catch(orOlder),
  );
  const end = items.find((item) => item.kind === 'end');
  if (end === undefined || end.errno !== 0) throw new CannotLook('the daemon tells none');
  return items.flatMap((item) => (item.kind === 'event' ? [describe(item.record)] : []));
}

/** One that does not know the request closes the connection. */
function orOlder(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPROTO') throw new CannotLook('the daemon is one that keeps none');
  throw error;
}

/** Plain values of one kind each: lists are for programs that follow. */
export function describe(record: EventRecord): RingEvent {
  const { seq, timeMs, kind, ...others } = record;
  const { peer, ...values } = others as Readonly<Record<string, unknown>>;
  const plain = Object.entries(values).filter(isPlain);
  return {
    seq,
    timeMs,
    kind,
    peer: typeof peer === 'string' ? peer : null,
    values: Object.fromEntries(plain),
  };
}

function isPlain(entry: [string, unknown]): entry is [string, number | string | boolean] {
  return ['number', 'string', 'boolean'].includes(typeof entry[1]);
}
