/** Evidence: what the daemon's ring of events still knows. */

import { observe } from '../../control/uapiclient.ts';
import type { EventRecord } from '../../events/record.ts';
import { EventsAnswer, formatEventsRequest } from '../../uapi/events.ts';
import type { RingEvent } from '../evidence.ts';
import { CannotLook } from './looking.ts';

const TIMEOUT_MS = 2_000;
const NOT_KEPT = 'this daemon keeps no events';

/** Oldest first. @throws CannotLook, or {SystemError} when nobody answers */
export async function gatherEvents(name: string): Promise<RingEvent[]> {
  const request = formatEventsRequest({ since: null, stream: '', follow: false });
  const text = await observe(name, request, undefined, undefined, TIMEOUT_MS).catch(
    (error: NodeJS.ErrnoException) => {
      // Another WireGuard closes the connection over a request that it does not know.
      throw error.code === 'EPROTO' ? new CannotLook(NOT_KEPT) : error;
    },
  );
  const items = new EventsAnswer().push(text);
  if (items.some((item) => item.kind === 'end' && item.errno !== 0)) throw new CannotLook(NOT_KEPT);
  return items.flatMap((item) => (item.kind === 'event' ? [describeEvent(item.record)] : []));
}

function describeEvent(record: EventRecord): RingEvent {
  const { seq, timeMs, monotonicMs: _elapsed, kind, ...body } = record;
  const { peer = null, ...values } = body as { peer?: string | null };
  const plain = Object.entries(values).filter(isPlain);
  return { seq, timeMs, kind, peer, values: Object.fromEntries(plain) };
}

function isPlain(entry: [string, unknown]): entry is [string, number | string | boolean] {
  return ['number', 'string', 'boolean'].includes(typeof entry[1]);
}
