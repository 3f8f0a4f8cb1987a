/**
 * Inbound, in the order a datagram meets it: classify -> data: index table -> open in place ->
 * replay window -> session confirmed? -> timers -> source check -> deliver. Handshake messages:
 * mac1 -> queue -> under load? mac2 or cookie reply -> rate limiter -> consume.
 *
 * Everything here is hostile until it decrypts: whatever is wrong ends in a counted drop.
 */

import { TAG_BYTES } from '../crypto/suite.ts';
import { formatKey } from '../keytext.ts';
import type { Keypair } from '../noise/keypair.ts';
import {
  COOKIE_REPLY,
  COOKIE_REPLY_RECEIVER,
  classify,
  DATA,
  DATA_HEADER_BYTES,
  INITIATION,
  INITIATION_SENDER,
  MALFORMED,
  RESPONSE_RECEIVER,
  readCounter,
  readReceiverIndex,
  readUint32,
} from '../noise/messages.ts';
import { openInitiation } from '../noise/openedinitiation.ts';
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
import { type Core, peerKey } from './core.ts';
import type { Endpoint } from './endpoint.ts';
import * as liveness from './liveness.ts';
import { hasOwnSource } from './ownsources.ts';
import { endpointChanged } from './paths.ts';
import { type Peer, STALE_TIMESTAMPS_TOLD } from './peer.ts';
import {
  remoteId,
  sendCookieReply,
  sendInitiation,
  sendKeepalive,
  sendResponse,
  sendStaged,
} from './send.ts';
import * as session from './session.ts';
import { type Heard, handshakeProven, hearElsewhere } from './steering.ts';
import * as timers from './timers.ts';
import { heardAt } from './whereabouts.ts';

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

/** Initiations and responses wait for their turn once they prove to know our public key (mac1). */
function queueHandshake(core: Core, now: number, message: Uint8Array, endpoint: Endpoint): void {
  if (!core.cookieChecker.verifyMac1(message)) {
    const caller = ownCaller(core, message);
    if (caller === null) {
      core.badMac1At = now;
      core.badMac1From = endpoint;
    } else caller.trouble.returned++;
    core.drop('badMac1', null, endpoint);
  } else if (!core.handshakeQueue.push(message, endpoint, now))
    core.drop('handshakeQueueFull', null, endpoint);
}

/**
 * The peer that an initiation of our own was for, which came back to us: a name may be resolved to an
 * address of ours. Nobody else knows its index but who is on the path.
 */
function ownCaller(core: Core, message: Uint8Array): Peer | null {
  if (message[0] !== INITIATION) return null;
  const entry = core.indices.lookup(readUint32(message, INITIATION_SENDER));
  return entry === undefined || entry.keypair !== null ? null : entry.peer;
}

/** What turning a message away costs, a cookie reply included, of what answering it does. */
const REFUSAL_COST = 1 / 32;

/** Handles queued handshake messages, at most `limit` of those that are let in. */
export function consumeHandshakes(core: Core, now: number, limit: number): void {
  for (let cost = 0; cost < limit; ) {
    const queued = core.handshakeQueue.shift();
    if (queued === undefined) return;
    const { message, endpoint } = queued;
    core.outcomes.judged++;
    if (!core.isUp) core.drop('interfaceDown', null, endpoint);
    else if (core.identity === null) core.drop('noPrivateKey', null, endpoint);
    else if (isAdmitted(core, now, message, endpoint)) {
      consume(core, now, message, endpoint);
      cost += 1;
      continue;
    }
    cost += REFUSAL_COST;
  }
}

/**
 * Responses to one call of ours that may cost us a computation in vain before we ask for cookies,
 * too: to make one takes the index of that call, which only who is on the path has seen.
 */
const FUTILE_RESPONSES = 8;

/**
 * Under load a message costs us a computation only with a cookie and within its source's rate. The
 * answer to a call of our own needs none, or we could not call out of a flood.
 */
function isAdmitted(core: Core, now: number, message: Uint8Array, endpoint: Endpoint): boolean {
  if (!core.handshakeQueue.isUnderLoad(now) || isAwaited(core, message)) return true;
  if (!core.cookieChecker.verifyMac2(message, now, remoteId(endpoint))) {
    core.drop('cookieRequired', null, endpoint);
    core.handshakeQueue.countFutile(now);
    sendCookieReply(core, now, message, endpoint);
    return false;
  }
  if (core.rateLimiter.allow(endpoint.address, now)) return true;
  core.drop('rateLimited', null, endpoint);
  return false;
}

function isAwaited(core: Core, message: Uint8Array): boolean {
  if (message[0] === INITIATION) return false;
  const entry = core.indices.lookup(readUint32(message, RESPONSE_RECEIVER));
  if (entry === undefined || entry.keypair !== null) return false;
  return entry.peer.trouble.undecipherable < FUTILE_RESPONSES;
}

function consume(core: Core, now: number, message: Uint8Array, endpoint: Endpoint): void {
  if (message[0] === INITIATION) consumeInitiation(core, now, message, endpoint);
  else consumeResponse(core, now, message, endpoint);
}

