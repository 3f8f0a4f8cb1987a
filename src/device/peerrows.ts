/**
 * Peers of whom there is nothing to tell but numbers, as most are that have a session: rows of them. A
 * handover says so of ten thousand peers in a fraction of the time that an object for each one takes.
 *
 * Columns have names, since the successor may be of another version: one that it does not know is
 * ignored, and one that it misses has a harmless value. The predecessor may be in other hands: a number
 * that cannot be has that value, too, and a session with such a number is none.
 */

import { sameBytes } from '../bytes.ts';
import { secretBytes } from '../crypto/bytes.ts';
import { KEY_BYTES } from '../crypto/suite.ts';
import type { Keypair } from '../noise/keypair.ts';
import { ReplayWindow, Rings, seenBytes } from '../noise/replay.ts';
import { TIMESTAMP_BYTES } from '../noise/tai64n.ts';
import type { Core } from './core.ts';
import { DEADLINE, DEADLINE_NAMES, type DeadlineName } from './deadlines.ts';
import { DROP_REASON_NAMES, type DropReason } from './drops.ts';
import type { Endpoint } from './endpoint.ts';
import { type Peer, PeerCounts } from './peer.ts';
import {
  callAgain,
  continueCondition,
  continueSession,
  isCallUnderWay,
  SESSION_KEY_BYTES,
  SESSION_PLACES,
} from './succession.ts';

/** Numbers, row after row, in columns of these names. */
export interface Rows {
  readonly columns: readonly string[];
  readonly values: Float64Array;
}

/** Our own side of the way to a peer; see Endpoint. */
export interface OwnSide {
  /** 4 or 16 bytes; null for the kernel's choice. */
  readonly source: Uint8Array | null;
  readonly sourceInterface: number;
}

/** For a successor that has the same peers in the same order. */
export interface PeerRows {
  readonly peers: Rows;
  readonly sessions: Rows;
  /** Each once. */
  readonly ownSides: readonly OwnSide[];
  /** Of each row of `peers` the last timestamps of handshakes: sent, and received. */
  readonly timestamps: Uint8Array;
  /** KEY_BYTES for each peer that has one; the receiver's to wipe. */
  readonly presharedKeys: Uint8Array;
  /** SESSION_KEY_BYTES for each session; the receiver's to wipe. */
  readonly sessionKeys: Uint8Array;
  /** Of each session's replay window what may be set, as its greatest counter says. */
  readonly seen: Uint8Array;
}

const NEVER = Number.POSITIVE_INFINITY;
const INDEX_MAX = 0xffff_ffff;
const NONE_RECEIVED = -1;
const STAMPS_BYTES = 2 * TIMESTAMP_BYTES;

// The number of a word is its place.
const STATES = ['idle', 'connected', 'lost'] as const;
const TOLD = [null, 'connected', 'disconnected'] as const;
const CAUSES = ['initiationUnanswered', 'dataUnanswered', 'keepaliveMissing'] as const;

/** What is told of a peer beside its deadlines, counts and drops. `place`: among all peers. */
const PEER_FACTS = {
  place: (_, place) => place,
  hasPresharedKey: ({ handshake }) => Number(handshake.hasPresharedKey),
  /** 0 for none, 1 for the first of `ownSides`. */
  ownSide: ({ endpoint }, _, { ownSides }) => (endpoint === null ? 0 : ownSides.of(endpoint)),
  isCalling: (peer, _, { core }) => Number(isCallUnderWay(core, peer)),
  attempts: ({ attempts }) => attempts,
  initiationAgeMs: ({ lastInitiationAt }, _, { now }) => now - lastInitiationAt,
  handshakeRoundTripMs: ({ handshakeRoundTripMs }) => handshakeRoundTripMs,
  needsAnotherKeepalive: ({ needsAnotherKeepalive }) => Number(needsAnotherKeepalive),
  sentLastMinuteHandshake: ({ sentLastMinuteHandshake }) => Number(sentLastMinuteHandshake),
  txBytes: ({ txBytes }) => txBytes,
  rxBytes: ({ rxBytes }) => rxBytes,
  lastHandshakeMs: ({ lastHandshakeMs }) => Math.floor(lastHandshakeMs),
  state: ({ condition }) => STATES.indexOf(condition.state),
  sinceMs: ({ condition }) => condition.sinceMs,
  told: ({ condition }) => TOLD.indexOf(condition.told),
  awaitsAnswer: ({ condition }) => Number(condition.isCalling),
  lostInMs: ({ condition }, _, { now }) => condition.lostAt - now,
  cause: ({ condition }) => CAUSES.indexOf(condition.cause),
  heard: ({ condition }) => condition.heard,
  keepaliveMs: ({ condition }) => condition.rhythm.intervalMs,
} as const satisfies Record<string, (peer: Peer, place: number, about: About) => number>;

