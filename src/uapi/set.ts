/**
 * The lines of a `set` <-> a DeviceChange: a row for each field, so that none is forgotten.
 *
 * Owns the configuration keys, ours among them, and what each takes. All lines are checked before
 * anything is returned, so that a mistake in the last one leaves nothing half done. What a change
 * does, and whether it can be done, is the Device's to say.
 */

import type {
  AllowedIpChange,
  DeviceChange,
  InterfaceChange,
  PeerChange,
} from '../device/configuration.ts';
import { formatEndpoint } from '../device/endpoint.ts';
import { formatNear, parseNear } from '../device/near.ts';
import { WAYS_MAX } from '../device/ways.ts';
import { formatPrefix, parseDecimal, parsePort, parsePrefix } from '../packet/address.ts';
import { couldHoldKey, HIDDEN, visible } from '../quotation.ts';
import { type InterfaceIndex, parseEndpoint } from './endpoint.ts';
import { formatKey, parseKey } from './key.ts';
import { EINVAL, EPROTO } from './response.ts';
import { formatWay, parseWay, WAY_EXPECTED } from './way.ts';

export interface SetError {
  /** Positive; refuseSet turns it round. */
  readonly errno: number;
  /** The line at fault, for a log: without control characters, and without what could be a key. */
  readonly line: string;
  /** What should have stood there, for a person. */
  readonly expected: string;
}

export type SetResult =
  | { readonly ok: DeviceChange; readonly error?: never }
  | { readonly error: SetError; readonly ok?: never };

/** Bytes of UTF-8. */
const DESCRIPTION_BYTES_MAX = 255;

type Draft<T> = { -readonly [Field in keyof T]: T[Field] };
type DeviceDraft = Draft<InterfaceChange>;
type PeerDraft = Draft<PeerChange> & { allowedIps: AllowedIpChange[] };

type Value = string | number | boolean;

/** What a key takes, and what it does to the change that is read. */
interface Key<T> {
  /** What the value must be, for a person. */
  readonly expected: string;
  /** Writes the value to the draft; false when it is not what the key takes. */
  readonly apply: (draft: T, value: string, interfaceIndex?: InterfaceIndex) => boolean;
}

/** A field of a change in the text. */
interface Field<Change, T> extends Key<T> {
  readonly key: string;
  /** The values of its lines; none when the change does not speak of it. */
  readonly values: (change: Change) => readonly Value[];
}

/** One line; `parse` returns null for a wrong value. */
function field<Change, T extends Change, F extends keyof Change & keyof T>(
  name: F,
  key: string,
  expected: string,
  parse: (value: string) => NonNullable<T[F]> | null,
  format: (value: NonNullable<Change[F]>) => Value,
): Field<Change, T> {
  return {
    key,
    expected,
    apply: (draft, value) => {
      const parsed = parse(value);
      if (parsed !== null) draft[name] = parsed;
      return parsed !== null;
    },
    values: ({ [name]: value }) => (value == null ? [] : [format(value)]),
  };
}

/** One line, which says `true` or is not there. */
function flag<F extends string>(
  name: F,
  key: string,
): Field<{ readonly [_ in F]?: boolean }, { [_ in F]?: boolean }> {
  return {
    key,
    expected: 'true',
    apply: (draft, value) => {
      if (value === 'true') draft[name] = true;
      return value === 'true';
    },
    values: ({ [name]: value }) => (value ? [true] : []),
  };
}

const HEX_KEY = '64 hexadecimal digits';
const same = <T extends Value>(value: T): T => value;

/** In the order in which they are written. */
const DEVICE_FIELDS: Readonly<Record<keyof InterfaceChange, Field<InterfaceChange, DeviceDraft>>> =
  {
    privateKey: field('privateKey', 'private_key', HEX_KEY, parseKey, formatKey),
    listenPort: field('listenPort', 'listen_port', 'a port, 0 to 65535', parsePort, same),
    fwmark: field(
      'fwmark',
      'fwmark',
      'a mark, 0 to 4294967295 or 0x0 to 0xffffffff',
      parseMark,
      same,
    ),
    bind: {
      key: 'tswg_bind',
      expected: 'an address of this machine, the name of an interface, or nothing',
      apply: setBind,
      values: ({ bind }) => (bind === undefined ? [] : [bind === null ? '' : formatNear(bind)]),
    },
    debug: field('debug', 'debug', 'true or false', parseBoolean, same),
    replacePeers: flag('replacePeers', 'replace_peers'),
  };

const PEER_FIELDS: Readonly<
  Record<Exclude<keyof PeerChange, 'publicKey'>, Field<PeerChange, PeerDraft>>
