/**
 * One site: its clocks, its keys and its configuration, which outlive the process that has its
 * Device (generation.ts). Every input goes through `turn`, which balances the books and checks the
 * invariants afterwards. Owns no network and no plan of what happens.
 */

import type { Arena } from '../../src/arena.ts';
import type { CryptoSuite } from '../../src/crypto/suite.ts';
import type { AllowedIpChange, DeviceChange, PeerChange } from '../../src/device/configuration.ts';
import { peerKey } from '../../src/device/core.ts';
import type { Device } from '../../src/device/device.ts';
import type { Endpoint } from '../../src/device/endpoint.ts';
import type { DeviceEvent } from '../../src/device/events.ts';
import type { Peer } from '../../src/device/peer.ts';
import type { NameAnswer, Way } from '../../src/device/ways.ts';
import { parsePrefix } from '../../src/packet/address.ts';
import {
  type Arrival,
  type Departure,
  type Grouping,
  handDatagrams,
  handPackets,
  layArrival,
  layDeparture,
} from './burst.ts';
import { Generation } from './generation.ts';
import { takeBack } from './handover.ts';
import { checkKeysGone, checkTurn, checkUnmoved } from './invariants.ts';
import type { Input, Ledger } from './ledger.ts';
import type { Flight } from './network.ts';
import type { Random } from './random.ts';
import type { SitePlan } from './scenario.ts';
import type { AuditedSession, KeyRegistry } from './suite.ts';
import { type Address, type Packet, prefixText, type Template, type Traffic } from './traffic.ts';

/** What a site asks of the run, and tells it. */
export interface SiteHost {
  readonly arena: Arena;
  readonly suite: CryptoSuite;
  readonly registry: KeyRegistry;
  readonly traffic: Traffic;
  readonly grouping: Grouping;
  now(): number;
  later(delayMs: number, action: () => void): void;
  /** Packets for that address are about to be sent. */
  offering(site: Site, destination: Address): void;
  transmit(site: Site, endpoint: Endpoint, bytes: Uint8Array, trafficClass: number): void;
  /** Somebody wants to know the addresses of a name; told by `Site.nameAnswered`. */
  lookUp(site: Site, name: string): void;
  /** The bytes at `offset`; null for an answer of the Device's own. */
  delivered(site: Site, packet: Packet | null, bytes: Uint8Array, offset: number): void;
  /** The site's Device was given them in one turn, and the books were balanced. */
  left(site: Site, departure: Departure): void;
  arrived(site: Site, arrival: Arrival): void;
  /** `peer`: whom the event is about. */
  event(site: Site, event: DeviceEvent, peer: Peer | null): void;
  /** A handshake message was taken from the queue. */
  judged(site: Site, flight: Flight, event: DeviceEvent, isUnderLoad: boolean): void;
  /** A packet of the peer's was opened. */
  heard(site: Site, peer: Peer): void;
  expired(site: Site, peer: Peer, column: number): void;
  /** The number of the site that has, or had, the peer's public key. */
  siteOfPeer(peer: Peer): number;
}

/** How a site is configured for another one. */
export interface Acquaintance {
  publicKey: Uint8Array;
  presharedKey: Uint8Array;
  /** Seconds. */
  keepalive: number;
  /** When it was last made longer, or switched off, virtual ms: the other end is not told. */
  slowedAt?: number;
  /** As the operator gave it; null when the other end calls. */
  endpoint: Endpoint | null;
  /** Instead of the endpoint, if there are any. */
  readonly ways: readonly Way[];
}

const NO_SESSIONS: ReadonlySet<AuditedSession> = new Set();
const WALL_START_MS = Date.UTC(2026, 0, 1);

export class Site {
  readonly plan: SitePlan;
  readonly number: number;
  readonly name: string;
  readonly host: SiteHost;
  readonly random: Random;
  privateKey = new Uint8Array(32);
  publicKey = new Uint8Array(32);
  /** null while the site is not running. */
  generation: Generation | null = null;
  /** An upgrade is under way that fails later: who waits to take everything back. */
  predecessor: Generation | null = null;
  /** Configured peers, by the number of their site. */
  readonly acquaintances = new Map<number, Acquaintance>();
  /** Which peer has a range of inner addresses, by `rangeName`: the oracle of allowed IPs. */
  readonly routes = new Map<string, number>();
  /** Bytes of packet memory that a turn has; Infinity for all. */
  arenaBytes = Number.POSITIVE_INFINITY;
  /** What `record` found since the last change of the configuration. */
  readonly #records = new Map<number, Peer>();
  /** What a record was first: a successor's are its predecessor's. */
  readonly #origins = new WeakMap<Peer, Peer>();
  #generations = 0;
  #pause: { readonly end: () => void; readonly inputs: (() => void)[] } | null = null;
  #awaited: { readonly isMoment: () => boolean; readonly act: () => void } | null = null;
  #wakeAt = Number.POSITIVE_INFINITY;
  #wall: { readonly at: number; readonly shows: number; readonly rate: number };

