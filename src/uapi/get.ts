/**
 * DeviceState <-> the text that answers a `get`.
 *
 * Owns the order of the lines (wireguard-go's) and what other implementations do differently. wg(8)
 * skips keys it does not know, so ours (`tswg_version`, `debug`, `description`) may stand between the
 * others.
 */

import { isZero } from '../crypto/bytes.ts';
import { KEY_BYTES } from '../crypto/suite.ts';
import type { DeviceState, PeerState } from '../device/configuration.ts';
import { formatEndpoint } from '../device/endpoint.ts';
import type { Prefix } from '../packet/address.ts';
import { formatPrefix, parseDecimal, parsePort, parsePrefix } from '../packet/address.ts';
import { type InterfaceIndex, parseEndpoint } from './endpoint.ts';
import { formatKey, parseKey } from './key.ts';
import { parseErrno } from './response.ts';

const NO_KEY = formatKey(new Uint8Array(KEY_BYTES));
/** Only to observers. */
const HIDDEN_KEYS = 'tswg_keys_hidden';
const OWN_KEY = 'tswg_public_key';

/** The body of the answer, for response.ts to end. `version`: of this program, one word. */
export function formatState(state: DeviceState, version: string): string {
  const lines: string[] = [];
  if (state.privateKey !== null) lines.push(`private_key=${formatKey(state.privateKey)}`);
  pushSettings(state, version, lines);
  for (const peer of state.peers) {
    const { presharedKey } = peer;
    const secret = presharedKey === null ? NO_KEY : formatKey(presharedKey);
    pushPeer(peer, [`preshared_key=${secret}`], lines);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * The same for an observer, who is told no key but public ones. `publicKey`: the interface's own, by
 * which its other end knows it; null when there is none.
 */
export function formatObservedState(
  state: DeviceState,
  publicKey: Uint8Array | null,
  version: string,
): string {
  const lines = [`${HIDDEN_KEYS}=true`];
  if (publicKey !== null) lines.push(`${OWN_KEY}=${formatKey(publicKey)}`);
  pushSettings(state, version, lines);
  for (const peer of state.peers) pushPeer(peer, [], lines);
  return `${lines.join('\n')}\n`;
}

function pushSettings(state: DeviceState, version: string, lines: string[]): void {
  lines.push(`listen_port=${state.listenPort}`);
  if (state.fwmark !== 0) lines.push(`fwmark=${state.fwmark}`);
  lines.push(`tswg_version=${version}`);
  if (state.debug) lines.push('debug=true');
}

/** `secrets`: the lines with its keys, which wireguard-go has after the name. */
function pushPeer(peer: PeerState, secrets: readonly string[], lines: string[]): void {
  lines.push(`public_key=${formatKey(peer.publicKey)}`, ...secrets, 'protocol_version=1');
  // wg(8) gives up on an empty endpoint.
  if (peer.endpoint !== null) lines.push(`endpoint=${formatEndpoint(peer.endpoint)}`);
  lines.push(
    `last_handshake_time_sec=${Math.floor(peer.lastHandshakeMs / 1000)}`,
    `last_handshake_time_nsec=${Math.floor(peer.lastHandshakeMs % 1000) * 1_000_000}`,
    `tx_bytes=${peer.txBytes}`,
    `rx_bytes=${peer.rxBytes}`,
    `persistent_keepalive_interval=${peer.persistentKeepalive}`,
  );
  if (peer.description !== '') lines.push(`description=${peer.description}`);
  for (const prefix of peer.allowedIps) lines.push(`allowed_ip=${formatPrefix(prefix)}`);
}

/** What any user-space WireGuard says of itself. */
export interface ReportedState extends DeviceState {
  /** Positive, 0 for success; EPROTO when the answer is cut short before it. */
  readonly errno: number;
  /** Only of this program. */
  readonly version?: string;
  /** What boringtun, and tswg's observing socket, tell in place of the private key. */
  readonly publicKey?: Uint8Array;
  /** Whether there is a private key, and preshared ones, is not told here. */
  readonly keysAreHidden?: boolean;
  /**
   * boringtun's `last_handshake_time` is the time since the handshake: `lastHandshakeMs` is then
   * an age in ms, and 0 still means none.
   */
  readonly handshakesAreAges: boolean;
}

type Draft<T> = { -readonly [Field in keyof T]: T[Field] };
type PeerDraft = Draft<PeerState> & { allowedIps: Prefix[] };
type StateDraft = Draft<ReportedState> & { peers: PeerDraft[] };

/**
 * Reads a whole answer to `get`, of any implementation: keys and values that make no sense are
 * passed over, missing ones have their empty value. Never throws. `interfaceIndex` resolves the
 * names of scopes, which wireguard-go sends; an endpoint with one it does not know is left out.
 */
export function parseState(text: string, interfaceIndex?: InterfaceIndex): ReportedState {
  const state: StateDraft = {
    errno: parseErrno(text),
    privateKey: null,
    listenPort: 0,
    fwmark: 0,
    debug: false,
    handshakesAreAges: false,
    peers: [],
  };
  let peer: PeerDraft | null = null;
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    const key = line.slice(0, Math.max(equals, 0));
    const value = line.slice(equals + 1);
    if (key === 'public_key') {
      // Under a key that is none, lines go to a peer that is not listed.
      const publicKey = parseKey(value);
      peer = newPeer(publicKey ?? new Uint8Array(KEY_BYTES));
      if (publicKey !== null) state.peers.push(peer);
    } else if (peer === null) {
      readDeviceKey(state, key, value);
    } else {
      readPeerKey(peer, key, value, interfaceIndex);
    }
  }
  return state;
}

function newPeer(publicKey: Uint8Array): PeerDraft {
  return {
    publicKey,
    presharedKey: null,
    endpoint: null,
    lastHandshakeMs: 0,
    txBytes: 0,
    rxBytes: 0,
    persistentKeepalive: 0,
    allowedIps: [],
    description: '',
  };
}

function readDeviceKey(state: StateDraft, key: string, value: string): void {
  switch (key) {
    case 'private_key':
      state.privateKey = parseKeyOrNone(value);
      break;
    case 'own_public_key': {
      const publicKey = parseKeyOrNone(value);
      if (publicKey !== null) state.publicKey = publicKey;
      state.handshakesAreAges = true;
      break;
    }
    case OWN_KEY: {
      const publicKey = parseKeyOrNone(value);
      if (publicKey !== null) state.publicKey = publicKey;
      break;
    }
    case HIDDEN_KEYS:
      state.keysAreHidden = value === 'true';
      break;
    case 'listen_port':
      state.listenPort = parsePort(value) ?? 0;
      break;
    case 'fwmark':
      state.fwmark = parseDecimal(value, 0xffff_ffff) ?? 0;
      break;
    case 'tswg_version':
      state.version = value;
      break;
    case 'debug':
      state.debug = value === 'true';
      break;
  }
}

function readPeerKey(
  peer: PeerDraft,
  key: string,
  value: string,
  interfaceIndex: InterfaceIndex | undefined,
): void {
  switch (key) {
    case 'preshared_key':
      peer.presharedKey = parseKeyOrNone(value);
      break;
    case 'endpoint':
      peer.endpoint = parseEndpoint(value, interfaceIndex);
      break;
    case 'last_handshake_time_sec':
      peer.lastHandshakeMs += parseCount(value) * 1000;
      break;
    case 'last_handshake_time_nsec':
      peer.lastHandshakeMs += Math.floor(parseCount(value) / 1_000_000);
      break;
    case 'tx_bytes':
      peer.txBytes = parseCount(value);
      break;
    case 'rx_bytes':
      peer.rxBytes = parseCount(value);
      break;
    case 'persistent_keepalive_interval':
      peer.persistentKeepalive = parsePort(value) ?? 0;
      break;
    case 'allowed_ip': {
      const prefix = parsePrefix(value);
      if (prefix !== null) peer.allowedIps.push(prefix);
      break;
    }
    case 'description':
      peer.description = value;
      break;
  }
}

/** null also for the zero key, by which the UAPI means none. */
function parseKeyOrNone(value: string): Uint8Array | null {
  const key = parseKey(value);
  return key === null || isZero(key) ? null : key;
}

/** 64-bit counters; beyond 2^53 they lose their last digits. */
function parseCount(value: string): number {
  return /^\d{1,20}$/.test(value) ? Number(value) : 0;
}
