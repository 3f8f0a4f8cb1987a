/**
 * Outbound, in the order a packet meets it: allowed-IP lookup -> the peer's session -> seal in
 * place -> timers -> transmit. Without a usable session the packet is staged and a handshake
 * begins. Handshake messages and keepalives leave from here too.
 */

import { HEADROOM_BYTES, TAILROOM_BYTES } from '../arena.ts';
import { TAG_BYTES } from '../crypto/suite.ts';
import { REKEY_TIMEOUT_MS } from '../noise/constants.ts';
import type { Keypair } from '../noise/keypair.ts';
import {
  COOKIE_REPLY_BYTES,
  DATA_HEADER_BYTES,
  INITIATION_BYTES,
  RESPONSE_BYTES,
  writeDataHeader,
} from '../noise/messages.ts';
import { createUnreachable, ICMP_ANSWER_BYTES_MAX } from '../packet/icmp.ts';
import {
  IPV4_ADDRESS_BYTES,
  IPV4_DESTINATION_OFFSET,
  IPV6_ADDRESS_BYTES,
  IPV6_DESTINATION_OFFSET,
  ipVersion,
  isSound,
  readEcn,
} from '../packet/ip.ts';
import { paddedLength } from '../packet/padding.ts';
import type { Core } from './core.ts';
import type { Endpoint } from './endpoint.ts';
import * as liveness from './liveness.ts';
import { isPathClear } from './paths.ts';
import type { Peer } from './peer.ts';
import * as session from './session.ts';
import { nextTarget } from './steering.ts';
import * as timers from './timers.ts';

/** DSCP AF41, the class in which Linux sends handshake messages (wg HANDSHAKE_DSCP). */
const HANDSHAKE_TRAFFIC_CLASS = 0x88;

const EMPTY = new Uint8Array(0);

/** One IP packet from the interface. See Device.sendPacket for who owns the bytes. */
export function sendPacket(core: Core, now: number, offset: number, length: number): void {
  if (!core.isUp) {
    core.drop('interfaceDown', null);
    return;
  }
  const bytes = core.arena.bytes;
  if (!isSound(bytes, offset, length)) {
    core.drop('malformedPacket', null);
    return;
  }
  const peer = ownerOfDestination(core, offset);
  if (peer === null) {
    dropUnrouted(core, now, offset);
    answerUnreachable(core, now, offset, length);
    return;
  }
  if (peer.endpoint === null) {
    if (awaitsName(core, now, peer)) {
      stage(core, peer, bytes.subarray(offset, offset + length));
      return;
    }
    core.drop('noEndpoint', peer);
    answerUnreachable(core, now, offset, length);
    return;
  }
  if (!isPathClear(core, now, peer)) {
    askAgain(core, now, peer);
    core.drop('routingLoop', peer);
    answerUnreachable(core, now, offset, length);
    return;
  }
  const keypair = peer.current;
  if (keypair?.canSend(now) && peer.staged.length === 0) {
    transmitData(core, now, peer, keypair, peer.endpoint, offset, length);
    return;
  }
  stage(core, peer, bytes.subarray(offset, offset + length));
  sendStaged(core, now, peer);
}

/** The peer whose allowed IPs have the destination of a sound packet; null when none's have. */
export function ownerOfDestination(core: Core, offset: number): Peer | null {
  const { bytes } = core.arena;
  return ipVersion(bytes, offset) === 4
    ? core.allowedIps.lookup4(bytes, offset + IPV4_DESTINATION_OFFSET)
    : core.allowedIps.lookup6(bytes, offset + IPV6_DESTINATION_OFFSET);
}

/** Whether the peer's address is being looked up for the first time; if need be it is from now on. */
function awaitsName(core: Core, now: number, peer: Peer): boolean {
  askAgain(core, now, peer);
  return peer.ways?.isAwaited ?? false;
}

/** Nothing can be sent to where the peer's names lead: they may lead elsewhere by now. */
function askAgain(core: Core, now: number, { ways }: Peer): void {
  if (ways === null) return;
  for (const name of ways.names()) core.names.want(now, name);
}

