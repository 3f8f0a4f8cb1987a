/**
 * A Device's state as text to be kept over a restart: the `set` that configures its successor, an
 * empty line, and a line for each peer with what the successor has to remember of its handshakes, and
 * for each name of a host that is known:
 *
 *   handshake=PUBLIC_KEY LAST_HANDSHAKE_MS SENT_TIMESTAMP RECEIVED_TIMESTAMP
 *   name=HOST ADDRESS...
 *
 * Keys and TAI64N timestamps in hexadecimal digits. Where the text is kept is somebody else's.
 */

import { KEY_BYTES } from '../crypto/suite.ts';
import type {
  DeviceChange,
  DeviceState,
  InterfaceChange,
  InterfaceState,
  PeerChange,
  PeerMemory,
  PeerState,
  Secret,
} from '../device/configuration.ts';
import type { NameMemory } from '../device/names.ts';
import { TIMESTAMP_BYTES } from '../noise/tai64n.ts';
import { formatAddress, parseAddress } from '../packet/address.ts';
import { isHostName } from '../packet/hostname.ts';
import type { InterfaceIndex } from '../uapi/endpoint.ts';
import { formatHex, formatKey, parseHex } from '../uapi/key.ts';
import { parseSet, tellSet } from '../uapi/set.ts';

export interface SavedState {
  readonly change: DeviceChange;
  readonly memories: readonly PeerMemory[];
  readonly names: readonly NameMemory[];
}

const SET = 'set=1\n';
/** How a `set` ends: an empty line. */
const SET_END = '\n\n';
const NAME = /^name=(\S{1,253}) (\S+(?: \S+){0,15})$/;
const MEMORY = /^handshake=(\S+) (\d{1,16}) (\S+) (\S+)$/;

export function formatSavedState(
  state: DeviceState,
  memories: readonly PeerMemory[],
  names: readonly NameMemory[] = [],
): string {
  return [...tellSavedState(state, memories, names)].join('');
}

/** The same in pieces: peers and memories may be told one after the other. */
export function* tellSavedState(
  { peers, ...own }: InterfaceState & { readonly peers: Iterable<PeerState> },
  memories: Iterable<PeerMemory>,
  names: Iterable<NameMemory>,
): Generator<string> {
  yield* tellSet(interfaceChangeTo(own), changesTo(peers));
  for (const memory of memories) yield formatMemory(memory);
  for (const name of names) yield formatName(name);
}

function* changesTo(peers: Iterable<PeerState>): Generator<PeerChange> {
  for (const peer of peers) yield peerChangeTo(peer);
}

const NO_DEVICE_SECRETS = { privateKey: null } satisfies Record<Secret<DeviceState>, null>;
const NO_PEER_SECRETS = { presharedKey: null } satisfies Record<Secret<PeerState>, null>;

/**
 * As formatSavedState, for a reader who gets the keys by another way; and the ways, too, since one of
 * an earlier version would refuse a text with them.
 */
export function formatKeylessState(state: DeviceState, memories: readonly PeerMemory[]): string {
  return [...tellKeylessState(state, memories)].join('');
}

/** The same in pieces, as tellSavedState. */
export function tellKeylessState(
  { peers, ...own }: InterfaceState & { readonly peers: Iterable<PeerState> },
  memories: Iterable<PeerMemory>,
): Generator<string> {
  return tellSavedState(
    { ...own, ...NO_DEVICE_SECRETS, peers: withoutSecrets(peers) },
    memories,
    [],
  );
}

function* withoutSecrets(peers: Iterable<PeerState>): Generator<PeerState> {
  for (const peer of peers) yield { ...peer, ...NO_PEER_SECRETS, ways: [] };
}

/** Where a peer is; null when it is nowhere. */
export type PeerPlace = Pick<PeerState, 'publicKey' | 'endpoint'>;

/**
 * For a reader who has a keyless state already, and whose configuration it still is: what may have
 * changed all the same, without the keys, and where the peers are that are elsewhere by now.
 */
