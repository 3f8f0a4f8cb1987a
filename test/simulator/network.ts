/**
 * The virtual network: who has which address, and what becomes of a datagram between two sites.
 * It books every one, so that what was sent is what arrived, was lost for a cause, or is flying.
 *
 * What leaves one site for another at one moment arrives at one moment, in its order, unless a trouble
 * says otherwise: only so do datagrams reach a Device together.
 */

import { sameBytes } from '../../src/bytes.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { DATA } from '../../src/noise/messages.ts';
import { parseAddress } from '../../src/packet/address.ts';
import type { Random } from './random.ts';
import type { LinkPlan, Trouble } from './scenario.ts';
import { hold } from './violation.ts';

/** Who sends what no site has sent. */
export const NOBODY = -1;

/** One datagram under way. */
export interface Flight {
  /** Number of the site that sent it, or NOBODY. */
  readonly from: number;
  /** As the receiver sees it, and as the sender knows the receiver. */
  readonly source: Endpoint;
  readonly destination: Endpoint;
  /** Shared by copies; never written. */
  readonly bytes: Uint8Array;
  readonly trafficClass: number;
  /** Not as it was sent. */
  readonly isAltered: boolean;
  /** The next one that arrives at the same moment overtakes it. */
  readonly isOvertaken?: boolean;
}

/** Why a datagram did not arrive. */
export type Loss = 'loss' | 'partition' | 'oneWay' | 'wayDead' | 'deadAddress' | 'siteOff';

/** What the network asks of the run. */
export interface NetworkHost {
  now(): number;
  later(delayMs: number, action: () => void): void;
  /** Hands a site what arrives at one moment, in its order; false when it is not running. */
  arrive(site: number, flights: readonly Flight[]): boolean;
  /** What somebody on the path sends right after a datagram of a site's, in its sender's name. */
  intrude(flight: Flight, to: number): readonly Uint8Array[];
  /** Told of every step of every datagram. */
  note(flight: Flight, to: number, what: string): void;
}

/** How much later than others a reordered datagram arrives, at most. */
const REORDERING_MS = 400;
/** No trouble but `belated` makes a datagram later than this: afterwards the network has healed. */
export const DELAY_MAX_MS = 7_000;
const JITTER = 0.1;
/** How much later a copy arrives, at most. */
const COPY_MS = 50;
/** Of bursts, while some come minutes late, and how late these are at least. */
const BELATED = 0.4;
const BELATED_MIN_MS = 30_000;

/** What leaves one site for another at one moment. */
interface Burst {
  readonly at: number;
  /** Of the most that there may be. */
  readonly jitter: number;
  /** null: not asked yet. */
  belatedMs: number | null;
}

export class Network {
  readonly #host: NetworkHost;
  readonly #random: Random;
  readonly #links = new Map<number, LinkPlan>();
  /** By `addressName`: the number of the site that has the address now. */
  readonly #owners = new Map<string, number>();
  /** What each site's datagrams come from. */
  readonly #sources: Endpoint[] = [];
  /** The second address of each site that has one. */
  readonly #spares: Endpoint[] = [];
  /** How somebody looks to who was reached at a second address: the same object each time. */
  readonly #views = new WeakMap<Endpoint, Map<string, Endpoint>>();
  readonly #active: { readonly trouble: Trouble; readonly random: Random }[] = [];
  readonly #jitters = new Map<number, Random>();
  /** By link and direction, the newest. */
  readonly #bursts = new Map<number, Burst>();
  /** By site: what has arrived at this moment and is not handed over yet. */
  readonly #arriving = new Map<number, Flight[]>();
  /** For each relayed link, the address under which each end appears to the other. */
  readonly #relays = new Map<number, readonly [Endpoint, Endpoint]>();
  #addressesGiven = 0;
  sent = 0;
  copies = 0;
  arrived = 0;
  flying = 0;
  readonly losses = new Map<Loss, number>();

