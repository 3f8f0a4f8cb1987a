/**
 * One run: a scenario in, a result out, nothing printed. Joins the sites, the network, the traffic
 * and the troubles on one virtual clock, and holds the only loop.
 */

import { Arena } from '../../src/arena.ts';
import { peerKey } from '../../src/device/core.ts';
import { DEADLINE_NAMES } from '../../src/device/deadlines.ts';
import type { DropReason } from '../../src/device/drops.ts';
import type { Endpoint } from '../../src/device/endpoint.ts';
import type { DeviceEvent } from '../../src/device/events.ts';
import type { Peer } from '../../src/device/peer.ts';
import type { Way } from '../../src/device/ways.ts';
import {
  COOKIE_REPLY,
  DATA,
  MAC2_FROM_END,
  RESPONSE,
  RESPONSE_RECEIVER,
  readUint32,
} from '../../src/noise/messages.ts';
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { ipLength } from '../../src/packet/ip.ts';
import { Agenda } from './agenda.ts';
import { Attacker } from './attacker.ts';
import { type Arrival, BURST_PACKETS_MAX, type Departure, type Grouping, merge } from './burst.ts';
import { Coverage } from './coverage.ts';
import { checkOneWay, checkSilence } from './invariants.ts';
import { addressName, type Flight, Network, NOBODY } from './network.ts';
import { Random } from './random.ts';
import { ATTEMPT_MS, NOTICE_MS, Recovery } from './recovery.ts';
import {
  connectedSites,
  describeTrouble,
  type FlowPlan,
  type LinkPlan,
  type Scenario,
  type SitePlan,
} from './scenario.ts';
import { rangeName, Site } from './site.ts';
import { type CryptoChoice, createBaseSuite, KeyRegistry } from './suite.ts';
import { describeMessage, Trace } from './trace.ts';
import { type Address, createTemplate, type Packet, type Template, Traffic } from './traffic.ts';
import * as troubles from './troubles.ts';
import { hold, Violation } from './violation.ts';

export interface Failure {
  /** Name of the invariant, or `exception`. */
  readonly invariant: string;
  readonly sentence: string;
  /** Virtual ms. */
  readonly at: number;
}

export interface Result {
  readonly scenario: Scenario;
  readonly failure: Failure | null;
  /** Virtual ms, and those times the number of Devices. */
  readonly simulatedMs: number;
  readonly deviceMs: number;
  /** Datagrams sent, and inner packets offered and delivered. */
  readonly messages: number;
  readonly packets: number;
  readonly delivered: number;
  readonly coverage: Coverage;
  readonly digest: string;
  /** Empty unless `trace` was asked for. */
  readonly trace: readonly string[];
}

export interface RunOptions {
  readonly crypto: CryptoChoice;
  readonly trace?: boolean;
  /** How a Device is given what comes together: `runs`, as in the daemon, without it. */
  readonly grouping?: Grouping;
}

/** Room for a turn of one Device: all of them take turns in the same arena. */
const ARENA_BYTES = 1 << 20;
/** Virtual time is a multiple of this many ms, so that no sum of times is ever rounded. */
const GRAIN_MS = 2 ** -10;
/** How often the dearer checks are made. */
const CHECK_EVERY_MS = 60_000;
/** A cookie is good for two turns of its secret (whitepaper 5.4.7). */
const COOKIE_HONOURED_MS = 240_000;
/** To one call without a cookie (device/handshakes.ts), and as many once the peer was heard otherwise. */
const FUTILE_RESPONSES = 16;

export function run(scenario: Scenario, options: RunOptions): Result {
  return new Run(scenario, options).complete();
}

class Run {
  readonly scenario: Scenario;
  readonly random: Random;
  readonly arena = new Arena(ARENA_BYTES);
  readonly registry = new KeyRegistry();
  readonly traffic = new Traffic();
  readonly grouping: Grouping;
  readonly coverage = new Coverage();
  readonly suite;
  readonly network: Network;
  readonly attacker: Attacker;
  readonly sites: readonly Site[];
  readonly trace: Trace;
  readonly #agenda = new Agenda();
  readonly #recoveries = new Map<number, Recovery>();
  /** Whose a public key is, or was. */
  readonly #keys = new Map<string, number>();
  readonly #numbers = new WeakMap<Peer, number>();
  /** By link: when anything last happened that is a reason to speak. */
  readonly #causes = new Map<number, number>();
  /** By site: addresses to which it sent a cookie, and when. */
  readonly #cookies = new Map<Site, Map<string, number>>();
  /** By the index of the call: responses under load that cost a computation and came to nothing. */
  readonly #futileResponses = new Map<number, number>();
  /** Numbers of the sites whose names cannot be looked up now. */
  readonly failingNames = new Set<number>();
  readonly #nameDelays: Random;
  #now = 0;

