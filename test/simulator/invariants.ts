/**
 * What holds at every step of every Device, one function a rule, each with its source. Together
 * with the books (ledger.ts), the audit of keys (suite.ts) and recovery (recovery.ts) these are all
 * the invariants of the simulator.
 */

import { DEADLINE, DEADLINE_NAMES } from '../../src/device/deadlines.ts';
import type { Device } from '../../src/device/device.ts';
import type { Endpoint } from '../../src/device/endpoint.ts';
import { MAX_QUEUED_HANDSHAKES } from '../../src/device/handshakequeue.ts';
import type { Peer } from '../../src/device/peer.ts';
import { MAX_STAGED_PACKETS } from '../../src/device/staged.ts';
import {
  KEEPALIVE_TIMEOUT_MS,
  MAX_TIMER_HANDSHAKES,
  REJECT_AFTER_TIME_MS,
  REKEY_AFTER_TIME_MS,
  REKEY_TIMEOUT_JITTER_MAX_MS,
  REKEY_TIMEOUT_MS,
} from '../../src/noise/constants.ts';
import type { Keypair } from '../../src/noise/keypair.ts';
import { compareTimestamps, TIMESTAMP_BYTES, writeTimestamp } from '../../src/noise/tai64n.ts';
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from '../../src/packet/ip.ts';
import { formatSavedState } from '../../src/state/savedstate.ts';
import type { Generation } from './generation.ts';
import { DELAY_MAX_MS } from './network.ts';
import type { Site } from './site.ts';
import type { AuditedSession } from './suite.ts';
import { type Packet, readNumber } from './traffic.ts';
import { hold } from './violation.ts';

/** Whitepaper 6.3: keys are erased when no new ones were agreed on for so long. */
export const KEY_LIFE_MS = 3 * REJECT_AFTER_TIME_MS;

/** Whitepaper 6.2: a keepalive and one attempt still fit in before the session is refused. */
const REKEY_ON_RECEIVE_AFTER_MS = REJECT_AFTER_TIME_MS - KEEPALIVE_TIMEOUT_MS - REKEY_TIMEOUT_MS;

/** Entries that the rate limiter may hold (src/device/ratelimiter.ts), a bound of ours. */
const RATE_LIMITER_ENTRIES_MAX = 8_192;
/** Previous, current and next (whitepaper 6.2), and a handshake under way. */
const SESSIONS_PER_PEER = 3;
const INDICES_PER_PEER = SESSIONS_PER_PEER + 1;

/** Everything that is checked after every input of a Device. */
export function checkTurn(site: Site, device: Device): void {
  checkBounds(site, device);
  let sessions = 0;
  for (const peer of device.core.peers.values()) {
    checkStaged(site, device, peer);
    checkDeadlines(site, device, peer);
    checkCondition(site, device, peer);
    if (peer.previous !== null) sessions++;
    if (peer.current !== null) sessions++;
    if (peer.next !== null) sessions++;
  }
  checkPlaces(site, sessions);
  checkNextTimeout(site, device);
}

/**
 * No queue and no table grows beyond its bound, whatever comes: what an outsider can make us hold
 * has to be limited (whitepaper 5.3, 5.4.7).
 */
function checkBounds(site: Site, { core }: Device): void {
  const peers = core.peers.size;
  bound(site, 'queued handshakes', core.handshakeQueue.length, MAX_QUEUED_HANDSHAKES);
  bound(site, 'indices', core.indices.size, INDICES_PER_PEER * peers);
  bound(site, 'sessions with keys', site.sessions.size, SESSIONS_PER_PEER * peers);
  bound(site, 'sources in the rate limiter', core.rateLimiter.size, RATE_LIMITER_ENTRIES_MAX);
}

function bound(site: Site, what: string, size: number, most: number): void {
  hold('tablesBounded', size <= most, () => `${site.name} holds ${size} ${what}, not ${most}`);
}

/**
 * What waits for a session is bounded, and something will end its waiting: a handshake is under
 * way, or is not possible (whitepaper 6.4).
 */
