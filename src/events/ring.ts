/**
 * The last events of a tunnel: the most recent ones of all, and of each peer its own last ones, so
 * that a thousand peers leave each other a history. What strangers cause is kept apart: a flood of
 * it takes nobody else's place. Knows no clock; who reads, and how, is the reader's (reader.ts).
 *
 * Every event that is kept gets the next number. One that comes too fast gets none, and is counted:
 * the next event of the same peer tells how many those were.
 */

import type { DeviceEvent } from '../device/events.ts';
import type { EventBody, EventRecord } from './record.ts';
import { readRecord } from './record.ts';

/** How many are kept, of all together, of each peer, and of strangers. */
export const RECENT_EVENTS = 1_000;
export const EVENTS_PER_PEER = 16;
export const STRANGERS_EVENTS = 100;

/** Of one peer, or of all strangers: so many at once, and then so many a second. */
const BURST = 32;
const PER_SECOND = 1 / 2;

/** What an upgrade in place hands over at most, so that it takes no longer with many peers. */
const HANDED_OVER_MAX = 4_096;

/** What peers cannot cause at will. */
const UNLIMITED: ReadonlySet<EventBody['kind']> = new Set([
  ...(['connected', 'disconnected', 'handshakeFailed', 'keysErased'] as const),
  ...(['peerConfigured', 'peerRemoved', 'suppressed'] as const),
]);
const OF_STRANGERS: ReadonlySet<string> = new Set(['cookieSent', 'stranger', 'dropped']);

/** One that is kept, in the order of the numbers. */
export interface Kept {
  readonly seq: number;
  readonly timeMs: number;
  readonly monotonicMs: number;
  /** Apart, so that what is told of it is not copied as long as nobody reads it. */
  readonly body: EventBody;
  previous: Kept | null;
  next: Kept | null;
  /** In how many of the windows it still is; 0: it is not kept any more, and leads nowhere. */
  holders: number;
}

export function recordOf({ seq, timeMs, monotonicMs, body }: Kept): EventRecord {
  return { seq, timeMs, monotonicMs, ...body };
}

/** The last so many of something. */
class Window {
  readonly #size: number;
  readonly #kept: Kept[] = [];
  #oldest = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** The one that falls out; null for none. */
  push(kept: Kept): Kept | null {
    kept.holders++;
    if (this.#kept.length < this.#size) {
      this.#kept.push(kept);
      return null;
    }
    const out = this.#kept[this.#oldest];
    this.#kept[this.#oldest] = kept;
    this.#oldest = (this.#oldest + 1) % this.#size;
    return out;
  }

  get all(): readonly Kept[] {
    return this.#kept;
  }
}

/** How many events somebody may cause: a bucket of them. */
class Budget {
  #left = BURST;
  #at = Number.NEGATIVE_INFINITY;
  /** Those that came too fast, and were not told of yet. */
  suppressed = 0;

  has(now: number): boolean {
    const elapsed = Math.max(0, now - this.#at);
    this.#at = Math.max(this.#at, now);
    this.#left = Math.min(BURST, this.#left + (elapsed / 1_000) * PER_SECOND);
    return this.#left >= 1;
  }

  take(now: number): boolean {
    if (!this.has(now)) return false;
    this.#left--;
    return true;
  }
}

interface PeerHistory {
  readonly window: Window;
  readonly budget: Budget;
}

/** What a successor needs to continue; values of JSON. */
export interface EventsHandover {
  readonly stream: string;
  readonly seq: number;
  readonly suppressed: number;
  /** EventRecords, in the order of their numbers; a successor looks at each. */
  readonly records: readonly unknown[];
}

/** Of a predecessor that had no events. */
export const NO_EVENTS: EventsHandover = { stream: '', seq: 0, suppressed: 0, records: [] };

export interface EventTime {
  /** Wall clock, ms since 1970. */
  readonly timeMs: number;
  readonly monotonicMs: number;
}

export class EventRing {
  /** Which numbering this is: that of a daemon and all who continued in its place. */
  #stream: string;
  #seq = 0;
  #first: Kept | null = null;
  #last: Kept | null = null;
  #size = 0;
  #suppressed = 0;
  readonly #recent = new Window(RECENT_EVENTS);
  readonly #strangers = new Window(STRANGERS_EVENTS);
  readonly #strangersBudget = new Budget();
  readonly #peers = new Map<string, PeerHistory>();

  /** `stream`: a name that no other daemon's events have had. */
  constructor(stream: string) {
    this.#stream = stream;
  }

  get stream(): string {
    return this.#stream;
  }

  /** The number of the last event; 0 before the first. */
  get seq(): number {
    return this.#seq;
  }

  /** How many are kept. */
  get size(): number {
    return this.#size;
  }

  /** How many came too fast to be kept. */
  get suppressed(): number {
    return this.#suppressed;
  }

  get first(): Kept | null {
    return this.#first;
  }

