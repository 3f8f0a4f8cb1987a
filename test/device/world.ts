/**
 * Devices on a virtual clock and a virtual network, for tests of the rules of whitepaper 6. Each
 * site has an arena and an address of its own; datagrams arrive after `latencyMs` unless the
 * world's `filter` keeps them.
 */

import { Arena, HEADROOM_BYTES, TAILROOM_BYTES } from '../../src/arena.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import type { DeviceChange, PeerChange } from '../../src/device/configuration.ts';
import { Device } from '../../src/device/device.ts';
import type { Doorkeeper } from '../../src/device/doorkeeper.ts';
import { Endpoint, type SendFailure } from '../../src/device/endpoint.ts';
import type { DeviceEvent } from '../../src/device/events.ts';
import { parseAddress, parsePrefix } from '../../src/packet/address.ts';

export interface Datagram {
  readonly from: Site;
  /** Of the sender's addresses the one that it left from. */
  readonly source: Endpoint;
  readonly endpoint: Endpoint;
  readonly bytes: Uint8Array;
  readonly trafficClass: number;
  readonly at: number;
}

export class World {
  now = 0;
  latencyMs = 1;
  wallStart = Date.UTC(2026, 0, 1);
  readonly sites: Site[] = [];
  /** Everything ever transmitted, in order. */
  readonly wire: Datagram[] = [];
  /** false loses the datagram. */
  filter: (datagram: Datagram) => boolean = () => true;
  #flying: Datagram[] = [];
  #seed: number;

  constructor(seed = 1) {
    this.#seed = seed;
  }

  /** xorshift32: deterministic, so that a failing test fails again. */
  random = (out: Uint8Array): void => {
    for (let i = 0; i < out.length; i++) {
      this.#seed ^= this.#seed << 13;
      this.#seed ^= this.#seed >>> 17;
      this.#seed ^= this.#seed << 5;
      out[i] = this.#seed & 0xff;
    }
  };

  site(address: string, port = 51820): Site {
    const site = new Site(this, address, port);
    this.sites.push(site);
    return site;
  }

  post(datagram: Datagram): void {
    this.wire.push(datagram);
    if (this.filter(datagram)) this.#flying.push(datagram);
  }

  /** Puts bytes on the wire as if `from` had sent them: forgeries and replays. */
  inject(from: Site, to: Site, bytes: Uint8Array): void {
    const { endpoint: source } = from;
    this.#flying.push({
      from,
      source,
      endpoint: to.endpoint,
      bytes,
      trafficClass: 0,
      at: this.now,
    });
  }

  /** Lets `ms` of time pass. */
  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const arrival = Math.min(...this.#flying.map((d) => d.at + this.latencyMs), Infinity);
      const timeout = Math.min(...this.sites.map((s) => s.device.nextTimeout()), Infinity);
      const next = Math.max(this.now, Math.min(arrival, timeout));
      if (next > end) break;
      this.now = next;
      const arrived = this.#flying.filter((d) => d.at + this.latencyMs <= this.now);
      this.#flying = this.#flying.filter((d) => d.at + this.latencyMs > this.now);
      for (const datagram of arrived) {
        const to = this.sites.find((s) => s.linkOf(datagram.endpoint) > 0);
        to?.receive(datagram);
      }
      for (const site of this.sites)
        if (site.device.nextTimeout() <= this.now)
          site.turn(() => site.device.handleTimeout(this.now));
    }
    this.now = end;
  }
}

export class Site {
  readonly world: World;
  readonly arena = new Arena(1 << 20);
  readonly device: Device;
  readonly privateKey = new Uint8Array(32);
  readonly publicKey: Uint8Array;
  /** Where it sends from; assign to roam. */
  endpoint: Endpoint;
  /** Further addresses that it has, each on a link of its own, as `endpoint` has the first. */
  readonly others: Endpoint[] = [];
  readonly #seen = new Map<string, Endpoint>();
  /** Host names that its Device has asked for and that were not answered. */
  readonly asked: string[] = [];
  isReachable: (endpoint: Endpoint) => boolean = () => true;
  /** Of interfaces, by name. */
  readonly interfaces = new Map<string, number>();
  delivered: Uint8Array[] = [];
  readonly events: DeviceEvent[] = [];
  readonly door = new GuestList();
  wallOffset = 0;
  /** The routes of the site's machine. */
  leadsInside: (endpoint: Endpoint) => boolean = () => false;
  failureTo: (endpoint: Endpoint) => SendFailure | null = () => null;

