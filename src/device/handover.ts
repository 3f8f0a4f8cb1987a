/**
 * What a Device hands over to its successor in another process, so that nobody notices the change: all
 * keys, sessions with their counters and replay windows, what waits, what is due, and what was
 * counted. The rest of the configuration and the memories go with it, but are not in here.
 *
 * Two Devices with one session would use a nonce twice. So the mover of a handover sees to it that
 * the old Device sends nothing from the moment the new one may begin; and if the new one fails
 * after that moment, `takeBack` gives the old one everything back but the sessions.
 */

import { secretBytes, wipe } from '../crypto/bytes.ts';
import { KEY_BYTES } from '../crypto/suite.ts';
import type { Keypair } from '../noise/keypair.ts';
import { REPLAY_WINDOW_BYTES, ReplayWindow } from '../noise/replay.ts';
import type { PeerMemory } from './configuration.ts';
import { configure } from './configure.ts';
import { type Core, peerKey } from './core.ts';
import { DEADLINE, DEADLINE_NAMES, type DeadlineName } from './deadlines.ts';
import { DROP_REASON_NAMES, type Drops } from './drops.ts';
import * as liveness from './liveness.ts';
import { memories, recall, remember, resume } from './memory.ts';
import type { Counters } from './metric.ts';
import type { Peer, PeerCounts } from './peer.ts';
import { handOverRows, isTabular, type PeerRows, takeOverRows } from './peerrows.ts';
import { NO_WAY } from './peerways.ts';
import { handOverQuiet, isQuiet, type QuietPeers, takeOverQuiet } from './quietpeers.ts';
import * as session from './session.ts';
import { settle, setWays } from './steering.ts';
import {
  type ConditionHandover,
  callAgain,
  continueCondition,
  continueSession,
  isCallUnderWay,
  SESSION_KEY_BYTES,
  SESSION_PLACES,
} from './succession.ts';
import type { Way } from './ways.ts';

export const SESSION_SEEN_BYTES = REPLAY_WINDOW_BYTES;

export interface SessionHandover {
  readonly place: (typeof SESSION_PLACES)[number];
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly isInitiator: boolean;
  readonly ageMs: number;
  readonly sendCounter: number;
  /** The greatest counter received; -1 for none. */
  readonly greatest: number;
  /** SESSION_KEY_BYTES, the receiver's to wipe. */
  readonly keys: Uint8Array;
  /** SESSION_SEEN_BYTES: see ReplayWindow. */
  readonly seen: Uint8Array;
}

/** What was known of a name; a lookup under way is begun again. */
export interface NameHandover {
  readonly host: string;
  /** 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
  readonly ageMs: number;
}

export interface PeerHandover {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** All of them; configured here, since a successor of an earlier version knows of none. */
  readonly ways: readonly Way[];
  /** The index of the one that packets take, or -1. */
  readonly wayInUse: number;
  /** See PeerWays. */
  readonly isProvisional: boolean;
  /** 32 bytes, the receiver's to wipe; null for none. */
  readonly presharedKey: Uint8Array | null;
  readonly sessions: readonly SessionHandover[];
  /** Packets that wait for a session, oldest first; an empty one is a keepalive. */
  readonly staged: readonly Uint8Array[];
  /** Our own address towards the peer, 4 or 16 bytes, and its interface; null for the kernel's choice. */
  readonly source: Uint8Array | null;
  readonly sourceInterface: number;
  /** Milliseconds until each deadline that is armed; negative when it is overdue. */
  readonly deadlines: Readonly<Partial<Record<DeadlineName, number>>>;
  /** A handshake was under way, which nobody can finish now. */
  readonly isCalling: boolean;
  readonly attempts: number;
  /** Since our last initiation; infinite before the first. */
  readonly initiationAgeMs: number;
  /** Of the last handshake that had one; infinite for none. */
  readonly handshakeRoundTripMs: number;
  readonly needsAnotherKeepalive: boolean;
  readonly sentLastMinuteHandshake: boolean;
  readonly txBytes: number;
  readonly rxBytes: number;
  readonly drops: Counters;
  readonly counts: Counters;
  /** null from a version that knows of none. */
  readonly condition: ConditionHandover | null;
}

export interface DeviceHandover {
  /** The moment that all ages and times to come are reckoned from (monotonic ms). */
  readonly at: number;
  /** 32 bytes, the receiver's to wipe; null when none is set. */
  readonly privateKey: Uint8Array | null;
  readonly isUp: boolean;
  readonly mtu: number;
  readonly drops: Counters;
  readonly counts: Counters;
  /** Those that have addresses. */
  readonly names: readonly NameHandover[];
  readonly peers: readonly PeerHandover[];
  /** Of the others, those of whom numbers say all; null for a successor that was not configured ahead. */
  readonly rows: PeerRows | null;
  /** The rest; likewise. */
  readonly quiet: readonly QuietPeers[];
}

/**
 * All of it, in copies; the keys in them are the caller's to wipe. The Device stays as it is.
 *
 * @param isAhead the successor has been configured with all peers there are, in their order
 */
