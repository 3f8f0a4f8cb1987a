/**
 * What a Device does with what its predecessor tells of one peer, in whichever form that came
 * (handover.ts, peerrows.ts): its sessions continue, and so does its condition.
 */

import { KEY_BYTES } from '../crypto/suite.ts';
import { Keypair } from '../noise/keypair.ts';
import type { ReplayWindow } from '../noise/replay.ts';
import type { LossCause, PeerCondition } from './condition.ts';
import type { Core } from './core.ts';
import { DEADLINE } from './deadlines.ts';
import * as liveness from './liveness.ts';
import type { Peer } from './peer.ts';

/** Of a peer, where a session may be. */
export const SESSION_PLACES = ['previous', 'current', 'next'] as const;

/** Bytes of a session's two keys: the one to send with, then the one to receive with. */
export const SESSION_KEY_BYTES = 2 * KEY_BYTES;

/** See Condition. */
export interface ConditionHandover {
  readonly state: PeerCondition;
  readonly sinceMs: number;
  readonly told: 'connected' | 'disconnected' | null;
  readonly isCalling: boolean;
  /** Infinite when nothing waits for an answer; negative when it is overdue. */
  readonly lostInMs: number;
  readonly cause: LossCause;
  readonly heard: number;
  /** Of the peer's own keepalives; 0 while that is not known. */
  readonly keepaliveMs: number;
}

/** Whether a handshake that we have begun waits for its answer: one that was given up is left lying. */
export function isCallUnderWay(core: Core, { handshake, row }: Peer): boolean {
  return (
    handshake.state === 'createdInitiation' &&
    core.deadlines.isArmed(row, DEADLINE.retransmitHandshake)
  );
}

/** A session as it was, but for its keys. */
interface Continued {
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly isInitiator: boolean;
  /** Monotonic ms. */
  readonly createdAt: number;
  readonly sendCounter: number;
  readonly replay: ReplayWindow;
}

/**
 * None where its index or its place is taken. `keys`: the one to send with, then the one to receive
 * with; copied.
 */
export function continueSession(
  core: Core,
  peer: Peer,
  place: (typeof SESSION_PLACES)[number],
  keys: Uint8Array,
  { localIndex, remoteIndex, isInitiator, createdAt, sendCounter, replay }: Continued,
): void {
  const keypair = new Keypair({
    ...{ localIndex, remoteIndex, isInitiator, createdAt },
    sealer: core.suite.createSealer(keys.subarray(0, KEY_BYTES)),
    opener: core.suite.createOpener(keys.subarray(KEY_BYTES)),
    continued: { replay, sendCounter },
  });
  if (peer[place] === null && core.indices.adopt(localIndex, peer, keypair)) peer[place] = keypair;
  else keypair.wipe();
}

/** The answer to a call that was under way would find nobody who could read it: call again at once. */
export function callAgain(core: Core, at: number, peer: Peer): void {
  peer.lastInitiationAt = Number.NEGATIVE_INFINITY;
  core.deadlines.arm(peer.row, DEADLINE.retransmitHandshake, at);
}

/** After the sessions and the counts; null from a version that knows of no condition. */
export function continueCondition(
  core: Core,
  at: number,
  peer: Peer,
  handover: ConditionHandover | null,
): void {
  const { condition } = peer;
  if (handover !== null) {
    condition.state = handover.state;
    condition.sinceMs = handover.sinceMs;
    condition.told = handover.told;
    condition.isCalling = handover.isCalling;
    condition.lostAt = at + handover.lostInMs;
    condition.cause = handover.cause;
    condition.heard = handover.heard;
    condition.rhythm.continue(at, handover.keepaliveMs, peer.counts);
  } else if (liveness.isGood(peer.current, at)) {
    // Whoever was told by the predecessor was told of nothing.
    Object.assign(condition, { state: 'connected', told: 'connected' });
    condition.sinceMs = peer.lastHandshakeMs;
  }
  if (condition.state !== 'connected') return;
  // A session that could not be taken over is none, whatever the predecessor had.
  if (!liveness.isGood(peer.current, at)) liveness.sessionsErased(core, at, peer);
  else if (handover === null) liveness.schedule(core, at, peer);
}
