import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT_KINDS } from '../../src/events/kinds.ts';
import type { EventRecord } from '../../src/events/record.ts';
import {
  EventsAnswer,
  type EventsItem,
  formatEvent,
  formatEventsHead,
  formatEventsRequest,
  formatLost,
  parseEventsRequest,
} from '../../src/uapi/events.ts';
import { RequestReader } from '../../src/uapi/request.ts';
import { answer, refuseGet } from '../../src/uapi/response.ts';

const request = fc.record({
  since: fc.option(fc.nat(), { nil: null }),
  stream: fc.stringMatching(/^[\w-]{0,40}$/),
  follow: fc.boolean(),
});

const record = fc.record({
  seq: fc.integer({ min: 1 }),
  timeMs: fc.nat(),
  monotonicMs: fc.nat(),
  kind: fc.constantFrom(...Object.keys(EVENT_KINDS)),
  peer: fc.string(),
  name: fc.string({ unit: 'binary' }),
  fields: fc.array(fc.string(), { maxLength: 3 }),
  trouble: fc.constantFrom(null, 'noAnswer'),
}) as unknown as fc.Arbitrary<EventRecord>;

it('a request is understood as it was meant, through the reader of requests', () => {
  fc.assert(
    fc.property(request, (asked) => {
      const [read, ...others] = new RequestReader().push(formatEventsRequest(asked));
      expect([read.operation, others]).toEqual(['events', []]);
      expect(parseEventsRequest([...read.lines])).toEqual(asked);
    }),
  );
});

it.each([
  ...['since=-1', 'since=', 'since=1e3', 'since=9999999999999999', 'stream=', 'stream=a b'],
  ...[`stream=${'x'.repeat(41)}`, 'follow=false', 'follow', 'private_key=x', ''],
])('a request with %j is none', (line) => {
  expect(parseEventsRequest(['since=1', line])).toBeNull();
});

it('a request of more lines than there can be is none, and is not kept', () => {
  const reader = new RequestReader();
  const [invalid] = reader.push(`events=1\n${'since=1\n'.repeat(100)}\n`);
  expect([invalid.operation, reader.heldCharacters]).toEqual(['invalid', 0]);
});

describe('an answer', () => {
  it('is read as it was written, wherever it is cut', () => {
    const cut = fc.array(fc.nat(200), { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), fc.nat(), cut, (records, lost, cuts) => {
        const text =
          formatEventsHead('s-1', 7) +
          records.map(formatEvent).join('') +
          formatLost(lost) +
          answer('');
        const reader = new EventsAnswer();
        const items: EventsItem[] = [];
        let at = 0;
        for (const length of cuts) {
          items.push(...reader.push(text.slice(at, at + length)));
          at += length;
        }
        items.push(...reader.push(text.slice(at)));
        expect(items).toEqual([
          { kind: 'head', stream: 's-1', seq: 7 },
          ...records.map((one) => ({ kind: 'event', record: one })),
          { kind: 'lost', events: lost },
          { kind: 'end', errno: 0 },
        ]);
      }),
    );
  });

  it('of another version, or of no tswgd, is read as far as it can be', () => {
    const reader = new EventsAnswer();
    const text =
      'public_key=x\n{"seq":0}\n{"a":\nseq=7\nlost=x\nfuture=1\n{"seq":1,"timeMs":1,"monotonicMs":1,"kind":"new"}\n';
    expect(reader.push(text + refuseGet(16))).toMatchObject([
      { kind: 'head', stream: '', seq: 7 },
      { kind: 'event', record: { kind: 'new' } },
      { kind: 'end', errno: 16 },
    ]);
  });
});
