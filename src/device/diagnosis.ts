/** What is wrong at this moment, out of what a Device has seen so far. Tells it as troubles.ts' codes. */

import { formatKey } from '../keytext.ts';
import { REKEY_TIMEOUT_MS } from '../noise/constants.ts';
import { formatAddress, formatPrefix, isWithin } from '../packet/address.ts';
import { type Core, peerKey } from './core.ts';
import { isNearFault } from './lead.ts';
import { formatNear } from './near.ts';
import { isOwn } from './ownaddresses.ts';
import { type Peer, STALE_TIMESTAMPS_TOLD } from './peer.ts';
import type { DeviceTrouble, PeerTrouble } from './troubles.ts';

/** How long what a stranger sent is told of: a single datagram of anybody's is no lasting trouble. */
const STRANGER_SHOWN_MS = 300_000;
/** The network may lose or delay so many responses, or the data after them. */
const RESPONSES_UNCONFIRMED_MAX = 2;

/** `now`: monotonic ms. */
export function deviceTroubles(core: Core, now: number): DeviceTrouble[] {
  const troubles: DeviceTrouble[] = [];
  if (core.identity === null) troubles.push({ code: 'noPrivateKey' });
  if (core.handshakeQueue.isUnderLoad(now)) troubles.push({ code: 'underLoad' });
  if (!core.isUp && core.peers.size > 0) troubles.push({ code: 'interfaceDown' });
  if (core.badMac1From !== null && now - core.badMac1At < STRANGER_SHOWN_MS) {
    troubles.push({
      code: 'badMac1',
      messages: core.drops.get('badMac1'),
      address: formatAddress(core.badMac1From.address),
      port: core.badMac1From.port,
      agoMs: Math.round(now - core.badMac1At),
    });
  }
  const { stranger } = core;
  // At a boot peers are added one after the other, and each may have called before its turn.
  const isUnknown = stranger !== null && !core.peers.has(peerKey(stranger.publicKey));
  if (isUnknown && now - stranger.at < STRANGER_SHOWN_MS) {
    const { endpoint } = stranger;
    troubles.push({
      code: 'stranger',
      publicKey: formatKey(stranger.publicKey),
      address: formatAddress(endpoint.address),
      port: endpoint.port,
      agoMs: Math.round(now - stranger.at),
    });
  }
  const { at, bytes } = core.unrouted;
  if (core.isUp && now - at < STRANGER_SHOWN_MS) {
    const packets = core.drops.get('noPeer');
    const agoMs = Math.round(now - at);
    troubles.push({ code: 'unroutable', address: formatAddress(bytes), packets, agoMs });
  }
  return troubles;
}

/**
 * Of a handshake the likeliest cause alone, and what keeps packets from passing; none when all is
 * well. `now`: monotonic ms.
 */
export function peerTroubles(core: Core, now: number, peer: Peer): PeerTrouble[] {
  const troubles: (PeerTrouble | null)[] = [
    handshakeTrouble(core, now, peer),
    ownSource(core, now, peer),
    foreignSource(core, now, peer),
    onlyKeepalives(now, peer),
  ];
  if (!core.allowedIps.has(peer)) troubles.push({ code: 'noAllowedIps' });
  return troubles.filter((trouble) => trouble !== null);
}

/** What is the whole Device's, the transport's owner tells once. */
function nearTrouble(core: Core, { endpoint, lead, ways }: Peer): PeerTrouble | null {
  if (endpoint === null || !isNearFault(lead)) return null;
  const near = endpoint.isPinned ? (ways?.ways[ways.used]?.near ?? null) : core.bind;
  if (near === null || (!endpoint.isPinned && lead !== 'otherFamily')) return null;
  return { code: 'nearGone', near: formatNear(near), why: lead };
}

function foreignSource(core: Core, now: number, peer: Peer): PeerTrouble | null {
  const { refusedSource } = peer;
  if (refusedSource === null || now - refusedSource.at >= STRANGER_SHOWN_MS) return null;
  const { bytes, at } = refusedSource;
  const owner =
    bytes.length === 4 ? core.allowedIps.lookup4(bytes, 0) : core.allowedIps.lookup6(bytes, 0);
  // It was given to the peer since; or it is to be given to nobody.
  if (owner === peer || isOwn(core.ownAddresses, bytes)) return null;
  return {
    code: 'foreignSource',
    address: formatAddress(bytes),
    packets: peer.drops.get('disallowedSource'),
    agoMs: Math.round(now - at),
    prefix: longestPrefix(core, peer, bytes),
    owner: owner === null ? '' : formatKey(owner.publicKey),
    ownerPrefix: owner === null ? '' : longestPrefix(core, owner, bytes),
  };
}

