/**
 * What a daemon hands over, as bytes for its successor in another process: JSON, and after it all
 * keys and the replay windows in the JSON's order, so that no key becomes a string, which could not
 * be erased.
 *
 *   4 bytes   length of the JSON, little-endian
 *             the JSON, in UTF-8
 *             the private key, if there is one
 *             per peer: the preshared key, if there is one;
 *             per session of it: SESSION_KEY_BYTES, SESSION_SEEN_BYTES
 *             per run of quiet peers: their preshared keys, if any of them has one
 *             if there are rows: see rowscontents.ts
 *
 * The successor may be of another version, later or earlier. So a field that is not known is ignored,
 * and one that is missing has a harmless value; `CONTENTS_FORMAT` changes only if that cannot be.
 * The predecessor may be in other hands: a number that cannot be has that harmless value, too.
 */

import { KEY_BYTES } from '../crypto/suite.ts';
import { DEFAULT_MTU } from '../device/configuration.ts';
import { DEADLINE_NAMES } from '../device/deadlines.ts';
import {
  type DeviceHandover,
  type NameHandover,
  type PeerHandover,
  SESSION_SEEN_BYTES,
  type SessionHandover,
} from '../device/handover.ts';
import type { QuietPeers } from '../device/quietpeers.ts';
import { type ConditionHandover, SESSION_KEY_BYTES, SESSION_PLACES } from '../device/succession.ts';
import { WAYS_MAX } from '../device/ways.ts';
import type { EventsHandover } from '../events/ring.ts';
import { formatHex, formatKey, parseHex } from '../uapi/key.ts';
import { formatWay, parseWay } from '../uapi/way.ts';
import { isCount, type Reader, readJson, Secrets } from './reader.ts';
import { decodeRows, describeRows, rowsBytes } from './rowscontents.ts';

const CONTENTS_FORMAT = 2;
const PORT_MAX = 0xffff;
const MTU_MAX = 0xffff;
const INDEX_MAX = 0xffff_ffff;
/** The greatest counter of a session that has received nothing. */
const NONE_RECEIVED = -1;
const NO_WAY = -1;
const LENGTH_BYTES = 4;
/** More than any version hands over. */
const EVENTS_MAX = 65_536;
/** More than any Device has. */
const PEERS_MAX = 0xff_ffff;

/** All that is handed over, but for the descriptors. */
export interface Contents {
  /**
   * Configuration without keys, and memories: see savedstate.ts. All of it, or, when it `followsAhead`,
   * what may have changed since that went ahead.
   */
  readonly state: string;
  readonly followsAhead: boolean;
  readonly device: DeviceHandover;
  /** How long all of it has been running, over all processes. */
  readonly uptimeMs: number;
  /** What has happened (events/ring.ts). */
  readonly events: EventsHandover;
  /** Of the predecessor; empty when it does not say. */
  readonly version: string;
  /** Under which name the control socket is served: that of the interface when it began. */
  readonly socketName: string;
  /** Of the descriptors that go with it, which are UDP sockets, by family; and their port. */
  readonly udpFamilies: readonly (4 | 6)[];
  readonly udpPort: number;
  /** Whether the last descriptor is that of the observing socket. */
  readonly observes: boolean;
}

/** New bytes, with keys in them that are the caller's to wipe. */
export function encodeContents(contents: Contents): Uint8Array {
  const { privateKey, peers, quiet, rows } = contents.device;
  const keysOfQuiet = quiet.map(({ presharedKeys }) => presharedKeys);
  const bytesOfRows = rows === null ? [] : rowsBytes(rows);
  const all = [privateKey, ...peers.flatMap(secretsOf), ...keysOfQuiet, ...bytesOfRows];
  const secrets = all.filter((secret) => secret !== null);
  const json = new TextEncoder().encode(
    JSON.stringify({
      format: CONTENTS_FORMAT,
      ...contents,
      device: {
        ...contents.device,
        names: contents.device.names.map(describeName),
        privateKey: privateKey !== null,
        peers: peers.map(describePeer),
        quiet: quiet.map(describeQuiet),
        rows: rows === null ? null : describeRows(rows),
      },
    }),
  );
  const secretLength = secrets.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Uint8Array(LENGTH_BYTES + json.length + secretLength);
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, LENGTH_BYTES);
  let at = LENGTH_BYTES + json.length;
  for (const secret of secrets) {
    bytes.set(secret, at);
    at += secret.length;
  }
  return bytes;
}

function secretsOf({ presharedKey, sessions }: PeerHandover): (Uint8Array | null)[] {
  return [presharedKey, ...sessions.flatMap(({ keys, seen }) => [keys, seen])];
}

