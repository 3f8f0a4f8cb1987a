/**
 * The lines of a `set` <-> a DeviceChange.
 *
 * Owns the configuration keys, ours among them, and what each takes. All lines are checked before
 * anything is returned, so that a mistake in the last one leaves nothing half done. What a change
 * does, and whether it can be done, is the Device's to say.
 */

import type { AllowedIpChange, DeviceChange, PeerChange } from '../device/configuration.ts';
import { formatEndpoint } from '../device/endpoint.ts';
import { formatPrefix, parseDecimal, parsePort, parsePrefix } from '../packet/address.ts';
import { couldHoldKey, HIDDEN, visible } from '../quotation.ts';
import { type InterfaceIndex, parseEndpoint } from './endpoint.ts';
import { formatKey, parseKey } from './key.ts';
import { EINVAL, EPROTO } from './response.ts';

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
export const DESCRIPTION_BYTES_MAX = 255;

type Draft<T> = { -readonly [Field in keyof T]: T[Field] };
type DeviceDraft = Draft<DeviceChange> & { peers: PeerDraft[] };
type PeerDraft = Draft<PeerChange> & { allowedIps: AllowedIpChange[] };

interface Key<T> {
  /** What the value must be, for a person. */
  readonly expected: string;
  /** Writes the value to the draft; false when it is not what the key takes. */
  readonly apply: (draft: T, value: string, interfaceIndex?: InterfaceIndex) => boolean;
}

/** A key that sets one field; `parse` returns null for a wrong value. */
function field<T, F extends keyof T>(
  name: F,
  expected: string,
  parse: (value: string) => NonNullable<T[F]> | null,
): Key<T> {
  return {
    expected,
    apply: (draft, value) => {
      const parsed = parse(value);
      if (parsed !== null) draft[name] = parsed;
      return parsed !== null;
    },
  };
}

const HEX_KEY = '64 hexadecimal digits';

const DEVICE_KEYS = new Map<string, Key<DeviceDraft>>([
  ['private_key', field('privateKey', HEX_KEY, parseKey)],
  ['listen_port', field('listenPort', 'a port, 0 to 65535', parsePort)],
  ['fwmark', field('fwmark', 'a mark, 0 to 4294967295 or 0x0 to 0xffffffff', parseMark)],
  ['replace_peers', field('replacePeers', 'true', parseTrue)],
  ['debug', field('debug', 'true or false', parseBoolean)],
]);

const PEER_KEYS = new Map<string, Key<PeerDraft>>([
  ['remove', field('remove', 'true', parseTrue)],
  ['update_only', field('updateOnly', 'true', parseTrue)],
  ['preshared_key', field('presharedKey', HEX_KEY, parseKey)],
  ['endpoint', { expected: 'IPv4:PORT, [IPv6]:PORT or nothing', apply: setEndpoint }],
  ['persistent_keepalive_interval', field('persistentKeepalive', 'seconds, 0 to 65535', parsePort)],
  ['replace_allowed_ips', field('replaceAllowedIps', 'true', parseTrue)],
  ['allowed_ip', { expected: '[-]ADDRESS[/LENGTH]', apply: addAllowedIp }],
  ['protocol_version', { expected: '1', apply: (_, value) => value === '1' }],
  [
    'description',
    field(
      'description',
      `text of at most ${DESCRIPTION_BYTES_MAX} bytes without control characters`,
      parseDescription,
    ),
  ],
]);

/** Names under which a key may stand, however they are mistyped. */
const KEY_NAME = /key|psk|secret/i;

/**
 * Checks and collects the lines behind `set=1`. Every `public_key` begins a PeerChange, also one
 * seen before: changes are applied in order. `interfaceIndex` resolves the names of scopes.
 */