function consumeInitiation(core: Core, now: number, message: Uint8Array, endpoint: Endpoint): void {
  const opened = openInitiation(core.suite, core.identity!, message);
  if (opened === null) {
    core.handshakeQueue.countFutile(now);
    core.drop('badHandshake', null, endpoint);
    return;
  }
  const peer = core.peers.get(peerKey(opened.remoteStatic));
  if (peer === undefined) {
    opened.wipe();
    core.handshakeQueue.countFutile(now);
    core.stranger = { publicKey: opened.remoteStatic, endpoint, at: now };
    core.drop('unknownPeer', null, endpoint);
    core.tell({ kind: 'stranger', publicKey: formatKey(opened.remoteStatic), endpoint });
    return;
  }
  const verdict = peer.handshake.consumeInitiation(opened, now);
  if (verdict !== 'ok') {
    core.handshakeQueue.countFutile(now);
    core.drop(INITIATION_DROPS[verdict], peer, endpoint);
    if (verdict === 'replayed' && ++peer.trouble.staleTimestamps === STALE_TIMESTAMPS_TOLD)
      core.tell({ kind: 'initiationsStale', peer: peer.name, endpoint });
    return;
  }
  core.outcomes.accepted++;
  peer.rxBytes += message.length;
  peer.counts.initiationsReceived++;
  const renews = liveness.isGood(peer.current, now);
  core.tell({ kind: 'initiationReceived', peer: peer.name, endpoint, renews });
  roam(core, now, peer, endpoint, 'initiation');
  timers.authenticatedPacketReceived(core, peer, now);
  sendResponse(core, now, peer, endpoint);
}

const INITIATION_DROPS = {
  bad: 'badHandshake',
  replayed: 'replayedInitiation',
  flood: 'initiationFlood',
} as const;

function consumeResponse(core: Core, now: number, message: Uint8Array, endpoint: Endpoint): void {
  const entry = core.indices.lookup(readUint32(message, RESPONSE_RECEIVER));
  if (entry === undefined || entry.keypair !== null) {
    core.drop(entry === undefined ? 'unknownIndex' : 'unexpectedResponse', null, endpoint);
    return;
  }
  const { peer } = entry;
  const verdict = peer.handshake.consumeResponse(message);
  if (verdict !== 'ok') {
    if (verdict === 'bad') {
      peer.trouble.undecipherable++;
      core.handshakeQueue.countFutile(now);
    }
    core.drop(verdict === 'bad' ? 'badHandshake' : 'unexpectedResponse', peer, endpoint);
    return;
  }
  core.outcomes.accepted++;
  peer.rxBytes += message.length;
  peer.counts.responsesReceived++;
  // Of several initiations the first might have been lost, or its answer late: that is no round trip.
  if (peer.trouble.unanswered === 1) peer.handshakeRoundTripMs = now - peer.lastInitiationAt;
  const ordinal = peer.counts.handshakesCompleted + 1;
  const renews = liveness.isGood(peer.current, now);
  core.tell({ kind: 'responseReceived', peer: peer.name, session: ordinal, renews });
  roam(core, now, peer, endpoint, 'answer');
  session.begin(core, now, peer);
  timers.authenticatedPacketReceived(core, peer, now);
  timers.sessionDerived(core, peer, now);
  timers.handshakeCompleted(core, peer);
  handshakeProven(core, now, peer);
  liveness.sessionBegun(core, now, peer);
  // The responder may send only after it has heard from us (key confirmation, whitepaper 5.4.6).
  sendKeepalive(core, now, peer);
}

/** Never a reason to roam: a cookie reply is not authenticated by the peer's static key. */
function consumeCookieReply(
  core: Core,
  now: number,
  message: Uint8Array,
  endpoint: Endpoint,
): void {
  const entry = core.indices.lookup(readUint32(message, COOKIE_REPLY_RECEIVER));
  if (entry === undefined) {
    core.drop('unknownIndex', null, endpoint);
    return;
  }
  const { peer } = entry;
  if (!peer.cookieMaker.consumeReply(message, now)) {
    core.drop('badCookie', peer, endpoint);
    return;
  }
  peer.counts.cookiesReceived++;
  peer.trouble.cookies++;
  core.tell({ kind: 'cookieReceived', peer: peer.name });
}

/** The endpoint is wherever the last authenticated packet came from (whitepaper 2.1). */
function roam(core: Core, now: number, peer: Peer, endpoint: Endpoint, heard: Heard): void {
  const old = peer.endpoint;
  if (old === endpoint) return;
  if (peer.ways !== null) {
    hearElsewhere(core, now, peer, peer.ways, endpoint, heard);
    return;
  }
  peer.endpoint = endpoint;
  heardAt(core, peer, endpoint);
  endpointChanged(peer);
  if (old === null || old.sameRemote(endpoint)) return;
  peer.counts.roams++;
  core.tell({ kind: 'roamed', peer: peer.name, from: old, to: endpoint });
}