function checkStaged(site: Site, { core }: Device, peer: Peer): void {
  if (peer.staged.length === 0) return;
  const waiting = peer.staged.length;
  hold('tablesBounded', waiting <= MAX_STAGED_PACKETS, () => {
    return `${site.name}: ${waiting} packets wait on a peer, not ${MAX_STAGED_PACKETS}`;
  });
  const isPossible = core.isUp && peer.endpoint !== null && peer.handshake.isUsable;
  const isTried = core.deadlines.isArmed(peer.row, DEADLINE.retransmitHandshake);
  // A keepalive may: whoever calls for want of an endpoint has nothing to lose.
  const isKeepalive = waiting === 1 && site.ledger.isKeepaliveWaiting(peer);
  hold('nothingWaitsForever', isTried || !isPossible || isKeepalive, () => {
    return `${site.name}: ${waiting} packets wait for a handshake that nobody will begin`;
  });
}

/**
 * Every secret has a deadline at which it is erased (whitepaper 6.3): keys by zeroKeyMaterial,
 * the ephemeral of an unfinished handshake by that or by the retransmission that replaces it.
 */
function checkDeadlines(site: Site, { core }: Device, peer: Peer): void {
  const hasKeys = peer.current !== null || peer.previous !== null || peer.next !== null;
  if (!hasKeys && peer.handshake.state === 'none') return;
  const zeroes = core.deadlines.isArmed(peer.row, DEADLINE.zeroKeyMaterial);
  const retries = core.deadlines.isArmed(peer.row, DEADLINE.retransmitHandshake);
  hold('keysHaveEnd', zeroes || (!hasKeys && retries), () => {
    const what = hasKeys ? 'session keys' : 'a handshake under way';
    return `${site.name} has ${what} and no deadline to erase them`;
  });
}

/** A peer is connected only as long as there is a session, and that it ends is noticed in time. */
function checkCondition(site: Site, { core }: Device, { condition, current, row }: Peer): void {
  if (condition.state !== 'connected') return;
  const endsAt = (current?.createdAt ?? -Infinity) + REJECT_AFTER_TIME_MS;
  const looksAt = core.deadlines.time(row, DEADLINE.condition);
  hold('conditionTrue', current !== null && looksAt <= endsAt, () => {
    return `${site.name} has a peer as connected, whose session ${current === null ? 'is not there' : 'may end unnoticed'}`;
  });
}

/** A session that is no peer's previous, current or next one is erased at once (whitepaper 6.3). */
function checkPlaces(site: Site, sessions: number): void {
  hold('keysErased', site.sessions.size === sessions, () => {
    return `${site.name} has ${sessions} sessions in their places, but the keys of ${site.sessions.size}`;
  });
}

/** After every input the Device knows when it has to be called next, and that is not the past. */
function checkNextTimeout(site: Site, device: Device): void {
  const next = device.nextTimeout();
  const isNow = device.core.handshakeQueue.length > 0;
  hold('timersMoveOn', (next === Number.NEGATIVE_INFINITY) === isNow && !Number.isNaN(next), () => {
    return `${site.name}: nextTimeout is ${next} with ${device.core.handshakeQueue.length} queued`;
  });
}

/**
 * Whitepaper 6.3: KEY_LIFE_MS after a session, its keys are gone unless a newer one of the same
 * peer has put the erasure off. Call a moment after that time.
 */
export function checkExpiry(site: Site, session: AuditedSession): void {
  if (!site.sessions.has(session)) return;
  hold('keysErased', site.generation!.newest.get(session.peer) !== session, () => {
    return `${site.name} still has the keys of a session ${KEY_LIFE_MS} ms old, the newest of its peer`;
  });
}

/** After down and after close no session's keys are left (whitepaper 6.3 by the operator's hand). */
export function checkKeysGone(site: Site, occasion: 'down' | 'close'): void {
  hold('keysErased', site.sessions.size === 0, () => {
    return `${site.name} still has the keys of ${site.sessions.size} sessions after ${occasion}`;
  });
}

/** Why a Device may be about to speak: in the turn that is under way. */
export interface Reasons {
  /** The deadline that is acted upon. */
  expiring: { readonly peer: Peer; readonly column: number } | null;
  /** The session under which the datagram was opened. */
  opened: AuditedSession | null;
}

/**
 * Whitepaper 6.1 to 6.4: nobody begins a handshake while the session is young and confirmed, unless
 * the peer is silent, does not answer, or still speaks under a session that is about to end; or has
 * a way that is preferred to the one in use.
 */