/** The longest of its allowed IPs that holds the address, in text; empty for none. */
function longestPrefix(core: Core, owner: Peer, address: Uint8Array): string {
  const holding = core.allowedIps.prefixesOf(owner).filter((prefix) => isWithin(address, prefix));
  if (holding.length === 0) return '';
  return formatPrefix(holding.reduce((one, other) => (other.length > one.length ? other : one)));
}

/** Whether our address is in its allowed IPs or not: it has one that is ours. */
function ownSource(core: Core, now: number, peer: Peer): PeerTrouble | null {
  const kinds = [
    [peer.claimedSource, 'ownSource'],
    [peer.refusedSource, 'disallowedSource'],
  ] as const;
  for (const [source, reason] of kinds) {
    if (source === null || now - source.at >= STRANGER_SHOWN_MS) continue;
    const { bytes, at } = source;
    // The operator may have changed it since.
    if (!isOwn(core.ownAddresses, bytes)) continue;
    const packets = peer.drops.get(reason);
    const agoMs = Math.round(now - at);
    return { code: 'ownSource', address: formatAddress(bytes), packets, agoMs };
  }
  return null;
}

function onlyKeepalives(now: number, peer: Peer): PeerTrouble | null {
  const { monologue } = peer;
  const at = monologue.lastAt(peer.counts);
  if (at === null || now - at >= STRANGER_SHOWN_MS) return null;
  const { packets, lastedMs } = monologue;
  const agoMs = Math.round(now - at);
  return { code: 'onlyKeepalives', packets, lastedMs: Math.round(lastedMs), agoMs };
}

/** Why the handshake does not complete, as likely as can be told; null when all is well. */
export function handshakeTrouble(core: Core, now: number, peer: Peer): PeerTrouble | null {
  const { undecipherable, staleTimestamps, unconfirmedResponses, unanswered, cookies, returned } =
    peer.trouble;
  if (peer.lead === 'inside') return { code: 'routingLoop' };
  const nearEnd = nearTrouble(core, peer);
  if (nearEnd !== null) return nearEnd;
  if (core.identity === null) return { code: 'noPrivateKey' };
  if (returned > 0) return { code: 'callsUs', initiations: returned };
  if (undecipherable > 0) return { code: 'undecipherable', responses: undecipherable };
  if (staleTimestamps >= STALE_TIMESTAMPS_TOLD) {
    return { code: 'staleTimestamps', initiations: staleTimestamps };
  }
  if (unconfirmedResponses > RESPONSES_UNCONFIRMED_MAX) {
    return { code: 'unconfirmed', responses: unconfirmedResponses };
  }
  const unresolved = unresolvedName(peer);
  if (unresolved?.isOnly) return unresolved;
  const homeless = peer.staged.length + peer.drops.get('noEndpoint');
  if (peer.endpoint === null && homeless > 0) return { code: 'noEndpoint', packets: homeless };
  const silentMs = Math.round(now - peer.trouble.unansweredSince);
  if (unanswered === 0 || silentMs < REKEY_TIMEOUT_MS) return unresolved;
  const called = peer.ways?.calling?.endpoint ?? peer.endpoint;
  const failure = called === null ? null : core.failureTo(called);
  // Of the last one: the way may be open again.
  if (failure !== null && failure.at >= peer.lastInitiationAt) {
    return { code: 'cannotSend', error: failure.error, initiations: unanswered };
  }
  if (cookies > 0) return { code: 'peerUnderLoad', cookies };
  return { code: 'noAnswer', initiations: unanswered, silentMs };
}

/** The first of its names that could not be looked up, and of which nothing is known from before. */
function unresolvedName({ ways, endpoint }: Peer): (PeerTrouble & { code: 'unresolved' }) | null {
  for (const { host, error, addresses } of ways?.names() ?? []) {
    if (error === null || addresses.length > 0) continue;
    return { code: 'unresolved', host, error, isOnly: endpoint === null };
  }
  return null;
}
