/**
 * What an operator may ask of a Device, and what it answers: plain values, already checked.
 * uapi/ turns text into these and back; cli/ and embedding programs build them directly.
 */

import { wipe } from '../crypto/bytes.ts';
import type { Prefix } from '../packet/address.ts';
import type { Endpoint } from './endpoint.ts';
import type { Measured } from './metric.ts';
import type { DeviceTrouble, PeerTrouble } from './troubles.ts';
import type { Near, Way, WayState } from './ways.ts';

/** Of a new interface: a path's usual 1500 less what a WireGuard packet over IPv6 adds, 80. */
export const DEFAULT_MTU = 1420;

export interface AllowedIpChange {
  readonly prefix: Prefix;
  /** Take the prefix from this peer instead of giving it. */
  readonly remove: boolean;
}

export interface PeerChange {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly remove?: boolean;
  /** Change the peer only if it exists; an unknown one is skipped silently. */
  readonly updateOnly?: boolean;
  /** 32 bytes; all zero means none. */
  readonly presharedKey?: Uint8Array;
  /**
   * null forgets the endpoint. It takes the place of all ways; beside `ways` it is where the peer
   * was last.
   */
  readonly endpoint?: Endpoint | null;
  /** All of them, in order of preference, at most WAYS_MAX; none forgets them, and the endpoint. */
  readonly ways?: readonly Way[];
  /** Seconds, 0 to 65535; 0 is off. */
  readonly persistentKeepalive?: number;
  readonly replaceAllowedIps?: boolean;
  /** In order. */
  readonly allowedIps: readonly AllowedIpChange[];
  /** One line of text for the operator; empty means none. */
  readonly description?: string;
}

/** One `set`, applied whole or not at all. */
export interface DeviceChange {
  /** 32 bytes; all zero removes the key. */
  readonly privateKey?: Uint8Array;
  /** UDP port, 0 to 65535; 0 lets the kernel pick one. */
  readonly listenPort?: number;
  /** SO_MARK of outgoing datagrams; 0 is off. */
  readonly fwmark?: number;
  /** The near end of all datagrams, to which what is received has to come, too; null: any. */
  readonly bind?: Near | null;
  readonly replacePeers?: boolean;
  /** Log every drop and handshake, as ifconfig's `debug` does. */
  readonly debug?: boolean;
  /** In order. */
  readonly peers: readonly PeerChange[];
}

/** What a change says of the interface itself. */
export type InterfaceChange = Omit<DeviceChange, 'peers'>;

export interface PeerState {
  readonly publicKey: Uint8Array;
  /** null when there is none. */
  readonly presharedKey: Uint8Array | null;
  readonly endpoint: Endpoint | null;
  /** In order of preference; none when the operator has said an endpoint, or nothing. */
  readonly ways: readonly WayState[];
  /** Wall clock, ms since 1970; 0 when there was none yet. */
  readonly lastHandshakeMs: number;
  readonly txBytes: number;
  readonly rxBytes: number;
  readonly persistentKeepalive: number;
  readonly allowedIps: readonly Prefix[];
  readonly description: string;
}

export interface DeviceState {
  /** null when none is set. */
  readonly privateKey: Uint8Array | null;
  readonly listenPort: number;
  readonly fwmark: number;
  /** null: every address and interface. */
  readonly bind: Near | null;
  readonly debug: boolean;
  readonly peers: readonly PeerState[];
}

/** What a state says of the interface itself. */
export type InterfaceState = Omit<DeviceState, 'peers'>;

/** The names of a state's secret fields: its keys that may be missing. */
export type Secret<State> = {
  [Field in keyof State]-?: null | Uint8Array extends State[Field] ? Field : never;
}[keyof State];

/** What must be known of a peer after a restart, beside its configuration, to continue with it. */
export interface PeerMemory {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Wall clock, ms since 1970; 0 when there was none yet. */
  readonly lastHandshakeMs: number;
  /** TAI64N, 12 bytes: that of our last initiation, and the greatest of the peer's; zero for none. */
  readonly sentTimestamp: Uint8Array;
  readonly receivedTimestamp: Uint8Array;
}

/** What there is to observe at one moment: what the tables of metrics.ts say, and the troubles. */
export interface DeviceStats extends Measured {
  /** None when all is well. */
  readonly troubles: readonly DeviceTrouble[];
  /** In the order in which they were added. */
  readonly peers: readonly PeerStats[];
}

/** What there is to observe of the interface itself. */
export type InterfaceStats = Omit<DeviceStats, 'peers'>;

export interface PeerStats extends Measured {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** None when all is well. */
  readonly troubles: readonly PeerTrouble[];
}

/** Wipes the keys in a change already applied or a state already formatted: nobody else's. */
export function wipeKeys({
  privateKey,
  peers,
}: {
  readonly privateKey?: Uint8Array | null;
  readonly peers: readonly { readonly presharedKey?: Uint8Array | null }[];
}): void {
  for (const key of [privateKey, ...peers.map(({ presharedKey }) => presharedKey)]) {
    if (key) wipe(key);
  }
}

/** The keys of each peer are wiped when the next one is asked for. */
export function* wiped(peers: Iterable<PeerState>): Generator<PeerState> {
  for (const peer of peers) {
    try {
      yield peer;
    } finally {
      if (peer.presharedKey !== null) wipe(peer.presharedKey);
    }
  }
}
