/** The ring of events and its readers, against a slow oracle; what it may hold, and what a flood may. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventReader } from '../../src/events/reader.ts';
import type { EventBody, EventRecord } from '../../src/events/record.ts';
import {
  EVENTS_PER_PEER,
  EventRing,
  type EventsHandover,
  NO_EVENTS,
  RECENT_EVENTS,
  STRANGERS_EVENTS,
} from '../../src/events/ring.ts';

const key = (n: number): string => `${Buffer.alloc(32, n).toString('base64')}`;
const about = (n: number) => ({ peer: key(n), name: `peer ${n}` });
const connected = (n: number): EventBody => ({ kind: 'connected', ...about(n) });
const roamed = (n: number): EventBody => ({ kind: 'roamed', ...about(n), from: 'a', to: 'b' });
const linkDown: EventBody = { kind: 'linkDown' };
const cookieSent: EventBody = { kind: 'cookieSent', endpoint: '192.0.2.1:1' };

function all(ring: EventRing, since: number | null = null): EventRecord[] {
  const reader = new EventReader(ring, since);
  const records: EventRecord[] = [];
  for (let one = reader.next(); one !== null; one = reader.next()) {
    if (one.kind === 'event') records.push(one.record);
  }
  return records;
}

const seqs = (records: readonly EventRecord[]): number[] => records.map(({ seq }) => seq);

/** Strangers' events come slowly enough to be kept: each a minute after the last. */
class Oracle {
  readonly ring = new EventRing('test');
  readonly #added: EventRecord[] = [];
  #gone = new Set<number>();
  #now = 0;

