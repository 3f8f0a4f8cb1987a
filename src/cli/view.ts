/**
 * What is known of an interface, gathered for showing: the system's part, and WireGuard's where
 * its control socket answered. Plain values; knows neither where they come from nor how they look.
 */

import type { PeerCondition } from '../device/condition.ts';
import type { ReportedState } from '../uapi/get.ts';
import type { ReportedPeer, ReportedStats } from '../uapi/stats.ts';
import { formatKey } from './keys.ts';

export interface AddressView {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly length: number;
  /** The other end of a point-to-point link; null when it is none or the address itself. */
  readonly destination: Uint8Array | null;
  readonly broadcast: Uint8Array | null;
}

export interface WireguardView {
  readonly state: ReportedState;
  /** Of the private key; null when there is none, or the daemon does not tell. */
  readonly publicKey: Uint8Array | null;
  /** null when the daemon counts nothing for us, as others than tswgd. */
  readonly stats: ReportedStats | null;
}

export interface InterfaceView {
  readonly name: string;
  readonly index: number;
  /** IFF_ bits of netdevice(7). */
  readonly flags: number;
  readonly mtu: number;
  /** IFLA_IFALIAS; empty when none. */
  readonly description: string;
  readonly addresses: readonly AddressView[];
  readonly wireguard: WireguardView | null;
  /** It forwards between its peers, and the kernel tells them of ways that they do not have. */
  readonly sendsRedirects: boolean;
  /** It is ours, but no daemon serves it any more. */
  readonly hasLostDaemon: boolean;
}

// netdevice(7). What stands above 16 bits is the kernel's own affair, as in SIOCGIFFLAGS.
const FLAG_BITS = 0xffff;
const FLAG_NAMES: readonly string[] = [
  'UP',
  'BROADCAST',
  'DEBUG',
  'LOOPBACK',
  'POINTOPOINT',
  'NOTRAILERS',
  'RUNNING',
  'NOARP',
  'PROMISC',
  'ALLMULTI',
  'MASTER',
  'SLAVE',
  'MULTICAST',
  'PORTSEL',
  'AUTOMEDIA',
  'DYNAMIC',
];

const IFF_DEBUG = 4;

/** The flags as ifconfig shows them; WireGuard's `debug` counts as the DEBUG flag. */
export function shownFlags(view: InterfaceView): { bits: number; names: string[] } {
  const debug = view.wireguard?.state.debug === true ? IFF_DEBUG : 0;
  const bits = (view.flags & FLAG_BITS) | debug;
  return { bits, names: FLAG_NAMES.filter((_, bit) => (bits & (1 << bit)) !== 0) };
}

/** Wall-clock time in ms since 1970 of the last handshake, 0 when there was none. */
export function lastHandshakeMs(state: ReportedState, reported: number, nowMs: number): number {
  if (reported === 0 || !state.handshakesAreAges) return reported;
  return nowMs - reported;
}

/**
 * How it stands with a peer, and since when, in seconds since 1970; null where the daemon does not tell.
 */
export function conditionOf(
  peer: ReportedPeer | undefined,
): { readonly state: PeerCondition; readonly since: number } | null {
  const state = CONDITIONS.find((one) => one === peer?.facts.condition);
  const since = peer?.counters.condition_since_seconds;
  return state === undefined || since === undefined ? null : { state, since };
}

const CONDITIONS: readonly PeerCondition[] = ['connected', 'idle', 'lost'];

/** What is told of the peers, by their public keys in base64. */
export function statsByPeer(stats: ReportedStats | null): Map<string, ReportedPeer> {
  return new Map((stats?.peers ?? []).map((peer) => [formatKey(peer.publicKey), peer]));
}
