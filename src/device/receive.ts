/**
 * Inbound, in the order a datagram meets it: classify -> data: index table -> open in place ->
 * replay window -> session confirmed? -> timers -> source check -> deliver. Handshake messages are
 * handshakes.ts', and runs of data receiverun.ts'.
 *
 * Everything here is hostile until it decrypts: whatever is wrong ends in a counted drop.
 */

import { TAG_BYTES } from '../crypto/suite.ts';
import type { Keypair } from '../noise/keypair.ts';
import {
  COOKIE_REPLY,
  classify,
  DATA,
  DATA_HEADER_BYTES,
  MALFORMED,
  readCounter,
  readReceiverIndex,
} from '../noise/messages.ts';
import {
  decapsulateEcn,
  ECN_DROP,
  ECN_NOT_ECT,
  IPV4_ADDRESS_BYTES,
  IPV4_SOURCE_OFFSET,
  IPV6_ADDRESS_BYTES,
  IPV6_SOURCE_OFFSET,
  ipLength,
  ipVersion,
  isSound,
  readEcn,
  writeEcn,
} from '../packet/ip.ts';
import type { Core } from './core.ts';
import type { Endpoint } from './endpoint.ts';
import { consumeCookieReply, queueHandshake } from './handshakes.ts';
import * as liveness from './liveness.ts';
import { hasOwnSource } from './ownsources.ts';
import type { Peer } from './peer.ts';
import { roam } from './roam.ts';
import { sendInitiation, sendStaged } from './send.ts';
import * as session from './session.ts';
import { handshakeProven } from './steering.ts';
import * as timers from './timers.ts';

/** One UDP datagram. See Device.receiveDatagram for who owns the bytes. */
export function receiveDatagram(
  core: Core,
  now: number,
  offset: number,
  length: number,
  endpoint: Endpoint,
  trafficClass: number,
): void {
  if (!core.isUp) {
    core.drop('interfaceDown', null, endpoint);
    return;
  }
  const bytes = core.arena.bytes;
  const kind = classify(bytes, offset, length);
  if (kind === DATA) receiveData(core, now, offset, length, endpoint, trafficClass);
  else if (kind === MALFORMED) core.drop('malformedMessage', null, endpoint);
  else if (core.identity === null) core.drop('noPrivateKey', null, endpoint);
  else if (kind === COOKIE_REPLY)
    consumeCookieReply(core, now, bytes.slice(offset, offset + length), endpoint);
  else queueHandshake(core, now, bytes.subarray(offset, offset + length), endpoint);
}

/** Transport data (whitepaper 5.4.6). */
function receiveData(
  core: Core,
  now: number,
  offset: number,
  length: number,
  endpoint: Endpoint,
  trafficClass: number,
): void {
  const entry = core.indices.lookup(readReceiverIndex(core.arena.view, offset));
  if (entry === undefined || entry.keypair === null) {
    core.drop('unknownIndex', null, endpoint);
    return;
  }
  const { peer, keypair } = entry;
  const counter = readCounter(core.arena.view, offset);
  if (!keypair.canReceive(now, counter)) {
    core.drop('expiredKey', peer, endpoint);
    return;
  }
  // Once more after it is opened, which is when it counts; here a replay is spared the opening.
  if (!keypair.replay.isNew(counter)) {
    core.drop('replayedPacket', peer, endpoint);
    return;
  }
  const inner = offset + DATA_HEADER_BYTES;
  const innerLength = length - DATA_HEADER_BYTES - TAG_BYTES;
  if (!keypair.opener.open(inner, innerLength, counter)) {
    core.drop('badPacket', peer, endpoint);
    return;
  }
  if (!keypair.replay.accept(counter)) {
    core.drop('replayedPacket', peer, endpoint);
    return;
  }
  opened(core, now, peer, keypair, endpoint, 1, length);
  if (innerLength === 0) {
    peer.counts.keepalivesReceived++;
    peer.monologue.keepaliveReceived(now, peer.counts);
    liveness.keepaliveReceived(core, now, peer);
    return;
  }
  timers.dataReceived(core, peer, now);
  deliverPacket(core, now, peer, endpoint, inner, innerLength, trafficClass);
}

