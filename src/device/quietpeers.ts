/**
 * Peers that have never had anything to do but to be there, as most of very many have: what a
 * handover says of them is nearly nothing, and the same of all that were configured together.
 */

import { isZero, secretBytes } from '../crypto/bytes.ts';
import { KEY_BYTES } from '../crypto/suite.ts';
import type { Core } from './core.ts';
import { DEADLINE_NAMES } from './deadlines.ts';
import type { Peer } from './peer.ts';

/** Some that follow each other; for a successor that has the same peers in the same order. */
export interface QuietPeers {
  /** The place of the first of them among all peers, from 0; and how many there are. */
  readonly from: number;
  readonly count: number;
  /** See Condition. */
  readonly sinceMs: number;
  /** KEY_BYTES for each, zeros for none, the receiver's to wipe; null when none of them has any. */
  readonly presharedKeys: Uint8Array | null;
}

/** All that is known of it is its configuration, and since when there has been nothing else. */
export function isQuiet(core: Core, peer: Peer): boolean {
  return isAlone(peer) && isSilent(peer) && isIdle(peer) && isAtRest(core, peer);
}

function isAlone({ current, previous, next, handshakeIndex, staged, ways, endpoint }: Peer) {
  const hasSession = current !== null || previous !== null || next !== null;
  const isPlain = endpoint === null || (endpoint.source === null && endpoint.sourceInterface === 0);
  return !hasSession && handshakeIndex === 0 && staged.length === 0 && ways === null && isPlain;
}

function isSilent({ counts, drops, txBytes, rxBytes, handshakeRoundTripMs }: Peer): boolean {
  for (const name in counts) if (counts[name as keyof typeof counts] !== 0) return false;
  const hasMoved = txBytes !== 0 || rxBytes !== 0;
  const isNew = handshakeRoundTripMs === Number.POSITIVE_INFINITY;
  return !hasMoved && isNew && drops.entries().length === 0;
}

function isIdle({ condition }: Peer): boolean {
  const { state, told, isCalling, lostAt, cause, heard, rhythm } = condition;
  const isExpected = isCalling || lostAt !== Number.POSITIVE_INFINITY;
  const isFirst = told === null && cause === 'initiationUnanswered' && heard === 0;
  return state === 'idle' && !isExpected && isFirst && rhythm.intervalMs === 0;
}

function isAtRest(core: Core, peer: Peer): boolean {
  const { row, attempts, lastInitiationAt, needsAnotherKeepalive, sentLastMinuteHandshake } = peer;
  for (let column = 0; column < DEADLINE_NAMES.length; column++) {
    if (core.deadlines.isArmed(row, column)) return false;
  }
  const hasCalled = attempts !== 0 || lastInitiationAt !== Number.NEGATIVE_INFINITY;
  return !hasCalled && !needsAnotherKeepalive && !sentLastMinuteHandshake;
}

/** Those of the peers, all of a Device's, of whom `isQuietOne` says so. The keys are copies. */
export function handOverQuiet(
  peers: readonly Peer[],
  isQuietOne: readonly boolean[],
): readonly QuietPeers[] {
  const all: QuietPeers[] = [];
  for (let from = 0; from < peers.length; ) {
    const { sinceMs } = peers[from].condition;
    let end = from;
    while (isQuietOne[end] && peers[end].condition.sinceMs === sinceMs) end++;
    if (end > from) {
      const count = end - from;
      all.push({ from, count, sinceMs, presharedKeys: keysOf(peers.slice(from, end)) });
    }
    from = Math.max(end, from + 1);
  }
  return all;
}

function keysOf(peers: readonly Peer[]): Uint8Array | null {
  if (peers.every(({ handshake }) => !handshake.hasPresharedKey)) return null;
  const keys = secretBytes(peers.length * KEY_BYTES);
  for (const [i, { handshake }] of peers.entries()) {
    handshake.readPresharedKey(keys.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES));
  }
  return keys;
}

/** `peers`: all of the Device's. */
export function takeOverQuiet(peers: readonly Peer[], quiet: readonly QuietPeers[]): void {
  for (const { from, count, sinceMs, presharedKeys } of quiet) {
    for (const [i, peer] of peers.slice(from, from + count).entries()) {
      peer.condition.sinceMs = sinceMs;
      const key = presharedKeys?.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES);
      if (key !== undefined && !isZero(key)) peer.handshake.setPresharedKey(key);
    }
  }
}
