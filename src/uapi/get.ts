/**
 * DeviceState <-> the text that answers a `get`: a row for each field, so that none is forgotten.
 *
 * Owns the order of the lines (wireguard-go's) and what other implementations do differently. wg(8)
 * skips keys it does not know, so ours (`tswg_bind`, `tswg_version`, `debug`, `description`) may stand between the
 * others.
 */

import { isZero } from '../crypto/bytes.ts';
import { KEY_BYTES } from '../crypto/suite.ts';
import type { DeviceState, InterfaceState, PeerState, Secret } from '../device/configuration.ts';
import { formatEndpoint } from '../device/endpoint.ts';
import { formatNear, parseNear } from '../device/near.ts';
import type { WayState } from '../device/ways.ts';
import type { Prefix } from '../packet/address.ts';
import {
  formatAddress,
  formatPrefix,
  parseAddress,
  parseDecimal,
  parsePort,
  parsePrefix,
} from '../packet/address.ts';
import { type InterfaceIndex, parseEndpoint } from './endpoint.ts';
import { formatKey, parseKey } from './key.ts';
import { readLines } from './lines.ts';
import { parseErrno } from './response.ts';
import { formatWay, parseWay } from './way.ts';

const NO_KEY = formatKey(new Uint8Array(KEY_BYTES));