/**
 * As JSON has it: no bytes. What has the value that a reader gives to what is missing is left out, for
 * of thousands of peers most have little else.
 */
function describePeer(peer: PeerHandover): object {
  const { publicKey, ways, wayInUse, presharedKey, sessions, staged, source, ...rest } = peer;
  return {
    publicKey: formatKey(publicKey),
    ...(ways.length === 0 ? {} : { ways: ways.map(formatWay) }),
    ...(presharedKey === null ? {} : { presharedKey: true }),
    ...(sessions.length === 0 ? {} : { sessions: sessions.map(describeSession) }),
    ...(staged.length === 0 ? {} : { staged: staged.map(formatHex) }),
    ...(source === null ? {} : { source: formatHex(source) }),
    ...(wayInUse === NO_WAY ? {} : { wayInUse }),
    ...told({ ...rest, condition: rest.condition && told(rest.condition) }),
  };
}

function describeQuiet({ presharedKeys, ...rest }: QuietPeers): object {
  return { ...rest, presharedKeys: presharedKeys !== null };
}

function describeSession({ keys: _keys, seen: _seen, ...rest }: SessionHandover): object {
  return rest;
}

/** Those fields that say something; of the records in it, those that have any entry. */
function told(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => isSaid(value, NEVER_FIELDS.has(name))),
  );
}

/** Of these numbers infinity is what is missing, of others 0. */
const NEVER_FIELDS = new Set(['initiationAgeMs', 'handshakeRoundTripMs', 'lostInMs']);

/** @param canBeNever what is missing of it is infinite, which JSON knows nothing of */
function isSaid(value: unknown, canBeNever: boolean): boolean {
  if (typeof value === 'number') return value !== (canBeNever ? Number.POSITIVE_INFINITY : 0);
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== false && value !== null;
}

function describeName({ host, addresses, ageMs }: NameHandover): object {
  return { host, addresses: addresses.map(formatHex), ageMs };
}