/** What of a session is told beside its keys and its window. */
const SESSION_FACTS = {
  localIndex: ({ localIndex }) => localIndex,
  remoteIndex: ({ remoteIndex }) => remoteIndex,
  isInitiator: ({ isInitiator }) => Number(isInitiator),
  ageMs: ({ createdAt }, { now }) => now - createdAt,
  sendCounter: ({ sendCounter }) => sendCounter,
  greatest: ({ replay }) => replay.greatest,
} as const satisfies Record<string, (keypair: Keypair, about: About) => number>;

/** Where a session belongs: the row of its peer, and which of SESSION_PLACES. */
const SESSION_WHERE = ['row', 'which'] as const;

const COUNTS = Object.keys(new PeerCounts()) as (keyof PeerCounts)[];

interface About {
  readonly core: Core;
  readonly now: number;
  readonly ownSides: OwnSides;
}

/** Whether a row tells all that there is to tell of it. */
export function isTabular({ staged, ways }: Peer): boolean {
  return staged.length === 0 && ways === null;
}

/** `isRow`: of which of all peers there is to be a row. Copies, the keys in them the caller's to wipe. */
export function handOverRows(
  core: Core,
  now: number,
  all: readonly Peer[],
  isRow: readonly boolean[],
): PeerRows {
  const places = [...all.keys()].filter((place) => isRow[place]);
  const about = { core, now, ownSides: new OwnSides() };
  return {
    peers: tellPeers(all, places, about),
    ...tellSecrets(places.map((place) => all[place])),
    ...tellSessions(
      places.map((place) => all[place]),
      about,
    ),
    ownSides: about.ownSides.all,
  };
}

function tellPeers(all: readonly Peer[], places: readonly number[], about: About): Rows {
  const reasons = new Set(
    places.flatMap((place) => all[place].drops.entries()).map(([name]) => name),
  );
  const columns = [
    ...Object.keys(PEER_FACTS),
    ...DEADLINE_NAMES.map(deadlineColumn),
    ...COUNTS.map(countColumn),
    ...[...reasons].map(dropColumn),
  ];
  const facts = Object.values(PEER_FACTS);
  const values = new Float64Array(places.length * columns.length);
  const { core, now } = about;
  let at = 0;
  for (const place of places) {
    const peer = all[place];
    for (const fact of facts) values[at++] = fact(peer, place, about);
    for (const name of DEADLINE_NAMES) {
      values[at++] = core.deadlines.time(peer.row, DEADLINE[name]) - now;
    }
    for (const name of COUNTS) values[at++] = peer.counts[name];
    for (const reason of reasons) values[at++] = peer.drops.get(reason);
  }
  return { columns, values };
}

function deadlineColumn(name: DeadlineName): string {
  return `deadline.${name}`;
}

function countColumn(name: keyof PeerCounts): string {
  return `count.${name}`;
}

function dropColumn(reason: DropReason): string {
  return `drop.${reason}`;
}