  constructor(host: SiteHost, plan: SitePlan, random: Random) {
    this.host = host;
    this.plan = plan;
    this.number = plan.number;
    this.name = plan.name;
    this.random = random;
    this.#wall = { at: 0, shows: WALL_START_MS + plan.wallOffsetMs, rate: 1 };
    this.drawKey();
  }

  /** Another private key; the Device is told by whoever asked. */
  drawKey(): void {
    this.random.fill(this.privateKey);
    // Clamped as the Device will, so that the public key is that of the same bytes.
    this.privateKey[0] &= 248;
    this.privateKey[31] = (this.privateKey[31] & 127) | 64;
    this.publicKey = new Uint8Array(this.host.suite.publicKey(this.privateKey));
  }

  /** Monotonic ms. */
  now(): number {
    return this.host.now() + this.plan.monotonicStartMs;
  }

  wallClock(): number {
    return this.#wall.shows + (this.host.now() - this.#wall.at) * this.#wall.rate;
  }

  setWallClock(stepMs: number, rate: number): void {
    this.#wall = { at: this.host.now(), shows: this.wallClock() + stepMs, rate };
  }

  get wallRate(): number {
    return this.#wall.rate;
  }

  get device(): Device | null {
    return this.generation?.device ?? null;
  }

  /** Of a site that runs. */
  get ledger(): Ledger {
    return this.generation!.ledger;
  }

  get sessions(): ReadonlySet<AuditedSession> {
    return this.generation?.sessions ?? NO_SESSIONS;
  }

  /** An empty Device, which is nobody's yet. */
  createGeneration(): Generation {
    return new Generation(this, this.random.fork(`generation ${this.#generations++}`));
  }

  /** That process acts for the site from now on. */
  give(generation: Generation): void {
    this.generation = generation;
    this.#records.clear();
  }

  /** Starts a Device with the site's keys and peers, as after a boot. */
  start(): void {
    this.give(this.createGeneration());
    const peers = [...this.acquaintances.keys()].map((site) => this.peerChange(site));
    this.configure({ debug: true, privateKey: this.privateKey, peers });
    this.turn('configuration', (now, device) => device.up(now));
  }

  /** Ends the Device: in order, with every key erased, or by a power cut. */
  stop(isOrderly: boolean): void {
    if (this.generation === null) return;
    if (isOrderly) {
      this.turn('configuration', (_now, device) => device.close());
      checkKeysGone(this, 'close');
    }
    this.ledger.abandon();
    this.predecessor?.ledger.abandon();
    this.predecessor = null;
    this.generation = null;
    this.#pause = null;
    this.#records.clear();
  }

