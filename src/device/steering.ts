/**
 * Where a peer's packets go, if it has ways: which candidate an initiation is for, and what follows
 * from whence the peer was heard. Sends nothing. A peer without ways is where the whitepaper has it
 * (2.1), and none of this is about it.
 *
 *   initiation answered           packets go where it went
 *   heard from another address    packets go there: the peer has moved, to another of its ways or not
 *   heard at another near end     nothing: which of our lines is used is our decision
 *
 * A deviation from the whitepaper: for SETTLING_MS after an answer has moved a peer to another way,
 * packets from another of its ways do not move it. They were on their way before, and two ends that
 * each follow what the other has sent before would take turns for as long as data flow.
 */

import { KEEPALIVE_TIMEOUT_MS, REKEY_AFTER_TIME_MS, REKEY_TIMEOUT_MS } from '../noise/constants.ts';
import type { Core } from './core.ts';
import { DEADLINE } from './deadlines.ts';
import type { Endpoint } from './endpoint.ts';
import { endpointChanged, isPathClear } from './paths.ts';
import type { Peer } from './peer.ts';
import { type Candidate, NO_WAY, PeerWays, sameWays } from './peerways.ts';
import type { Way } from './ways.ts';
import { heardAt, saidToBeAt } from './whereabouts.ts';

const SETTLING_MS = REKEY_TIMEOUT_MS;
/**
 * A peer that is nowhere yet is not called before its names have had so long for their first answers;
 * half of it is the start of the process that looks them up.
 */
const HOLD_MS = 1_000;
/** From this initiation without an answer on, its names are asked for again. */
const TRIES_WITHOUT_NAMES = 2;
/**
 * When a better way is tried although no handshake of ours is due, which is so where the other end
 * renews the session: a little later than it does.
 */
const RETURN_AFTER_MS = REKEY_AFTER_TIME_MS + REKEY_TIMEOUT_MS;

/** What the peer was heard by. */
export type Heard = 'data' | 'initiation' | 'answer';

/** Where the next initiation goes; null when it cannot go anywhere. Call when it is about to leave. */
export function nextTarget(core: Core, now: number, peer: Peer): Endpoint | null {
  const { ways, endpoint } = peer;
  if (ways === null) {
    if (endpoint === null || isPathClear(core, now, peer)) return endpoint;
    core.drop('routingLoop', peer);
    return null;
  }
  const hasSession = peer.current?.canSend(now) ?? false;
  for (const name of ways.names()) {
    if (ways.tries >= TRIES_WITHOUT_NAMES || endpoint === null) core.names.want(now, name);
    else if (!hasSession) core.names.refresh(now, name);
  }
  if (endpoint === null) return null;
  const isInTouch = peer.rxBytes !== ways.rxBytesAtCall;
  const isClear = (one: Endpoint): boolean => !core.leadsInside(one);
  const target = ways.next({ live: endpoint, hasSession, isInTouch }, isClear);
  ways.calling = target;
  ways.rxBytesAtCall = peer.rxBytes;
  if (target === null) core.drop('routingLoop', peer);
  return target?.endpoint ?? null;
}

/** The peer has ways, and was heard from elsewhere than where its packets go. */
export function hearElsewhere(
  core: Core,
  now: number,
  peer: Peer,
  ways: PeerWays<Peer>,
  endpoint: Endpoint,
  heard: Heard,
): void {
  const old = peer.endpoint;
  if (ways.heardFrom === endpoint && ways.heardFor === old && heard === 'data') return;
  const found = heard === 'answer' ? answeredBy(ways, endpoint) : ways.find(endpoint);
  if (heard !== 'answer' && old !== null) {
    const isSettling = now < ways.settledAt;
    if (old.sameRemote(endpoint)) {
      // What it was heard by says nothing of which of our own lines is the better one; but who calls
      // at another one than we use may not hear us on that.
      if (old.isPinned && (heard === 'data' || isSettling)) {
        ways.heardFrom = endpoint;
        ways.heardFor = old;
        return;
      }
    } else if (isSettling && found !== null) return;
  }
  const live = found?.endpoint.isPinned ? found.endpoint : endpoint;
  ways.heardFrom = endpoint;
  ways.heardFor = live;
  moveTo(core, now, peer, ways, found, live, heard === 'answer');
}

