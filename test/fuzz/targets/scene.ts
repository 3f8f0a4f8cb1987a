/**
 * What surrounds the Device of the messages target: a friend and a second peer with whom it has live
 * sessions (with the second a preshared key, too), and a third that it is calling. Everything follows
 * from the seed, so that two scenes of one seed that are given the same say the same.
 */

import { Arena } from '../../../src/arena.ts';
import { createOpensslSuite } from '../../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../../src/crypto/portable.ts';
import type { CryptoSuite } from '../../../src/crypto/suite.ts';
import { Endpoint } from '../../../src/device/endpoint.ts';
import { remoteId } from '../../../src/device/send.ts';
import { CookieMaker } from '../../../src/noise/cookie.ts';
import { Handshake } from '../../../src/noise/handshake.ts';
import { COOKIE_REPLY_BYTES, INITIATION_BYTES } from '../../../src/noise/messages.ts';
import { A_TO_B, ipv4, ipv6 } from '../../device/world.ts';
import { CAPTURED } from '../../noise/captured.ts';
import { seeded, unhex } from '../../noise/parties.ts';
import { tallyEnds, total } from './ends.ts';
import { type Clock, connect, Party } from './party.ts';

/** Longer than a session lives. */
const EPOCH_MS = 3_600_000;
/** After what was due has been done, until the peers may begin anew. */
const PAUSE_MS = 10_000;
const STRANGERS = 32;
/** Epochs of each 32 in which the interface is down, and in which the Device has no private key. */
const [EPOCHS, DOWN, KEYLESS] = [32, 6, 7];

/** What the peers send the Device. */
export const PACKETS: readonly Uint8Array[] = [
  ipv4('10.1.0.5', '10.0.0.5', 28, 1),
  ipv4('10.2.0.5', '10.0.0.5', 480, 2),
  ipv6('fd01::5', 'fd00::5', 60, 3),
  A_TO_B(4),
  ipv4('10.1.0.6', '10.0.0.5', 0, 5),
  new Uint8Array(0),
];

const CAPTURED_MESSAGES = CAPTURED.flatMap((one) =>
  [one.initiation, one.response, one.fromInitiator?.message, one.fromResponder?.message].flatMap(
    (text) => (text === undefined ? [] : unhex(text)),
  ),
);

/** The memory and the cryptography of a scene. */
export interface Room {
  readonly subject: Arena;
  readonly others: Arena;
  readonly suite: CryptoSuite;
  readonly otherSuite: CryptoSuite;
}

export function createRoom(): Room {
  const [subject, others] = [new Arena(1 << 18), new Arena(1 << 18)];
  const suiteOf = (arena: Arena) => createOpensslSuite(arena) ?? createPortableSuite(arena);
  return { subject, others, suite: suiteOf(subject), otherSuite: suiteOf(others) };
}

export class Scene {
  readonly clock: Clock = { now: 0 };
  readonly subject: Party;
  readonly friend: Party;
  readonly second: Party;
  readonly third: Party;
  /** The peers' own, and others of both families. */
  readonly endpoints: readonly Endpoint[];
  /** With their cookies, in epochs that begin under load. */
  makers: CookieMaker[] = [];
  /** What real peers have on the wire in this epoch. */
  wire: Uint8Array[] = [];
  /** Messages that came while an epoch began. */
  others = 0;
  readonly suite: CryptoSuite;
  readonly #seed: number;
  readonly #random: (out: Uint8Array) => void;
  #source: (out: Uint8Array) => void;