/** No peer has its destination in the allowed IPs. */
function dropUnrouted(core: Core, now: number, offset: number): void {
  const { bytes } = core.arena;
  const isV4 = ipVersion(bytes, offset) === 4;
  const at = offset + (isV4 ? IPV4_DESTINATION_OFFSET : IPV6_DESTINATION_OFFSET);
  const length = isV4 ? IPV4_ADDRESS_BYTES : IPV6_ADDRESS_BYTES;
  // What is for everybody on a link (224.0.0.0/3 with the broadcast address, ff00::/8) is nobody's
  // mistake: the kernel sends it by itself.
  const isForAll = isV4 ? bytes[at] >= 224 : bytes[at] === 0xff;
  if (!isForAll) core.unrouted.note(bytes, at, length, now);
  core.dropFor('noPeer', null, null, at, length);
}

/** Queues a copy of the packet (empty: a keepalive) until there is a session. */
function stage(core: Core, peer: Peer, packet: Uint8Array): void {
  core.drop('stagedOverflow', peer, null, peer.staged.push(packet));
}

/** Sends what waits on the peer if there is a session to send it under; begins one otherwise. */
export function sendStaged(core: Core, now: number, peer: Peer): void {
  if (peer.staged.length === 0) return;
  if (!isPathClear(core, now, peer)) {
    askAgain(core, now, peer);
    core.drop('routingLoop', peer, null, peer.staged.take().length);
    return;
  }
  if (!peer.current?.canSend(now)) {
    sendInitiation(core, now, peer);
    return;
  }
  for (const packet of peer.staged.take()) {
    const keypair = peer.current;
    const slot = core.arena.allocate(HEADROOM_BYTES + packet.length + TAILROOM_BYTES);
    if (slot < 0) {
      core.drop('arenaExhausted', peer);
      continue;
    }
    if (!keypair.canSend(now) || peer.endpoint === null) {
      stage(core, peer, packet);
      continue;
    }
    core.arena.bytes.set(packet, slot + HEADROOM_BYTES);
    transmitData(core, now, peer, keypair, peer.endpoint, slot + HEADROOM_BYTES, packet.length);
  }
  if (peer.staged.length > 0) sendInitiation(core, now, peer);
}

/** Sends an empty data packet (whitepaper 6.5), or what waits, which serves as well. */
export function sendKeepalive(core: Core, now: number, peer: Peer): void {
  if (peer.staged.length === 0) stage(core, peer, EMPTY);
  sendStaged(core, now, peer);
}

/** Seals the packet in place and hands it to the outlet (whitepaper 5.4.6). */
function transmitData(
  core: Core,
  now: number,
  peer: Peer,
  keypair: Keypair,
  endpoint: Endpoint,
  offset: number,
  length: number,
): void {
  const bytes = core.arena.bytes;
  const trafficClass = length === 0 ? 0 : readEcn(bytes, offset);
  const padded = paddedLength(length, core.mtu);
  for (let i = length; i < padded; i++) bytes[offset + i] = 0;
  const counter = keypair.sendCounter++;
  const start = offset - DATA_HEADER_BYTES;
  writeDataHeader(core.arena.view, start, keypair.remoteIndex, counter);
  keypair.sealer.seal(offset, padded, counter);
  const total = DATA_HEADER_BYTES + padded + TAG_BYTES;
  core.outlet.transmit(start, total, endpoint, trafficClass);

  peer.txBytes += total;
  peer.counts.txPackets++;
  if (length === 0) peer.counts.keepalivesSent++;
  else timers.dataSent(core, peer, now);
  timers.authenticatedPacketSent(core, peer, now);
  if (keypair.mustRekeyOnSend(now)) sendInitiation(core, now, peer);
}

/** Begins a handshake, unless an initiation left less than REKEY_TIMEOUT ago (whitepaper 6.4). */
export function sendInitiation(core: Core, now: number, peer: Peer): void {
  peer.attempts = 0;
  repeatInitiation(core, now, peer);
}

/** As sendInitiation, for the retransmission timer: the count of attempts continues. */
export function repeatInitiation(core: Core, now: number, peer: Peer): void {
  if (now - peer.lastInitiationAt < REKEY_TIMEOUT_MS) return;
  if (!core.isUp) return;
  const target = nextTarget(core, now, peer);
  if (target === null) return;
  core.indices.remove(peer.handshakeIndex);
  peer.handshakeIndex = core.indices.create(peer);
  const message = new Uint8Array(INITIATION_BYTES);
  if (
    !peer.handshake.createInitiation(
      message,
      peer.handshakeIndex,
      core.readWallClock(now),
      core.random,
    )
  ) {
    core.indices.remove(peer.handshakeIndex);
    peer.handshakeIndex = 0;
    return;
  }
  peer.cookieMaker.addMacs(message, now);
  peer.lastInitiationAt = now;
  peer.counts.initiationsSent++;
  peer.trouble.initiationSent(now);
  timers.authenticatedPacketSent(core, peer, now);
  timers.handshakeInitiated(core, peer, now);
  transmitHandshake(core, peer, message, target);
  const begins = liveness.called(core, now, peer);
  const renews = liveness.isGood(peer.current, now);
  core.tell({
    kind: 'initiationSent',
    peer: peer.name,
    attempt: peer.attempts + 1,
    begins,
    renews,
  });
}

