/**
 * How a DeviceChange takes effect. The change is checked before it comes here, so nothing in this
 * file can fail half-way: a `set` applies whole. The order is Linux netlink.c's: the peers swept
 * away, the key, then each peer. Allowed IPs and new peers are draft.ts', which may have been at it
 * for some time; all else is done here, in one turn. Of ten thousand peers that change at once that is
 * little: tables take the place of tables, and what is left of those before is cleared away later.
 */

import { equalConstantTime, wipe } from '../crypto/bytes.ts';
import { KEY_BYTES } from '../crypto/suite.ts';
import type { Identity } from '../noise/identity.ts';
import type { AllowedIps } from './allowedips.ts';
import type { DeviceChange, InterfaceChange, PeerChange } from './configuration.ts';
import { type Core, peerKey } from './core.ts';
import { DEADLINE } from './deadlines.ts';
import { Draft, LOOKS_TOGETHER, type Step } from './draft.ts';
import { clamp } from './key.ts';
import * as liveness from './liveness.ts';
import { assignOwnAddresses } from './ownsources.ts';
import { isPathClear } from './paths.ts';
import type { Peer } from './peer.ts';
import { lookAgain, pathsChanged } from './reroute.ts';
import { sendKeepalive, sendStaged } from './send.ts';
import * as session from './session.ts';
import { forgetWays, settleAt, setWays } from './steering.ts';
import * as timers from './timers.ts';
import * as whereabouts from './whereabouts.ts';

type Effects<Change, Subject extends unknown[], Other extends keyof Change> = Readonly<
  Record<Exclude<keyof Change, Other>, (core: Core, now: number, ...about: Subject) => void>
>;

/** How each field of a change takes effect, in this order; what is not said stays. */
const DEVICE_EFFECTS: Effects<InterfaceChange, [InterfaceChange], never> = {
  replacePeers: (core, _now, { replacePeers }) => {
    if (replacePeers) departAll(core);
  },
  listenPort: (core, _now, { listenPort }) => {
    if (listenPort !== undefined) core.listenPort = listenPort;
  },
  fwmark: (core, _now, { fwmark }) => {
    if (fwmark !== undefined) core.fwmark = fwmark;
  },
  bind: (core, _now, { bind }) => {
    if (bind !== undefined) core.bind = bind;
  },
  debug: (core, _now, { debug }) => {
    if (debug !== undefined) core.isDebugging = debug;
  },
  privateKey: (core, now, { privateKey }) => {
    if (privateKey !== undefined) setPrivateKey(core, now, privateKey);
  },
};

export function configure(core: Core, now: number, change: DeviceChange): void {
  const draft = new Draft(core, change, false);
  for (const peer of change.peers) for (const _ of draft.add(peer));
  for (const _ of draft.finish());
  swapIn(core, now, draft);
}

/** What the draft, which is finished, says is so from now on. */
export function swapIn(core: Core, now: number, draft: Draft): void {
  const change = draft.take();
  core.revision++;
  replaceAllowedIps(core, draft.allowedIps);
  for (const takeEffect of EFFECTS_ON_DEVICE) takeEffect(core, now, change);
  const { listenPort, fwmark, bind } = change;
  if ([listenPort, fwmark, bind].some((value) => value !== undefined)) pathsChanged(core, now);
  // All those who are new, and whose paths nobody has looked at.
  if (change.replacePeers) {
    core.peers = draft.newPeers;
    core.rows = draft.newRows;
  }
  core.pace.begin(now);
  core.looks = 0;
  for (const step of draft.steps) take(core, now, step);
  if (core.departed.length <= CLEARED_AWAY_TOGETHER) clearAway(core);
  assignOwnAddresses(core);
}

/** Of a table that is far larger than what is needed now nothing is kept. */
function replaceAllowedIps(core: Core, allowedIps: AllowedIps<Peer>): void {
  const old = core.allowedIps;
  if (old === allowedIps) return;
  core.allowedIps = allowedIps;
  const isOfUse = old.size <= 2 * allowedIps.size;
  if (isOfUse) old.empty();
  core.spareAllowedIps = isOfUse ? old : null;
}

