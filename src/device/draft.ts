/**
 * A change of the configuration in the making: what takes long is done here, aside, in steps as small
 * as the caller likes, while packets find everything as it was. What is left, configure.ts does in one
 * turn; or nothing has happened (`discard`).
 *
 * Long are the allowed IPs, which come to lie in a table of the draft's own once any of them changes,
 * and the peers that are new, which are as the change says before anybody knows of them. Between the
 * steps sessions, endpoints and timers of the peers change as they like; the configuration may not.
 */

import { equalConstantTime, wipe } from '../crypto/bytes.ts';
import { KEY_BYTES } from '../crypto/suite.ts';
import { Handshake } from '../noise/handshake.ts';
import type { Identity } from '../noise/identity.ts';
import { AllowedIps } from './allowedips.ts';
import type { DeviceChange, InterfaceChange, PeerChange } from './configuration.ts';
import { type Core, peerKey } from './core.ts';
import type { Endpoint } from './endpoint.ts';
import { clamp } from './key.ts';
import { Peer } from './peer.ts';
import { settleAt } from './steering.ts';

/** What is left to be done with a peer, in the order of the change. */
export interface Step {
  readonly peer: Peer;
  /** Of the peer, as peerKey makes it. */
  readonly key: string;
  /** Without what is done already; null when nothing is left of it. */
  readonly change: PeerChange | null;
  /** Nothing is left of it, either, while this is still where the peer is; null: nowhere. */
  readonly unlessAt: Endpoint | null;
  /** It has yet to be among the peers. */
  readonly isNew: boolean;
}

/** After so many allowed IPs a step may end. */
const PREFIXES_AT_ONCE = 64;

/**
 * So many endpoints are looked at when a change is swapped in, whether their path is clear: each asks
 * the kernel for a route. Of new peers as many are left for that moment.
 */
export const LOOKS_TOGETHER = 50;

export class Draft {
  readonly steps: Step[] = [];
  readonly #core: Core;
  readonly #own: InterfaceChange;
  readonly #changes: PeerChange[] = [];
  /** What becomes the table, if that is another one than the Device has. */
  #table: AllowedIps<Peer> | null;
  /** If they replace all others: the peers as they will be, in the order in which they were added. */
  readonly newPeers = new Map<string, Peer>();
  /** The same by their rows. */
  readonly newRows: (Peer | undefined)[];
  /** By key, those who were spoken of: who they will be, or null. */
  readonly #peers = new Map<string, Peer | null>();
  /** Those that were made here. */
  readonly #newcomers = new Set<Peer>();
  /** Those of whom something is left for the end, and so is whatever is said of them later. */
  readonly #unready = new Set<Peer>();
  #endpointsLeft = 0;
  /** Who the interface will be; null without a key. */
  readonly #identity: Identity | null;
  /** The configuration that this one follows. */
  readonly #revision: number;
  /** Whether packets pass before it is done. */
  readonly #isAside: boolean;
  #isBegun = false;
  #isFinished = false;