export function formatStateSince(
  own: InterfaceState,
  moved: readonly PeerPlace[],
  memories: readonly PeerMemory[],
): string {
  const changes = moved.map(({ publicKey, endpoint }) => ({
    publicKey,
    updateOnly: true,
    endpoint: endpoint?.port === 0 ? null : endpoint,
    allowedIps: [],
  }));
  const set = tellSet(interfaceChangeTo({ ...own, ...NO_DEVICE_SECRETS }), changes);
  return [...set, ...memories.map(formatMemory)].join('');
}

/** What of a change each field of a state asks for, so that none is forgotten. */
type Parts<State, Change> = Readonly<Record<keyof State, Partial<Change>>>;

/** The change that makes an empty Device like this one, but for its peers. */
function interfaceChangeTo(state: InterfaceState): InterfaceChange {
  const { privateKey, listenPort, fwmark, bind, debug } = state;
  const parts: Parts<InterfaceState, InterfaceChange> = {
    privateKey: privateKey === null ? {} : { privateKey },
    listenPort: { listenPort },
    fwmark: { fwmark },
    bind: bind === null ? {} : { bind },
    debug: debug ? { debug } : {},
  };
  return Object.assign({}, ...Object.values(parts));
}

function peerChangeTo(peer: PeerState): PeerChange {
  const { publicKey, presharedKey, endpoint, persistentKeepalive, description } = peer;
  const allowedIps = peer.allowedIps.map((prefix) => ({ prefix, remove: false }));
  const parts: Parts<PeerState, PeerChange> = {
    publicKey: { publicKey },
    presharedKey: presharedKey === null ? {} : { presharedKey },
    // A `set` takes no port 0, which nothing can be sent to anyway.
    endpoint: endpoint === null || endpoint.port === 0 ? {} : { endpoint },
    ways: peer.ways.length === 0 ? {} : { ways: peer.ways },
    persistentKeepalive: { persistentKeepalive },
    allowedIps: { allowedIps },
    description: { description },
    // Of these the memories know what a successor needs.
    lastHandshakeMs: {},
    txBytes: {},
    rxBytes: {},
  };
  return Object.assign({ publicKey, allowedIps }, ...Object.values(parts));
}

function formatMemory(memory: PeerMemory): string {
  const { publicKey, lastHandshakeMs, sentTimestamp, receivedTimestamp } = memory;
  const stamps = `${formatHex(sentTimestamp)} ${formatHex(receivedTimestamp)}`;
  return `handshake=${formatKey(publicKey)} ${Math.floor(lastHandshakeMs)} ${stamps}\n`;
}

/** Null when the text is not what formatSavedState writes. `interfaceIndex`: as for parseSet. */
export function parseSavedState(text: string, interfaceIndex?: InterfaceIndex): SavedState | null {
  const end = text.indexOf(SET_END);
  if (end < 0 || !text.startsWith(SET) || !text.endsWith('\n')) return null;
  const { ok: change } = parseSet(text.slice(SET.length, end).split('\n'), interfaceIndex);
  if (change === undefined) return null;
  const memories: PeerMemory[] = [];
  const names: NameMemory[] = [];
  for (const line of text
    .slice(end + SET_END.length)
    .split('\n')
    .slice(0, -1)) {
    const [memory, name] = [parseMemory(line), parseName(line)];
    if (memory !== null) memories.push(memory);
    else if (name !== null) names.push(name);
    else return null;
  }
  return { change, memories, names };
}

function formatName({ host, addresses }: NameMemory): string {
  return `name=${[host, ...addresses.map(formatAddress)].join(' ')}\n`;
}

function parseName(line: string): NameMemory | null {
  const [, host, texts] = NAME.exec(line) ?? [];
  if (host === undefined || !isHostName(host)) return null;
  const addresses = texts.split(' ').map(parseAddress);
  return addresses.every((address) => address !== null) ? { host, addresses } : null;
}

function parseMemory(line: string): PeerMemory | null {
  const [, key = '', ms = '', sent = '', received = ''] = MEMORY.exec(line) ?? [];
  const publicKey = parseHex(key, KEY_BYTES);
  const sentTimestamp = parseHex(sent, TIMESTAMP_BYTES);
  const receivedTimestamp = parseHex(received, TIMESTAMP_BYTES);
  if (publicKey === null || sentTimestamp === null || receivedTimestamp === null) return null;
  return { publicKey, lastHandshakeMs: Number(ms), sentTimestamp, receivedTimestamp };
}
