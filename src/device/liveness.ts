/**
 * What each event means for a peer's condition: connected, idle or lost (condition.ts). Every function
 * is an event in the past tense and says when to call it. Nothing here is done per packet: that data
 * is unanswered is told by a timer that there is anyway, and that something was heard by a count.
 *
 * One packet that the network loses makes no peer lost. Data is unanswered when 15 s have passed; the
 * initiation that then leaves has a second to be answered, before anybody is told.
 */

import { REJECT_AFTER_TIME_MS, REKEY_TIMEOUT_MS } from '../noise/constants.ts';
import type { Keypair } from '../noise/keypair.ts';
import type { LossCause, PeerCondition } from './condition.ts';
import type { Core } from './core.ts';
import { DEADLINE } from './deadlines.ts';
import { handshakeTrouble } from './diagnosis.ts';
import type { Peer } from './peer.ts';

/** An initiation is repeated within it, at least twice. */
const UNANSWERED_MS = 15_000;
/** For the answer to the initiation that follows unanswered data. */
const ANSWER_MS = 1_000;
/**
 * How often a lost peer is looked at for packets under its last session. At the same moments for all,
 * so that ten thousand of them are one look.
 */
const LOOK_MS = REKEY_TIMEOUT_MS;

const NEVER = Number.POSITIVE_INFINITY;

/** Whether a session, if there is one, is young enough to be used. */
export function isGood(keypair: Keypair | null, now: number): boolean {
  return keypair !== null && now - keypair.createdAt < REJECT_AFTER_TIME_MS;
}

/** Call after an initiation of ours has left: true when it is the first that waits for an answer. */
export function called(core: Core, now: number, peer: Peer): boolean {
  const { condition } = peer;
  const begins = !condition.isCalling;
  condition.isCalling = true;
  expectAnswer(core, peer, 'initiationUnanswered', now + UNANSWERED_MS);
  return begins;
}

/** Call when data has been without an answer for 15 s (the deadline `newHandshake`). */
export function dataUnanswered(core: Core, now: number, peer: Peer): void {
  expectAnswer(core, peer, 'dataUnanswered', now + ANSWER_MS);
}

/** Call when an empty packet was received and counted. */
export function keepaliveReceived(core: Core, now: number, peer: Peer): void {
  const { condition } = peer;
  condition.rhythm.keepaliveReceived(now, peer.counts);
  if (condition.state === 'lost') judge(core, now, peer);
  else schedule(core, now, peer);
}

/** Call when a session is confirmed, in either role. */
export function sessionBegun(core: Core, now: number, peer: Peer): void {
  const { condition } = peer;
  condition.isCalling = false;
  condition.lostAt = NEVER;
  connect(core, peer);
  schedule(core, now, peer);
}

/** Call when a handshake of ours is given up. */
export function givenUp(core: Core, now: number, peer: Peer): void {
  const { condition } = peer;
  condition.isCalling = false;
  condition.lostAt = NEVER;
  schedule(core, now, peer);
}

/** Call when the peer's sessions have been erased although they were good, or nothing is to be sent. */
export function sessionsErased(core: Core, now: number, peer: Peer): void {
  const { condition } = peer;
  condition.isCalling = false;
  condition.lostAt = NEVER;
  enter(core, peer, 'idle');
  schedule(core, now, peer);
}

/** Call when all with the peer has ended: whatever comes next is told. Its deadlines are disarmed. */
export function takenDown(core: Core, peer: Peer): void {
  peer.condition.rhythm.forget();
  peer.condition.told = null;
  sessionsErased(core, 0, peer);
}

/** Call when the deadline `condition` has passed. */
export function judge(core: Core, now: number, peer: Peer): void {
  const { condition, counts, persistentKeepalive } = peer;
  const isHeard = counts.rxPackets !== condition.heard;
  if (condition.state === 'lost') {
    if (isHeard && isGood(peer.current, now)) connect(core, peer);
  } else if (now >= condition.lostAt) {
    condition.lostAt = NEVER;
    if (!isHeard) lose(core, now, peer, condition.cause);
    else if (condition.isCalling)
      expectAnswer(core, peer, 'initiationUnanswered', now + UNANSWERED_MS);
  } else if (condition.rhythm.isMissing(now, persistentKeepalive, counts)) {
    lose(core, now, peer, 'keepaliveMissing');
  }
  if (condition.state === 'connected' && !isGood(peer.current, now)) enter(core, peer, 'idle');
  schedule(core, now, peer);
}

/** The peer is lost at that time, unless it is heard before. */
function expectAnswer(core: Core, peer: Peer, cause: LossCause, lostAt: number): void {
  const { condition } = peer;
  if (condition.state === 'lost' || condition.lostAt <= lostAt) return;
  condition.cause = cause;
  condition.lostAt = lostAt;
  condition.heard = peer.counts.rxPackets;
  const at = core.deadlines.time(peer.row, DEADLINE.condition);
  if (lostAt < at) core.deadlines.arm(peer.row, DEADLINE.condition, lostAt);
}

function connect(core: Core, peer: Peer): void {
  const { condition } = peer;
  enter(core, peer, 'connected');
  if (condition.told === 'connected') return;
  condition.told = 'connected';
  core.tell({ kind: 'connected', peer: peer.name });
}

function lose(core: Core, now: number, peer: Peer, cause: LossCause): void {
  const { condition } = peer;
  enter(core, peer, 'lost');
  condition.heard = peer.counts.rxPackets;
  condition.rhythm.forget();
  if (condition.told === 'disconnected') return;
  condition.told = 'disconnected';
  const trouble = handshakeTrouble(core, now, peer)?.code ?? null;
  core.tell({ kind: 'disconnected', peer: peer.name, cause, trouble });
}

function enter(core: Core, { condition }: Peer, state: PeerCondition): void {
  if (condition.state === state) return;
  condition.state = state;
  condition.sinceMs = Math.floor(core.wallClock());
}

/** Arms the deadline for whatever can change the condition next without an event. */
export function schedule(core: Core, now: number, peer: Peer): void {
  const { condition, current } = peer;
  const sessionEnd = isGood(current, now) ? current!.createdAt + REJECT_AFTER_TIME_MS : NEVER;
  let next = NEVER;
  if (condition.state === 'lost') {
    if (sessionEnd !== NEVER) next = (Math.floor(now / LOOK_MS) + 1) * LOOK_MS;
  } else {
    const missingAt = condition.rhythm.missingAt(peer.persistentKeepalive);
    next = Math.min(condition.lostAt, missingAt);
    if (condition.state === 'connected') next = Math.min(next, sessionEnd);
  }
  if (next === NEVER) core.deadlines.disarm(peer.row, DEADLINE.condition);
  else core.deadlines.arm(peer.row, DEADLINE.condition, next);
}
