/**
 * What happens to a running daemon's tunnel, kept and told: joins what the Device tells and what the
 * other parts tell with the ring of events, and reads it to those who ask. How many may follow it at
 * once, and how much they are told in one piece, is decided here; their connections are control/'s.
 */

import type { Feed } from '../control/feed.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { DeviceChange, PeerChange } from '../device/configuration.ts';
import type { DeviceEvent } from '../device/events.ts';
import { about, bodyOf } from '../events/body.ts';
import { EventReader } from '../events/reader.ts';
import type { ConfiguredBy, EventBody, EventRecord } from '../events/record.ts';
import { EventRing, type EventsHandover, type EventTime } from '../events/ring.ts';
import { formatKey } from '../keytext.ts';
import { monotonicMs, wallClockMs } from '../sys/clock.ts';
import { Slices } from '../sys/slices.ts';
import {
  type EventsRequest,
  formatEvent,
  formatEventsHead,
  formatLost,
  parseEventsRequest,
} from '../uapi/events.ts';
import { answer, EBUSY, EINVAL, refuseGet } from '../uapi/response.ts';
import type { EndKind, Subsystem } from './subsystem.ts';

/** On each of the two sockets. */
const FOLLOWERS_MAX = 16;
/** In one piece; some 200 characters each. */
const EVENTS_PER_PIECE = 32;
/** A change of more peers than these is told of as a whole only. */
const PEERS_TOLD_MAX = 16;

/** Which of the two sockets somebody follows on. */
export type Audience = 'operator' | 'observer';