  constructor(world: World, address: string, port: number) {
    this.world = world;
    this.endpoint = new Endpoint(parseAddress(address)!, port);
    world.random(this.privateKey);
    const suite = createPortableSuite(this.arena);
    this.publicKey = suite.publicKey(this.privateKey);
    this.device = new Device({
      arena: this.arena,
      suite,
      random: world.random,
      wallClock: () => world.wallStart + Math.floor(world.now) + this.wallOffset,
      outlet: {
        transmit: (offset, length, endpoint, trafficClass) =>
          world.post({
            from: this,
            source: this.#sourceOf(endpoint),
            endpoint,
            bytes: this.arena.bytes.slice(offset, offset + length),
            trafficClass,
            at: world.now,
          }),
        deliver: (offset, length) => {
          // The room before a packet is the outlet's, as a frame's header uses it.
          this.arena.bytes.fill(0xdd, offset - HEADROOM_BYTES, offset);
          this.delivered.push(this.arena.bytes.slice(offset, offset + length));
        },
      },
      lead: (endpoint) => {
        if (this.leadsInside(endpoint)) return 'inside';
        return this.isReachable(endpoint) ? 'out' : 'nowhere';
      },
      failureTo: (endpoint) => this.failureTo(endpoint),
      interfaceIndex: (name) => this.interfaces.get(name) ?? 0,
      nameService: { lookUp: (host) => this.asked.push(host) },
    });
    this.device.setDoorkeeper(this.door);
    this.device.observe((event) => this.events.push(event));
    this.configure({ privateKey: this.privateKey });
    this.device.up(world.now);
  }

  turn(work: () => void): void {
    work();
    this.arena.reset();
  }

  configure(change: Partial<DeviceChange>): void {
    this.turn(() => this.device.configure(this.world.now, { peers: [], ...change }));
  }

  peer(site: Site, allowedIps: string[], change: Partial<PeerChange> = {}): void {
    this.configure({
      peers: [
        {
          publicKey: site.publicKey,
          endpoint: new Endpoint(site.endpoint.address, site.endpoint.port),
          allowedIps: allowedIps.map((text) => ({ prefix: parsePrefix(text)!, remove: false })),
          ...change,
        },
      ],
    });
  }

  send(packet: Uint8Array): void {
    const slot = this.arena.allocate(HEADROOM_BYTES + packet.length + TAILROOM_BYTES);
    const offset = slot + HEADROOM_BYTES;
    this.arena.bytes.set(packet, offset);
    this.turn(() => this.device.sendPacket(this.world.now, offset, packet.length));
  }

  receive(datagram: Datagram): void {
    const offset = this.arena.allocate(datagram.bytes.length);
    this.arena.bytes.set(datagram.bytes, offset);
    this.turn(() =>
      this.device.receiveDatagram(
        this.world.now,
        offset,
        datagram.bytes.length,
        this.#seenAs(datagram),
        datagram.trafficClass,
      ),
    );
  }

  /** Gives it another address; on the link of the number after the last one's. */
  another(address: string): Endpoint {
    const endpoint = new Endpoint(parseAddress(address)!, this.endpoint.port);
    this.others.push(endpoint);
    return endpoint;
  }

  /** The number of the link, from 1, on which it has the address; 0 when it has not. */
  linkOf(endpoint: Endpoint): number {
    return [this.endpoint, ...this.others].findIndex((own) => own.sameRemote(endpoint)) + 1;
  }

