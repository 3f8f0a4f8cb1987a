/** What a Device says of itself: the state that `get` shows, and its metrics and troubles. */

import type { DeviceState, DeviceStats, PeerState } from './configuration.ts';
import type { Core } from './core.ts';
import { deviceTroubles, peerTroubles } from './diagnosis.ts';
import { measure } from './metric.ts';
import { DEVICE_METRICS, PEER_METRICS } from './metrics.ts';
import type { Peer } from './peer.ts';

/** A copy; keys in it are the caller's to wipe. */
export function state(core: Core): DeviceState {
  return {
    privateKey: core.copyPrivateKey(),
    listenPort: core.listenPort,
    fwmark: core.fwmark,
    bind: core.bind,
    debug: core.isDebugging,
    peers: [...core.peers.values()].map((peer) => peerState(core, peer)),
  };
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
  return {
    ...measure(DEVICE_METRICS, core),
    troubles: deviceTroubles(core, now),
    peers: [...core.peers.values()].map((peer) => ({
      publicKey: peer.publicKey,
      ...measure(PEER_METRICS, peer),
      troubles: peerTroubles(core, now, peer),
    })),
  };
}