/** Whoever was called, if that is whence the answer came. */
function answeredBy(ways: PeerWays<Peer>, endpoint: Endpoint): Candidate | null {
  const { calling } = ways;
  if (calling === null || !calling.endpoint.sameRemote(endpoint)) return ways.find(endpoint);
  return calling.way === NO_WAY ? null : calling;
}

function moveTo(
  core: Core,
  now: number,
  peer: Peer,
  ways: PeerWays<Peer>,
  found: Candidate | null,
  live: Endpoint,
  isAnswer: boolean,
): void {
  const old = peer.endpoint;
  const hasMoved = !old?.sameRemote(live) || ways.used !== (found?.way ?? NO_WAY);
  peer.endpoint = live;
  heardAt(core, peer, live);
  endpointChanged(peer);
  if (!hasMoved) return;
  ways.take(found);
  if (isAnswer) ways.settledAt = now + SETTLING_MS;
  tellOfMove(core, peer, found, old, live);
}

function tellOfMove(
  core: Core,
  peer: Peer,
  found: Candidate | null,
  from: Endpoint | null,
  to: Endpoint,
): void {
  if (found !== null) {
    const { host, port } = peer.ways!.ways[found.way];
    core.tell({ kind: 'wayChanged', peer: peer.name, host, port, from, to });
  } else if (from !== null) {
    peer.counts.roams++;
    core.tell({ kind: 'roamed', peer: peer.name, from, to });
  }
}

/** Call when a handshake has completed, in either role. */
export function handshakeProven(core: Core, now: number, peer: Peer): void {
  const { ways } = peer;
  if (ways === null) return;
  const hasTriedBack = ways.proven();
  if (!ways.isSecondBest) core.deadlines.disarm(peer.row, DEADLINE.preferredWay);
  else if (hasTriedBack || !core.deadlines.isArmed(peer.row, DEADLINE.preferredWay)) {
    ways.packetsAtReturn = null;
    core.deadlines.arm(peer.row, DEADLINE.preferredWay, now + RETURN_AFTER_MS);
  }
}

/**
 * Call when DEADLINE.preferredWay has passed. True when a better way is to be tried now: a session
 * stands, and the operator has just said others, or somebody uses it, which is watched for a few
 * seconds; an idle tunnel stays silent.
 */
export function isReturnDue(core: Core, now: number, peer: Peer): boolean {
  const { ways, current, counts } = peer;
  if (ways === null || !ways.isSecondBest || !current?.canSend(now)) return false;
  if (ways.isCallDue) {
    ways.isCallDue = false;
    return true;
  }
  const packets = counts.rxPackets + counts.txPackets;
  if (ways.packetsAtReturn !== null) return ways.packetsAtReturn !== packets;
  ways.packetsAtReturn = packets;
  core.deadlines.arm(peer.row, DEADLINE.preferredWay, now + KEEPALIVE_TIMEOUT_MS);
  return false;
}

/**
 * The operator has said all ways of the peer, and maybe where it was last. Those that it has already
 * change nothing: a peer that has moved since stays where it is.
 */
export function setWays(
  core: Core,
  now: number,
  peer: Peer,
  said: readonly Way[],
  last: Endpoint | null,
): void {
  const old = peer.ways;
  if (old !== null && last === null && sameWays(old.ways, said)) return;
  const ways = said.length === 0 ? null : new PeerWays<Peer>(said, core.names, peer, core);
  forgetNames(core, peer, ways);
  peer.ways = ways;
  if (ways === null) {
    core.wayHolders.delete(peer);
    core.deadlines.disarm(peer.row, DEADLINE.preferredWay);
    return;
  }
  core.wayHolders.add(peer);
  if (core.isUp) wantNames(core, now, ways);
  const { endpoint } = peer;
  const isLed = endpoint !== null && ways.find(endpoint) !== null;
  const isKept = isLed || peer.current?.canSend(now);
  ways.take(null);
  settleAt(core, peer, last ?? (isKept ? endpoint : null));
  ways.isProvisional = last === null && endpoint !== null && !isLed && isKept === true;
  ways.isCallDue = ways.isProvisional;
  settle(core, now, peer, ways);
}

