/**
 * Handshake messages, in the order one meets it: mac1 -> queue -> under load? mac2 or cookie reply ->
 * rate limiter -> consume.
 *
 * Everything here is hostile until it decrypts: whatever is wrong ends in a counted drop.
 */

import { formatKey } from '../keytext.ts';
import {
  COOKIE_REPLY_RECEIVER,
  INITIATION,
  INITIATION_SENDER,
  RESPONSE_RECEIVER,
  readUint32,
} from '../noise/messages.ts';
import { openInitiation } from '../noise/openedinitiation.ts';
import { type Core, peerKey } from './core.ts';
import type { Endpoint } from './endpoint.ts';
import * as liveness from './liveness.ts';
import { type Peer, STALE_TIMESTAMPS_TOLD } from './peer.ts';
import { roam } from './roam.ts';
import { remoteId, sendCookieReply, sendKeepalive, sendResponse } from './send.ts';
import * as session from './session.ts';
import { handshakeProven } from './steering.ts';
import * as timers from './timers.ts';

/** Initiations and responses wait for their turn once they prove to know our public key (mac1). */
export function queueHandshake(
  core: Core,
  now: number,
  message: Uint8Array,
  endpoint: Endpoint,
): void {
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

/**
 * What a source's rate turns away counts as this part of a futile message: four thousand a second are
 * more than are answered. Fewer may be a crowd behind one router, whose calls come to something as soon
 * as load ends: ten thousand that call every five seconds would hold it for minutes.
 */
const RATE_LIMITED_PART = 1 / 4;

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
  // Or load would end as soon as they alone are left, and come back.
  core.handshakeQueue.countFutile(now, RATE_LIMITED_PART);
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
export function consumeCookieReply(
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