/** Authentic packets came under the session from there, one or a run: `bytes` with their headers. */
export function opened(
  core: Core,
  now: number,
  peer: Peer,
  keypair: Keypair,
  endpoint: Endpoint,
  packets: number,
  bytes: number,
): void {
  core.outcomes.opened += packets;
  roam(core, now, peer, endpoint, 'data');
  peer.rxBytes += bytes;
  peer.counts.rxPackets += packets;
  if (session.confirm(core, peer, keypair)) sessionConfirmed(core, now, peer);
  if (!peer.sentLastMinuteHandshake && keypair.mustRekeyOnReceive(now)) {
    peer.sentLastMinuteHandshake = true;
    sendInitiation(core, now, peer);
  }
  timers.authenticatedPacketReceived(core, peer, now);
}

/** The first packet came under a session that the peer began: it has our answer. */
function sessionConfirmed(core: Core, now: number, peer: Peer): void {
  timers.handshakeCompleted(core, peer);
  handshakeProven(core, now, peer);
  const ordinal = peer.counts.handshakesCompleted;
  const renews = liveness.isGood(peer.previous, now);
  core.tell({ kind: 'sessionConfirmed', peer: peer.name, session: ordinal, renews });
  liveness.sessionBegun(core, now, peer);
  sendStaged(core, now, peer);
}

/** The decrypted packet: is it IP, may this peer send from that source, and what of its ECN? */
function deliverPacket(
  core: Core,
  now: number,
  peer: Peer,
  endpoint: Endpoint,
  offset: number,
  available: number,
  trafficClass: number,
): void {
  const bytes = core.arena.bytes;
  if (!isSound(bytes, offset, available)) {
    core.drop('malformedPacket', peer, endpoint);
    return;
  }
  if (isSourceAllowed(core, now, peer, endpoint, offset)) {
    handOut(core, peer, endpoint, offset, trafficClass);
  }
}

/** Whether this peer may send from the source of a sound packet; if not, the packet is counted. */
export function isSourceAllowed(
  core: Core,
  now: number,
  peer: Peer,
  endpoint: Endpoint,
  offset: number,
): boolean {
  const bytes = core.arena.bytes;
  const isV4 = ipVersion(bytes, offset) === 4;
  const at = offset + (isV4 ? IPV4_SOURCE_OFFSET : IPV6_SOURCE_OFFSET);
  const owner = isV4 ? core.allowedIps.lookup4(bytes, at) : core.allowedIps.lookup6(bytes, at);
  const length = isV4 ? IPV4_ADDRESS_BYTES : IPV6_ADDRESS_BYTES;
  if (owner !== peer) {
    peer.refuseSource(bytes, at, length, now);
    core.dropFor('disallowedSource', peer, endpoint, at, length);
    return false;
  }
  if (!hasOwnSource(peer, bytes, offset)) return true;
  peer.refuseClaim(bytes, at, length, now);
  core.dropFor('ownSource', peer, endpoint, at, length);
  return false;
}

/** Delivers a packet from where its peer may send, with what the outer header says of congestion. */
export function handOut(
  core: Core,
  peer: Peer,
  endpoint: Endpoint,
  offset: number,
  trafficClass: number,
): void {
  const bytes = core.arena.bytes;
  const outer = trafficClass & 3;
  // What was not marked on the way stays as it is (RFC 6040 4.2).
  if (outer !== ECN_NOT_ECT) {
    const ecn = decapsulateEcn(outer, readEcn(bytes, offset));
    if (ecn === ECN_DROP) {
      core.drop('ecnViolation', peer, endpoint);
      return;
    }
    writeEcn(bytes, offset, ecn);
  }
  core.outlet.deliver(offset, ipLength(bytes, offset));
}
