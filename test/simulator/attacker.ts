/**
 * Somebody on the path who sees every datagram, knows every public key and no private one: repeats,
 * alters and forges messages of all kinds, and floods. What it repeats has been taken by its
 * receiver before; so nothing it sends is ever authentic, and nobody may answer it but with a cookie.
 * It may also travel along with the datagrams of a site, so that its own stand in the midst of them.
 */

import type { CryptoSuite } from '../../src/crypto/suite.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import type { Peer } from '../../src/device/peer.ts';
import { CookieMaker } from '../../src/noise/cookie.ts';
import { Handshake } from '../../src/noise/handshake.ts';
import {
  COOKIE_REPLY,
  COOKIE_REPLY_BYTES,
  COOKIE_REPLY_RECEIVER,
  DATA,
  DATA_COUNTER,
  DATA_RECEIVER,
  INITIATION,
  INITIATION_BYTES,
  INITIATION_EPHEMERAL,
  INITIATION_SENDER,
  INITIATION_STATIC,
  RESPONSE,
  RESPONSE_BYTES,
  RESPONSE_RECEIVER,
  readUint32,
  writeUint32,
} from '../../src/noise/messages.ts';
import { addressName, type Flight, type Network, NOBODY, withBitFlipped } from './network.ts';
import type { Random } from './random.ts';
import type { Trouble, TroubleKind } from './scenario.ts';
import type { Site } from './site.ts';

/** Datagrams that are repeated in a row, at most. */
const REPEATED_MAX = 3;
/** What is cut off a datagram that travels along: the last of those that come together is shorter. */
const CUT_BYTES = 16;

/** A message that its receiver has taken. */
interface Recorded {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  /** The receiver's record of the sender, for an initiation: a new one knows no timestamp (Site.originOf). */
  readonly peer: Peer | null;
}

export interface AttackerHost {
  readonly sites: readonly Site[];
  readonly network: Network;
  readonly suite: CryptoSuite;
  now(): number;
  later(delayMs: number, action: () => void): void;
  /** The target may have to answer something in the name of another site. */
  provoke(from: number, target: Site): void;
}

const RECORDED_PER_SITE = 96;
/** Load is held for a second after the queue was that full. */
const LOAD_EVERY_MS = 900;
const FLOOD_EVERY_MS = 400;
const THEFT_EVERY_MS = 500;
const COUNTER_BEYOND_LIMIT = 0x20_0000;

export class Attacker {
  readonly #host: AttackerHost;
  readonly #random: Random;
  readonly #recorded = new Map<number, Recorded[]>();
  /** Indices seen of handshakes under way and of sessions, by the site whose they are. */
  readonly #handshakeIndices = new Map<number, number>();
  readonly #sessionIndices = new Map<number, number>();
  /** Addresses from which nothing authentic ever comes. */
  readonly #addresses = new Set<string>();
  /** The links on which we travel along. */
  readonly #intrusions: { readonly trouble: Trouble; readonly random: Random }[] = [];
  /** Who waits for cookies at an address of ours. */
  readonly #thieves = new Map<string, CookieMaker>();

  constructor(host: AttackerHost, random: Random) {
    this.#host = host;
    this.#random = random;
  }

  isOurs(endpoint: Endpoint): boolean {
    return this.#addresses.has(addressName(endpoint));
  }

  /** A datagram left a site; we see it fly. */
  see(flight: Flight, to: number): void {
    if (flight.bytes[0] === INITIATION)
      this.#handshakeIndices.set(flight.from, readUint32(flight.bytes, INITIATION_SENDER));
    else if (flight.bytes[0] === DATA)
      this.#sessionIndices.set(to, readUint32(flight.bytes, DATA_RECEIVER));
  }

  /** The receiver took the datagram: it will not take it again. */
  record(flight: Flight, to: Site): void {
    if (flight.from === NOBODY || flight.isAltered) return;
    const isInitiation = flight.bytes[0] === INITIATION;
    const peer = isInitiation ? originOf(to, flight.from) : null;
    let list = this.#recorded.get(to.number);
    if (list === undefined) {
      list = [];
      this.#recorded.set(to.number, list);
    }
    list.push({ bytes: flight.bytes, from: flight.from, to: to.number, peer });
    if (list.length > RECORDED_PER_SITE) list.splice(0, RECORDED_PER_SITE / 2);
  }

  /** A datagram reached one of our addresses: of use only if it is a cookie. */
  receive(destination: Endpoint, bytes: Uint8Array): void {
    if (bytes[0] !== COOKIE_REPLY) return;
    this.#thieves.get(addressName(destination))?.consumeReply(bytes, this.#host.now());
  }