const EFFECTS_ON_DEVICE = Object.values(DEVICE_EFFECTS);

function setPrivateKey(core: Core, now: number, privateKey: Uint8Array): void {
  const old = core.identity;
  const clamped = clamp(privateKey);
  const isOwn = old !== null && clamped !== null && equalConstantTime(old.privateKey, clamped);
  const isClamped = clamped === null || equalConstantTime(clamped, privateKey);
  if (clamped !== null) wipe(clamped);
  if (isOwn) {
    // As `get` tells it, and a state or a successor has it: how it was first given is another matter.
    core.wasKeyClamped &&= isClamped;
    return;
  }
  core.wasKeyClamped = isClamped;
  // The new one takes its place.
  wipe(core.privateKeyPlace.bytes);
  core.identity = createIdentity(core, privateKey);
  core.cookieChecker.setPublicKey(core.identity?.publicKey ?? null);
  if (core.identity !== null) {
    // Nobody is a peer of themselves.
    const self = core.peers.get(peerKey(core.identity.publicKey));
    if (self !== undefined) removePeer(core, peerKey(self.publicKey), self);
  }
  for (const peer of core.peers.values()) {
    // What was agreed under the old key ends with it.
    session.eraseAll(core, peer);
    liveness.sessionsErased(core, now, peer);
    peer.lastInitiationAt = Number.NEGATIVE_INFINITY;
    peer.handshake.setIdentity(core.identity);
    // What waited without a key waits for a handshake now, which nothing else would begin.
    if (core.isUp) sendStaged(core, now, peer);
  }
}

function createIdentity(core: Core, privateKey: Uint8Array): Identity | null {
  const clamped = clamp(privateKey);
  if (clamped === null) return null;
  const place = core.privateKeyPlace.bytes.subarray(0, KEY_BYTES);
  place.set(clamped);
  wipe(clamped);
  return { privateKey: place, publicKey: core.suite.publicKey(place) };
}

/** Of a peer that is there and stays. */
const PEER_EFFECTS: Effects<
  PeerChange,
  [peer: Peer, change: PeerChange],
  // Those of a peer and its ways take effect together; those of allowed IPs have.
  'publicKey' | 'remove' | 'updateOnly' | 'ways' | 'allowedIps' | 'replaceAllowedIps'
> = {
  presharedKey: (_core, _now, peer, { presharedKey }) => {
    if (presharedKey === undefined) return;
    peer.handshake.setPresharedKey(presharedKey);
    // What failed under the other key says nothing of this one.
    peer.trouble.clear();
  },
  endpoint: (core, now, peer, { endpoint, ways }) => {
    if (ways !== undefined && ways.length > 0) setWays(core, now, peer, ways, endpoint ?? null);
    else if (endpoint !== undefined || ways !== undefined) {
      setWays(core, now, peer, [], null);
      settleAt(core, peer, endpoint ?? null);
    } else return;
    // Who set it wrong shall see it, whether anything is sent or not; of very many the first.
    if (core.isUp && core.looks++ < LOOKS_TOGETHER) isPathClear(core, now, peer);
  },
  description: (_core, _now, peer, { description }) => {
    if (description !== undefined) peer.description = description;
  },
  persistentKeepalive: (core, now, peer, { persistentKeepalive }) => {
    if (persistentKeepalive !== undefined)
      setPersistentKeepalive(core, now, peer, persistentKeepalive);
  },
};

const EFFECTS_ON_PEER = Object.values(PEER_EFFECTS);

function take(core: Core, now: number, { peer, key, change, unlessAt, isNew }: Step): void {
  if (unlessAt !== null && peer.endpoint === unlessAt) return;
  if (change?.remove) {
    removePeer(core, key, peer);
    return;
  }
  if (isNew) addPeer(core, key, peer);
  if (change !== null)
    for (const takeEffect of EFFECTS_ON_PEER) takeEffect(core, now, peer, change);
  if (core.isUp && peer.staged.length > 0) sendStaged(core, now, peer);
}

