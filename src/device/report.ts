/** What a Device says of itself: the state that `get` shows, and counters with a word on trouble. */

import { REKEY_TIMEOUT_MS } from '../noise/constants.ts';
import type { DeviceState, DeviceStats, PeerState } from './configuration.ts';
import type { Core } from './core.ts';
import { type Peer, STALE_TIMESTAMPS_TOLD } from './peer.ts';

/** A copy; keys in it are the caller's to wipe. */
export function state(core: Core): DeviceState {
  return {
    privateKey: core.copyPrivateKey(),
    listenPort: core.listenPort,
    fwmark: core.fwmark,
    debug: core.isDebugging,
    peers: [...core.peers.values()].map((peer) => peerState(core, peer)),
  };
}

function peerState(core: Core, peer: Peer): PeerState {
  return {
    publicKey: peer.publicKey,
    presharedKey: peer.handshake.copyPresharedKey(),
    endpoint: peer.endpoint,
    lastHandshakeMs: peer.lastHandshakeMs,
    txBytes: peer.txBytes,
    rxBytes: peer.rxBytes,
    persistentKeepalive: peer.persistentKeepalive,
    allowedIps: core.allowedIps.prefixesOf(peer),
    description: peer.description,
  };
}

export function stats(core: Core, now: number): DeviceStats {
  const peers = [...core.peers.values()];
  return {
    facts: deviceFacts(core, now),
    counters: {
      peers: peers.length,
      allowed_ips: core.allowedIps.size,
      handshakes_waiting: core.handshakeQueue.length,
      cookies_sent: core.counts.cookiesSent,
      unreachables_sent: core.counts.unreachablesSent,
      ...Object.fromEntries(core.drops.entries()),
    },
    peers: peers.map((peer) => {
      const trouble = handshakeTrouble(core, now, peer);
      return {
        publicKey: peer.publicKey,
        facts: {
          ...(peer.isLooping ? { route: LOOP_FACT } : {}),
          ...(trouble === '' ? {} : { handshake: trouble }),
        },
        counters: {
          initiations_sent: peer.counts.initiationsSent,
          initiations_received: peer.counts.initiationsReceived,
          responses_sent: peer.counts.responsesSent,
          responses_received: peer.counts.responsesReceived,
          handshakes_completed: peer.counts.handshakesCompleted,
          rekeys: peer.counts.rekeys,
          cookies_received: peer.counts.cookiesReceived,
          keepalives_sent: peer.counts.keepalivesSent,
          keepalives_received: peer.counts.keepalivesReceived,
          packets_sent: peer.counts.txPackets,
          packets_received: peer.counts.rxPackets,
          roams: peer.counts.roams,
          packets_waiting: peer.staged.length,
          ...Object.fromEntries(peer.drops.entries()),
        },
      };
    }),
  };
}

const LOOP_FACT =
  'wgendpoint is routed into this interface, so that nothing can be sent: check `ip route get` for it';
const STRANGER_SHOWN_MS = 300_000;

function deviceFacts(core: Core, now: number): Record<string, string> {
  const facts: Record<string, string> = { crypto: core.suite.name };
  if (core.identity === null) facts.key = 'no private key is set: no handshake can begin';
  if (core.handshakeQueue.isUnderLoad(now)) facts.load = 'under load: handshakes need a cookie';
  if (core.drops.get('badMac1') > 0)
    facts.mac1 =
      'handshakes arrive that are not for our public key: does the other side have the right one?';
  const { stranger } = core;
  if (stranger !== null && now - stranger.at < STRANGER_SHOWN_MS)
    facts.stranger = `a key that is no peer here tried to connect: ${base64(stranger.publicKey)}`;
  return facts;
}

/** Why the handshake with this peer does not complete, for a tired operator; '' when all is well. */
function handshakeTrouble(core: Core, now: number, peer: Peer): string {
  const { trouble } = peer;
  // The route is why, and has a line of its own.
  if (peer.isLooping) return '';
  if (core.identity === null) return 'no private key is set on this side';
  if (trouble.undecipherable > 0)
    return 'the peer answers but its answer does not decrypt: is the preshared key the same on both sides?';
  if (trouble.staleTimestamps >= STALE_TIMESTAMPS_TOLD)
    return 'the peer tries to connect with timestamps older than before: was its clock set back?';
  if (trouble.unconfirmedResponses > 2)
    return `answered ${trouble.unconfirmedResponses} initiations of the peer, but it sends no data: do our answers reach it, and is the preshared key the same?`;
  if (peer.endpoint === null && peer.staged.length > 0)
    return 'packets wait, but no endpoint is known: set wgendpoint, or wait until the peer calls';
  const silentMs = now - trouble.unansweredSince;
  if (trouble.unanswered === 0 || silentMs < REKEY_TIMEOUT_MS) return '';
  if (trouble.cookies > 0)
    return 'the peer is reachable but under load: it asked for a cookie, which we sent';
  return `no answer to ${trouble.unanswered} initiations in ${Math.round(silentMs / 1_000)} seconds: check wgendpoint, the firewalls on the way, and that the peer has our wgpubkey`;
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