> = {
  remove: flag('remove', 'remove'),
  updateOnly: flag('updateOnly', 'update_only'),
  presharedKey: field('presharedKey', 'preshared_key', HEX_KEY, parseKey, formatKey),
  endpoint: {
    key: 'endpoint',
    expected: 'IPv4:PORT, [IPv6]:PORT or nothing',
    apply: setEndpoint,
    values: ({ endpoint }) => {
      if (endpoint === undefined) return [];
      return [endpoint === null ? '' : formatEndpoint(endpoint)];
    },
  },
  ways: {
    key: 'tswg_way',
    expected: `${WAY_EXPECTED} or nothing, at most ${WAYS_MAX} for a peer`,
    apply: addWay,
    // An empty one begins the list; alone it is an empty list.
    values: ({ ways }) => (ways === undefined ? [] : ['', ...ways.map(formatWay)]),
  },
  persistentKeepalive: field(
    'persistentKeepalive',
    'persistent_keepalive_interval',
    'seconds, 0 to 65535',
    parsePort,
    same,
  ),
  replaceAllowedIps: flag('replaceAllowedIps', 'replace_allowed_ips'),
  allowedIps: {
    key: 'allowed_ip',
    expected: '[-]ADDRESS[/LENGTH]',
    apply: addAllowedIp,
    values: ({ allowedIps }) =>
      allowedIps.map(({ prefix, remove }) => `${remove ? '-' : ''}${formatPrefix(prefix)}`),
  },
  description: field(
    'description',
    'description',
    `text of at most ${DESCRIPTION_BYTES_MAX} bytes without control characters`,
    parseDescription,
    formatDescription,
  ),
};

const DEVICE_KEYS: ReadonlyMap<string, Key<DeviceDraft>> = new Map(
  Object.values(DEVICE_FIELDS).map((row) => [row.key, row]),
);
const PEER_KEYS: ReadonlyMap<string, Key<PeerDraft>> = new Map<string, Key<PeerDraft>>([
  ...Object.values(PEER_FIELDS).map((row) => [row.key, row] as const),
  ['protocol_version', { expected: '1', apply: (_, value) => value === '1' }],
]);

/** Names under which a key may stand, however they are mistyped. */
const KEY_NAME = /key|psk|secret/i;

/**
 * Checks and collects the lines after `set=1`. Every `public_key` begins a PeerChange, also one
 * seen before: changes are applied in order. `interfaceIndex` resolves the names of scopes.
 */
export function parseSet(lines: Iterable<string>, interfaceIndex?: InterfaceIndex): SetResult {
  let own: InterfaceChange = {};
  const peers: PeerChange[] = [];
  const parts = readSet(lines, interfaceIndex);
  for (;;) {
    const { done, value } = parts.next();
    if (done) return value === null ? { ok: { ...own, peers } } : { error: value };
    if (value === null) continue;
    if (value.kind === 'device') own = value.change;
    else peers.push(value.change);
  }
}

/** A part of a change: first what it says of the interface, then each peer. */
export type SetPart =
  | { readonly kind: 'device'; readonly change: InterfaceChange }
  | { readonly kind: 'peer'; readonly change: PeerChange };

/** After so many lines of one part its reader may do something else. */
const LINES_AT_ONCE = 64;

/**
 * As parseSet, part by part as their lines end, so that long ones can be read in slices; null where a
 * part is not whole yet. Returns null, or the mistake because of which all parts are void.
 */
export function* readSet(
  lines: Iterable<string>,
  interfaceIndex?: InterfaceIndex,
): Generator<SetPart | null, SetError | null> {
  const device: DeviceDraft = {};
  let peer: PeerDraft | null = null;
  let linesRead = 0;
  for (const line of lines) {
    if (++linesRead % LINES_AT_ONCE === 0) yield null;
    const equals = line.indexOf('=');
    if (equals < 0) return { errno: EPROTO, line: quote(line), expected: 'KEY=VALUE' };
    const name = line.slice(0, equals);
    const value = line.slice(equals + 1);
    if (name === 'public_key') {
      const publicKey = parseKey(value);
      if (publicKey === null) return invalid(name, value, HEX_KEY);
      yield partOf(device, peer);
      peer = { publicKey, allowedIps: [] };
      continue;
    }
    const expected: string | null =
      peer === null
        ? applyKey(DEVICE_KEYS, device, name, value, interfaceIndex)
        : applyKey(PEER_KEYS, peer, name, value, interfaceIndex);
    if (expected === UNKNOWN) return invalid(name, value, whatIsMissing(name));
    if (expected !== null) return invalid(name, value, expected);
  }
  yield partOf(device, peer);
  return null;
}

function partOf(device: InterfaceChange, peer: PeerChange | null): SetPart {
  return peer === null ? { kind: 'device', change: device } : { kind: 'peer', change: peer };
}