/** Answers an initiation just consumed; the session it makes waits for its first data. */
export function sendResponse(core: Core, now: number, peer: Peer, endpoint: Endpoint): void {
  if (!isPathClear(core, now, peer)) {
    core.drop('routingLoop', peer);
    return;
  }
  core.indices.remove(peer.handshakeIndex);
  peer.handshakeIndex = core.indices.create(peer);
  const message = new Uint8Array(RESPONSE_BYTES);
  if (!peer.handshake.createResponse(message, peer.handshakeIndex, core.random)) {
    core.indices.remove(peer.handshakeIndex);
    peer.handshakeIndex = 0;
    core.drop('badHandshake', peer, endpoint);
    return;
  }
  session.begin(core, now, peer);
  peer.cookieMaker.addMacs(message, now);
  peer.counts.responsesSent++;
  peer.trouble.unconfirmedResponses++;
  timers.authenticatedPacketSent(core, peer, now);
  timers.sessionDerived(core, peer, now);
  transmitHandshake(core, peer, message, endpoint);
  core.tell({ kind: 'responseSent', peer: peer.name });
}

// Strangers decide how often these are used, so they are used again. Nothing is kept in them.
const cookieReply = new Uint8Array(COOKIE_REPLY_BYTES);
const remoteIdOfIpv4 = new Uint8Array(4 + 2);
const remoteIdOfIpv6 = new Uint8Array(16 + 2);

/** Answers a handshake message under load with a cookie (whitepaper 5.4.7); no peer is known yet. */
export function sendCookieReply(
  core: Core,
  now: number,
  message: Uint8Array,
  endpoint: Endpoint,
): void {
  core.cookieChecker.createReply(cookieReply, message, now, remoteId(endpoint));
  core.counts.cookiesSent++;
  transmitHandshake(core, null, cookieReply, endpoint);
  core.tell({ kind: 'cookieSent', endpoint });
}

/** Address and port as a cookie is bound to them (whitepaper 5.4.7); good until the next call. */
export function remoteId(endpoint: Endpoint): Uint8Array {
  const id = endpoint.address.length === 4 ? remoteIdOfIpv4 : remoteIdOfIpv6;
  id.set(endpoint.address);
  id[endpoint.address.length] = endpoint.port >> 8;
  id[endpoint.address.length + 1] = endpoint.port & 0xff;
  return id;
}

function transmitHandshake(
  core: Core,
  peer: Peer | null,
  message: Uint8Array,
  endpoint: Endpoint,
): void {
  const slot = core.arena.allocate(message.length);
  if (slot < 0) {
    core.drop('arenaExhausted', peer, endpoint);
    return;
  }
  core.arena.bytes.set(message, slot);
  if (peer !== null) peer.txBytes += message.length;
  core.outlet.transmit(slot, message.length, endpoint, HANDSHAKE_TRAFFIC_CLASS);
}

/** Tells the sender of a packet that goes nowhere, as the kernel does (drivers/net/wireguard xmit). */
function answerUnreachable(core: Core, now: number, offset: number, length: number): void {
  if (!core.unreachables.has(now)) return;
  const { bytes } = core.arena;
  const slot = core.arena.allocate(HEADROOM_BYTES + ICMP_ANSWER_BYTES_MAX);
  if (slot < 0) return;
  const answer = slot + HEADROOM_BYTES;
  const { answer4, answer6 } = core.ownAddresses;
  const source = ipVersion(bytes, offset) === 4 ? answer4 : answer6;
  const answerLength = createUnreachable(bytes, offset, length, bytes, answer, source);
  core.arena.shrink(slot, answerLength === 0 ? 0 : HEADROOM_BYTES + answerLength);
  if (answerLength === 0) return;
  core.unreachables.take();
  core.counts.unreachablesSent++;
  core.outlet.deliver(answer, answerLength);
}
