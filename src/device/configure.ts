/**
 * How a DeviceChange takes effect. The change is checked before it comes here, so nothing in this
 * file can fail half-way: a `set` applies whole. The order is Linux netlink.c's: the peers swept
 * away, the key, then each peer.
 */

import { equalConstantTime, isZero, wipe } from '../crypto/bytes.ts';
import { KEY_BYTES } from '../crypto/suite.ts';
import { Handshake } from '../noise/handshake.ts';
import type { Identity } from '../noise/identity.ts';
import type { DeviceChange, PeerChange } from './configuration.ts';
import { type Core, peerKey } from './core.ts';
import { DEADLINE } from './deadlines.ts';
import * as liveness from './liveness.ts';
import { assignOwnAddresses } from './ownsources.ts';
import { endpointChanged, isPathClear } from './paths.ts';
import { Peer } from './peer.ts';
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
const DEVICE_EFFECTS: Effects<DeviceChange, [DeviceChange], 'peers'> = {
  replacePeers: (core, _now, { replacePeers }) => {
    if (replacePeers) for (const peer of [...core.peers.values()]) removePeer(core, peer);
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
  for (const takeEffect of Object.values(DEVICE_EFFECTS)) takeEffect(core, now, change);
  const { listenPort, fwmark, bind } = change;
  if ([listenPort, fwmark, bind].some((value) => value !== undefined)) pathsChanged(core, now);
  for (const peerChange of change.peers) configurePeer(core, now, peerChange);
  assignOwnAddresses(core);
}

function setPrivateKey(core: Core, now: number, privateKey: Uint8Array): void {
  const old = core.identity;
  if (old !== null && equalConstantTime(old.privateKey, privateKey)) return;
  // The new one takes its place.
  wipe(core.privateKeyPlace.bytes);
  core.identity = isZero(privateKey) ? null : createIdentity(core, privateKey);
  core.cookieChecker.setPublicKey(core.identity?.publicKey ?? null);
  if (core.identity !== null) {
    // Nobody is a peer of themselves.
    const self = core.peers.get(peerKey(core.identity.publicKey));
    if (self !== undefined) removePeer(core, self);
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

/** Clamped as RFC 7748 5 says, so that `get` shows the key in the form in which it is used. */
function createIdentity(core: Core, privateKey: Uint8Array): Identity {
  const clamped = core.privateKeyPlace.bytes.subarray(0, KEY_BYTES);
  clamped.set(privateKey);
  clamped[0] &= 248;
  clamped[31] = (clamped[31] & 127) | 64;
  core.wasKeyClamped = equalConstantTime(clamped, privateKey);
  return { privateKey: clamped, publicKey: core.suite.publicKey(clamped) };
}

/** Of a peer that is there and stays. */
const PEER_EFFECTS: Effects<
  PeerChange,
  [peer: Peer, change: PeerChange],
  // Those of a peer and its ways take effect together.
  'publicKey' | 'remove' | 'updateOnly' | 'ways'
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
    // Who set it wrong shall see it, whether anything is sent or not.
    if (core.isUp) isPathClear(core, now, peer);
  },
  description: (_core, _now, peer, { description }) => {
    if (description !== undefined) peer.description = description;
  },
  replaceAllowedIps: (core, _now, peer, { replaceAllowedIps }) => {
    if (replaceAllowedIps) core.allowedIps.removeOwner(peer);
  },
  allowedIps: (core, _now, peer, { allowedIps }) => {
    for (const { prefix, remove } of allowedIps) {
      if (remove) core.allowedIps.remove(prefix, peer);
      else core.allowedIps.insert(prefix, peer);
    }
  },
  persistentKeepalive: (core, now, peer, { persistentKeepalive }) => {
    if (persistentKeepalive !== undefined)
      setPersistentKeepalive(core, now, peer, persistentKeepalive);
  },
};

function configurePeer(core: Core, now: number, change: PeerChange): void {
  if (core.identity !== null && equalConstantTime(core.identity.publicKey, change.publicKey))
    return;
  let peer = core.peers.get(peerKey(change.publicKey));
  if (change.remove) {
    if (peer !== undefined) removePeer(core, peer);
    return;
  }
  if (peer === undefined) {
    if (change.updateOnly) return;
    peer = addPeer(core, change.publicKey);
  }
  for (const takeEffect of Object.values(PEER_EFFECTS)) takeEffect(core, now, peer, change);
  if (core.isUp) sendStaged(core, now, peer);
}

function setPersistentKeepalive(core: Core, now: number, peer: Peer, seconds: number): void {
  const wasOff = peer.persistentKeepalive === 0;
  peer.persistentKeepalive = seconds;
  if (seconds === 0) core.deadlines.disarm(peer.row, DEADLINE.persistentKeepalive);
  else if (wasOff && core.isUp) sendKeepalive(core, now, peer);
}

function addPeer(core: Core, publicKey: Uint8Array): Peer {
  const row = core.deadlines.addRow();
  const peer = new Peer(
    publicKey.slice(),
    new Handshake(core.suite, core.identity, publicKey, core.takeSecret),
    row,
    Math.floor(core.wallClock()),
  );
  core.rows[row] = peer;
  core.peers.set(peerKey(publicKey), peer);
  return peer;
}

function removePeer(core: Core, peer: Peer): void {
  takeDown(core, peer);
  core.allowedIps.removeOwner(peer);
  core.deadlines.removeRow(peer.row);
  core.rows[peer.row] = undefined;
  core.peers.delete(peerKey(peer.publicKey));
  peer.endpoint = null;
  forgetWays(core, peer);
  whereabouts.forgetAll(core, peer);
  endpointChanged(peer);
  peer.handshake.wipe();
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

/** The interface came up: peers with a persistent keepalive call at once. */
export function bringUp(core: Core, now: number): void {
  if (core.isUp) return;
  core.isUp = true;
  core.pathsVersion++;
  core.names.activate();
  for (const peer of core.wayHolders) lookAgain(core, now, peer);
  for (const peer of core.peers.values())
    if (peer.persistentKeepalive > 0) sendKeepalive(core, now, peer);
}

/** The interface went down: no session survives it. */
export function takeAllDown(core: Core): void {
  if (!core.isUp) return;
  core.isUp = false;
  core.names.deactivate();
  for (const peer of core.peers.values()) takeDown(core, peer);
}
