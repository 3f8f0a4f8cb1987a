/**
 * An interface as plain values for `--json`; the names of wg(8)'s contributed JSON where it has them.
 * Secret keys are never among them. Pure.
 */

import type { PeerCondition } from '../device/condition.ts';
import type { PeerState } from '../device/configuration.ts';
import type { Measured } from '../device/metric.ts';
import { formatNear } from '../device/near.ts';
import { formatAddress, formatPrefix } from '../packet/address.ts';
import type { ReportedPeer, ReportedTrouble, TroubleValue } from '../uapi/stats.ts';
import { formatKey } from './keys.ts';
import { type Wording, wordDeviceTrouble, wordPeerTrouble } from './troubles.ts';
import {
  conditionOf,
  type InterfaceView,
  lastHandshakeMs,
  shownFlags,
  statsByPeer,
  type WireguardView,
} from './view.ts';
import { describeWay, type WayJson } from './ways.ts';

/** Texts in it are as they came: the reader who shows them takes care of his terminal. */
export interface InterfaceJson {
  readonly name: string;
  readonly index: number;
  /** Names of netdevice(7)'s flags, without IFF_. */
  readonly flags: readonly string[];
  /** Bytes. */
  readonly mtu: number;
  readonly description: string;
  readonly addresses: readonly AddressJson[];
  /** It forwards between its peers, and the kernel tells them of ways that they do not have. */
  readonly sendsRedirects?: true;
  /** It is tswg's, but no daemon serves it any more. */
  readonly hasLostDaemon?: true;
  /** Missing where no control socket answered. */
  readonly wireguard?: WireguardJson;
}

export interface AddressJson {
  readonly family: 'inet' | 'inet6';
  readonly address: string;
  /** Bits. */
  readonly prefixLength: number;
  /** The other end of a point-to-point link. */
  readonly destination?: string;
  readonly broadcast?: string;
}

/** What docs/metrics.md lists, and what is wrong. Missing where the daemon is not tswgd. */
interface StatsJson extends Partial<Measured> {
  /** None when all is well. */
  readonly troubles?: readonly TroubleJson[];
}

export interface WireguardJson extends StatsJson {
  /** tswgd's; missing where another daemon serves the interface. */
  readonly version?: string;
  /** Base64; null when there is no private key, or the daemon does not tell. */
  readonly publicKey: string | null;
  /** UDP port; 0 while none is bound or asked for. */
  readonly listenPort: number;
  /** SO_MARK; 0 is off. */
  readonly fwmark: number;
  /** The address or interface that packets leave from and arrive at; null: any. */
  readonly bind: string | null;
  readonly debug: boolean;
  /** We may not read keys: nothing is said of them. */
  readonly keysAreHidden?: true;
  readonly peers: readonly PeerJson[];
}

export interface PeerJson extends StatsJson {
  /** Base64. */
  readonly publicKey: string;
  readonly description: string;
  /** Missing where keys are hidden. */
  readonly hasPresharedKey?: boolean;
  /** `scope`: the index of the interface of a link-local address, 0 otherwise. null: not known. */
  readonly endpoint: {
    readonly address: string;
    readonly port: number;
    readonly scope: number;
  } | null;
  /** In order of preference; none for a peer with an endpoint alone. */
  readonly ways: readonly WayJson[];
  /** `since`: seconds since 1970. Missing where the daemon does not tell. */
  readonly condition?: { readonly state: PeerCondition; readonly since: number };
  /** Seconds since 1970, as in wg(8); 0 for none. */
  readonly latestHandshake: number;
  /** Bytes of UDP payload. */
  readonly transferRx: number;
  readonly transferTx: number;
  /** Seconds; 0 is off. */
  readonly persistentKeepalive: number;
  /** As `address/length`. */
  readonly allowedIps: readonly string[];
}