const UNKNOWN = '';

/** null when the value was taken, UNKNOWN for a key that is not in the table, or what it takes. */
function applyKey<T>(
  keys: ReadonlyMap<string, Key<T>>,
  draft: T,
  name: string,
  value: string,
  interfaceIndex: InterfaceIndex | undefined,
): string | null {
  const key = keys.get(name);
  if (key === undefined) return UNKNOWN;
  return key.apply(draft, value, interfaceIndex) ? null : key.expected;
}

function whatIsMissing(name: string): string {
  if (DEVICE_KEYS.has(name)) return `${name} before the first public_key`;
  if (PEER_KEYS.has(name)) return `${name} after a public_key`;
  return 'a key of the configuration protocol';
}

function invalid(name: string, value: string, expected: string): SetError {
  return { errno: EINVAL, line: quote(name, value), expected };
}

/** A line that was not understood: nobody knows what its value was meant to be. */
function quote(name: string, value?: string): string {
  const shown = (text: string): string => (text === '' ? '' : visible(text));
  if (value !== undefined) {
    // The `=` may be the end of a key that a line break has parted, and the name the rest of it.
    const shownName = couldHoldKey(`${name}=`) ? HIDDEN : shown(name);
    return `${shownName}=${KEY_NAME.test(name) ? HIDDEN : shown(value)}`;
  }
  const [first] = name.split(/[^\w-]/, 1);
  return KEY_NAME.test(name) ? `${visible(first)} ${HIDDEN}` : visible(name);
}

/** Decimal or `0x` hexadecimal, 32 bits. */
export function parseMark(value: string): number | null {
  if (/^0[xX][0-9a-fA-F]{1,8}$/.test(value)) return Number(value);
  return parseDecimal(value, 0xffff_ffff);
}

function parseBoolean(value: string): boolean | null {
  return value === 'true' || (value === 'false' ? false : null);
}

function setBind(device: DeviceDraft, value: string): boolean {
  const near = value === '' ? null : parseNear(value);
  if (value !== '' && near === null) return false;
  device.bind = near;
  return true;
}

function setEndpoint(peer: PeerDraft, value: string, interfaceIndex?: InterfaceIndex): boolean {
  const endpoint = value === '' ? null : parseEndpoint(value, interfaceIndex);
  if (value !== '' && (endpoint === null || endpoint.port === 0)) return false;
  peer.endpoint = endpoint;
  return true;
}

/** An empty value begins the list again. */
function addWay(peer: PeerDraft, value: string): boolean {
  const way = value === '' ? null : parseWay(value);
  if (value !== '' && way === null) return false;
  const ways = way === null ? [] : [...(peer.ways ?? []), way];
  if (ways.length > WAYS_MAX) return false;
  peer.ways = ways;
  return true;
}

function addAllowedIp(peer: PeerDraft, value: string): boolean {
  const remove = value.startsWith('-');
  const prefix = parsePrefix(remove ? value.slice(1) : value);
  if (prefix !== null) peer.allowedIps.push({ prefix, remove });
  return prefix !== null;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Control characters are refused because the text is shown on terminals. The returned string is a
 * fresh one: a slice would hold on to all that arrived with it, private keys included.
 */
function parseDescription(value: string): string | null {
  if (isUnprintable(value)) return null;
  const bytes = encoder.encode(value);
  return bytes.length <= DESCRIPTION_BYTES_MAX ? decoder.decode(bytes) : null;
}

function isUnprintable(text: string): boolean {
  return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text);
}

/** A newline in it would be read as further keys. */
function formatDescription(text: string): string {
  if (isUnprintable(text)) throw new Error('set: control character in description');
  return text;
}

/**
 * The whole request for a change, the inverse of parseSet. `tswg_bind`, `debug`, `description`, ways
 * and an endpoint to forget are ours alone: other implementations refuse them.
 */
export function writeSet({ peers, ...own }: DeviceChange): string {
  return [...tellSet(own, peers)].join('');
}

/** The same in pieces, one of the interface itself and one of each peer. */
export function* tellSet(own: InterfaceChange, peers: Iterable<PeerChange>): Generator<string> {
  yield `set=1\n${linesOf(DEVICE_FIELDS, own)}`;
  for (const peer of peers) {
    yield `public_key=${formatKey(peer.publicKey)}\n${linesOf(PEER_FIELDS, peer)}`;
  }
  yield '\n';
}

function linesOf<Change, T>(
  fields: Readonly<Record<string, Field<Change, T>>>,
  change: Change,
): string {
  let lines = '';
  for (const { key, values } of Object.values(fields)) {
    for (const value of values(change)) lines += `${key}=${value}\n`;
  }
  return lines;
}
