/**
 * One process of a site: a Device, its books, and the sessions that it has the keys of. A site goes
 * through many: each start begins one, and so does each upgrade in place (handover.ts). Clocks,
 * keys and configuration are the site's.
 */

import { HEADROOM_BYTES } from '../../src/arena.ts';
import { Device } from '../../src/device/device.ts';
import type { Endpoint } from '../../src/device/endpoint.ts';
import type { DeviceEvent } from '../../src/device/events.ts';
import type { Peer } from '../../src/device/peer.ts';
import { DATA } from '../../src/noise/messages.ts';
import {
  checkDelivery,
  checkExpiry,
  checkReason,
  KEY_LIFE_MS,
  type Reasons,
} from './invariants.ts';
import { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import type { Site } from './site.ts';
import { type AuditedSession, createAuditedSuite, type KeyOwner } from './suite.ts';
import { readNumber } from './traffic.ts';

export class Generation implements KeyOwner {
  readonly name: string;
  readonly device: Device;
  readonly ledger: Ledger;
  /** Sessions whose keys are not yet erased, and the newest of each peer. */
  readonly sessions = new Set<AuditedSession>();
  readonly newest = new Map<Peer, AuditedSession>();
  isTakingOver = false;
  readonly #site: Site;
  /** Derived in this turn. */
  readonly #fresh: AuditedSession[] = [];
  readonly #reasons: Reasons = { expiring: null, opened: null };

  constructor(site: Site, random: Random) {
    const { host, name } = site;
    this.#site = site;
    this.name = name;
    this.device = new Device({
      arena: host.arena,
      suite: createAuditedSuite(host.suite, host.registry, this),
      random: random.fill,
      wallClock: () => site.wallClock(),
      outlet: {
        transmit: (offset, length, endpoint, trafficClass) =>
          this.#transmitted(offset, length, endpoint, trafficClass),
        transmitRun: (offset, length, endpoint, trafficClass, count, lastLength) => {
          for (let i = 0; i < count; i++) {
            const own = i === count - 1 ? lastLength : length;
            this.#transmitted(offset + i * length, own, endpoint, trafficClass);
          }
        },
        deliver: (offset, length) => this.#delivered(offset, length),
      },
      nameService: { lookUp: (name) => host.lookUp(site, name) },
    });
    this.device.observe((event) => {
      const peer = this.#peerOf(event);
      this.ledger.event(event, peer);
      if (event.kind === 'initiationSent') checkReason(site, peer!, this.#reasons);
      host.event(site, event, peer);
    });
    this.ledger = new Ledger(name, this.device.core, host.traffic, (flight, event, isUnderLoad) =>
      host.judged(site, flight, event, isUnderLoad),
    );
    this.#watchDeadlines();
    this.#watchQueue();
  }

  /** What was derived in the turn, or taken over, has to come to an end. */
  endTurn(): void {
    this.device.core.observers.surface();
    this.#reasons.opened = null;
    for (const session of this.#fresh.splice(0)) if (!session.isWiped) this.#follow(session);
  }

  // What follows is asked and told by the audited suite.

  now(): number {
    return this.#site.now();
  }

  /** Whom an event is about: it names him only. null when it is about nobody known. */
  #peerOf(event: DeviceEvent): Peer | null {
    if (!('peer' in event) || event.peer === null) return null;
    return this.device.core.peers.get(atob(event.peer.publicKey))!;
  }

  findPeer(session: AuditedSession): Peer {
    for (const peer of this.device.core.peers.values()) {
      for (const keypair of [peer.current, peer.next, peer.previous])
        if (keypair !== null && keypair.sealer === session.sealer) return peer;
    }
    throw new Error(`${this.name}: a session that no peer has`);
  }

  derived(session: AuditedSession): void {
    this.sessions.add(session);
    this.#fresh.push(session);
  }

  wiped(session: AuditedSession): void {
    if (session.isWiped) this.sessions.delete(session);
  }

  sealed(session: AuditedSession, offset: number, length: number): void {
    const { bytes } = this.#site.host.arena;
    this.ledger.sealed(session, length === 0 ? 0 : readNumber(bytes, offset));
  }

  opened(session: AuditedSession, offset: number, length: number): void {
    this.#reasons.opened = session;
    this.ledger.opened(session, offset, length);
    this.#site.host.heard(this.#site, session.peer);
  }

  #follow(session: AuditedSession): void {
    const { peer, history } = session;
    // Those taken over come in the order of their places, which is that of their ages.
    this.newest.set(peer, session);
    const left = history.derivedAt + KEY_LIFE_MS - this.now();
    const check = () => {
      if (!this.#site.waits(check)) checkExpiry(this.#site, session);
    };
    this.#site.host.later(Math.max(0, left) + 1, check);
  }

  #transmitted(offset: number, length: number, endpoint: Endpoint, trafficClass: number): void {
    const { host } = this.#site;
    const bytes = host.arena.bytes.slice(offset, offset + length);
    this.ledger.transmitted(bytes[0] === DATA);
    host.transmit(this.#site, endpoint, bytes, trafficClass);
  }

  #delivered(offset: number, length: number): void {
    const { bytes } = this.#site.host.arena;
    const packet = checkDelivery(this.#site, bytes, offset, length);
    this.ledger.delivered(packet === null);
    // The room before a packet is the outlet's, as a frame's header uses it.
    bytes.fill(0xdd, offset - HEADROOM_BYTES, offset);
    this.#site.host.delivered(this.#site, packet, bytes, offset);
  }

  /** Looks on as handshake messages are queued; changes nothing. */
  #watchQueue(): void {
    const { handshakeQueue } = this.device.core;
    const push = handshakeQueue.push.bind(handshakeQueue);
    const arena = this.#site.host.arena.bytes;
    handshakeQueue.push = (message, endpoint, now) => {
      const isTaken = push(message, endpoint, now);
      if (isTaken) this.ledger.queued(message.byteOffset - arena.byteOffset);
      return isTaken;
    };
  }

  /** Looks on as deadlines pass; changes nothing. */
  #watchDeadlines(): void {
    const { core } = this.device;
    const { deadlines } = core;
    const expire = deadlines.expire.bind(deadlines);
    deadlines.expire = (now, act) =>
      expire(now, (row, column) => {
        this.#reasons.expiring = { peer: core.rows[row]!, column };
        this.#site.host.expired(this.#site, core.rows[row]!, column);
        act(row, column);
        this.#reasons.expiring = null;
      });
  }
}
