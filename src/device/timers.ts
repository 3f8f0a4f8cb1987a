/**
 * The timer rules of whitepaper 6: what each event arms and disarms. Every function is an event in
 * the past tense and says when to call it; what happens when a deadline passes is in expiries.ts.
 *
 *   event                          | retransmit | keepalive | newHandshake | zeroKeys | persistent
 *   data sent                      |            |           | arm if not   |          |
 *   data received                  |            | arm if not|              |          |
 *   any authenticated packet sent  |            | disarm    |              |          | (traversal)
 *   any authenticated received     |            |           | disarm       |          | (traversal)
 *   handshake initiated            | arm        |           |              |          |
 *   handshake completed            | disarm     |           |              |          |
 *   session derived                |            |           |              | arm      |
 */

import {
  KEEPALIVE_TIMEOUT_MS,
  REJECT_AFTER_TIME_MS,
  REKEY_TIMEOUT_JITTER_MAX_MS,
  REKEY_TIMEOUT_MS,
} from '../noise/constants.ts';
import type { Core } from './core.ts';
import { DEADLINE } from './deadlines.ts';
import type { Peer } from './peer.ts';

/** Call after an authenticated data packet that carries something is sent. */
export function dataSent(core: Core, peer: Peer, now: number): void {
  if (core.deadlines.isArmed(peer.row, DEADLINE.newHandshake)) return;
  const delay = KEEPALIVE_TIMEOUT_MS + REKEY_TIMEOUT_MS + core.jitter(REKEY_TIMEOUT_JITTER_MAX_MS);
  core.deadlines.arm(peer.row, DEADLINE.newHandshake, now + delay);
}

/** Call after authenticated data packets that carry something are received, one or a run. */
export function dataReceived(core: Core, peer: Peer, now: number, packets = 1): void {
  const isArmed = core.deadlines.isArmed(peer.row, DEADLINE.sendKeepalive);
  if (!isArmed) core.deadlines.arm(peer.row, DEADLINE.sendKeepalive, now + KEEPALIVE_TIMEOUT_MS);
  if (isArmed || packets > 1) peer.needsAnotherKeepalive = true;
}

/** Call after any authenticated packet is sent: data, keepalive or handshake. */
export function authenticatedPacketSent(core: Core, peer: Peer, now: number): void {
  core.deadlines.disarm(peer.row, DEADLINE.sendKeepalive);
  traversed(core, peer, now);
}

/** Call after any authenticated packet is received: data, keepalive or handshake. */
export function authenticatedPacketReceived(core: Core, peer: Peer, now: number): void {
  core.deadlines.disarm(peer.row, DEADLINE.newHandshake);
  traversed(core, peer, now);
}

/** Call after a handshake initiation is sent. */
export function handshakeInitiated(core: Core, peer: Peer, now: number): void {
  const delay = REKEY_TIMEOUT_MS + core.jitter(REKEY_TIMEOUT_JITTER_MAX_MS);
  core.deadlines.arm(peer.row, DEADLINE.retransmitHandshake, now + delay);
}

/**
 * Call after a handshake response is received and its session derived, or after the first data
 * under a session for which we sent the response.
 */
export function handshakeCompleted(core: Core, peer: Peer): void {
  core.deadlines.disarm(peer.row, DEADLINE.retransmitHandshake);
  peer.attempts = 0;
  peer.sentLastMinuteHandshake = false;
  if (peer.lastHandshakeMs !== 0) peer.counts.rekeys++;
  peer.counts.handshakesCompleted++;
  peer.lastHandshakeMs = core.wallClock();
  peer.trouble.clear();
}

/** Call after a session's keys are derived, in either role. */
export function sessionDerived(core: Core, peer: Peer, now: number): void {
  core.deadlines.arm(peer.row, DEADLINE.zeroKeyMaterial, now + 3 * REJECT_AFTER_TIME_MS);
}

/** Call before a peer is removed or the interface goes down. */
export function stopped(core: Core, peer: Peer): void {
  core.deadlines.disarmAll(peer.row);
  peer.needsAnotherKeepalive = false;
}

/** Any authenticated packet, either way, proves the path: the persistent keepalive starts again. */
function traversed(core: Core, peer: Peer, now: number): void {
  if (peer.persistentKeepalive === 0) return;
  core.deadlines.arm(
    peer.row,
    DEADLINE.persistentKeepalive,
    now + 1_000 * peer.persistentKeepalive,
  );
}