function setPersistentKeepalive(core: Core, now: number, peer: Peer, seconds: number): void {
  const wasOff = peer.persistentKeepalive === 0;
  peer.persistentKeepalive = seconds;
  if (seconds === 0) core.deadlines.disarm(peer.row, DEADLINE.persistentKeepalive);
  else if (wasOff && core.isUp) sendInTurn(core, now, peer);
}

/** Its keepalive begins a session: thousands at once would hold the packets up. */
function sendInTurn(core: Core, now: number, peer: Peer): void {
  const at = core.pace.next();
  if (at <= now) sendKeepalive(core, now, peer);
  else core.deadlines.arm(peer.row, DEADLINE.persistentKeepalive, at);
}

function addPeer(core: Core, key: string, peer: Peer): void {
  core.rows[peer.row] = peer;
  core.peers.set(key, peer);
}

function removePeer(core: Core, key: string, peer: Peer): void {
  // Whoever is told of what ends finds the peer still there.
  departPeer(core, peer);
  // Another one may have that key already.
  if (core.peers.get(key) === peer) core.peers.delete(key);
}

/**
 * All of them, of whom nothing can be reached any more: no index, no row, no name. That packets wait for
 * them, and keys are theirs, is seen to when they are cleared away.
 */
function departAll(core: Core): void {
  for (const peer of core.wayHolders) forgetWays(core, peer);
  core.indices.abandonAll();
  for (const peer of core.peers.values()) core.departed.push(peer);
  core.peers = new Map();
  core.rows = [];
}

/**
 * Its allowed IPs are gone already, its place among the peers is next. From now on nothing happens to it;
 * what is left of it can wait (`clearAway`), since thousands may depart together.
 */
function departPeer(core: Core, peer: Peer): void {
  if (!isQuiet(peer)) takeDown(core, peer);
  core.deadlines.disarmAll(peer.row);
  core.rows[peer.row] = undefined;
  peer.endpoint = null;
  if (peer.ways !== null) forgetWays(core, peer);
  core.departed.push(peer);
}

/** Some 0.1 ms, or 0.3 where each had a session. */
const CLEARED_AWAY_TOGETHER = 100;

/** Clears away what is left of peers that have departed, of some of them at a time. */
export function clearAway(core: Core): void {
  if (core.departed.length === 0) return;
  for (const peer of core.departed.splice(-CLEARED_AWAY_TOGETHER)) {
    if (!isQuiet(peer)) takeDown(core, peer);
    peer.endpoint = null;
    whereabouts.forgetAll(core, peer);
    core.deadlines.removeRow(peer.row);
    peer.handshake.wipe();
  }
}

/** Nothing is under way with it: most of many peers are so. */
function isQuiet({ current, previous, next, handshakeIndex, staged, lastInitiationAt }: Peer) {
  const hasSession = current !== null || previous !== null || next !== null;
  return (
    !hasSession &&
    handshakeIndex === 0 &&
    staged.length === 0 &&
    lastInitiationAt === Number.NEGATIVE_INFINITY
  );
}

/** Ends everything that is under way with a peer; its configuration stays. */
function takeDown(core: Core, peer: Peer): void {
  timers.stopped(core, peer);
  core.drop('peerRemoved', peer, null, peer.staged.take().length);
  session.eraseAll(core, peer);
  liveness.takenDown(core, peer);
  peer.trouble.clear();
  peer.lastInitiationAt = Number.NEGATIVE_INFINITY;
  peer.sentLastMinuteHandshake = false;
  peer.ways?.rest();
}

/** The interface came up: peers with a persistent keepalive call at once, or one after the other. */
export function bringUp(core: Core, now: number): void {
  if (core.isUp) return;
  core.isUp = true;
  core.pathsVersion++;
  core.names.activate();
  for (const peer of core.wayHolders) lookAgain(core, now, peer);
  core.pace.begin(now);
  for (const peer of core.peers.values())
    if (peer.persistentKeepalive > 0) sendInTurn(core, now, peer);
}

/** The interface went down: no session survives it. */
export function takeAllDown(core: Core): void {
  if (!core.isUp) return;
  core.isUp = false;
  core.names.deactivate();
  for (const peer of core.peers.values()) takeDown(core, peer);
}