export function handOver(core: Core, now: number, isAhead: boolean): DeviceHandover {
  const peers = [...core.peers.values()];
  const isQuietOne = peers.map((peer) => isAhead && isQuiet(core, peer));
  const isRow = peers.map((peer, i) => isAhead && !isQuietOne[i] && isTabular(peer));
  return {
    at: now,
    privateKey: core.copyPrivateKey(),
    isUp: core.isUp,
    mtu: core.mtu,
    drops: countsOf(core.drops),
    counts: { ...core.counts },
    names: [...core.names.all()]
      .filter(({ addresses }) => addresses.length > 0)
      .map(({ host, addresses, answeredAt }) => ({ host, addresses, ageMs: now - answeredAt })),
    peers: peers
      .filter((_, i) => !isQuietOne[i] && !isRow[i])
      .map((peer) => handOverPeer(core, now, peer)),
    rows: isAhead ? handOverRows(core, now, peers, isRow) : null,
    quiet: handOverQuiet(peers, isQuietOne),
  };
}

function handOverPeer(core: Core, now: number, peer: Peer): PeerHandover {
  const { endpoint } = peer;
  return {
    publicKey: peer.publicKey,
    ways: peer.ways?.ways ?? [],
    wayInUse: peer.ways?.used ?? NO_WAY,
    isProvisional: peer.ways?.isProvisional ?? false,
    presharedKey: peer.handshake.copyPresharedKey(),
    sessions: SESSION_PLACES.flatMap((place) => handOverSession(now, place, peer[place])),
    staged: peer.staged.packets.map((packet) => packet.slice()),
    source: endpoint?.source?.slice() ?? null,
    sourceInterface: endpoint?.sourceInterface ?? 0,
    deadlines: handOverDeadlines(core, now, peer),
    isCalling: isCallUnderWay(core, peer),
    attempts: peer.attempts,
    initiationAgeMs: now - peer.lastInitiationAt,
    handshakeRoundTripMs: peer.handshakeRoundTripMs,
    needsAnotherKeepalive: peer.needsAnotherKeepalive,
    sentLastMinuteHandshake: peer.sentLastMinuteHandshake,
    txBytes: peer.txBytes,
    rxBytes: peer.rxBytes,
    drops: countsOf(peer.drops),
    counts: Object.fromEntries(Object.entries(peer.counts).filter(([, count]) => count > 0)),
    condition: handOverCondition(now, peer),
  };
}

function handOverDeadlines(core: Core, now: number, { row }: Peer): PeerHandover['deadlines'] {
  const inMs: Partial<Record<DeadlineName, number>> = {};
  for (const name of DEADLINE_NAMES) {
    const time = core.deadlines.time(row, DEADLINE[name]);
    if (time !== Number.POSITIVE_INFINITY) inMs[name] = time - now;
  }
  return inMs;
}

function handOverCondition(now: number, { condition }: Peer): ConditionHandover {
  const { state, sinceMs, told, isCalling, lostAt, cause, heard, rhythm } = condition;
  const [lostInMs, keepaliveMs] = [lostAt - now, rhythm.intervalMs];
  return { state, sinceMs, told, isCalling, lostInMs, cause, heard, keepaliveMs };
}

function handOverSession(
  now: number,
  place: SessionHandover['place'],
  keypair: Keypair | null,
): SessionHandover[] {
  if (keypair === null || keypair.isWiped) return [];
  const keys = secretBytes(SESSION_KEY_BYTES);
  keypair.sealer.copyKey(keys.subarray(0, KEY_BYTES));
  keypair.opener.copyKey(keys.subarray(KEY_BYTES));
  const seen = new Uint8Array(SESSION_SEEN_BYTES);
  keypair.replay.copySeen(seen);
  const { localIndex, remoteIndex, isInitiator, sendCounter } = keypair;
  const { greatest } = keypair.replay;
  const ageMs = now - keypair.createdAt;
  return [
    { place, localIndex, remoteIndex, isInitiator, ageMs, sendCounter, greatest, keys, seen },
  ];
}

/** Of the reasons that occurred. */
function countsOf(drops: Drops): Counters {
  return Object.fromEntries(drops.entries());
}

/**
 * Continues where the predecessor stopped: after `configure` with all but the keys, instead of
 * `recall` and `up`. Sends nothing by itself; what is due goes out with the next handleTimeout.
 * Erases the keys. Both Devices are told the time by the same clock.
 */
export function takeOver(
  core: Core,
  handover: DeviceHandover,
  remembered: readonly PeerMemory[],
): void {
  const { privateKey, rows } = handover;
  // Before one of them turns out to be ourselves: their places are counted.
  const all = [...core.peers.values()];
  takeOverQuiet(all, handover.quiet);
  if (privateKey !== null) configure(core, handover.at, { privateKey, peers: [] });
  remember(core, remembered);
  core.isUp = handover.isUp;
  core.mtu = handover.mtu;
  addDrops(core.drops, handover.drops);
  Object.assign(core.counts, known(handover.counts, core.counts));
  for (const one of handover.peers) {
    const peer = core.peers.get(peerKey(one.publicKey));
    // Our own key may have become the peer's since; a peer that is not configured has no session.
    if (peer !== undefined) takeOverPeer(core, handover.at, peer, one);
  }
  if (rows !== null) takeOverRows(core, handover.at, all, rows);
  takeOverNames(core, handover);
  wipeHandover(handover);
}