export function checkReason(site: Site, peer: Peer, { expiring, opened }: Reasons): void {
  const { current } = peer;
  if (current === null) return;
  const column = expiring?.peer === peer ? expiring.column : undefined;
  if (column === DEADLINE.newHandshake || column === DEADLINE.retransmitHandshake) return;
  if (column === DEADLINE.preferredWay && peer.ways?.isSecondBest) return;
  const ageOf = ({ history }: AuditedSession) => site.now() - history.derivedAt;
  if (opened !== null && ageOf(opened) >= REKEY_ON_RECEIVE_AFTER_MS) return;
  const session = [...site.sessions].find(({ sealer }) => sealer === current.sealer)!;
  hold('handshakeHasReason', ageOf(session) >= REKEY_AFTER_TIME_MS, () => {
    return `${site.name} begins a handshake though its session is ${Math.round(ageOf(session))} ms old`;
  });
}

/** What is known of a peer beside its sessions, its deadlines and what an operator is shown. */
const CARRIED = ['attempts', 'needsAnotherKeepalive', 'sentLastMinuteHandshake'] as const;

/**
 * Upgrade in place: the successor is what its predecessor was, to the operator and to the peers;
 * nothing but a handshake under way is begun anew. `handedOverAt`: monotonic ms.
 */
export function checkTakeover(
  site: Site,
  old: Generation,
  successor: Generation,
  handedOverAt: number,
): void {
  const before = describe(site, old.device);
  const after = describe(site, successor.device);
  for (let i = 0; i < Math.max(before.length, after.length); i++)
    hold('nothingForgotten', after[i] === before[i], () => {
      return `${site.name} shows ${after[i]} after an upgrade, and ${before[i]} before`;
    });
  const taken = new Set([...successor.sessions].map(({ history }) => history));
  const isWhole = [...old.sessions].every(({ history }) => taken.has(history));
  hold('nothingForgotten', isWhole && taken.size === old.sessions.size, () => {
    return `${site.name} has ${taken.size} sessions after an upgrade, and ${old.sessions.size} before`;
  });
  for (const [key, peer] of old.device.core.peers) {
    const { deadlines } = old.device.core;
    const isCalling =
      peer.handshake.state === 'createdInitiation' &&
      deadlines.isArmed(peer.row, DEADLINE.retransmitHandshake);
    const own = successor.device.core.peers.get(key)!;
    for (const name of isCalling ? CARRIED : ([...CARRIED, 'lastInitiationAt'] as const))
      hold('nothingForgotten', own[name] === peer[name], () => {
        return `${site.name} has ${name} ${own[name]} of a peer after an upgrade, not ${peer[name]}`;
      });
    for (const place of ['previous', 'current', 'next'] as const)
      hold('nothingForgotten', isSameSession(own[place], peer[place]), () => {
        return `${site.name} has another ${place} session of a peer after an upgrade`;
      });
    for (const column of Object.values(DEADLINE)) {
      const isCall = isCalling && column === DEADLINE.retransmitHandshake;
      const due = isCall ? handedOverAt : deadlines.time(peer.row, column);
      const time = successor.device.core.deadlines.time(own.row, column);
      hold('nothingForgotten', time === due, () => {
        return `${site.name}: ${DEADLINE_NAMES[column]} is due in ${time - handedOverAt} ms after an upgrade, not in ${due - handedOverAt}`;
      });
    }
  }
}

/** In which role, and under which indices: that the counters go on is shown by their use. */
function isSameSession(a: Keypair | null, b: Keypair | null): boolean {
  return (
    a?.localIndex === b?.localIndex &&
    a?.remoteIndex === b?.remoteIndex &&
    a?.isInitiator === b?.isInitiator
  );
}

/**
 * After a successor has failed: whoever may still speak under the sessions that ended is called. That
 * they have ended is shown by nonceUsedOnce: the successor's counters count. And whom the successor
 * has called does not take the calls that follow for old ones (whitepaper 5.1).
 */
export function checkTakenBack(site: Site, successor: Generation, called: readonly Peer[]): void {
  const { peers } = site.device!.core;
  const present = new Uint8Array(TIMESTAMP_BYTES);
  // Known to fall short: a clock that is behind for the successor, and no more for who goes on.
  writeTimestamp(present, site.wallClock() + 1_000);
  for (const [key, { handshake }] of successor.device.core.peers) {
    const { sentTimestamp } = peers.get(key)!.handshake;
    const isLater =
      compareTimestamps(sentTimestamp, handshake.sentTimestamp) >= 0 ||
      compareTimestamps(sentTimestamp, present) <= 0;
    hold('timestampsGoOn', isLater, () => {
      return `${site.name} calls with older timestamps than its successor that failed`;
    });
  }
  for (const { current, endpoint, handshake } of called) {
    const isCallable = site.device!.isUp && endpoint !== null && handshake.isUsable;
    const isLost = current === null && isCallable;
    hold('callsAfterFailure', !isLost || handshake.state === 'createdInitiation', () => {
      return `${site.name} has lost its session by an upgrade, but begins no other`;
    });
  }
}