/** Null when it is not what encodeContents of some version writes. The keys in it are copies. */
export function decodeContents(bytes: Uint8Array): Contents | null {
  if (bytes.length < LENGTH_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = LENGTH_BYTES + view.getUint32(0, true);
  if (end > bytes.length) return null;
  const read = readJson(bytes.subarray(LENGTH_BYTES, end));
  if (read === null || read.number('format', 0) !== CONTENTS_FORMAT) return null;
  const device = read.child('device');
  const secrets = new Secrets(bytes.subarray(end));
  const privateKey = device.flag('privateKey') ? secrets.take(KEY_BYTES) : null;
  const peers = device.children('peers').flatMap((peer) => decodePeer(peer, secrets));
  const quiet = device.children('quiet').map((peer) => decodeQuiet(peer, secrets));
  const rows = device.has('rows') ? decodeRows(device.child('rows'), secrets) : null;
  if (secrets.isShort) return null;
  return {
    state: read.text('state'),
    followsAhead: read.flag('followsAhead'),
    device: {
      at: device.number('at', 0),
      privateKey,
      isUp: device.flag('isUp'),
      mtu: device.integer('mtu', DEFAULT_MTU, MTU_MAX),
      drops: device.numbers('drops'),
      counts: device.numbers('counts'),
      names: device.children('names').map(decodeName),
      peers,
      rows,
      quiet,
    },
    uptimeMs: Math.max(0, read.number('uptimeMs', 0)),
    events: decodeEvents(read.child('events')),
    version: wordOf(read.text('version')),
    socketName: read.text('socketName'),
    udpFamilies: read.list('udpFamilies').filter((family) => family === 4 || family === 6),
    udpPort: read.integer('udpPort', 0, PORT_MAX),
    observes: read.flag('observes'),
  };
}

/** What its records are is for the ring to see. */
function decodeEvents(events: Reader): EventsHandover {
  return {
    stream: wordOf(events.text('stream')),
    seq: events.integer('seq', 0),
    suppressed: events.integer('suppressed', 0),
    records: events.list('records').slice(0, EVENTS_MAX),
  };
}

/** Empty when it is no single word, since it goes into texts. */
function wordOf(text: string): string {
  return /^[\w.+-]{1,40}$/.test(text) ? text : '';
}

function decodeName(name: Reader): NameHandover {
  return {
    host: name.text('host'),
    addresses: name.texts('addresses').flatMap((text) => decodeAddress(text) ?? []),
    ageMs: Math.max(0, name.number('ageMs', Number.POSITIVE_INFINITY)),
  };
}

function decodeAddress(text: string): Uint8Array | null {
  return parseHex(text, 4) ?? parseHex(text, 16);
}

function decodePeer(peer: Reader, secrets: Secrets): PeerHandover[] {
  const publicKey = parseHex(peer.text('publicKey'), KEY_BYTES);
  // Also of a peer that makes no sense, so that those of the next are found.
  const presharedKey = peer.flag('presharedKey') ? secrets.take(KEY_BYTES) : null;
  const sessions = peer.children('sessions').flatMap((one) => decodeSession(one, secrets));
  if (publicKey === null) return [];
  const source = peer.text('source');
  const times = peer.numbers('deadlines');
  return [
    {
      publicKey,
      ways: peer
        .texts('ways')
        .flatMap((text) => parseWay(text) ?? [])
        .slice(0, WAYS_MAX),
      wayInUse: peer.integer('wayInUse', NO_WAY, WAYS_MAX),
      isProvisional: peer.flag('isProvisional'),
      presharedKey,
      sessions,
      staged: peer.list('staged').flatMap((packet) => {
        const bytes = typeof packet === 'string' ? parseHex(packet, packet.length >> 1) : null;
        return bytes === null ? [] : [bytes];
      }),
      source: decodeAddress(source),
      sourceInterface: peer.integer('sourceInterface', 0, INDEX_MAX),
      deadlines: Object.fromEntries(
        DEADLINE_NAMES.flatMap((name) => (name in times ? [[name, times[name]]] : [])),
      ),
      isCalling: peer.flag('isCalling'),
      attempts: peer.integer('attempts', 0),
      initiationAgeMs: peer.number('initiationAgeMs', Number.POSITIVE_INFINITY),
      handshakeRoundTripMs: Math.max(
        0,
        peer.number('handshakeRoundTripMs', Number.POSITIVE_INFINITY),
      ),
      needsAnotherKeepalive: peer.flag('needsAnotherKeepalive'),
      sentLastMinuteHandshake: peer.flag('sentLastMinuteHandshake'),
      txBytes: peer.integer('txBytes', 0),
      rxBytes: peer.integer('rxBytes', 0),
      drops: peer.numbers('drops'),
      counts: peer.numbers('counts'),
      condition: decodeCondition(peer.child('condition')),
    },
  ];
}

function decodeQuiet(peers: Reader, secrets: Secrets): QuietPeers {
  const count = peers.integer('count', 0, PEERS_MAX);
  return {
    from: peers.integer('from', 0, PEERS_MAX),
    count,
    sinceMs: peers.integer('sinceMs', 0),
    presharedKeys: peers.flag('presharedKeys') ? secrets.take(count * KEY_BYTES) : null,
  };
}

/** null when it is none, as from an earlier version. */
function decodeCondition(condition: Reader): ConditionHandover | null {
  const state = STATES.find((one) => one === condition.text('state'));
  if (state === undefined) return null;
  return {
    state,
    sinceMs: condition.integer('sinceMs', 0),
    told: TOLD.find((one) => one === condition.text('told')) ?? null,
    isCalling: condition.flag('isCalling'),
    lostInMs: condition.number('lostInMs', Number.POSITIVE_INFINITY),
    cause: CAUSES.find((one) => one === condition.text('cause')) ?? 'initiationUnanswered',
    heard: condition.integer('heard', 0),
    keepaliveMs: condition.number('keepaliveMs', 0),
  };
}

const STATES = ['connected', 'idle', 'lost'] as const;
const TOLD = ['connected', 'disconnected'] as const;
const CAUSES = ['dataUnanswered', 'initiationUnanswered', 'keepaliveMissing'] as const;

/** A session of which anything is missing is none: a new handshake takes its place. */
function decodeSession(session: Reader, secrets: Secrets): SessionHandover[] {
  const keys = secrets.take(SESSION_KEY_BYTES);
  const seen = secrets.take(SESSION_SEEN_BYTES);
  const place = session.text('place');
  const numbers = session.numbers('');
  const { localIndex, remoteIndex, ageMs, sendCounter, greatest } = numbers;
  if (!isPlace(place)) return [];
  if (localIndex === undefined || remoteIndex === undefined || ageMs === undefined) return [];
  if (sendCounter === undefined || greatest === undefined) return [];
  if (!isCount(localIndex, INDEX_MAX) || !isCount(remoteIndex, INDEX_MAX)) return [];
  if (ageMs < 0 || !isCount(sendCounter)) return [];
  if (greatest !== NONE_RECEIVED && !isCount(greatest)) return [];
  return [
    {
      ...{ place, localIndex, remoteIndex, ageMs, sendCounter, greatest },
      isInitiator: session.flag('isInitiator'),
      keys,
      seen,
    },
  ];
}

function isPlace(text: string): text is SessionHandover['place'] {
  return SESSION_PLACES.some((place) => place === text);
}