/** The names of all ways that the peer does not have any more. */
function forgetNames(core: Core, peer: Peer, kept: PeerWays<Peer> | null): void {
  const names = new Set(kept?.names() ?? []);
  for (const name of peer.ways?.names() ?? []) {
    if (!names.has(name)) core.names.release(name, peer);
  }
}

/** Call before the peer is removed. */
export function forgetWays(core: Core, peer: Peer): void {
  forgetNames(core, peer, null);
  core.wayHolders.delete(peer);
  peer.ways = null;
}

/** Where a peer is said to be, or taken to be as long as it has not been heard. */
export function settleAt(core: Core, peer: Peer, endpoint: Endpoint | null): void {
  if (endpoint === null || !peer.endpoint?.sameRemote(endpoint)) peer.trouble.clear();
  peer.endpoint = endpoint;
  saidToBeAt(core, peer, endpoint);
  endpointChanged(peer);
}

/**
 * Call when what the ways lead to may have changed: a peer that is nowhere, or without a session
 * where its way does not lead any more, is taken to be where the best one does; and so is one that
 * has never been heard where it was taken to be. A live session stays where it is, and so does a
 * peer that has moved by itself. True when it was nowhere.
 */
export function settle(core: Core, now: number, peer: Peer, ways: PeerWays<Peer>): boolean {
  const { endpoint } = peer;
  if (endpoint !== null) {
    if (ways.used === NO_WAY) recognize(peer, ways, endpoint);
    else renewNear(peer, ways, endpoint);
    if (peer.current?.canSend(now)) {
      callNewWays(core, now, peer, ways);
      return false;
    }
  }
  const best = ways.instead(endpoint);
  if (best === null || (endpoint === null && isHeld(core, now, peer, ways, best))) return false;
  ways.take(best);
  ways.isGuess = true;
  settleAt(core, peer, best.endpoint);
  return endpoint === null;
}

/** Under a session the operator has said other ways: they are called at once, and an answer moves it. */
function callNewWays(core: Core, now: number, peer: Peer, ways: PeerWays<Peer>): void {
  if (!ways.isCallDue || !ways.leadSomewhere) return;
  const earliest = Math.max(now, peer.lastInitiationAt + REKEY_TIMEOUT_MS);
  core.deadlines.arm(peer.row, DEADLINE.preferredWay, earliest);
}

/** Whether a peer that is nowhere stays so for a moment, since something better may be known then. */
function isHeld(
  core: Core,
  now: number,
  peer: Peer,
  ways: PeerWays<Peer>,
  best: Candidate,
): boolean {
  // Names are asked for when the interface comes up; and by a successor that has taken all over, for
  // which the moment continues.
  if (!core.names.isActive) {
    return ways.isRemembered(best) || core.deadlines.isArmed(peer.row, DEADLINE.preferredWay);
  }
  const until = ways.heldUntil(best, HOLD_MS);
  if (until <= now) return false;
  core.deadlines.arm(peer.row, DEADLINE.preferredWay, until);
  return true;
}

/** Where the peer is may be where one of its ways leads now. */
function recognize(peer: Peer, ways: PeerWays<Peer>, endpoint: Endpoint): void {
  const found = ways.find(endpoint);
  if (found === null) return;
  ways.take(found);
  if (!found.endpoint.isPinned) return;
  peer.endpoint = found.endpoint;
  endpointChanged(peer);
}

/** The interface that packets leave over may be another one of the same name: a line that was gone. */
function renewNear(peer: Peer, ways: PeerWays<Peer>, endpoint: Endpoint): void {
  const same = endpoint.isPinned ? ways.candidateInUse(endpoint) : null;
  if (same === null || same.equals(endpoint)) return;
  peer.endpoint = same;
  endpointChanged(peer);
}

/** All names of the ways have come into use, or the machine's network has changed. */
export function wantNames(core: Core, now: number, ways: PeerWays<Peer>): void {
  for (const name of ways.names()) core.names.wantSoon(now, name);
}