  /** Begins what the trouble says; it ends by itself. */
  strike(trouble: Trouble): void {
    const random = this.#random.fork(`trouble ${trouble.number}`);
    const target = this.#host.sites[trouble.place];
    const source = this.#freshSource(random);
    const { amount } = trouble;
    const burst = () => this.#burst(random, target, source, amount);
    const attacks: Partial<Record<TroubleKind, () => void>> = {
      garbage: () => this.#spread(trouble, random, () => this.#garbage(random, target, source)),
      replay: () =>
        this.#spread(trouble, random, () => this.#replay(random, target, source, false)),
      tampering: () =>
        this.#spread(trouble, random, () => this.#replay(random, target, source, true)),
      forgery: () => this.#spread(trouble, random, () => this.#forge(random, target, source)),
      stranger: () =>
        this.#spread(trouble, random, () => this.#callAsStranger(random, target, source)),
      cookieLoad: () => this.#repeat(trouble, LOAD_EVERY_MS, burst),
      flood: () => this.#repeat(trouble, FLOOD_EVERY_MS, burst),
      cookieTheft: () => this.#steal(trouble, random, target, source),
    };
    attacks[trouble.kind]!();
  }

  /** Until `leave` something of ours goes along with datagrams of the link. */
  join(trouble: Trouble): void {
    this.#intrusions.push({ trouble, random: this.#random.fork(`trouble ${trouble.number}`) });
  }

  leave(trouble: Trouble): void {
    const at = this.#intrusions.findIndex((one) => one.trouble === trouble);
    if (at >= 0) this.#intrusions.splice(at, 1);
  }

  /** What goes right before this datagram, and is taken for its sender's by who looks at headers. */
  intrude({ bytes, from }: Flight, to: number, link: number): Uint8Array[] {
    if (bytes[0] !== DATA) return [];
    return this.#intrusions.flatMap(({ trouble, random }) => {
      if (trouble.place !== link || !random.chance(trouble.amount)) return [];
      const kind = random.weighted({ flipped: 2, misdirected: 2, repeated: 3, cut: 1 });
      if (kind === 'repeated') return this.#repeated(random, bytes.length, from, to);
      if (kind === 'cut') return [bytes.slice(0, Math.max(1, bytes.length - CUT_BYTES))];
      if (kind === 'flipped') return [withBitFlipped(bytes, random)];
      // For another session of whoever it may be: right in all but its index.
      const other = bytes.slice();
      const index = random.pick([...this.#sessionIndices.values(), 0]);
      const own = readUint32(bytes, DATA_RECEIVER);
      writeUint32(other, DATA_RECEIVER, index === own ? (own ^ 1) >>> 0 : index);
      return [other];
    });
  }