  constructor(host: NetworkHost, random: Random, links: readonly LinkPlan[]) {
    this.#host = host;
    this.#random = random;
    for (const link of links) {
      this.#links.set(64 * link.ends[0] + link.ends[1], link);
      this.#links.set(64 * link.ends[1] + link.ends[0], link);
    }
  }

  /** Gives the site an address that nobody had; the one it had is dead. */
  move(site: number, family: 4 | 6): void {
    this.#assign(site, this.freshAddress(family), 51_820);
  }

  /** The same address, another port: what a NAT does that forgot the mapping. */
  rebind(site: number): void {
    const { address, port } = this.#sources[site];
    this.#assign(site, address, 1_024 + ((port + 7_919) % 60_000));
  }

  addressOf(site: number): Endpoint {
    return this.#sources[site];
  }

  /** Gives the site a second address, which stays. */
  giveSpare(site: number): void {
    const spare = new Endpoint(parseAddress(`198.51.${site}.2`)!, 51_820);
    this.#spares[site] = spare;
    this.#owners.set(addressName(spare), site);
  }

  spareOf(site: number): Endpoint | undefined {
    return this.#spares[site];
  }

  /** Nothing leaves from the address now, and nothing reaches it. */
  isDead(endpoint: Endpoint): boolean {
    return this.#active.some(({ trouble: { kind, place, end } }) => {
      if (kind !== 'wayDead') return false;
      const dead = end === 0 ? this.#sources[place] : this.#spares[place];
      return dead?.sameRemote(endpoint) ?? false;
    });
  }

  /** The sender of a datagram as its receiver knows it, with the address at which it was reached. */
  seen({ source, destination }: Flight): Endpoint {
    const isSpare = this.#spares.some((spare) => spare?.sameRemote(destination));
    if (!isSpare) return source;
    const views = this.#views.get(source) ?? new Map<string, Endpoint>();
    this.#views.set(source, views);
    const known = views.get(addressName(destination));
    // One that was told to forget its source is another one.
    if (known?.source) return known;
    const view = new Endpoint(source.address, source.port, 0, destination.address.slice());
    views.set(addressName(destination), view);
    return view;
  }

  /** The site that a datagram to this endpoint would reach; undefined for none. */
  ownerOf(endpoint: Endpoint): number | undefined {
    return this.#owners.get(addressName(endpoint));
  }

  linkBetween(a: number, b: number): LinkPlan | undefined {
    return this.#links.get(64 * a + b);
  }

  /** An address that nobody had, for a site or an attacker. */
  freshAddress(family: 4 | 6): Uint8Array {
    const n = ++this.#addressesGiven;
    const text =
      family === 4 ? `198.18.${(n >> 8) & 255}.${n & 255}` : `2001:db8:${n.toString(16)}::1`;
    return parseAddress(text)!;
  }

  begin(trouble: Trouble): void {
    this.#active.push({ trouble, random: this.#random.fork(`trouble ${trouble.number}`) });
    if (trouble.kind !== 'relay') return;
    const link = [...this.#links.values()].find(({ number }) => number === trouble.place)!;
    const appear = (end: 0 | 1) => {
      const endpoint = new Endpoint(this.freshAddress(4), 4_000 + end);
      this.#owners.set(addressName(endpoint), link.ends[end]);
      return endpoint;
    };
    this.#relays.set(link.number, [appear(0), appear(1)]);
  }

  end(trouble: Trouble): void {
    const at = this.#active.findIndex((one) => one.trouble === trouble);
    if (at >= 0) this.#active.splice(at, 1);
    if (trouble.kind !== 'relay') return;
    for (const endpoint of this.#relays.get(trouble.place) ?? [])
      this.#owners.delete(addressName(endpoint));
    this.#relays.delete(trouble.place);
  }

  /** A datagram leaves a site. */
  send(from: number, destination: Endpoint, bytes: Uint8Array, trafficClass: number): void {
    const spare = this.#spares[from];
    const isFromSpare = spare !== undefined && isAt(spare, destination.source);
    const source = isFromSpare ? spare : this.#sources[from];
    this.#launch({ from, source, destination, bytes, trafficClass, isAltered: false });
  }

  /** A datagram that no site has sent comes from anywhere, and always arrives. */
  inject(source: Endpoint, destination: Endpoint, bytes: Uint8Array): void {
    const forged = { from: NOBODY, source, destination, bytes, trafficClass: 0, isAltered: false };
    this.#launch(forged);
  }

  /** Every datagram is somewhere. */
  check(): void {
    const lost = [...this.losses.values()].reduce((sum, count) => sum + count, 0);
    const { sent, copies, arrived, flying } = this;
    hold('everyDatagramCounted', sent + copies === arrived + lost + flying, () => {
      return `sent ${sent} + copies ${copies} is not arrived ${arrived} + lost ${lost} + flying ${flying}`;
    });
  }

  #assign(site: number, address: Uint8Array, port: number): void {
    const old = this.#sources[site];
    if (old !== undefined) this.#owners.delete(addressName(old));
    const endpoint = new Endpoint(address, port);
    this.#sources[site] = endpoint;
    this.#owners.set(addressName(endpoint), site);
  }

  #launch(sent: Flight): void {
    this.sent++;
    const to = this.ownerOf(sent.destination);
    this.#host.note(sent, to ?? NOBODY, '');
    if (to === undefined) {
      this.#lose(sent, NOBODY, 'deadAddress');
      return;
    }
    if (this.isDead(sent.destination) || this.isDead(sent.source)) {
      this.#lose(sent, to, 'wayDead');
      return;
    }
    const link = this.#links.get(64 * sent.from + to);
    if (sent.from === NOBODY || link === undefined) {
      this.#fly(sent, to, 1);
      return;
    }
    let flight = sent;
    /** How much later they arrive. */
    const copies: number[] = [];
    const burst = this.#burstOf(link, sent.from);
    let delay = link.latencyMs * (1 + JITTER * burst.jitter);
    const relay = this.#relays.get(link.number);
    if (relay !== undefined)
      flight = { ...flight, source: relay[sent.from === link.ends[0] ? 0 : 1] };
    for (const { trouble, random } of this.#active) {
      const { kind, place, amount } = trouble;
      if (kind === 'partition') {
        if (place !== sent.from && place !== to) continue;
        this.#lose(flight, to, 'partition');
        return;
      }
      if (place !== link.number) continue;
      if (kind === 'oneWay' && sent.from === link.ends[trouble.end]) {
        this.#lose(flight, to, 'oneWay');
        return;
      }
      if (kind === 'stall') {
        // In the order in which they were sent, without the jitter.
        const heldMs = Math.max(0, trouble.from + trouble.duration - this.#host.now());
        delay = heldMs + link.latencyMs;
        continue;
      }
      if (kind === 'belated') {
        if (sent.from !== link.ends[trouble.end] || sent.bytes[0] !== DATA) continue;
        burst.belatedMs ??= random.chance(BELATED) ? random.between(BELATED_MIN_MS, amount) : 0;
        delay += burst.belatedMs;
        continue;
      }
      const strikes = random.chance(amount);
      if (kind === 'delay') delay += amount * random.fraction();
      if (!strikes) continue;
      if (kind === 'loss') {
        this.#lose(flight, to, 'loss');
        return;
      }
      // Half of them in the same moment: among those that come together.
      const isAtOnce = random.chance(0.5);
      if (kind === 'duplication') copies.push(isAtOnce ? 0 : COPY_MS * random.fraction());
      else if (kind === 'reordering' && isAtOnce) flight = { ...flight, isOvertaken: true };
      else if (kind === 'reordering') delay += REORDERING_MS * random.fraction();
      else flight = altered(flight, trouble, random);
      this.#host.note(flight, to, kind);
    }
    for (const bytes of this.#host.intrude(flight, to)) {
      const intruder = { ...flight, from: NOBODY, bytes, isOvertaken: false };
      this.sent++;
      this.#host.note(intruder, to, 'intrudes');
      this.#fly(intruder, to, delay);
    }
    this.#fly(flight, to, delay);
    this.copies += copies.length;
    for (const laterMs of copies) this.#fly(flight, to, delay + laterMs);
  }

  /** What leaves one site on a link at this moment. */
  #burstOf(link: LinkPlan, from: number): Burst {
    const direction = 2 * link.number + (from === link.ends[0] ? 0 : 1);
    const at = this.#host.now();
    let burst = this.#bursts.get(direction);
    if (burst?.at !== at) {
      burst = { at, jitter: this.#jitterOf(link).fraction(), belatedMs: null };
      this.#bursts.set(direction, burst);
    }
    return burst;
  }

  /** A link's own, so that it draws the same whatever happens on others. */
  #jitterOf({ number }: LinkPlan): Random {
    let random = this.#jitters.get(number);
    if (random === undefined) {
      random = this.#random.fork(`link ${number}`);
      this.#jitters.set(number, random);
    }
    return random;
  }

  #fly(flight: Flight, to: number, delayMs: number): void {
    this.flying++;
    this.#host.later(delayMs, () => {
      // It may have moved away meanwhile.
      const owner = this.ownerOf(flight.destination);
      if (owner !== undefined) {
        this.#gather(owner, flight);
        return;
      }
      this.flying--;
      this.#lose(flight, to, 'deadAddress');
    });
  }

  /** Hands it over once all is there that arrives at this moment. */
  #gather(site: number, flight: Flight): void {
    const gathered = this.#arriving.get(site);
    if (gathered !== undefined) {
      gathered.push(flight);
      return;
    }
    this.#arriving.set(site, [flight]);
    this.#host.later(0, () => {
      const flights = this.#arriving.get(site)!;
      this.#arriving.delete(site);
      overtake(flights);
      this.flying -= flights.length;
      if (this.#host.arrive(site, flights)) this.arrived += flights.length;
      else for (const one of flights) this.#lose(one, site, 'siteOff');
    });
  }

  #lose(flight: Flight, to: number, cause: Loss): void {
    this.losses.set(cause, (this.losses.get(cause) ?? 0) + 1);
    this.#host.note(flight, to, `lost by ${cause}`);
  }
}