  constructor(scenario: Scenario, { crypto, trace = false, grouping = 'runs' }: RunOptions) {
    this.scenario = scenario;
    this.grouping = grouping;
    this.random = new Random(`run ${scenario.seed}`);
    this.#nameDelays = this.random.fork('names');
    this.trace = new Trace(trace);
    this.suite = createBaseSuite(this.arena, crypto);
    this.network = new Network(this, this.random.fork('network'), scenario.links);
    this.sites = scenario.sites.map(
      (plan) => new Site(this, plan, this.random.fork(`site ${plan.number}`)),
    );
    this.attacker = new Attacker(this, this.random.fork('attacker'));
    for (const site of this.sites) this.#settle(site, site.plan);
    for (const link of scenario.links) this.#join(link);
  }

  /** Runs to the end, or to the first violation. */
  complete(): Result {
    let failure: Failure | null = null;
    try {
      for (const { number } of connectedSites(this.scenario)) this.sites[number].start();
      for (const trouble of this.scenario.troubles)
        this.later(trouble.from, () => {
          this.trace.line(this.#now, `        trouble ${describeTrouble(this.scenario, trouble)}`);
          this.coverage.visit('trouble', trouble.kind);
          troubles.begin(this, trouble);
        });
      for (const flow of this.scenario.flows) this.later(flow.from, () => this.#flow(flow));
      this.later(CHECK_EVERY_MS, () => this.#check());
      this.#loop();
    } catch (error) {
      const invariant = error instanceof Violation ? error.invariant : 'exception';
      const sentence = error instanceof Violation ? error.message : String((error as Error).stack);
      failure = { invariant, sentence, at: this.#now };
      this.trace.line(this.#now, `VIOLATED ${invariant}: ${sentence}`);
    }
    return {
      scenario: this.scenario,
      failure,
      simulatedMs: this.#now,
      deviceMs: this.#now * connectedSites(this.scenario).length,
      messages: this.network.sent,
      packets: this.traffic.offered,
      delivered: this.traffic.delivered,
      coverage: this.coverage,
      digest: this.trace.digest,
      trace: this.trace.lines,
    };
  }

  now(): number {
    return this.#now;
  }

  later(delayMs: number, action: () => void): void {
    this.#agenda.add(this.#now + Math.ceil(delayMs / GRAIN_MS) * GRAIN_MS, action);
  }

  // The network's side.

  arrive(number: number, flights: readonly Flight[]): boolean {
    const site = this.sites[number];
    if (site.device === null) return false;
    if (site.waits(() => this.arrive(number, flights))) return true;
    const seen = flights.map((flight) => {
      const source = this.network.seen(flight);
      return source === flight.source ? flight : { ...flight, source };
    });
    for (const together of merge(seen)) site.receive(together);
    return true;
  }

  intrude(flight: Flight, to: number): readonly Uint8Array[] {
    const link = this.network.linkBetween(flight.from, to)!;
    return this.attacker.intrude(flight, to, link.number);
  }

  note(flight: Flight, to: number, what: string): void {
    const { bytes, from, destination, trafficClass } = flight;
    this.trace.mix(this.#now, what, [from, to, destination.port, trafficClass], bytes);
    if (what === '') this.attacker.see(flight, to);
    if (to === NOBODY && this.attacker.isOurs(destination))
      this.attacker.receive(destination, bytes);
    if (!this.trace.isKept) return;
    const name = (number: number) =>
      number === NOBODY ? 'nobody' : this.scenario.sites[number].name;
    const message = describeMessage(bytes);
    this.trace.line(this.#now, `${name(from)} -> ${name(to)}  ${message}${what && `  ${what}`}`);
  }

  // The sites' side.

  offering(site: Site, destination: Address): void {
    if (this.trace.isKept) this.trace.line(this.#now, `${site.name}  offers packets`);
    const to = site.route(destination);
    const link = to === undefined ? undefined : this.network.linkBetween(site.number, to);
    if (link !== undefined) this.#giveCause(link, this.#now);
  }

  transmit(site: Site, endpoint: Endpoint, bytes: Uint8Array, trafficClass: number): void {
    if (bytes[0] === COOKIE_REPLY) this.#cookiesOf(site).set(addressName(endpoint), this.#now);
    else {
      hold('silentToStrangers', !this.attacker.isOurs(endpoint), () => {
        return `${site.name} sends ${describeMessage(bytes)} to an address from which nothing authentic ever came`;
      });
      const link = this.#linkTo(site, endpoint);
      if (link !== undefined) this.#judgeSilence(site, link, bytes);
      const to = bytes[0] === DATA ? this.network.ownerOf(endpoint) : undefined;
      const peer = to === undefined ? undefined : site.record(to);
      if (peer !== undefined) checkOneWay(site, peer, endpoint);
    }
    this.network.send(site.number, endpoint, bytes, trafficClass);
  }

  lookUp(site: Site, name: string): void {
    const number = Number(/^s(\d+)\.example$/.exec(name)![1]);
    const link = this.network.linkBetween(site.number, number);
    this.later(this.#nameDelays.between(10, 300), () => {
      if (link !== undefined) this.#giveCause(link, this.#now);
      const addresses = [this.network.addressOf(number).address];
      // The first address of some is one that nobody has.
      if (number % 2 === 1) addresses.unshift(parseAddress(`2001:db8:dead::${number}`)!);
      site.nameAnswered(
        name,
        this.failingNames.has(number) ? { error: 'EAI_AGAIN' } : { addresses },
      );
    });
  }

  left(_site: Site, departure: Departure): void {
    this.coverage.visitDeparture(departure);
  }

  arrived(site: Site, arrival: Arrival): void {
    const { authentic, refusals } = site.ledger;
    this.coverage.visitArrival(arrival, authentic, refusals);
    for (const place of authentic) this.attacker.record(arrival.flights[place], site);
  }

  delivered(site: Site, packet: Packet | null, bytes: Uint8Array, offset: number): void {
    const delivered = bytes.subarray(offset, offset + ipLength(bytes, offset));
    const [version, ecn] = delivered;
    this.trace.mix(this.#now, 'delivers', [site.number, version, ecn], delivered);
    if (packet === null) return;
    if (this.trace.isKept) {
      const from = this.scenario.sites[packet.from].name;
      this.trace.line(this.#now, `${site.name}  delivers packet ${packet.number} of ${from}`);
    }
    this.#recovery(site.number, packet.from)?.delivered(this.sites[packet.from]);
  }

  event(site: Site, event: DeviceEvent, peer: Peer | null): void {
    if (event.kind === 'dropped') this.coverage.visit('drop', event.reason, event.packets);
    else this.coverage.visit('event', event.kind);
    const about = peer === null ? NOBODY : this.siteOfPeer(peer);
    if (event.kind === 'dropped')
      this.trace.mix(this.#now, event.reason, [site.number, about, event.packets]);
    else this.trace.mix(this.#now, event.kind, [site.number, about]);
    if (this.trace.isKept) this.#traceEvent(site, event, peer);
    if (peer === null || event.kind === 'dropped') return;
    this.coverage.visitSessions(peer);
    const recovery = this.#recovery(site.number, this.siteOfPeer(peer));
    if (event.kind === 'initiationSent') recovery?.initiated(site);
    else if (event.kind === 'initiationReceived') recovery?.initiationTaken(site);
    else if (event.kind === 'disconnected') recovery?.lost(site, event.cause);
  }

  judged(site: Site, flight: Flight, event: DeviceEvent, isUnderLoad: boolean): void {
    const reason = event.kind === 'dropped' ? event.reason : null;
    if (reason === null) this.attacker.record(flight, site);
    if (!isUnderLoad || reason === 'interfaceDown' || reason === 'noPrivateKey') return;
    if (reason === 'cookieRequired') {
      this.coverage.visit('load', 'cookie required');
      return;
    }
    if (flight.bytes[0] === RESPONSE && this.#isBoundedResponse(flight, reason)) return;
    const isFast = reason === 'rateLimited';
    this.coverage.visit('load', isFast ? 'too fast with a cookie' : 'admitted with a cookie');
    // Whitepaper 5.3: under load only who has proved to receive at its address costs us anything.
    const grantedAt = this.#cookiesOf(site).get(addressName(flight.source)) ?? -Infinity;
    const mac2 = flight.bytes.subarray(-MAC2_FROM_END);
    const isProven = mac2.some((byte) => byte !== 0) && this.#now - grantedAt < COOKIE_HONOURED_MS;
    hold('cookieBound', isProven, () => {
      return `${site.name} is under load and spends a computation on a message from an address to which it gave no cookie`;
    });
  }

  /** The answer to a call needs no cookie, unless so many came to nothing that it is an attack. */
  #isBoundedResponse({ bytes }: Flight, reason: DropReason | null): boolean {
    if (reason !== 'badHandshake') return true;
    const index = readUint32(bytes, RESPONSE_RECEIVER);
    const futile = (this.#futileResponses.get(index) ?? 0) + 1;
    this.#futileResponses.set(index, futile);
    return futile <= FUTILE_RESPONSES;
  }

  heard(site: Site, peer: Peer): void {
    this.#recovery(site.number, this.siteOfPeer(peer))?.heard(site);
  }

  expired(site: Site, peer: Peer, column: number): void {
    this.coverage.visit('expiry', DEADLINE_NAMES[column]);
    if (this.trace.isKept) {
      const other = this.scenario.sites[this.siteOfPeer(peer)].name;
      this.trace.line(this.#now, `${site.name}  ${DEADLINE_NAMES[column]} expires for ${other}`);
    }
  }

  siteOfPeer(peer: Peer): number {
    let number = this.#numbers.get(peer);
    if (number === undefined) {
      number = this.#keys.get(peerKey(peer.publicKey))!;
      this.#numbers.set(peer, number);
    }
    return number;
  }

  // The troubles' side.

  disturb(link: LinkPlan, until: number): void {
    this.#recoveries.get(link.number)!.disturb(until);
    this.#giveCause(link, until);
  }

  touch(link: LinkPlan): void {
    this.#giveCause(link, this.#now);
  }

  upgrading(site: Site): void {
    this.coverage.visitUpgrade(site.device!, site.now());
    if (this.trace.isKept) this.trace.line(this.#now, `${site.name}  is upgraded`);
  }

  keyChanged(site: Site): void {
    this.#keys.set(peerKey(site.publicKey), site.number);
  }

  // The attacker's side.

  provoke(from: number, target: Site): void {
    const link = this.network.linkBetween(from, target.number);
    if (link !== undefined) this.#giveCause(link, this.#now);
  }

  // Recovery's side.

  leads(from: Site, to: Site): boolean {
    const peer = from.record(to.number);
    // What leaves from a dead address does not arrive.
    if (peer === undefined || this.network.isDead(this.network.addressOf(from.number)))
      return false;
    const known = peer.ways?.candidates().map(({ endpoint }) => endpoint) ?? [];
    return [peer.endpoint, ...known].some(
      (one) => one !== null && this.network.ownerOf(one) === to.number && !this.network.isDead(one),
    );
  }

  recovered(ms: number): void {
    const place =
      ms < 1_000
        ? 'at once'
        : ms < ATTEMPT_MS + 1_000
          ? 'after an attempt'
          : ms < NOTICE_MS
            ? 'after noticing silence'
            : 'later';
    this.coverage.visit('recovery', place);
  }

  #loop(): void {
    const { durationMs } = this.scenario;
    for (let next = this.#agenda.next; next < durationMs; next = this.#agenda.next) {
      this.#now = next;
      this.#agenda.take()();
    }
    this.#now = durationMs;
  }

  #giveCause({ number }: LinkPlan, at: number): void {
    this.#causes.set(number, Math.max(this.#causes.get(number) ?? 0, at));
  }

  #settle(site: Site, plan: SitePlan): void {
    this.keyChanged(site);
    this.network.move(site.number, plan.family);
    if (!plan.isBehindNat) this.network.giveSpare(site.number);
    this.#cookies.set(site, new Map());
  }

  /** Tells both ends of a link of each other. Nobody knows the address of who is behind a NAT. */
  #join(link: LinkPlan): void {
    const presharedKey = new Uint8Array(32);
    if (link.hasPresharedKey) this.random.fork(`psk of link ${link.number}`).fill(presharedKey);
    for (const side of [0, 1] as const) {
      const site = this.sites[link.ends[side]];
      const other = this.sites[link.ends[1 - side]];
      site.acquaintances.set(other.number, {
        publicKey: other.publicKey,
        presharedKey,
        keepalive: link.keepalives[side],
        endpoint: other.plan.isBehindNat ? null : this.network.addressOf(other.number),
        ways: link.hasWays ? this.#waysTo(other) : [],
      });
      site.routes.set(rangeName(other.number, 'main'), other.number);
    }
    const ends = [this.sites[link.ends[0]], this.sites[link.ends[1]]] as const;
    this.#recoveries.set(link.number, new Recovery(this, link, ends));
  }

  /** By its name, and by the address that it keeps. */
  #waysTo({ number }: Site): Way[] {
    const { address, port } = this.network.spareOf(number)!;
    return [
      { host: `s${number}.example`, port, near: null },
      { host: formatAddress(address), port, near: null },
    ];
  }

  /** Bursts until the flow's time is over. */
  #flow(flow: FlowPlan): void {
    const link = this.scenario.links.find(({ number }) => number === flow.link)!;
    const [from, to] = flow.isForward ? link.ends : [link.ends[1], link.ends[0]];
    const [template, last] = [flow.bytes, flow.lastBytes].map((bytes) =>
      createTemplate(
        { site: from, range: 'main' },
        { site: to, range: flow.number % 5 === 0 ? 'inner' : 'main' },
        flow.family,
        bytes,
        flow.ecn,
      ),
    );
    const packets = Array.from({ length: flow.burst }, (_, i) =>
      i === flow.burst - 1 ? last : template,
    );
    const burst = () => {
      for (let i = 0; i < packets.length; i += BURST_PACKETS_MAX)
        this.#offer(link, this.sites[from], packets.slice(i, i + BURST_PACKETS_MAX));
      const next = this.#now + flow.everyMs;
      if (next < flow.from + flow.duration) this.later(flow.everyMs, burst);
    };
    burst();
  }

  #offer(link: LinkPlan, site: Site, templates: readonly Template[]): void {
    const [{ destination }] = templates;
    if (!site.send(...templates) || site.route(destination) !== destination.site) return;
    this.#recoveries.get(link.number)!.offered(site);
  }

  /** A message on a link over which nobody has anything to say, and that is not kept alive. */
  #judgeSilence(site: Site, link: LinkPlan, bytes: Uint8Array): void {
    const [a, b] = link.ends.map((end) => this.sites[end]);
    if (a.acquaintances.get(b.number)!.keepalive > 0) return;
    if (b.acquaintances.get(a.number)!.keepalive > 0) return;
    checkSilence(site, this.#now, this.#causes.get(link.number) ?? 0, describeMessage(bytes));
  }

  #linkTo(site: Site, endpoint: Endpoint): LinkPlan | undefined {
    const to = this.network.ownerOf(endpoint);
    return to === undefined ? undefined : this.network.linkBetween(site.number, to);
  }

  #recovery(a: number, b: number): Recovery | undefined {
    const link = this.network.linkBetween(a, b);
    return link && this.#recoveries.get(link.number);
  }

  #cookiesOf(site: Site): Map<string, number> {
    return this.#cookies.get(site)!;
  }

  #check(): void {
    this.network.check();
    for (const site of this.sites) if (site.device !== null) site.ledger.checkCounters();
    this.later(CHECK_EVERY_MS, () => this.#check());
  }

  #traceEvent(site: Site, event: DeviceEvent, peer: Peer | null): void {
    const name = peer === null ? '' : this.scenario.sites[this.siteOfPeer(peer)].name;
    const what =
      event.kind === 'dropped' ? `drops ${event.packets} as ${event.reason}` : event.kind;
    this.trace.line(this.#now, `${site.name}  ${what}${name && ` (${name})`}`);
  }
}