  /** Some in a row that the receiver has taken, of this length. */
  #repeated(random: Random, length: number, from: number, to: number): Uint8Array[] {
    const taken = (this.#recorded.get(to) ?? []).filter(
      (one) => one.from === from && one.bytes[0] === DATA && one.bytes.length === length,
    );
    const start = random.below(Math.max(1, taken.length));
    return taken.slice(start, start + 1 + random.below(REPEATED_MAX)).map(({ bytes }) => bytes);
  }

  #freshSource(random: Random): Endpoint {
    const { network } = this.#host;
    const endpoint = new Endpoint(
      network.freshAddress(random.chance(0.5) ? 4 : 6),
      1 + random.below(65_535),
    );
    this.#addresses.add(addressName(endpoint));
    return endpoint;
  }

  /** `amount` times within the trouble's duration. */
  #spread(trouble: Trouble, random: Random, act: () => void): void {
    for (let i = 0; i < trouble.amount; i++)
      this.#host.later(random.between(0, trouble.duration), act);
  }

  #repeat(trouble: Trouble, everyMs: number, act: () => void): void {
    for (let at = 0; at <= trouble.duration; at += everyMs) this.#host.later(at, act);
  }

  #inject(source: Endpoint, target: Site, bytes: Uint8Array): void {
    const { network } = this.#host;
    network.inject(source, network.addressOf(target.number), bytes);
  }

  /** Noise, often with the beginning of a message. */
  #garbage(random: Random, target: Site, source: Endpoint): void {
    const lengths = [0, 1, 31, 32, 48, 64, 92, 148, 149, random.below(1_500)];
    const bytes = new Uint8Array(random.pick(lengths));
    random.fill(bytes);
    if (random.chance(0.7) && bytes.length >= 4) writeUint32(bytes, 0, random.below(6));
    this.#inject(source, target, bytes);
  }

  /** A message again: to its receiver or to another, from our address or in its sender's name. */
  #replay(random: Random, target: Site, source: Endpoint, isTampered: boolean): void {
    const isMisdirected = random.chance(0.1);
    const from = isMisdirected ? random.pick(this.#host.sites).number : target.number;
    const list = this.#recorded.get(from) ?? [];
    // Mostly the newest: the last initiation, the last packets.
    const back = random.chance(0.5) ? 1 + random.below(4) : 1 + random.below(RECORDED_PER_SITE);
    const recorded = list[list.length - back];
    const isSpoofed = random.chance(0.3);
    if (recorded === undefined) return;
    const isForgotten = recorded.peer !== null && originOf(target, recorded.from) !== recorded.peer;
    const name = this.#host.network.addressOf(recorded.from);
    // A receiver that was started anew takes an old initiation, and answers it (whitepaper 5.1).
    if (isForgotten) this.#host.provoke(recorded.from, target);
    const bytes = isTampered ? withBitFlipped(recorded.bytes, random) : recorded.bytes;
    this.#inject(isSpoofed || isForgotten ? name : source, target, bytes);
  }

  #forge(random: Random, target: Site, source: Endpoint): void {
    const kind = random.weighted({ initiation: 2, degenerate: 1, response: 3, cookie: 2, data: 3 });
    if (kind === 'initiation' || kind === 'degenerate') {
      const bytes = this.#forgedInitiation(random);
      if (kind === 'degenerate') bytes.fill(0, INITIATION_EPHEMERAL, INITIATION_STATIC);
      new CookieMaker(target.publicKey).addMacs(bytes, this.#host.now());
      this.#inject(source, target, bytes);
      return;
    }
    const indices = random.chance(0.6) ? this.#handshakeIndices : this.#sessionIndices;
    const index = indices.get(target.number) ?? random.below(2 ** 32);
    if (kind === 'response') {
      const bytes = this.#noise(random, RESPONSE, RESPONSE_BYTES);
      writeUint32(bytes, RESPONSE_RECEIVER, index);
      new CookieMaker(target.publicKey).addMacs(bytes, this.#host.now());
      this.#inject(source, target, bytes);
    } else if (kind === 'cookie') {
      const bytes = this.#noise(random, COOKIE_REPLY, COOKIE_REPLY_BYTES);
      writeUint32(bytes, COOKIE_REPLY_RECEIVER, index);
      this.#inject(source, target, bytes);
    } else {
      const bytes = this.#noise(random, DATA, 32 + 16 * random.below(8));
      writeUint32(bytes, DATA_RECEIVER, this.#sessionIndices.get(target.number) ?? index);
      writeUint32(bytes, DATA_COUNTER, random.below(100));
      writeUint32(bytes, DATA_COUNTER + 4, random.chance(0.2) ? COUNTER_BEYOND_LIMIT : 0);
      this.#inject(source, target, bytes);
    }
  }

  /** A correct handshake by a key that is nobody's peer. */
  #callAsStranger(random: Random, target: Site, source: Endpoint): void {
    const { suite } = this.#host;
    const privateKey = new Uint8Array(32);
    random.fill(privateKey);
    const identity = { privateKey, publicKey: new Uint8Array(suite.publicKey(privateKey)) };
    const bytes = new Uint8Array(INITIATION_BYTES);
    const handshake = new Handshake(suite, identity, target.publicKey);
    handshake.createInitiation(bytes, 1 + random.below(2 ** 31), target.wallClock(), random.fill);
    new CookieMaker(target.publicKey).addMacs(bytes, this.#host.now());
    this.#inject(source, target, bytes);
  }

  #burst(random: Random, target: Site, source: Endpoint, count: number): void {
    const maker = new CookieMaker(target.publicKey);
    for (let i = 0; i < count; i++) {
      const bytes = this.#forgedInitiation(random);
      maker.addMacs(bytes, this.#host.now());
      this.#inject(source, target, bytes);
    }
  }

  /** Puts the target under load, takes a cookie, and uses it too often and under other addresses. */
  #steal(trouble: Trouble, random: Random, target: Site, source: Endpoint): void {
    const maker = new CookieMaker(target.publicKey);
    this.#thieves.set(addressName(source), maker);
    this.#repeat(trouble, THEFT_EVERY_MS, () => {
      this.#burst(random, target, source, trouble.amount);
      // Places that never had a cookie, one of them another port of the same address. The last goes
      // out under our own: a cookie reply can be opened for the newest message only.
      const port = 1 + random.below(65_535);
      const elsewhere = [this.#freshSource(random), new Endpoint(source.address, port)];
      for (const endpoint of elsewhere) this.#addresses.add(addressName(endpoint));
      for (const one of [...elsewhere, ...Array<Endpoint>(12).fill(source)]) {
        const bytes = this.#forgedInitiation(random);
        maker.addMacs(bytes, this.#host.now());
        this.#inject(one, target, bytes);
      }
    });
  }

  #forgedInitiation(random: Random): Uint8Array {
    return this.#noise(random, INITIATION, INITIATION_BYTES);
  }

  #noise(random: Random, type: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    random.fill(bytes);
    writeUint32(bytes, 0, type);
    return bytes;
  }
}

function originOf(at: Site, number: number): Peer | null {
  const peer = at.record(number);
  return peer === undefined ? null : at.originOf(peer);
}