  /** The near end of a datagram, as the system would choose it. */
  #sourceOf({ source, sourceInterface }: Endpoint): Endpoint {
    const own = [this.endpoint, ...this.others];
    const said = source === null ? null : new Endpoint(source, this.endpoint.port);
    const pinned = own.find((one) => said?.sameRemote(one));
    return pinned ?? (source === null ? own[sourceInterface - 1] : undefined) ?? this.endpoint;
  }

  /** The same object for the same two ends, as a transport has it. */
  #seenAs({ from, source, endpoint }: Datagram): Endpoint {
    if (from.others.length + this.others.length === 0) return from.endpoint;
    const { address, port } = source;
    const link = this.linkOf(endpoint);
    const key = `${address.join('.')}:${port}:${link}`;
    const seen = this.#seen.get(key);
    // Told to forget its source, it is another one.
    if (seen?.source) return seen;
    const fresh = new Endpoint(address, port, 0, endpoint.address.slice(), link);
    this.#seen.set(key, fresh);
    return fresh;
  }

  /** The name service answers a question that was asked, with addresses or an error. */
  answer(host: string, ...said: string[]): void {
    const place = this.asked.indexOf(host);
    if (place < 0) throw new Error(`${host}: nobody has asked for it`);
    this.asked.splice(place, 1);
    const isError = said[0]?.startsWith('EAI_') ?? false;
    const answer = isError
      ? { error: said[0] }
      : { addresses: said.map((one) => parseAddress(one)!) };
    this.turn(() => this.device.nameAnswered(this.world.now, host, answer));
  }

  /** Messages this site has put on the wire, by type: 1 initiation, 2 response, 3 cookie, 4 data. */
  sent(type: number, since = Number.NEGATIVE_INFINITY): Datagram[] {
    return this.world.wire.filter((d) => d.from === this && d.bytes[0] === type && d.at >= since);
  }

  /** The record of a peer inside the Device. */
  record(site: Site) {
    return [...this.device.core.peers.values()].find((p) =>
      p.publicKey.every((byte, i) => byte === site.publicKey[i]),
    )!;
  }
}

/** Whom a Device expects to hear from; what it forgets without having expected it is an error. */
export class GuestList implements Doorkeeper {
  readonly indices: number[] = [];
  /** As `address:port`, one for each peer that is there. */
  readonly places: string[] = [];

  expectIndex(index: number): void {
    this.indices.push(index);
  }

  forgetIndex(index: number): void {
    this.indices.splice(found(this.indices.indexOf(index)), 1);
  }

  expectPlace({ address, port }: Endpoint): void {
    this.places.push(`${address.join('.')}:${port}`);
  }

  forgetPlace({ address, port }: Endpoint): void {
    this.places.splice(found(this.places.indexOf(`${address.join('.')}:${port}`)), 1);
  }
}

function found(place: number): number {
  if (place < 0) throw new Error('guest list: forgets whom it did not expect');
  return place;
}

/** An IPv4 UDP-ish packet with a number in its payload. Header checksum is not filled in. */
export function ipv4(source: string, destination: string, payload = 28, tag = 0): Uint8Array {
  const packet = new Uint8Array(20 + payload);
  packet[0] = 0x45;
  packet[2] = packet.length >> 8;
  packet[3] = packet.length & 0xff;
  packet[8] = 64;
  packet[9] = 253;
  packet.set(parseAddress(source)!, 12);
  packet.set(parseAddress(destination)!, 16);
  if (payload >= 4) new DataView(packet.buffer).setUint32(20, tag);
  return packet;
}

export function ipv6(source: string, destination: string, payload = 28, tag = 0): Uint8Array {
  const packet = new Uint8Array(40 + payload);
  packet[0] = 0x60;
  packet[4] = payload >> 8;
  packet[5] = payload & 0xff;
  packet[6] = 253;
  packet[7] = 64;
  packet.set(parseAddress(source)!, 8);
  packet.set(parseAddress(destination)!, 24);
  if (payload >= 4) new DataView(packet.buffer).setUint32(40, tag);
  return packet;
}

/** Two sites that know each other: A 192.0.2.1 with 10.0.0.0/24, B 192.0.2.2 with 10.20.0.0/24. */
export function pair(seed = 1): { world: World; a: Site; b: Site } {
  const world = new World(seed);
  const a = world.site('192.0.2.1');
  const b = world.site('192.0.2.2');
  a.peer(b, ['10.20.0.0/24', 'fd20::/64']);
  b.peer(a, ['10.0.0.0/24', 'fd00::/64']);
  return { world, a, b };
}

export const A_TO_B = (tag = 0) => ipv4('10.0.0.5', '10.20.0.5', 28, tag);
export const B_TO_A = (tag = 0) => ipv4('10.20.0.5', '10.0.0.5', 28, tag);
