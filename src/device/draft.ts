/**
 * A change of the configuration in the making: what takes long is done here, aside, in steps as small
 * as the caller likes, while packets find everything as it was. What is left, configure.ts does in one
 * turn; or nothing has happened (`discard`).
 *
 * Long are the allowed IPs, which come to lie in a table of the draft's own, and the peers that are
 * new. Between the steps sessions, endpoints and timers of the peers change as they like; the
 * configuration may not.
 */

import { equalConstantTime, wipe } from '../crypto/bytes.ts';
import { Handshake } from '../noise/handshake.ts';
import { AllowedIps } from './allowedips.ts';
import type { DeviceChange, InterfaceChange, PeerChange } from './configuration.ts';
import { type Core, peerKey } from './core.ts';
import { clamp } from './key.ts';
import { Peer } from './peer.ts';

/** What is to be done with a peer, in the order of the change. */
export interface Step {
  readonly peer: Peer;
  /** Of the peer, as peerKey makes it. */
  readonly key: string;
  /** Of the allowed IPs, which are done already, at most one is left, since they were spoken of. */
  readonly change: PeerChange;
  readonly isNew: boolean;
}

/** After so many allowed IPs a step may end. */
const PREFIXES_AT_ONCE = 64;

export class Draft {
  readonly steps: Step[] = [];
  readonly allowedIps: AllowedIps<Peer>;
  readonly #core: Core;
  readonly #own: InterfaceChange;
  readonly #changes: PeerChange[] = [];
  /** If they replace all others: the peers as they will be, in the order in which they were added. */
  readonly newPeers = new Map<string, Peer>();
  /** By key, those who were spoken of: who they will be, or null. */
  readonly #peers = new Map<string, Peer | null>();
  /** Our public key, as it will be; null without one. */
  readonly #self: Uint8Array | null;
  /** The configuration that this one follows. */
  readonly #revision: number;

  /**
   * @param own what the change says of the interface itself
   * @param isAside whether packets pass before it is done: it has a table of its own then
   */
  constructor(core: Core, own: InterfaceChange, isAside: boolean) {
    this.#core = core;
    this.#own = own;
    this.#revision = core.revision;
    if (own.replacePeers) this.allowedIps = new AllowedIps();
    else this.allowedIps = isAside ? new AllowedIps(core.allowedIps) : core.allowedIps;
    this.#self = selfAfter(core, own);
    // Nobody is a peer of themselves.
    const self = this.#self === null ? null : this.#find(peerKey(this.#self));
    if (self !== null) this.#remove(self);
  }

  /** The change so far, without its allowed IPs; the keys in it are the caller's to wipe. */
  get change(): DeviceChange {
    return { ...this.#own, peers: this.#changes };
  }

  /** The configuration is still the one that this draft began with. */
  get isCurrent(): boolean {
    return this.#core.revision === this.#revision;
  }

  /** Does what can be done aside for one peer; it may be left at every `yield`, and continued. */
  *add(change: PeerChange): Generator<void, void> {
    const slim = { ...change, allowedIps: change.allowedIps.slice(0, 1) };
    this.#changes.push(slim);
    if (this.#self !== null && equalConstantTime(this.#self, change.publicKey)) return;
    const key = peerKey(change.publicKey);
    const present = this.#find(key);
    if (change.remove) {
      if (present !== null) this.steps.push({ peer: present, key, change: slim, isNew: false });
      if (present !== null) this.#remove(present, key);
      return;
    }
    if (present === null && change.updateOnly) return;
    const peer = present ?? this.#create(change.publicKey, key);
    this.steps.push({ peer, key, change: slim, isNew: present === null });
    if (change.replaceAllowedIps) this.allowedIps.removeOwner(peer);
    let count = 0;
    for (const { prefix, remove } of change.allowedIps) {
      if (remove) this.allowedIps.remove(prefix, peer);
      else this.allowedIps.insert(prefix, peer);
      if (++count % PREFIXES_AT_ONCE === 0) yield;
    }
  }

  #find(key: string): Peer | null {
    const spokenOf = this.#peers.get(key);
    if (spokenOf !== undefined) return spokenOf;
    return this.#own.replacePeers ? null : (this.#core.peers.get(key) ?? null);
  }

  #remove(peer: Peer, key = peerKey(peer.publicKey)): void {
    this.allowedIps.removeOwner(peer);
    this.#peers.set(key, null);
    this.newPeers.delete(key);
  }

  #create(publicKey: Uint8Array, key: string): Peer {
    const { suite, identity, takeSecret, deadlines, wallClock } = this.#core;
    const handshake = new Handshake(suite, identity, publicKey, takeSecret);
    const row = deadlines.addRow();
    const peer = new Peer(handshake.remoteStatic, handshake, row, Math.floor(wallClock()));
    this.#peers.set(key, peer);
    this.newPeers.set(key, peer);
    return peer;
  }

  /** Nothing comes of it. The keys in `change` are the caller's to wipe. */
  discard(): void {
    for (const { peer, isNew } of this.steps) {
      if (!isNew) continue;
      this.#core.deadlines.removeRow(peer.row);
      peer.handshake.wipe();
    }
    this.steps.length = 0;
  }
}

/** The public key that the interface will have. */
function selfAfter(core: Core, { privateKey }: InterfaceChange): Uint8Array | null {
  if (privateKey === undefined) return core.identity?.publicKey ?? null;
  const clamped = clamp(privateKey);
  const publicKey = clamped === null ? null : core.suite.publicKey(clamped);
  if (clamped !== null) wipe(clamped);
  return publicKey;
}