  /** The site is handing over: until the pause ends nothing reaches a Device. `end`: what comes first then. */
  pause(ms: number, end: () => void): void {
    const pause = { end, inputs: [] };
    this.#pause = pause;
    this.host.later(ms, () => {
      if (this.#pause === pause) this.#endPause();
    });
  }

  get isPaused(): boolean {
    return this.#pause !== null;
  }

  /** Whether an input has to wait for the end of a pause, as in the kernel's buffers; it is made then. */
  waits(input: () => void): boolean {
    this.#pause?.inputs.push(input);
    return this.isPaused;
  }

  /** Acts after the first turn that brings the moment about, or when the time is over. One at a time. */
  await(isMoment: () => boolean, patienceMs: number, act: () => void): void {
    const awaited = { isMoment, act };
    this.#awaited = awaited;
    this.host.later(patienceMs, () => {
      if (this.#awaited !== awaited) return;
      this.#awaited = null;
      act();
    });
  }

  /** One input of the Device: what it needs of the arena is allocated within `work`. */
  turn(
    input: Input,
    work: (now: number, device: Device) => void,
    departure: Departure | null = null,
    arrival: Arrival | null = null,
  ): void {
    if (input === 'configuration') {
      // The operator's word is for whoever lives on.
      this.#endPause();
      takeBack(this);
    }
    const { generation } = this;
    if (generation === null || (this.isPaused && input === 'timeout')) return;
    const { device, ledger } = generation;
    const { arena } = this.host;
    ledger.begin(input, this.now(), departure, arrival);
    if (input === 'configuration') this.#records.clear();
    if (arena.available > this.arenaBytes) arena.allocate(arena.available - this.arenaBytes);
    work(this.now(), device);
    arena.reset();
    generation.endTurn();
    const destination = departure?.packets[0].template.destination;
    ledger.close(destination && this.#peerFor(destination));
    checkTurn(this, device);
    this.#schedule(device);
    if (this.#awaited?.isMoment()) {
      this.host.later(0, this.#awaited.act);
      this.#awaited = null;
    }
  }

  /**
   * A packet of a host behind the site, or those of a super-packet: they are alike, but for the last
   * one, which may be shorter. False when nobody takes them now.
   */
  send(...templates: readonly Template[]): boolean {
    const { arena, traffic, grouping } = this.host;
    if (this.device === null || this.waits(() => this.send(...templates))) return false;
    this.host.offering(this, templates[0].destination);
    const { mtu } = this.device.core;
    const departure = layDeparture(arena, mtu, templates, (template, offset) =>
      traffic.create(this.number, template, this.host.now(), arena.bytes, offset),
    );
    const hand = (now: number, device: Device) => handPackets(device, now, departure, grouping);
    this.turn('packets', hand, departure);
    this.host.left(this, departure);
    return true;
  }

  /** Datagrams that the kernel has merged. */
  receive(flights: readonly Flight[]): void {
    const { arena, grouping } = this.host;
    const arrival = layArrival(arena, flights);
    const hand = (now: number, device: Device) => handDatagrams(device, now, arrival, grouping);
    this.turn('datagrams', hand, null, arrival);
    this.host.arrived(this, arrival);
  }

  configure(change: Partial<DeviceChange>): void {
    this.turn('configuration', (now, device) => device.configure(now, { peers: [], ...change }));
  }

  /** Adds the other site, or changes what it is told about it. Everything is told again. */
  peerChange(site: number): PeerChange {
    const { publicKey, presharedKey, keepalive, endpoint, ways } = this.acquaintances.get(site)!;
    const allowedIps: AllowedIpChange[] = [];
    for (const [range, owner] of this.routes) {
      if (owner !== site) continue;
      const { site: place, range: kind } = rangeOf(range);
      for (const family of [4, 6] as const) {
        const prefix = parsePrefix(prefixText(place, kind, family))!;
        allowedIps.push({ prefix, remove: false });
      }
    }
    return {
      publicKey,
      presharedKey,
      persistentKeepalive: keepalive,
      allowedIps,
      replaceAllowedIps: true,
      ...(ways.length > 0 ? { ways } : endpoint === null ? {} : { endpoint }),
    };
  }

  nameAnswered(name: string, answer: NameAnswer): void {
    if (this.device === null || this.waits(() => this.nameAnswered(name, answer))) return;
    const before = new Map(
      [...this.device.core.peers.values()]
        .filter(({ current }) => current?.canSend(this.now()))
        .map((peer) => [peer, peer.endpoint]),
    );
    this.turn('timeout', (now, device) => device.nameAnswered(now, name, answer));
    for (const [peer, endpoint] of before) checkUnmoved(this, peer, endpoint);
  }

  /** The Device's record of another site; undefined when it is no peer. */
  record(site: number): Peer | undefined {
    const known = this.#records.get(site);
    if (known !== undefined) return known;
    const acquaintance = this.acquaintances.get(site);
    if (acquaintance === undefined) return undefined;
    const peer = this.device?.core.peers.get(peerKey(acquaintance.publicKey));
    if (peer !== undefined) this.#records.set(site, peer);
    return peer;
  }

  /** Whose address it is by longest match, the slow way; undefined for nobody's. */
  route({ site, range }: Address): number | undefined {
    const inner = range === 'inner' ? this.routes.get(rangeName(site, 'inner')) : undefined;
    return inner ?? this.routes.get(rangeName(site, 'main'));
  }

  /** Stays the same when the site is upgraded: whoever has it knows what was taken of the peer. */
  originOf(peer: Peer): Peer {
    return this.#origins.get(peer) ?? peer;
  }

  /** The record of a successor goes on with what its predecessor's knew. */
  continueRecord(peer: Peer, predecessor: Peer): void {
    this.#origins.set(peer, this.originOf(predecessor));
  }

  #endPause(): void {
    if (this.#pause === null) return;
    const { end, inputs } = this.#pause;
    this.#pause = null;
    end();
    this.turn('timeout', (now, device) => device.handleTimeout(now));
    for (const input of inputs) input();
  }

  #peerFor(destination: Address): Peer | undefined {
    const site = this.route(destination);
    return site === undefined ? undefined : this.record(site);
  }

  /** Wakes the Device when it asked to be, a turn's length later while handshakes wait. */
  #schedule(device: Device): void {
    const next = device.nextTimeout();
    const delay =
      next === Number.NEGATIVE_INFINITY ? this.plan.turnMs : Math.max(0, next - this.now());
    const at = this.host.now() + delay;
    if (at >= this.#wakeAt || at === Number.POSITIVE_INFINITY) return;
    this.#wakeAt = at;
    this.host.later(delay, () => {
      if (this.#wakeAt !== at) return; // An earlier one came between.
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.turn('timeout', (now, awake) => awake.handleTimeout(now));
    });
  }
}

export function rangeName(site: number, range: Address['range']): string {
  return `${range} ${site}`;
}

function rangeOf(name: string): Address {
  const [range, site] = name.split(' ');
  return { site: Number(site), range: range as Address['range'] };
}