/** A line for all that an operator can ask for, and that an upgrade leaves as it is. */
function describe(site: Site, device: Device): string[] {
  const { counters, peers } = device.stats(site.now());
  // The queue of handshakes is not handed over: whoever sent them will send them again.
  const all = [{ ...counters, handshakes_waiting: 0 }, ...peers.map((peer) => peer.counters)];
  const named = all.flatMap((some, i) =>
    Object.entries(some).map(([name, count]) => `${name}=${count} (${i})`),
  );
  return [...formatSavedState(device.state(), []).split('\n'), ...named];
}

/**
 * Cryptokey routing (whitepaper 2): what leaves the tunnel was sent by the peer that has its source
 * address, to us, once, and unchanged. Returns the packet; null for an answer of the Device's own,
 * "unreachable". The bytes are those handed to the outlet.
 */
export function checkDelivery(
  site: Site,
  bytes: Uint8Array,
  offset: number,
  length: number,
): Packet | null {
  const protocol = bytes[offset] >> 4 === 4 ? bytes[offset + 9] : bytes[offset + 6];
  if (protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMPV6) return null;
  const { traffic } = site.host;
  const number = readNumber(bytes, offset);
  const packet = traffic.get(number);
  if (packet === undefined || !traffic.isSame(packet, bytes, offset, length)) {
    hold('deliveredWasSent', false, () => {
      return `${site.name} delivers ${length} bytes with number ${number} that nobody sent`;
    });
    return null;
  }
  const { source } = packet.template;
  const isCopy = packet.fate !== 'sealed' && packet.copies > 0;
  hold('deliveredOnce', isCopy || packet.fate !== 'delivered', () => {
    return `${site.name} delivers packet ${number} a second time`;
  });
  hold('deliveredWasSent', isCopy || packet.fate === 'sealed', () => {
    return `${site.name} delivers packet ${number}, which never left: it is ${packet.fate}`;
  });
  hold('sourceAllowed', site.route(source) === packet.from, () => {
    return `${site.name} delivers packet ${number} of site ${packet.from} from the ${source.range} range of site ${source.site}, which it allows to ${site.route(source)}`;
  });
  if (isCopy) packet.copies--;
  else packet.fate = 'delivered';
  traffic.delivered++;
  return packet;
}

/**
 * Whitepaper 6.2 to 6.5: with nothing to say, everything ends. After the last packet, a passive
 * keepalive and the one that follows it, a handshake because nothing was heard, all its attempts,
 * and the last of those answered: then silence.
 */
const SILENCE_AFTER_MS =
  2 * KEEPALIVE_TIMEOUT_MS +
  (KEEPALIVE_TIMEOUT_MS + REKEY_TIMEOUT_MS + REKEY_TIMEOUT_JITTER_MAX_MS) +
  (MAX_TIMER_HANDSHAKES + 2) * (REKEY_TIMEOUT_MS + REKEY_TIMEOUT_JITTER_MAX_MS) +
  KEEPALIVE_TIMEOUT_MS +
  2 * DELAY_MAX_MS;

/** `causeAt`: when anything last happened to the pair that is a reason to speak. */
export function checkSilence(site: Site, now: number, causeAt: number, what: string): void {
  hold('silence', now - causeAt <= SILENCE_AFTER_MS, () => {
    const seconds = Math.round((now - causeAt) / 1_000);
    return `${site.name} sends ${what}, though nothing has happened for ${seconds} s`;
  });
}

/** A name was answered: whoever has a session stays where it is. */
export function checkUnmoved({ name }: Site, peer: Peer, endpoint: Endpoint | null): void {
  hold('sessionUnmoved', peer.endpoint === endpoint, () => {
    return `${name} moves a live session because a name was answered`;
  });
}

/** Data leave for a peer that has ways. */
export function checkOneWay({ name }: Site, { ways, endpoint }: Peer, used: Endpoint): void {
  hold('oneWayAtATime', ways === null || endpoint?.sameRemote(used) === true, () => {
    return `${name} sends data to another of a peer's ways than the one in use`;
  });
}