export class Chronicle implements Subsystem {
  readonly #path: Datapath;
  readonly #ring: EventRing;
  readonly #followers: Record<Audience, Set<Following>> = {
    operator: new Set(),
    observer: new Set(),
  };
  /** What the peers were called when the configuration was last looked at, by their public keys. */
  #names = new Map<string, string>();
  /** A predecessor's are being looked at; and what has happened since. */
  #settling: Generator<void, void> | null = null;
  readonly #early: [body: EventBody, time: EventTime][] = [];
  readonly #slices = new Slices();
  /** What happens from now on is another process's to tell. */
  #isOver = false;

  constructor(path: Datapath) {
    this.#path = path;
    this.#ring = new EventRing(`${wallClockMs().toString(36)}-${process.pid}`);
    path.device.observe(this.#notice);
  }

  /** Keeps it, and tells it to those who follow. */
  tell(body: EventBody): void {
    if (this.#isOver) return;
    const time = { timeMs: wallClockMs(), monotonicMs: Math.round(monotonicMs()) };
    if (this.#settling === null) this.#add(body, time);
    else this.#early.push([body, time]);
  }

  #add(body: EventBody, time: EventTime): void {
    if (!this.#ring.add(body, time)) return;
    for (const followers of Object.values(this.#followers)) {
      for (const follower of followers) follower.onMore();
    }
  }

  /** The configuration was changed: which fields were said, never what they hold. */
  configured(by: ConfiguredBy, change: DeviceChange): void {
    for (const _ of this.follow(by, change));
  }

  /** The same for many peers: what takes time may be left at each `yield`, and continued. */
  *follow(by: ConfiguredBy, change: DeviceChange): Generator<void, void> {
    const { peers, ...ofInterface } = change;
    const fields = saidOf(ofInterface);
    if (fields.length === 0 && peers.length === 0) return;
    this.tell({ kind: 'configured', by, fields, peers: peers.length });
    // Either of the two may remove peers that are not named; with a key, the one whose key it is.
    const isAboutAll = change.replacePeers === true || change.privateKey !== undefined;
    const gone = isAboutAll ? yield* this.#gone() : this.#goneOf(peers);
    const replaced = yield* this.#replaced(change);
    const removals = gone.length + replaced.length;
    const isTold = by === 'set' && Math.max(peers.length, removals) <= PEERS_TOLD_MAX;
    for (const peer of replaced) if (isTold) this.#tellRemoved(peer);
    for (const peer of gone) {
      this.#removed(peer, isTold);
      yield;
    }
    for (const one of peers) {
      this.#configuredPeer(one, isTold);
      yield;
    }
    if (by === 'state') yield* this.#lookAround();
  }

  /** Who was a peer when the configuration was last looked at, and is none any more. */
  *#gone(): Generator<void, string[]> {
    const present = new Set<string>();
    for (const { publicKey } of this.#path.device.peerNames()) {
      present.add(publicKey);
      yield;
    }
    return [...this.#names.keys()].filter((peer) => !present.has(peer));
  }

  /** The same when nobody but these can have been removed. */
  #goneOf(changes: readonly PeerChange[]): string[] {
    const removed = changes.filter(
      ({ publicKey, remove }) => remove && this.#path.device.peerName(publicKey) === null,
    );
    const peers = new Set(removed.map(({ publicKey }) => formatKey(publicKey)));
    return [...peers].filter((peer) => this.#names.has(peer));
  }

  /**
   * Who was a peer, was removed, and is one again by the same change: its session has ended, as if
   * that had been two changes. Its history continues.
   */
  *#replaced({ replacePeers, peers }: DeviceChange): Generator<void, string[]> {
    if (!replacePeers && !peers.some(({ remove }) => remove)) return [];
    const removed = new Set(
      peers.flatMap(({ publicKey, remove }) => (remove ? [formatKey(publicKey)] : [])),
    );
    const again = new Set<string>();
    for (const { publicKey, remove } of peers) {
      const peer = formatKey(publicKey);
      const isAgain = !remove && this.#names.has(peer) && (replacePeers || removed.has(peer));
      if (isAgain && this.#path.device.peerName(publicKey) !== null) again.add(peer);
      yield;
    }
    return [...again];
  }

  #tellRemoved(peer: string): void {
    this.tell({ kind: 'peerRemoved', peer, name: this.#names.get(peer) ?? '' });
  }

  #removed(peer: string, isTold: boolean): void {
    if (isTold) this.#tellRemoved(peer);
    this.#names.delete(peer);
    this.#ring.forget(peer);
  }

  #configuredPeer({ publicKey, remove, ...settings }: PeerChange, isTold: boolean): void {
    const present = this.#path.device.peerName(publicKey);
    // One that could not be removed was not there before, or is there again.
    if (present === null || remove) return;
    const { peer, name } = about(present);
    this.#names.set(peer, name);
    if (isTold) this.tell({ kind: 'peerConfigured', peer, name, fields: saidOf(settings) });
  }

  /** Who the peers are: nobody else has a history of his own. */
  *#lookAround(): Generator<void, void> {
    const names = new Map<string, string>();
    for (const one of this.#path.device.peerNames()) {
      const { peer, name } = about(one);
      names.set(peer, name);
      yield;
    }
    this.#names = names;
    this.#ring.retain((peer) => names.has(peer));
  }

  /** Answers an `events`. */
  read(lines: readonly string[], audience: Audience): string | Feed {
    this.settle();
    const request = parseEventsRequest(lines);
    if (request === null) return refuseGet(EINVAL);
    const followers = this.#followers[audience];
    if (request.follow && followers.size >= FOLLOWERS_MAX) return refuseGet(EBUSY);
    return new Following(this.#ring, request, followers, audience === 'observer');
  }

  get ring(): Pick<EventRing, 'seq' | 'size' | 'suppressed'> {
    return this.#ring;
  }

  /** How many follow at this moment. */
  get followers(): number {
    return this.#followers.operator.size + this.#followers.observer.size;
  }

  handOver(): EventsHandover {
    this.settle();
    return this.#ring.handOver();
  }

  /** Continues a predecessor's; what of it takes time is done when packets move again, in slices. */
  continue(handover: EventsHandover): void {
    const settling = this.#continue(handover);
    this.#settling = settling;
    void this.#slices.run(settling);
  }

  *#continue(handover: EventsHandover): Generator<void, void> {
    yield* this.#ring.continue(handover);
    yield* this.#lookAround();
    this.#settling = null;
    for (const [body, time] of this.#early.splice(0)) this.#add(body, time);
  }

  /** Looks at all that is left of it; call before the configuration is changed. */
  settle(): void {
    if (this.#settling !== null) for (const _ of this.#settling);
  }

  readonly #notice = (event: DeviceEvent): void => {
    // By the clock of the turn: this may come with every datagram of a flood.
    if (this.#ring.turnsAway(event.kind, this.#path.now)) return;
    const body = bodyOf(event);
    if (body !== null) this.tell(body);
  };

  stop(kind: EndKind): void {
    this.settle();
    this.#slices.stop();
    if (kind === 'notOurs') this.#isOver = true;
  }
}

/** One answer to an `events`, at the speed of its reader. */
class Following implements Feed {
  readonly isEndless: boolean;
  readonly #reader: EventReader;
  readonly #followers: Set<Following>;
  readonly #isObserver: boolean;
  #head: string;
  /** The last number that is told; without end when it is followed. */
  readonly #last: number;
  #isEnded = false;
  onMore: () => void = () => {};

  constructor(
    ring: EventRing,
    request: EventsRequest,
    followers: Set<Following>,
    isObserver: boolean,
  ) {
    this.#isObserver = isObserver;
    const { follow, stream } = request;
    const isOurs = stream === '' || stream === ring.stream;
    const said = isOurs ? request.since : 0;
    const since = said === 0 || (said === null && !follow) ? null : (said ?? ring.seq);
    this.#reader = new EventReader(ring, since);
    this.#head = formatEventsHead(ring.stream, ring.seq);
    this.isEndless = follow;
    this.#last = follow ? Number.POSITIVE_INFINITY : ring.seq;
    this.#followers = followers;
    if (follow) followers.add(this);
  }

  read(): string | null {
    let piece = this.#head;
    this.#head = '';
    for (let i = 0; i < EVENTS_PER_PIECE; i++) {
      const reading = this.#reader.next(this.#last);
      if (reading === null) break;
      if (reading.kind === 'lost') piece += formatLost(reading.events);
      else piece += formatEvent(this.#isObserver ? observed(reading.record) : reading.record);
    }
    if (piece !== '' || this.isEndless) return piece;
    return this.#isEnded ? null : this.#end();
  }

  #end(): string {
    this.#isEnded = true;
    return answer('');
  }

  listen(onMore: () => void): void {
    this.onMore = onMore;
  }

  close(): void {
    this.#followers.delete(this);
  }
}

/** What an observer is told of it: not that there is a preshared key. */
function observed(record: EventRecord): EventRecord {
  if (record.kind !== 'peerConfigured') return record;
  return { ...record, fields: record.fields.filter((field) => field !== 'presharedKey') };
}

/** The names of the fields that something is said of; how it is said is no field. */
function saidOf(change: object): string[] {
  const said = Object.entries(change).flatMap(([name, value]) => {
    const isSaid = value !== undefined && value !== false;
    return isSaid && !(Array.isArray(value) && value.length === 0) ? [FIELDS[name] ?? name] : [];
  });
  return [...new Set(said)].filter((name) => name !== '');
}

const FIELDS: Readonly<Record<string, string>> = {
  updateOnly: '',
  replaceAllowedIps: 'allowedIps',
};