function takeOverPeer(core: Core, at: number, peer: Peer, handover: PeerHandover): void {
  if (handover.presharedKey !== null) peer.handshake.setPresharedKey(handover.presharedKey);
  for (const one of handover.sessions) takeOverSession(core, at, peer, one);
  for (const packet of handover.staged) peer.staged.push(packet);
  if (peer.endpoint !== null) {
    peer.endpoint.source = handover.source;
    peer.endpoint.sourceInterface = handover.sourceInterface;
  }
  for (const name of DEADLINE_NAMES) {
    const inMs = handover.deadlines[name] ?? Number.POSITIVE_INFINITY;
    if (inMs !== Number.POSITIVE_INFINITY) core.deadlines.arm(peer.row, DEADLINE[name], at + inMs);
  }
  if (handover.ways.length > 0) setWays(core, at, peer, handover.ways, peer.endpoint);
  peer.lastInitiationAt = at - handover.initiationAgeMs;
  if (handover.isCalling) callAgain(core, at, peer);
  peer.attempts = handover.attempts;
  peer.handshakeRoundTripMs = handover.handshakeRoundTripMs;
  peer.needsAnotherKeepalive = handover.needsAnotherKeepalive;
  peer.sentLastMinuteHandshake = handover.sentLastMinuteHandshake;
  peer.txBytes = handover.txBytes;
  peer.rxBytes = handover.rxBytes;
  addDrops(peer.drops, handover.drops);
  Object.assign(peer.counts, known(handover.counts, peer.counts));
  continueCondition(core, at, peer, handover.condition);
}

function takeOverNames(core: Core, { at, names, peers }: DeviceHandover): void {
  for (const { host, addresses, ageMs } of names) core.names.recall(host, addresses, at - ageMs);
  for (const { publicKey, wayInUse, isProvisional } of peers) {
    const peer = core.peers.get(peerKey(publicKey));
    const ways = peer?.ways ?? null;
    if (peer === undefined || ways === null) continue;
    ways.update();
    // What waited for a name waits for a call now.
    if (settle(core, at, peer, ways) && peer.staged.length > 0) {
      core.deadlines.arm(peer.row, DEADLINE.retransmitHandshake, at);
    }
    // A live session stays with a way although its name has another address by now.
    if (ways.used === NO_WAY && wayInUse < ways.ways.length) ways.used = wayInUse;
    ways.isProvisional = isProvisional && ways.used === NO_WAY;
    ways.isCallDue = ways.isProvisional && !ways.leadSomewhere;
  }
  if (!core.isUp) return;
  core.names.activate();
  core.names.wantUnknown(at);
}

function takeOverSession(core: Core, at: number, peer: Peer, handover: SessionHandover): void {
  const { place, ageMs, keys, seen, greatest, ...rest } = handover;
  const replay = ReplayWindow.continued(greatest, seen);
  continueSession(core, peer, place, keys, { ...rest, createdAt: at - ageMs, replay });
}

function addDrops(drops: Drops, counts: Counters): void {
  for (const reason of DROP_REASON_NAMES) {
    const packets = counts[reason] ?? 0;
    if (packets > 0) drops.count(reason, packets);
  }
}

/** Of the counts, those that we keep too: another version may have others. */
function known(counts: Counters, ours: Counters | PeerCounts): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([name]) => name in ours));
}

/**
 * The successor failed after it might have begun: whatever it has sent, no counter is used again.
 * The sessions end here, and peers that may hold one are called for a new one; returns how many.
 */
export function takeBack(core: Core, now: number): number {
  for (const peer of core.peers.values()) {
    session.eraseAll(core, peer);
    liveness.sessionsErased(core, now, peer);
    peer.lastInitiationAt = Number.NEGATIVE_INFINITY;
    peer.sentLastMinuteHandshake = false;
  }
  // Where our clock is behind, the successor's calls carried on from our timestamps: ours have to be
  // later than those, or the peers would refuse them.
  recall(core, [...memories(core)]);
  return core.isUp ? resume(core, now) : 0;
}

/** Erases the keys in what was handed over. */
export function wipeHandover({ privateKey, peers, rows, quiet }: DeviceHandover): void {
  if (privateKey !== null) wipe(privateKey);
  for (const { presharedKey, sessions } of peers) {
    if (presharedKey !== null) wipe(presharedKey);
    for (const { keys } of sessions) wipe(keys);
  }
  if (rows !== null) wipe(rows.presharedKeys, rows.sessionKeys);
  for (const { presharedKeys } of quiet) if (presharedKeys !== null) wipe(presharedKeys);
}