/** Corruption, truncation and congestion; other kinds leave the datagram as it is. */
function altered(flight: Flight, { kind }: Trouble, random: Random): Flight {
  if (kind === 'congestion') return { ...flight, trafficClass: flight.trafficClass | 3 };
  if (kind === 'truncation') {
    const length = random.below(flight.bytes.length);
    return { ...flight, bytes: flight.bytes.slice(0, length), isAltered: true };
  }
  if (kind !== 'corruption') return flight;
  return { ...flight, bytes: withBitFlipped(flight.bytes, random), isAltered: true };
}

/** Each that is overtaken changes places with the next. */
function overtake(flights: Flight[]): void {
  for (let i = 0; i + 1 < flights.length; i++) {
    if (flights[i].isOvertaken !== true) continue;
    [flights[i], flights[i + 1]] = [flights[i + 1], flights[i]];
    i++;
  }
}

export function withBitFlipped(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  copy[random.below(copy.length)] ^= 1 << random.below(8);
  return copy;
}

function isAt({ address }: Endpoint, source: Uint8Array | null): boolean {
  return source !== null && sameBytes(address, source);
}

const names = new WeakMap<Endpoint, string>();

/** Address and port as a key of a Map. */
export function addressName(endpoint: Endpoint): string {
  let name = names.get(endpoint);
  if (name === undefined) {
    name = String.fromCharCode(endpoint.port, ...endpoint.address);
    names.set(endpoint, name);
  }
  return name;
}