  /** Takes the room for itself: whoever had it before is done. */
  constructor(seed: number, { subject, others, suite, otherSuite }: Room) {
    subject.reset();
    others.reset();
    this.#seed = seed;
    this.suite = otherSuite;
    this.#source = seeded(seed + 1);
    this.#random = (out) => this.#source(out);
    const party = (arena: Arena, its: CryptoSuite, number: number) =>
      new Party(arena, its, this.clock, this.#random, number);
    this.subject = party(subject, suite, 1);
    this.friend = party(others, otherSuite, 2);
    this.second = party(others, otherSuite, 3);
    this.third = party(others, otherSuite, 4);
    const secret = new Uint8Array(32).fill(7);
    this.subject.meet(this.friend, '10.1.0.0/16');
    this.subject.meet(this.friend, 'fd01::/16');
    this.subject.meet(this.second, '10.2.0.0/16', secret);
    this.subject.meet(this.third, '10.3.0.0/16');
    this.friend.meet(this.subject, '10.0.0.0/16');
    this.second.meet(this.subject, '10.0.0.0/16', secret);
    this.third.meet(this.subject, '10.0.0.0/16');
    this.endpoints = endpointsOf([this.friend, this.second, this.third]);
  }

  begin(epoch: number): void {
    this.clock.now = (epoch + 1) * EPOCH_MS;
    this.#source = seeded(this.#seed ^ Math.imul(epoch + 1, 0x9e3779b1));
    const { subject } = this;
    const { now } = this.clock;
    subject.device.configure(now, { privateKey: subject.privateKey, peers: [] });
    subject.device.up(now);
    const before = total(tallyEnds(subject));
    for (const party of [subject, this.friend, this.second, this.third]) party.settle();
    this.clock.now += PAUSE_MS;
    // To the third peer: what is due by now, or else what a first packet sets off.
    const initiations = [...subject.settle(), ...subject.send(ipv4('10.0.0.5', '10.3.0.5'))];
    connect(this.friend, subject, ipv4('10.1.0.5', '10.0.0.5'));
    connect(this.second, subject, ipv4('10.2.0.5', '10.0.0.5'));
    this.wire = this.#realMessages(initiations);
    this.others += total(tallyEnds(subject)) - before;
    this.makers = epoch % 2 === 0 ? [] : this.#giveCookies();
    if (epoch % EPOCHS === DOWN) subject.device.down();
    if (epoch % EPOCHS === KEYLESS) {
      subject.device.configure(now, { privateKey: new Uint8Array(32), peers: [] });
    }
  }

  wallClock(): number {
    return Date.UTC(2026, 0, 1) + this.clock.now + 60_000;
  }

  /** Of every kind at least one that the Device would take now, and some made for others. */
  #realMessages(initiations: readonly Uint8Array[]): Uint8Array[] {
    const { subject, friend, second, third } = this;
    const data = PACKETS.flatMap((packet) => [...friend.send(packet), ...second.send(packet)]);
    const responses = third.receive(initiations, subject.endpoint);
    const cookies = initiations.map((initiation) => {
      const cookie = new Uint8Array(COOKIE_REPLY_BYTES);
      const { cookieChecker } = third.device.core;
      cookieChecker.createReply(cookie, initiation, this.clock.now, new Uint8Array(6));
      return cookie;
    });
    const fresh = new Uint8Array(INITIATION_BYTES);
    const identity = { privateKey: friend.privateKey, publicKey: friend.publicKey };
    const handshake = new Handshake(this.suite, identity, subject.publicKey);
    handshake.createInitiation(fresh, 77, this.wallClock(), this.#random);
    new CookieMaker(subject.publicKey).addMacs(fresh, this.clock.now);
    return [...data, ...responses, ...cookies, fresh, ...CAPTURED_MESSAGES, ...initiations];
  }

  /** One for each endpoint, as a Device under load hands them out. */
  #giveCookies(): CookieMaker[] {
    return this.endpoints.map((endpoint) => {
      const maker = new CookieMaker(this.subject.publicKey);
      const message = new Uint8Array(INITIATION_BYTES);
      const reply = new Uint8Array(COOKIE_REPLY_BYTES);
      maker.addMacs(message, this.clock.now);
      const { cookieChecker } = this.subject.device.core;
      cookieChecker.createReply(reply, message, this.clock.now, remoteId(endpoint));
      maker.consumeReply(reply, this.clock.now);
      return maker;
    });
  }
}

function endpointsOf(parties: readonly Party[]): Endpoint[] {
  const strangers = Array.from({ length: STRANGERS }, (_, i) => {
    const address = i % 2 === 0 ? Uint8Array.of(203, 0, 113, i) : new Uint8Array(16).fill(i);
    return new Endpoint(address, 1024 + i);
  });
  return [...parties.map(({ endpoint }) => endpoint), ...strangers];
}