  /**
   * @param own what the change says of the interface itself
   * @param isAside whether packets pass before it is done: it has a table of its own then
   */
  constructor(core: Core, own: InterfaceChange, isAside: boolean) {
    this.#core = core;
    this.#own = own;
    this.#isAside = isAside;
    this.#revision = core.revision;
    this.#table = own.replacePeers ? emptyTable(core) : null;
    // Of the length that it will have: the engine would make a slow list of one with large gaps.
    this.newRows = own.replacePeers ? new Array(core.rows.length) : [];
    this.#identity = identityAfter(core, own);
    core.newcomers.add(this.#newcomers);
  }

  /** The change so far, without its allowed IPs; the keys in it are the caller's to wipe. */
  get change(): DeviceChange {
    return { ...this.#own, peers: this.#changes };
  }

  /** Who may have which address. */
  get allowedIps(): AllowedIps<Peer> {
    return this.#table ?? this.#core.allowedIps;
  }

  /** Does what can be done aside for one peer; it may be left at every `yield`, and continued. */
  *add(change: PeerChange): Generator<void, void> {
    const slim = { ...change, allowedIps: change.allowedIps.slice(0, 1) };
    // First of all: its key is wiped with the others', wherever this is left.
    this.#changes.push(slim);
    yield* this.#begin();
    const self = this.#identity;
    if (self !== null && equalConstantTime(self.publicKey, change.publicKey)) return;
    const key = peerKey(change.publicKey);
    const present = this.#find(key);
    if (change.remove) {
      if (present !== null) yield* this.#depart(present, key, slim);
      return;
    }
    if (present === null && change.updateOnly) return;
    const peer = present ?? this.#create(change.publicKey, key);
    this.#settle(peer, key, slim, present === null);
    yield* this.#allow(peer, change);
  }

  /** Call after the last peer, before it is swapped in; it may be left at every `yield`, too. */
  *finish(): Generator<void, void> {
    yield* this.#begin();
    this.#isFinished = true;
  }

  /** Nobody is a peer of themselves. */
  *#begin(): Generator<void, void> {
    if (this.#isBegun) return;
    this.#isBegun = true;
    if (this.#identity === null) return;
    const key = peerKey(this.#identity.publicKey);
    const self = this.#find(key);
    if (self !== null) yield* this.#remove(self, key);
  }

  #find(key: string): Peer | null {
    const spokenOf = this.#peers.get(key);
    if (spokenOf !== undefined) return spokenOf;
    return this.#own.replacePeers ? null : (this.#core.peers.get(key) ?? null);
  }

  *#depart(peer: Peer, key: string, change: PeerChange): Generator<void, void> {
    this.steps.push({ peer, key, change, unlessAt: null, isNew: false });
    yield* this.#remove(peer, key);
  }

  *#remove(peer: Peer, key: string): Generator<void, void> {
    this.#peers.set(key, null);
    this.newPeers.delete(key);
    if (this.allowedIps.knows(peer)) (yield* this.#ownTable()).removeOwner(peer);
  }

  #create(publicKey: Uint8Array, key: string): Peer {
    const { suite, takeSecret, deadlines, wallClock } = this.#core;
    const handshake = new Handshake(suite, this.#identity, publicKey, takeSecret);
    const row = deadlines.addRow();
    const peer = new Peer(handshake.remoteStatic, handshake, row, Math.floor(wallClock()));
    this.#peers.set(key, peer);
    this.newPeers.set(key, peer);
    if (this.#own.replacePeers) this.newRows[row] = peer;
    this.#newcomers.add(peer);
    return peer;
  }

  /** All of a peer but its allowed IPs: of a new one most is done at once, since nobody knows of it. */
  #settle(peer: Peer, key: string, change: PeerChange, isNew: boolean): void {
    const isNewcomer = this.#newcomers.has(peer);
    const left = isNewcomer ? this.#prepare(peer, change) : leftOf(change);
    const unlessAt = isNewcomer || left === null ? null : this.#whereSaid(peer, left);
    if (left !== null) this.#unready.add(peer);
    // In place of others it is among the peers already, once those are the Device's.
    const isToBeAdded = isNew && !this.#own.replacePeers;
    if (left === null && !isToBeAdded && (isNewcomer || this.#isAside)) return;
    this.steps.push({ peer, key, change: left, unlessAt, isNew: isToBeAdded });
  }

  /** Where a peer is, if all that the change says is that it be there; null otherwise. */
  #whereSaid(peer: Peer, change: PeerChange): Endpoint | null {
    const { endpoint, ways, presharedKey, description, persistentKeepalive } = change;
    if (!endpoint || this.#unready.has(peer)) return null;
    if (this.#endpointsLeft++ < LOOKS_TOGETHER) return null;
    if (ways !== undefined || peer.ways !== null || presharedKey !== undefined) return null;
    if ((description ?? peer.description) !== peer.description) return null;
    if ((persistentKeepalive ?? peer.persistentKeepalive) !== peer.persistentKeepalive) return null;
    return peer.endpoint?.equals(endpoint) ? peer.endpoint : null;
  }

  /** Returns what is left to be done. */
  #prepare(peer: Peer, change: PeerChange): PeerChange | null {
    if (this.#unready.has(peer)) return leftOf(change);
    const { presharedKey, description, endpoint, ways, ...rest } = change;
    if (presharedKey !== undefined) peer.handshake.setPresharedKey(presharedKey);
    if (description !== undefined) peer.description = description;
    if (ways !== undefined) return { ...rest, ways, ...(endpoint && { endpoint }) };
    if (endpoint === undefined) return leftOf(rest);
    if (this.#endpointsLeft++ < LOOKS_TOGETHER) return { ...rest, endpoint };
    settleAt(this.#core, peer, endpoint);
    return leftOf(rest);
  }

  *#allow(peer: Peer, { allowedIps, replaceAllowedIps }: PeerChange): Generator<void, void> {
    if (replaceAllowedIps && this.#hasJust(peer, allowedIps)) return;
    if (allowedIps.length === 0 && !replaceAllowedIps) return;
    const table = yield* this.#ownTable();
    if (replaceAllowedIps) table.removeOwner(peer);
    let count = 0;
    for (const { prefix, remove } of allowedIps) {
      if (remove) table.remove(prefix, peer);
      else table.insert(prefix, peer);
      if (++count % PREFIXES_AT_ONCE === 0) yield;
    }
  }

  /** Whether it has them already, as when a configuration is said again. */
  #hasJust(peer: Peer, allowedIps: PeerChange['allowedIps']): boolean {
    if (allowedIps.some(({ remove }) => remove)) return false;
    return this.allowedIps.hasJust(
      peer,
      allowedIps.map(({ prefix }) => prefix),
    );
  }

  /** To be written to. */
  *#ownTable(): Generator<void, AllowedIps<Peer>> {
    if (!this.#isAside) return this.allowedIps;
    if (this.#table === null) {
      this.#table = emptyTable(this.#core);
      yield* this.#core.allowedIps.copyTo(this.#table);
    }
    return this.#table;
  }

  /**
   * What is left of the change, which is about to be swapped in.
   *
   * @throws when the draft is void or not finished: our own bug
   */
  take(): DeviceChange {
    if (this.#core.revision !== this.#revision)
      throw new Error('configure: the draft is of an earlier configuration');
    if (!this.#isFinished) throw new Error('configure: the draft is not finished');
    this.#core.newcomers.delete(this.#newcomers);
    return this.change;
  }

  /** Nothing comes of it. The keys in `change` are the caller's to wipe. */
  discard(): void {
    const { newcomers, departed } = this.#core;
    newcomers.delete(this.#newcomers);
    for (const peer of this.#newcomers) departed.push(peer);
    this.#newcomers.clear();
    this.steps.length = 0;
  }
}

function emptyTable(core: Core): AllowedIps<Peer> {
  const table = core.spareAllowedIps ?? new AllowedIps<Peer>();
  core.spareAllowedIps = null;
  return table;
}

/** null when a change says nothing of what is done at the end. */
function leftOf(change: PeerChange): PeerChange | null {
  const { presharedKey, endpoint, ways, persistentKeepalive, description } = change;
  const said = [presharedKey, endpoint, ways, persistentKeepalive, description];
  return said.some((value) => value !== undefined) ? change : null;
}

/** Who the interface will be; the key itself is not there yet. */
function identityAfter(core: Core, { privateKey }: InterfaceChange): Identity | null {
  if (privateKey === undefined) return core.identity;
  const clamped = clamp(privateKey);
  if (clamped === null) return null;
  const publicKey = core.suite.publicKey(clamped);
  wipe(clamped);
  return { privateKey: core.privateKeyPlace.bytes.subarray(0, KEY_BYTES), publicKey };
}