function tellSecrets(peers: readonly Peer[]): Pick<PeerRows, 'timestamps' | 'presharedKeys'> {
  const timestamps = new Uint8Array(peers.length * STAMPS_BYTES);
  const holders = peers.filter(({ handshake }) => handshake.hasPresharedKey);
  const presharedKeys = secretBytes(holders.length * KEY_BYTES);
  for (const [i, { handshake }] of peers.entries()) {
    timestamps.set(handshake.sentTimestamp, i * STAMPS_BYTES);
    timestamps.set(handshake.latestTimestamp, i * STAMPS_BYTES + TIMESTAMP_BYTES);
  }
  for (const [i, { handshake }] of holders.entries()) {
    handshake.readPresharedKey(presharedKeys.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES));
  }
  return { timestamps, presharedKeys };
}

type SessionRows = Pick<PeerRows, 'sessions' | 'sessionKeys' | 'seen'>;

function tellSessions(peers: readonly Peer[], about: About): SessionRows {
  const where: number[] = [];
  const keypairs: Keypair[] = [];
  for (const [row, peer] of peers.entries()) {
    for (const [which, place] of SESSION_PLACES.entries()) {
      const keypair = peer[place];
      if (keypair === null || keypair.isWiped) continue;
      where.push(row, which);
      keypairs.push(keypair);
    }
  }
  const facts = Object.values(SESSION_FACTS);
  const columns = [...SESSION_WHERE, ...Object.keys(SESSION_FACTS)];
  const values = new Float64Array(keypairs.length * columns.length);
  const sessionKeys = secretBytes(keypairs.length * SESSION_KEY_BYTES);
  const seen = new Uint8Array(
    keypairs.reduce((sum, { replay }) => sum + seenBytes(replay.greatest), 0),
  );
  let [at, seenAt] = [0, 0];
  for (const [i, keypair] of keypairs.entries()) {
    values[at++] = where[2 * i];
    values[at++] = where[2 * i + 1];
    for (const fact of facts) values[at++] = fact(keypair, about);
    const key = i * SESSION_KEY_BYTES;
    keypair.sealer.copyKey(sessionKeys.subarray(key, key + KEY_BYTES));
    keypair.opener.copyKey(sessionKeys.subarray(key + KEY_BYTES, key + SESSION_KEY_BYTES));
    const end = seenAt + seenBytes(keypair.replay.greatest);
    keypair.replay.copySeen(seen.subarray(seenAt, end));
    seenAt = end;
  }
  return { sessions: { columns, values }, sessionKeys, seen };
}

/** Of thousands of peers, most have the same as the one before. */
class OwnSides {
  readonly all: OwnSide[] = [];
  readonly #numbers = new Map<string, number>();
  #last = 0;