/** What any user-space WireGuard says of itself. */
export interface ReportedState extends DeviceState {
  /** Positive, 0 for success; EPROTO when the answer is cut short before it. */
  readonly errno: number;
  /** Only of this program. */
  readonly version?: string;
  /** It takes ways, and looks the names in them up; of this program since it does. */
  readonly knowsWays?: boolean;
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
type WayDraft = Draft<WayState> & { addresses: Uint8Array[] };
type PeerDraft = Draft<Omit<PeerState, 'ways'>> & { allowedIps: Prefix[]; ways: WayDraft[] };
type StateDraft = Draft<ReportedState> & { peers: PeerDraft[] };
type Told = InterfaceState & { readonly version: string; readonly publicKey: Uint8Array | null };

type Read<T> = (draft: T, value: string, interfaceIndex?: InterfaceIndex) => void;

/** A field of a state in the text. */
interface Field<State, T> {
  /** Its lines; none when there is nothing to say. */
  readonly tell: (state: State) => readonly string[];
  /** Those for an observer, who is told no key but public ones; by default the same. */
  readonly tellObserver?: (state: State) => readonly string[];
  /** Its keys, and what their values do to the state that is read. */
  readonly read: Readonly<Record<string, Read<T>>>;
}

/** A row for each field, and for each secret one what an observer is told in its place. */
type Fields<Name extends keyof State, State, Source, T> = {
  readonly [F in Name]: F extends Secret<State> ? Required<Field<Source, T>> : Field<Source, T>;
};

/** In the order in which they are told. */
const DEVICE_FIELDS: Fields<
  Exclude<keyof ReportedState, 'errno' | 'handshakesAreAges' | 'peers'>,
  ReportedState,
  Told,
  StateDraft
> = {
  keysAreHidden: {
    tell: () => [],
    tellObserver: () => ['tswg_keys_hidden=true'],
    read: {
      tswg_keys_hidden: (state, value) => {
        state.keysAreHidden = value === 'true';
      },
    },
  },
  privateKey: {
    tell: ({ privateKey }) => (privateKey === null ? [] : [`private_key=${formatKey(privateKey)}`]),
    tellObserver: () => [],
    read: {
      private_key: (state, value) => {
        state.privateKey = parseKeyOrNone(value);
      },
    },
  },
  publicKey: {
    tell: () => [],
    tellObserver: ({ publicKey }) =>
      publicKey === null ? [] : [`tswg_public_key=${formatKey(publicKey)}`],
    read: {
      tswg_public_key: (state, value) => {
        const publicKey = parseKeyOrNone(value);
        if (publicKey !== null) state.publicKey = publicKey;
      },
      own_public_key: (state, value) => {
        const publicKey = parseKeyOrNone(value);
        if (publicKey !== null) state.publicKey = publicKey;
        state.handshakesAreAges = true;
      },
    },
  },
  listenPort: {
    tell: ({ listenPort }) => [`listen_port=${listenPort}`],
    read: {
      listen_port: (state, value) => {
        state.listenPort = parsePort(value) ?? 0;
      },
    },
  },
  fwmark: {
    tell: ({ fwmark }) => (fwmark === 0 ? [] : [`fwmark=${fwmark}`]),
    read: {
      fwmark: (state, value) => {
        state.fwmark = parseDecimal(value, 0xffff_ffff) ?? 0;
      },
    },
  },
  bind: {
    tell: ({ bind }) => (bind === null ? [] : [`tswg_bind=${formatNear(bind)}`]),
    read: {
      tswg_bind: (state, value) => {
        state.bind = parseNear(value);
      },
    },
  },
  version: {
    tell: ({ version }) => [`tswg_version=${version}`],
    read: {
      tswg_version: (state, value) => {
        state.version = value;
      },
    },
  },
  knowsWays: {
    tell: () => ['tswg_ways=true'],
    read: {
      tswg_ways: (state, value) => {
        state.knowsWays = value === 'true';
      },
    },
  },
  debug: {
    tell: ({ debug }) => (debug ? ['debug=true'] : []),
    read: {
      debug: (state, value) => {
        state.debug = value === 'true';
      },
    },
  },
};

/** Each peer begins with its public_key, which parseState reads. */
const PEER_FIELDS: Fields<keyof PeerState, PeerState, PeerState, PeerDraft> = {
  publicKey: { tell: ({ publicKey }) => [`public_key=${formatKey(publicKey)}`], read: {} },
  presharedKey: {
    tell: ({ presharedKey }) => [
      `preshared_key=${presharedKey === null ? NO_KEY : formatKey(presharedKey)}`,
      'protocol_version=1',
    ],
    tellObserver: () => ['protocol_version=1'],
    read: {
      preshared_key: (peer, value) => {
        peer.presharedKey = parseKeyOrNone(value);
      },
    },
  },
  endpoint: {
    // wg(8) gives up on an empty endpoint.
    tell: ({ endpoint }) => (endpoint === null ? [] : [`endpoint=${formatEndpoint(endpoint)}`]),
    read: {
      endpoint: (peer, value, interfaceIndex) => {
        peer.endpoint = parseEndpoint(value, interfaceIndex);
      },
    },
  },
  // Of each way its own line, and after it how it stands.
  ways: {
    tell: ({ ways }) => ways.flatMap(linesOfWay),
    read: {
      tswg_way: (peer, value) => {
        const way = parseWay(value);
        if (way === null) return;
        peer.ways.push({ ...way, isInUse: false, addresses: [], error: null, unanswered: 0 });
      },
      tswg_way_in_use: ofWay((way, value) => {
        way.isInUse = value === 'true';
      }),
      tswg_way_address: ofWay((way, value) => {
        const address = parseAddress(value);
        if (address !== null) way.addresses.push(address);
      }),
      tswg_way_error: ofWay((way, value) => {
        if (/^\w{1,32}$/.test(value)) way.error = value;
      }),
      tswg_way_unanswered: ofWay((way, value) => {
        way.unanswered = parseCount(value);
      }),
    },
  },
  lastHandshakeMs: {
    tell: ({ lastHandshakeMs }) => [
      `last_handshake_time_sec=${Math.floor(lastHandshakeMs / 1000)}`,
      `last_handshake_time_nsec=${Math.floor(lastHandshakeMs % 1000) * 1_000_000}`,
    ],
    read: {
      last_handshake_time_sec: (peer, value) => {
        peer.lastHandshakeMs += parseCount(value) * 1000;
      },
      last_handshake_time_nsec: (peer, value) => {
        peer.lastHandshakeMs += Math.floor(parseCount(value) / 1_000_000);
      },
    },
  },
  txBytes: {
    tell: ({ txBytes }) => [`tx_bytes=${txBytes}`],
    read: {
      tx_bytes: (peer, value) => {
        peer.txBytes = parseCount(value);
      },
    },
  },
  rxBytes: {
    tell: ({ rxBytes }) => [`rx_bytes=${rxBytes}`],
    read: {
      rx_bytes: (peer, value) => {
        peer.rxBytes = parseCount(value);
      },
    },
  },
  persistentKeepalive: {
    tell: ({ persistentKeepalive }) => [`persistent_keepalive_interval=${persistentKeepalive}`],
    read: {
      persistent_keepalive_interval: (peer, value) => {
        peer.persistentKeepalive = parsePort(value) ?? 0;
      },
    },
  },
  description: {
    tell: ({ description }) => (description === '' ? [] : [`description=${description}`]),
    read: {
      description: (peer, value) => {
        peer.description = value;
      },
    },
  },
  allowedIps: {
    tell: ({ allowedIps }) => allowedIps.map((prefix) => `allowed_ip=${formatPrefix(prefix)}`),
    read: {
      allowed_ip: (peer, value) => {
        const prefix = parsePrefix(value);
        if (prefix !== null) peer.allowedIps.push(prefix);
      },
    },
  },
};

function linesOfWay(way: WayState): string[] {
  return [
    `tswg_way=${formatWay(way)}`,
    ...(way.isInUse ? ['tswg_way_in_use=true'] : []),
    ...way.addresses.map((address) => `tswg_way_address=${formatAddress(address)}`),
    ...(way.error === null ? [] : [`tswg_way_error=${way.error}`]),
    ...(way.unanswered === 0 ? [] : [`tswg_way_unanswered=${way.unanswered}`]),
  ];
}

/** What a value does to the way that the lines before it have begun. */
function ofWay(read: (way: WayDraft, value: string) => void): Read<PeerDraft> {
  return (peer, value) => {
    const way = peer.ways.at(-1);
    if (way !== undefined) read(way, value);
  };
}

function textOf<State, T>(
  fields: Readonly<Record<string, Field<State, T>>>,
  state: State,
  isObserved: boolean,
): string {
  let text = '';
  for (const { tell, tellObserver = tell } of Object.values(fields)) {
    for (const line of isObserved ? tellObserver(state) : tell(state)) text += `${line}\n`;
  }
  return text;
}

const DEVICE_KEYS = readersOf(DEVICE_FIELDS);
const PEER_KEYS = readersOf(PEER_FIELDS);

function readersOf<State, T>(
  fields: Readonly<Record<string, Field<State, T>>>,
): ReadonlyMap<string, Read<T>> {
  return new Map(Object.values(fields).flatMap(({ read }) => Object.entries(read)));
}

/** A state of which the peers may be told one after the other. */
interface Tellable extends InterfaceState {
  readonly peers: Iterable<PeerState>;
}

/** The body of the answer, for response.ts to end. `version`: of this program, one word. */
export function formatState(state: Tellable, version: string): string {
  return [...tellState(state, version)].join('');
}

/**
 * The same in pieces, one of the interface itself and one of each peer.
 */
export function* tellState(state: Tellable, version: string): Generator<string> {
  yield textOf(DEVICE_FIELDS, { ...state, version, publicKey: null }, false);
  for (const peer of state.peers) yield textOf(PEER_FIELDS, peer, false);
}

/**
 * What an observer is told, who is told no key but public ones. `publicKey`: the interface's own, by
 * which its other end knows it; null when there is none.
 */
export function formatObservedState(
  state: Tellable,
  publicKey: Uint8Array | null,
  version: string,
): string {
  return [...tellObservedState(state, publicKey, version)].join('');
}

/** The same in pieces, as tellState. */
export function* tellObservedState(
  state: Tellable,
  publicKey: Uint8Array | null,
  version: string,
): Generator<string> {
  yield textOf(DEVICE_FIELDS, { ...state, version, publicKey }, true);
  for (const peer of state.peers) yield textOf(PEER_FIELDS, peer, true);
}

/**
 * Reads a whole answer to `get`, of any implementation: keys and values that cannot be parsed are
 * skipped, missing ones have their empty value. Never throws. `interfaceIndex` resolves the
 * names of scopes, which wireguard-go sends; an endpoint with one it does not know is left out.
 */
export function parseState(text: string, interfaceIndex?: InterfaceIndex): ReportedState {
  const state: StateDraft = {
    errno: parseErrno(text),
    privateKey: null,
    listenPort: 0,
    fwmark: 0,
    bind: null,
    debug: false,
    handshakesAreAges: false,
    peers: [],
  };
  let peer: PeerDraft | null = null;
  readLines(text, meaningOf, ({ beginsPeer, ofDevice, ofPeer }, value) => {
    if (beginsPeer) {
      // Under a key that is none, lines go to a peer that is not listed.
      const publicKey = parseKey(value);
      peer = newPeer(publicKey ?? new Uint8Array(KEY_BYTES));
      if (publicKey !== null) state.peers.push(peer);
    } else if (peer === null) {
      ofDevice?.(state, value);
    } else {
      ofPeer?.(peer, value, interfaceIndex);
    }
  });
  return state;
}

/** What a key means, which depends on what it is said of. */
function meaningOf(key: string) {
  return {
    beginsPeer: key === 'public_key',
    ofDevice: DEVICE_KEYS.get(key),
    ofPeer: PEER_KEYS.get(key),
  };
}

function newPeer(publicKey: Uint8Array): PeerDraft {
  return {
    publicKey,
    presharedKey: null,
    endpoint: null,
    ways: [],
    lastHandshakeMs: 0,
    txBytes: 0,
    rxBytes: 0,
    persistentKeepalive: 0,
    allowedIps: [],
    description: '',
  };
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