  add(body: EventBody): void {
    this.#now += 60_000;
    const time = { timeMs: 1_000 + this.#now, monotonicMs: this.#now };
    expect(this.ring.add(body, time)).toBe(true);
    this.#added.push({ ...body, ...time, seq: this.#added.length + 1 });
  }

  retain(isPeer: (n: number) => boolean): void {
    this.ring.retain((peer) => isPeer(Buffer.from(peer, 'base64')[0]));
    // Nobody's history any more, even of a peer that comes again; the recent ones stay as such.
    for (const record of this.#added) {
      const n = this.#peerOf(record);
      if (n !== null && !isPeer(n)) this.#gone.add(record.seq);
    }
  }

  /** What should be kept at this moment. */
  kept(): EventRecord[] {
    const strangers = this.#added.filter(({ kind }) => kind === 'cookieSent');
    const live = this.#added.filter(({ seq }) => !this.#gone.has(seq));
    const own = [...new Set(live.map((one) => this.#peerOf(one)))].flatMap((n) =>
      n === null ? [] : live.filter((one) => this.#peerOf(one) === n).slice(-EVENTS_PER_PEER),
    );
    const kept = [...strangers.slice(-STRANGERS_EVENTS), ...this.#recent()];
    return [...new Set([...kept, ...own])].sort((a, b) => a.seq - b.seq);
  }

  get last(): number {
    return this.#added.length;
  }

  #recent(): EventRecord[] {
    return this.#added.filter(({ kind }) => kind !== 'cookieSent').slice(-RECENT_EVENTS);
  }

  #peerOf(record: EventRecord): number | null {
    return 'peer' in record && record.peer !== null ? Buffer.from(record.peer, 'base64')[0] : null;
  }
}

/** One who reads now and then, and what he was told. */
class Watcher {
  readonly #reader: EventReader;
  readonly #from: number;
  readonly told: number[] = [];
  lost = 0;

  constructor(ring: EventRing, since: number | null) {
    this.#reader = new EventReader(ring, since);
    this.#from = since ?? ring.seq;
  }

  read(most: number): void {
    for (let i = 0; i < most; i++) {
      const one = this.#reader.next();
      if (one === null) return;
      if (one.kind === 'lost') this.lost += one.events;
      else this.told.push(one.record.seq);
    }
  }

  /** Each number once, in order; and each that is missing was told as lost. */
  check(last: number): void {
    expect(this.told).toEqual([...new Set(this.told)].sort((a, b) => a - b));
    const live = this.told.filter((seq) => seq > this.#from);
    expect(live.length + this.lost).toBe(last - this.#from);
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ add: fc.nat(5), times: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 2, arbitrary: fc.record({ strangers: fc.integer({ min: 1, max: 150 }) }) },
  { weight: 2, arbitrary: fc.record({ others: fc.integer({ min: 1, max: 1_200 }) }) },
  { weight: 3, arbitrary: fc.record({ reader: fc.nat(3), reads: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.record({ joins: fc.constantFrom('fresh', 'since' as const) }) },
  { weight: 1, arbitrary: fc.record({ leaves: fc.nat(5) }) },
);

it('keeps what it should, and every reader is told of each event, or that it was lost', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const oracle = new Oracle();
      const watchers = [new Watcher(oracle.ring, null)];
      for (const one of steps) {
        if ('add' in one) for (let i = 0; i < one.times; i++) oracle.add(connected(one.add));
        if ('strangers' in one) for (let i = 0; i < one.strangers; i++) oracle.add(cookieSent);
        if ('others' in one) for (let i = 0; i < one.others; i++) oracle.add(linkDown);
        if ('reader' in one) watchers[one.reader % watchers.length].read(one.reads);
        if ('joins' in one) {
          const since = one.joins === 'fresh' ? null : Math.floor(oracle.last / 2);
          watchers.push(new Watcher(oracle.ring, since === 0 ? null : since));
        }
        if ('leaves' in one) oracle.retain((n) => n !== one.leaves);
        expect(oracle.ring.size).toBe(oracle.kept().length);
      }
      expect(all(oracle.ring)).toEqual(oracle.kept());
      for (const watcher of watchers) {
        watcher.read(Number.POSITIVE_INFINITY);
        watcher.check(oracle.last);
      }
    }),
    { numRuns: 60 },
  );
});

/** All of it at once. */
function inherit(ring: EventRing, handover: EventsHandover): void {
  for (const _ of ring.continue(handover));
}

describe('a reader', () => {
  it('that begins with what is kept is told of no loss before it came', () => {
    const { ring } = filled(3_000);
    const first = new EventReader(ring, null).next();
    expect(first).toMatchObject({ kind: 'event', record: { seq: 2_001 } });
  });

  it('that names the last event it had is told how many it has missed', () => {
    const { ring } = filled(3_000);
    const reader = new EventReader(ring, 500);
    expect(reader.next()).toEqual({ kind: 'lost', events: 1_500 });
    expect(reader.next()).toMatchObject({ kind: 'event', record: { seq: 2_001 } });
  });

  it('that names one of the future, as of another daemon, is told of all', () => {
    const { ring } = filled(10);
    expect(seqs(all(ring, 99))).toEqual(seqs(all(ring)));
  });

  it('that has read all is told of what comes', () => {
    const { ring, add } = filled(10);
    const reader = new EventReader(ring, 10);
    expect(reader.next()).toBeNull();
    add(linkDown);
    expect(reader.next()).toMatchObject({ kind: 'event', record: { seq: 11 } });
    expect(reader.next()).toBeNull();
  });
});

function filled(events: number) {
  const ring = new EventRing('test');
  let now = 0;
  const add = (body: EventBody): boolean => {
    now += 60_000;
    return ring.add(body, { timeMs: now, monotonicMs: now });
  };
  for (let i = 0; i < events; i++) add(linkDown);
  return { ring, add };
}

describe('a flood', () => {
  it('of strangers takes nobody else’s place, and is told by its number', () => {
    const ring = new EventRing('test');
    const time = { timeMs: 1, monotonicMs: 1 };
    for (let i = 0; i < RECENT_EVENTS; i++) ring.add(linkDown, time);
    for (let i = 0; i < 100_000; i++) ring.add(cookieSent, { timeMs: 1, monotonicMs: 1 + i / 100 });
    const kept = all(ring);
    expect(kept.filter(({ kind }) => kind === 'linkDown')).toHaveLength(RECENT_EVENTS);
    expect(kept.length).toBeLessThanOrEqual(RECENT_EVENTS + STRANGERS_EVENTS);
    const told = kept.flatMap((one) => (one.kind === 'suppressed' ? [one.events] : []));
    const cookies = kept.filter(({ kind }) => kind === 'cookieSent').length;
    // One second: those at once, and one for each two seconds.
    expect(cookies).toBe(32);
    expect(told).toEqual([]);
    ring.add(cookieSent, { timeMs: 1, monotonicMs: 60_000 });
    expect(all(ring).slice(-2)).toMatchObject([
      { kind: 'suppressed', peer: null, events: 100_000 - 32 },
      { kind: 'cookieSent' },
    ]);
    expect(ring.suppressed).toBe(100_000 - 32);
  });

  it('of one peer leaves the others theirs, and never hides that it is lost', () => {
    const ring = new EventRing('test');
    for (let i = 0; i < 500; i++) ring.add(connected(1), { timeMs: 1, monotonicMs: 1 });
    for (let i = 0; i < 100_000; i++) ring.add(roamed(2), { timeMs: 1, monotonicMs: 1 });
    ring.add(
      { kind: 'disconnected', ...about(2), cause: 'dataUnanswered', trouble: null },
      {
        ...{ timeMs: 1, monotonicMs: 1 },
      },
    );
    const kept = all(ring);
    expect(kept.filter((one) => 'peer' in one && one.peer === key(1))).toHaveLength(500);
    expect(kept.slice(-2)).toMatchObject([
      { kind: 'suppressed', peer: key(2), name: 'peer 2', events: 100_000 - 32 },
      { kind: 'disconnected', peer: key(2) },
    ]);
  });

  it('of packets dropped, while debugging, is of strangers, whoever the peer is', () => {
    const ring = new EventRing('test');
    const dropped: EventBody = {
      ...{ kind: 'dropped', reason: 'badPacket', ...about(1), endpoint: null, packets: 1 },
    };
    for (let i = 0; i < 1_000; i++) ring.add(dropped, { timeMs: 1, monotonicMs: 1 });
    ring.add(connected(1), { timeMs: 1, monotonicMs: 1 });
    expect(all(ring).at(-1)).toMatchObject({ kind: 'connected' });
    expect(ring.size).toBe(33);
  });
});

describe('handed over', () => {
  it('it is the same in the successor, whose numbers follow', () => {
    const oracle = new Oracle();
    // Of most of the peers nothing is among the recent ones.
    for (let i = 0; i < 800; i++) oracle.add(i % 7 === 0 ? cookieSent : connected(i % 50));
    for (let i = 800; i < 2_000; i++) oracle.add(i % 9 === 0 ? connected(3) : linkDown);
    const successor = new EventRing('other');
    const handover = oracle.ring.handOver();
    inherit(successor, JSON.parse(JSON.stringify(handover)));
    expect(all(successor)).toEqual(oracle.kept());
    expect([successor.stream, successor.seq]).toEqual(['test', 2_000]);
    successor.add(linkDown, { timeMs: 1, monotonicMs: 1 });
    expect(all(successor).at(-1)).toMatchObject({ seq: 2_001 });
    // A third is none the worse.
    const third = new EventRing('third');
    inherit(third, successor.handOver());
    expect(all(third)).toEqual(all(successor));
  });

  it('of very many peers it is bounded: the last of each', () => {
    const { ring, add } = filled(0);
    const peers = 4_096;
    for (let round = 0; round < EVENTS_PER_PEER; round++) {
      for (let n = 0; n < peers; n++) {
        const peer = `${n}`.padStart(44, '=');
        add({ kind: 'connected', peer, name: '' });
      }
    }
    expect(ring.size).toBe(peers * EVENTS_PER_PEER);
    const { records } = ring.handOver();
    expect(records.length).toBeLessThanOrEqual(4 * peers + RECENT_EVENTS);
    const successor = new EventRing('other');
    inherit(successor, { ...NO_EVENTS, stream: 'test', seq: ring.seq, records });
    expect(seqs(all(successor)).slice(-peers)).toEqual(seqs(all(ring)).slice(-peers));
  });

  it('from hands that are not to be trusted, it takes records and nothing else', () => {
    const record = { seq: 1, timeMs: 1, monotonicMs: 1, kind: 'linkDown' };
    const records = [
      ...[null, 1, 'x', [], {}, { ...record, seq: 0 }, { ...record, seq: 1.5 }],
      ...[
        { ...record, kind: 'x y' },
        { ...record, kind: '__proto__' },
        { ...record, timeMs: '1' },
      ],
      ...[
        { ...record, text: 'x'.repeat(5_000) },
        { ...record, deep: { a: 1 } },
      ],
      ...[
        { ...record, peer: 7 },
        { ...record, list: [1] },
      ],
      { ...record, seq: 3, kind: 'ofTheFuture', other: [['x']] },
      ...[record, { ...record, seq: 4, kind: 'ofTheFuture', word: true }],
      ...[
        { ...record, seq: 2 },
        { ...record, seq: 4 },
        { ...record, seq: 99 },
      ],
    ];
    const ring = new EventRing('mine');
    inherit(ring, { stream: 'theirs', seq: 10, suppressed: 0, records });
    expect(seqs(all(ring))).toEqual([1, 4]);
    expect(ring.seq).toBe(10);
  });

  it('from a version without events it begins by itself', () => {
    const ring = new EventRing('mine');
    inherit(ring, NO_EVENTS);
    ring.add(linkDown, { timeMs: 1, monotonicMs: 1 });
    expect([ring.stream, seqs(all(ring))]).toEqual(['mine', [1]]);
  });
});

it('takes some hundred bytes an event, however many peers there are', () => {
  const measure = (peers: number): { kept: number; bytes: number } => {
    const { ring, add } = filled(0);
    const names = Array.from({ length: peers }, (_, n) => ({
      peer: Buffer.alloc(32, `${n}`).toString('base64'),
      name: `laptop of employee ${n}`,
    }));
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 2 * EVENTS_PER_PEER; i++) {
      for (const { peer, name } of names) {
        add({ kind: 'rekeyed', peer, name, by: 'us', session: i + 1 });
      }
    }
    globalThis.gc?.();
    return { kept: ring.size, bytes: process.memoryUsage().heapUsed - before };
  };
  for (const peers of [1, 100, 1_000, 10_000]) {
    const { kept, bytes } = measure(peers);
    console.log(
      `events of ${peers} peers: ${kept} kept, ${(bytes / 1e6).toFixed(1)} MB, ${Math.round(bytes / kept)} bytes each`,
    );
    expect(kept).toBeLessThanOrEqual(Math.max(RECENT_EVENTS, EVENTS_PER_PEER * peers));
  }
});