  /** 0 for none, 1 for the first of them all. */
  of({ source, sourceInterface }: Endpoint): number {
    if (source === null && sourceInterface === 0) return 0;
    const last = this.all[this.#last - 1];
    if (last === undefined || !isSameSide(last, source, sourceInterface)) {
      const key = `${sourceInterface} ${source}`;
      const isNew = !this.#numbers.has(key);
      if (isNew) this.all.push({ source: source?.slice() ?? null, sourceInterface });
      if (isNew) this.#numbers.set(key, this.all.length);
      this.#last = this.#numbers.get(key)!;
    }
    return this.#last;
  }
}

function isSameSide(side: OwnSide, source: Uint8Array | null, sourceInterface: number): boolean {
  if (side.sourceInterface !== sourceInterface) return false;
  if (side.source === null || source === null) return side.source === source;
  return sameBytes(side.source, source);
}

/** Of whom the rows of a handover are, which has just been made. */
export function peersOfRows(core: Core, { peers }: PeerRows): Set<Peer> {
  const all = [...core.peers.values()];
  const { count, width, at } = layoutOf(peers, PEER_COLUMNS);
  const places = Array.from({ length: count }, (_, row) => peers.values[row * width + at.place]);
  return new Set(places.map((place) => all[place]));
}

/**
 * `all`: the peers as they were configured ahead, of which those are skipped that are none any more.
 * Nothing is sent.
 */
export function takeOverRows(core: Core, at: number, all: readonly Peer[], rows: PeerRows): void {
  const present = new Set(core.peers.values());
  const peers = all.map((peer) => (present.has(peer) ? peer : null));
  takeOverSessions(core, at, peers, rows);
  takeOverPeers(core, at, peers, rows);
}

const PEER_COLUMNS = Object.keys(PEER_FACTS) as (keyof typeof PEER_FACTS)[];
const SESSION_COLUMNS = [
  ...SESSION_WHERE,
  ...(Object.keys(SESSION_FACTS) as (keyof typeof SESSION_FACTS)[]),
] as const;

interface Layout<Name extends string> {
  readonly count: number;
  readonly width: number;
  /** NaN, under which there is nothing, for a column that is missing. */
  readonly at: Readonly<Record<Name, number>>;
}

function layoutOf<Name extends string>(rows: Rows, names: readonly Name[]): Layout<Name> {
  const width = rows.columns.length;
  const count = width === 0 ? 0 : Math.floor(rows.values.length / width);
  const places = names.map((name) => [name, placeOf(rows, name)] as const);
  return { count, width, at: Object.fromEntries(places) as Record<Name, number> };
}

function placeOf({ columns }: Rows, name: string): number {
  const place = columns.indexOf(name);
  return place < 0 ? Number.NaN : place;
}

type PeerPlaces = readonly (Peer | null | undefined)[];

function takeOverSessions(core: Core, now: number, all: PeerPlaces, rows: PeerRows): void {
  const { sessions, peers, sessionKeys, seen } = rows;
  const { values } = sessions;
  const { count, width, at } = layoutOf(sessions, SESSION_COLUMNS);
  const { width: peerWidth, at: peerAt } = layoutOf(peers, PEER_COLUMNS);
  const rings = new Rings();
  let seenAt = 0;
  for (let i = 0; i < count; i++) {
    const base = i * width;
    const keys = sessionKeys.subarray(i * SESSION_KEY_BYTES, (i + 1) * SESSION_KEY_BYTES);
    const greatest = values[base + at.greatest];
    const hasReceived = isCount(greatest);
    const length = hasReceived ? seenBytes(greatest) : 0;
    const window = seen.subarray(seenAt, seenAt + length);
    seenAt += length;
    const isWhole = keys.length === SESSION_KEY_BYTES && window.length === length;
    const peer = all[peers.values[values[base + at.row] * peerWidth + peerAt.place]];
    const place = SESSION_PLACES[values[base + at.which]];
    const ageMs = values[base + at.ageMs];
    const localIndex = values[base + at.localIndex];
    const remoteIndex = values[base + at.remoteIndex];
    const sendCounter = values[base + at.sendCounter];
    if (!isWhole || (!hasReceived && greatest !== NONE_RECEIVED)) continue;
    if (peer == null || place === undefined) continue;
    if (!isCount(localIndex, INDEX_MAX) || !isCount(remoteIndex, INDEX_MAX)) continue;
    if (!isCount(sendCounter) || !(msOf(ageMs, -1) >= 0)) continue;
    continueSession(core, peer, place, keys, {
      ...{ localIndex, remoteIndex, sendCounter },
      isInitiator: values[base + at.isInitiator] === 1,
      createdAt: now - ageMs,
      replay: ReplayWindow.continued(greatest, window, rings.next()),
    });
  }
}

/** After the sessions. */
function takeOverPeers(core: Core, now: number, all: PeerPlaces, rows: PeerRows): void {
  const { peers, presharedKeys, timestamps, ownSides } = rows;
  const { values } = peers;
  const { count, width, at } = layoutOf(peers, PEER_COLUMNS);
  const deadlines = DEADLINE_NAMES.map((name) => placeOf(peers, deadlineColumn(name)));
  const counts = COUNTS.map((name) => placeOf(peers, countColumn(name)));
  const drops = DROP_REASON_NAMES.map((name) => ({
    name,
    place: placeOf(peers, dropColumn(name)),
  }));
  const dropped = drops.filter(({ place }) => !Number.isNaN(place));
  let keyAt = 0;
  for (let row = 0; row < count; row++) {
    const facts = values.subarray(row * width, (row + 1) * width);
    const hasKey = facts[at.hasPresharedKey] === 1;
    const key = presharedKeys.subarray(keyAt, keyAt + (hasKey ? KEY_BYTES : 0));
    if (hasKey) keyAt += KEY_BYTES;
    const peer = all[facts[at.place]];
    if (peer == null) continue;
    if (key.length === KEY_BYTES) peer.handshake.setPresharedKey(key);
    const stamps = timestamps.subarray(row * STAMPS_BYTES, (row + 1) * STAMPS_BYTES);
    if (stamps.length === STAMPS_BYTES) {
      peer.handshake.sentTimestamp = stamps.subarray(0, TIMESTAMP_BYTES);
      peer.handshake.latestTimestamp = stamps.subarray(TIMESTAMP_BYTES);
    }
    for (let column = 0; column < deadlines.length; column++) {
      const inMs = msOf(facts[deadlines[column]], NEVER);
      if (inMs !== NEVER) core.deadlines.arm(peer.row, column, now + inMs);
    }
    for (let i = 0; i < counts.length; i++) peer.counts[COUNTS[i]] = countOf(facts[counts[i]]);
    for (const { name, place } of dropped) {
      const packets = countOf(facts[place]);
      if (packets > 0) peer.drops.count(name, packets);
    }
    takeOverFacts(core, now, peer, facts, at, ownSides);
  }
}

function takeOverFacts(
  core: Core,
  now: number,
  peer: Peer,
  facts: Float64Array,
  at: Layout<keyof typeof PEER_FACTS>['at'],
  ownSides: readonly OwnSide[],
): void {
  const ownSide = ownSides[facts[at.ownSide] - 1];
  if (peer.endpoint !== null) {
    peer.endpoint.source = ownSide?.source ?? null;
    peer.endpoint.sourceInterface = ownSide?.sourceInterface ?? 0;
  }
  peer.lastInitiationAt = now - msOf(facts[at.initiationAgeMs], NEVER);
  if (facts[at.isCalling] === 1) callAgain(core, now, peer);
  peer.attempts = countOf(facts[at.attempts]);
  peer.handshakeRoundTripMs = Math.max(0, msOf(facts[at.handshakeRoundTripMs], NEVER));
  peer.needsAnotherKeepalive = facts[at.needsAnotherKeepalive] === 1;
  peer.sentLastMinuteHandshake = facts[at.sentLastMinuteHandshake] === 1;
  peer.txBytes = countOf(facts[at.txBytes]);
  peer.rxBytes = countOf(facts[at.rxBytes]);
  peer.lastHandshakeMs = countOf(facts[at.lastHandshakeMs]);
  continueCondition(core, now, peer, {
    state: STATES[facts[at.state]] ?? 'idle',
    sinceMs: countOf(facts[at.sinceMs]),
    told: TOLD[facts[at.told]] ?? null,
    isCalling: facts[at.awaitsAnswer] === 1,
    lostInMs: msOf(facts[at.lostInMs], NEVER),
    cause: CAUSES[facts[at.cause]] ?? 'initiationUnanswered',
    heard: countOf(facts[at.heard]),
    keepaliveMs: msOf(facts[at.keepaliveMs], 0),
  });
}

function isCount(value: number, max = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

/** 0 for what is none. */
function countOf(value: number): number {
  return isCount(value) ? value : 0;
}

function msOf(value: number, otherwise: number): number {
  return Number.isFinite(value) ? value : otherwise;
}