export interface TroubleJson {
  /** Stable: a program decides by this, and by the values. */
  readonly code: string;
  /** What is known of it; a name that ends in `Ms` is of milliseconds. */
  readonly values: Readonly<Record<string, TroubleValue>>;
  /** The same for people, as `tswg IF` puts it. */
  readonly text: string;
}

/** `nowMs`: wall clock, ms since 1970. */
export function describeInterface(view: InterfaceView, nowMs: number): InterfaceJson {
  const { name, index, mtu, description, wireguard } = view;
  return {
    name,
    index,
    flags: shownFlags(view).names,
    mtu,
    description,
    addresses: view.addresses.map((one) => ({
      family: one.address.length === 4 ? 'inet' : 'inet6',
      address: formatAddress(one.address),
      prefixLength: one.length,
      ...(one.destination === null ? {} : { destination: formatAddress(one.destination) }),
      ...(one.broadcast === null ? {} : { broadcast: formatAddress(one.broadcast) }),
    })),
    ...(view.sendsRedirects ? { sendsRedirects: true } : {}),
    ...(view.hasLostDaemon ? { hasLostDaemon: true } : {}),
    ...(wireguard === null ? {} : { wireguard: describeWireguard(name, wireguard, nowMs) }),
  };
}

function describeWireguard(name: string, wireguard: WireguardView, nowMs: number): WireguardJson {
  const { state, publicKey, stats } = wireguard;
  const { version, listenPort, fwmark, bind, debug, keysAreHidden, peers, ...others } = state;
  const { privateKey, publicKey: _own, errno, knowsWays, handshakesAreAges, ...forgotten } = others;
  // A field that is added has to be told, or taken out above.
  forgotten satisfies Record<string, never>;
  const told = statsByPeer(stats);
  return {
    ...(version === undefined ? {} : { version }),
    publicKey: publicKey === null ? null : formatKey(publicKey),
    listenPort,
    fwmark,
    bind: bind === null ? null : formatNear(bind),
    debug,
    ...(keysAreHidden ? { keysAreHidden: true } : {}),
    peers: peers.map((peer) => {
      const handshakeMs = lastHandshakeMs(state, peer.lastHandshakeMs, nowMs);
      const described = describePeer(name, peer, handshakeMs, told.get(formatKey(peer.publicKey)));
      if (!keysAreHidden) return described;
      const { hasPresharedKey, ...open } = described;
      return open;
    }),
    ...(stats === null ? {} : describeStats(stats, (one) => wordDeviceTrouble(one, name))),
  };
}

function describePeer(
  name: string,
  peer: PeerState,
  handshakeMs: number,
  stats: ReportedPeer | undefined,
): PeerJson {
  const { publicKey, description, presharedKey, endpoint, persistentKeepalive, ...others } = peer;
  const { ways, allowedIps, txBytes, rxBytes, lastHandshakeMs, ...forgotten } = others;
  // A field that is added has to be told, or taken out above.
  forgotten satisfies Record<string, never>;
  const condition = conditionOf(stats);
  return {
    publicKey: formatKey(publicKey),
    description,
    hasPresharedKey: presharedKey !== null,
    endpoint:
      endpoint === null
        ? null
        : { address: formatAddress(endpoint.address), port: endpoint.port, scope: endpoint.scope },
    ways: ways.map(describeWay),
    ...(condition === null ? {} : { condition }),
    latestHandshake: Math.floor(handshakeMs / 1000),
    transferRx: rxBytes,
    transferTx: txBytes,
    persistentKeepalive,
    allowedIps: allowedIps.map(formatPrefix),
    ...(stats === undefined ? {} : describeStats(stats, (one) => wordPeerTrouble(one, name))),
  };
}

function describeStats(
  stats: Measured & { readonly troubles: readonly ReportedTrouble[] },
  word: (trouble: ReportedTrouble) => Wording,
): Required<StatsJson> {
  const { facts, counters, troubles } = stats;
  return {
    facts,
    counters,
    troubles: troubles.map((one) => ({ ...one, text: word(one).text })),
  };
}
