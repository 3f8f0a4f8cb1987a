/** What a Device says of itself: the state that `get` shows, and its metrics and troubles. */

import type {
  DeviceState,
  DeviceStats,
  InterfaceState,
  InterfaceStats,
  PeerState,
  PeerStats,
} from './configuration.ts';
import type { Core } from './core.ts';
import { deviceTroubles, peerTroubles } from './diagnosis.ts';
import { measure } from './metric.ts';
import { DEVICE_METRICS, PEER_METRICS } from './metrics.ts';
import type { Peer } from './peer.ts';

/** A copy; keys in it are the caller's to wipe. */
export function state(core: Core): DeviceState {
  return { ...ownState(core), peers: [...peerStates(core)] };
}

/** What `state` says of the interface itself. */
export function ownState(core: Core): InterfaceState {
  return {
    privateKey: core.copyPrivateKey(),
    listenPort: core.listenPort,
    fwmark: core.fwmark,
    bind: core.bind,
    debug: core.isDebugging,
  };
}

/**
 * What `state` says of the peers, each as it is when it is asked for: one that is added meanwhile is
 * not among them, one that is removed is left out.
 */
export function* peerStates(core: Core): Generator<PeerState> {
  for (const peer of present(core)) yield peerState(core, peer);
}

function* present(core: Core): Generator<Peer> {
  for (const peer of [...core.peers.values()]) if (core.rows[peer.row] === peer) yield peer;
}

function peerState(core: Core, peer: Peer): PeerState {
  return {
    publicKey: peer.publicKey,
    presharedKey: peer.handshake.copyPresharedKey(),
    endpoint: peer.endpoint,
    ways: peer.ways?.states() ?? [],
    lastHandshakeMs: peer.lastHandshakeMs,
    txBytes: peer.txBytes,
    rxBytes: peer.rxBytes,
    persistentKeepalive: peer.persistentKeepalive,
    allowedIps: core.allowedIps.prefixesOf(peer),
    description: peer.description,
  };
}

/** `now`: monotonic ms. */
export function stats(core: Core, now: number): DeviceStats {
  return { ...ownStats(core, now), peers: [...peerStats(core, () => now)] };
}

/** What `stats` says of the interface itself. */
export function ownStats(core: Core, now: number): InterfaceStats {
  return { ...measure(DEVICE_METRICS, core), troubles: deviceTroubles(core, now) };
}

/** What it says of the peers, as peerStates does. `now`: asked for each of them. */
export function* peerStats(core: Core, now: () => number): Generator<PeerStats> {
  for (const peer of present(core)) {
    const { publicKey } = peer;
    const troubles = peerTroubles(core, now(), peer);
    yield { publicKey, ...measure(PEER_METRICS, peer), troubles };
  }
}