  /** The first that is kept and has a greater number; null for none. */
  after(seq: number): Kept | null {
    if (this.#first === null || this.#first.seq > seq) return this.#first;
    let kept = this.#last!;
    if (kept.seq <= seq) return null;
    // Who asks is rarely far back.
    while (kept.previous !== null && kept.previous.seq > seq) kept = kept.previous;
    return kept;
  }

  /**
   * Ask first where nobody knows who causes an event, so that a flood of them costs no more than this:
   * true when one of this kind would come too fast. It is counted then, and not to be added.
   */
  turnsAway(kind: DeviceEvent['kind'], monotonicMs: number): boolean {
    if (!OF_STRANGERS.has(kind) || this.#strangersBudget.has(monotonicMs)) return false;
    this.#count(this.#strangersBudget);
    return true;
  }

  /** Keeps it, or counts it when it came too fast; true when there is something new to be read. */
  add(body: EventBody, time: EventTime): boolean {
    const peer = peerOf(body);
    const history = peer === null ? null : this.#historyOf(peer);
    const isOfStrangers = OF_STRANGERS.has(body.kind);
    const budget = isOfStrangers ? this.#strangersBudget : (history?.budget ?? null);
    if (budget !== null) {
      if (!UNLIMITED.has(body.kind) && !budget.take(time.monotonicMs)) {
        this.#count(budget);
        return false;
      }
      if (budget.suppressed > 0) {
        const events = budget.suppressed;
        budget.suppressed = 0;
        const name = 'name' in body && !isOfStrangers ? body.name : '';
        this.#keep(++this.#seq, time, { kind: 'suppressed', peer, name, events });
      }
    }
    this.#keep(++this.#seq, time, body);
    return true;
  }

  /** Forgets the history of a peer that is none any more. */
  forget(peer: string): void {
    const history = this.#peers.get(peer);
    this.#peers.delete(peer);
    for (const kept of history?.window.all ?? []) this.#release(kept);
  }

  /** Forgets those of all who are none. */
  retain(isPeer: (publicKey: string) => boolean): void {
    for (const peer of [...this.#peers.keys()]) if (!isPeer(peer)) this.forget(peer);
  }

  /** Copies nothing: the records never change. */
  handOver(): EventsHandover {
    const depth = Math.max(1, Math.floor(HANDED_OVER_MAX / Math.max(1, this.#peers.size)));
    const records: EventRecord[] = [];
    const left = new Map<string, number>();
    const oldestRecent = Math.min(...this.#recent.all.map(({ seq }) => seq));
    // From the last one back, so that of each peer the last ones go.
    for (let kept = this.#last; kept !== null; kept = kept.previous) {
      const peer = peerOf(kept.body);
      const taken = peer === null ? 0 : (left.get(peer) ?? 0);
      if (peer !== null) left.set(peer, taken + 1);
      if (kept.seq >= oldestRecent || taken < depth) records.push(recordOf(kept));
    }
    return {
      ...{ stream: this.#stream, seq: this.#seq, suppressed: this.#suppressed },
      records: records.reverse(),
    };
  }

  /**
   * Becomes that of a predecessor, who may be in other hands: what is no record is left out. To be left
   * at each `yield` for as long as nothing is added or read.
   */
  *continue({ stream, seq, suppressed, records }: EventsHandover): Generator<void, void> {
    // A predecessor of a version without events had none.
    if (stream === '') return;
    this.#stream = stream;
    this.#suppressed = suppressed;
    for (const value of records) {
      const record = readRecord(value);
      if (record !== null && record.seq > this.#seq && record.seq <= seq) {
        const { seq: number, timeMs, monotonicMs, ...body } = record;
        this.#seq = number;
        this.#keep(number, { timeMs, monotonicMs }, body);
      }
      yield;
    }
    this.#seq = Math.max(this.#seq, seq);
  }

  #count(budget: Budget): void {
    budget.suppressed++;
    this.#suppressed++;
  }

  #historyOf(peer: string): PeerHistory {
    let history = this.#peers.get(peer);
    if (history === undefined) {
      history = { window: new Window(EVENTS_PER_PEER), budget: new Budget() };
      this.#peers.set(peer, history);
    }
    return history;
  }

  #keep(seq: number, { timeMs, monotonicMs }: EventTime, body: EventBody): void {
    const previous = this.#last;
    const kept: Kept = { seq, timeMs, monotonicMs, body, previous, next: null, holders: 0 };
    if (this.#last === null) this.#first = kept;
    else this.#last.next = kept;
    this.#last = kept;
    this.#size++;
    const isOfStrangers =
      OF_STRANGERS.has(body.kind) || (body.kind === 'suppressed' && body.peer === null);
    this.#release((isOfStrangers ? this.#strangers : this.#recent).push(kept));
    const peer = peerOf(body);
    if (peer !== null) this.#release(this.#historyOf(peer).window.push(kept));
  }

  /** It has fallen out of a window. */
  #release(kept: Kept | null): void {
    if (kept === null || --kept.holders > 0) return;
    const { previous, next } = kept;
    if (previous === null) this.#first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    kept.previous = null;
    kept.next = null;
    this.#size--;
  }
}

/** In whose history an event is; null for none. */
function peerOf(body: EventBody): string | null {
  return 'peer' in body && !OF_STRANGERS.has(body.kind) ? body.peer : null;
}