export function parseSet(lines: readonly string[], interfaceIndex?: InterfaceIndex): SetResult {
  const device: DeviceDraft = { peers: [] };
  let peer: PeerDraft | null = null;
  for (const line of lines) {
    const equals = line.indexOf('=');
    if (equals < 0) return { error: { errno: EPROTO, line: quote(line), expected: 'KEY=VALUE' } };
    const name = line.slice(0, equals);
    const value = line.slice(equals + 1);
    if (name === 'public_key') {
      const publicKey = parseKey(value);
      if (publicKey === null) return invalid(name, value, HEX_KEY);
      peer = { publicKey, allowedIps: [] };
      device.peers.push(peer);
      continue;
    }
    const expected =
      peer === null
        ? applyKey(DEVICE_KEYS, device, name, value, interfaceIndex)
        : applyKey(PEER_KEYS, peer, name, value, interfaceIndex);
    if (expected === UNKNOWN) return invalid(name, value, whatIsMissing(name));
    if (expected !== null) return invalid(name, value, expected);
  }
  return { ok: device };
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

function invalid(name: string, value: string, expected: string): SetResult {
  return { error: { errno: EINVAL, line: quote(name, value), expected } };
}

/** A line that was not understood: nobody knows what its value was meant to be. */
function quote(name: string, value?: string): string {
  const shown = (text: string): string => (text === '' ? '' : visible(text));
  if (value !== undefined) {
    // The `=` may be the end of a key that a line break has parted, and the name the rest of it.
    if (couldHoldKey(`${name}=`) && value === '') return HIDDEN;
    return `${shown(name)}=${KEY_NAME.test(name) ? HIDDEN : shown(value)}`;
  }
  const [first] = name.split(/[^\w-]/, 1);
  return KEY_NAME.test(name) ? `${visible(first)} ${HIDDEN}` : visible(name);
}

/** Decimal or `0x` hexadecimal, 32 bits. */
export function parseMark(value: string): number | null {
  if (/^0[xX][0-9a-fA-F]{1,8}$/.test(value)) return Number(value);
  return parseDecimal(value, 0xffff_ffff);
}

function parseTrue(value: string): true | null {
  return value === 'true' ? true : null;
}

function parseBoolean(value: string): boolean | null {
  return value === 'true' || (value === 'false' ? false : null);
}

function setEndpoint(peer: PeerDraft, value: string, interfaceIndex?: InterfaceIndex): boolean {
  const endpoint = value === '' ? null : parseEndpoint(value, interfaceIndex);
  if (value !== '' && (endpoint === null || endpoint.port === 0)) return false;
  peer.endpoint = endpoint;
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

/**
 * The whole request for a change, the inverse of parseSet. `debug`, `description` and an endpoint
 * to forget are ours alone: other implementations refuse them.
 */
export function writeSet(change: DeviceChange): string {
  const lines = ['set=1'];
  const add = (key: string, value: string | number | boolean) => lines.push(`${key}=${value}`);
  if (change.privateKey !== undefined) add('private_key', formatKey(change.privateKey));
  if (change.listenPort !== undefined) add('listen_port', change.listenPort);
  if (change.fwmark !== undefined) add('fwmark', change.fwmark);
  if (change.debug !== undefined) add('debug', change.debug);
  if (change.replacePeers) add('replace_peers', true);
  for (const peer of change.peers) writePeer(peer, add);
  return `${lines.join('\n')}\n\n`;
}

function writePeer(peer: PeerChange, add: (key: string, value: string | number | true) => void) {
  add('public_key', formatKey(peer.publicKey));
  if (peer.remove) add('remove', true);
  if (peer.updateOnly) add('update_only', true);
  if (peer.presharedKey !== undefined) add('preshared_key', formatKey(peer.presharedKey));
  if (peer.endpoint !== undefined) {
    add('endpoint', peer.endpoint === null ? '' : formatEndpoint(peer.endpoint));
  }
  if (peer.persistentKeepalive !== undefined) {
    add('persistent_keepalive_interval', peer.persistentKeepalive);
  }
  if (peer.replaceAllowedIps) add('replace_allowed_ips', true);
  for (const { prefix, remove } of peer.allowedIps) {
    add('allowed_ip', `${remove ? '-' : ''}${formatPrefix(prefix)}`);
  }
  if (peer.description !== undefined) {
    // A newline in it would be read as further keys.
    if (isUnprintable(peer.description)) throw new Error('set: control character in description');
    add('description', peer.description);
  }
}
