/**
 * All four messages through Device.receiveDatagram. The Device has a live session with a friend,
 * another with a second peer (and a preshared key between them), and an initiation on its way to a
 * third, so that what is right but for one field gets as far as it can. Inputs are changed as they
 * lie on the wire; or their MACs are made right again behind the change; or the change is inside,
 * and sealed with the session's own key.
 *
 * A byte string of four before each datagram says what surrounds it: where it came from, its
 * traffic class, the milliseconds since the last one, and whether the Device has time to act.
 */

import { Arena } from '../../../src/arena.ts';
import { sameBytes } from '../../../src/bytes.ts';
import { createOpensslSuite } from '../../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../../src/crypto/portable.ts';
import { type CryptoSuite, TAG_BYTES } from '../../../src/crypto/suite.ts';
import { Endpoint } from '../../../src/device/endpoint.ts';
import { MAX_QUEUED_HANDSHAKES } from '../../../src/device/handshakequeue.ts';
import { remoteId } from '../../../src/device/send.ts';
import { CookieMaker } from '../../../src/noise/cookie.ts';
import { Handshake } from '../../../src/noise/handshake.ts';
import {
  COOKIE_REPLY_BYTES,
  DATA_HEADER_BYTES,
  INITIATION_BYTES,
  RESPONSE_BYTES,
  writeDataHeader,
} from '../../../src/noise/messages.ts';
import { A_TO_B, ipv4, ipv6 } from '../../device/world.ts';
import { CAPTURED } from '../../noise/captured.ts';
import { seeded, unhex } from '../../noise/parties.ts';
import type { Dice } from '../../packet/trains.ts';
import { mutateBytes, mutateInPlace } from '../mutator.ts';
import { holds, type Input, type RunningTarget, type Target } from '../target.ts';
import { endBetween, tallyEnds, total } from './ends.ts';
import { type Clock, connect, Party } from './party.ts';

const EPOCH = 1536;
/** Longer than a session lives. */
const EPOCH_MS = 3_600_000;
/** After what was due has been done, until the peers may begin anew. */
const PAUSE_MS = 10_000;
const SURROUNDINGS_BYTES = 4;
const [SOURCE, TRAFFIC_CLASS, ELAPSED, FLAGS] = [0, 1, 2, 3];
const HAS_TIME = 1;
/** Of 16 inputs so many are changed inside, these behind them get their MACs anew. */
const [WITH_MACS, AS_ON_THE_WIRE, KINDS] = [6, 9, 16];
/** The change is inside what the session's key protects. */
const IS_SEALED = 2;
const GUARD_BYTES = 64;
const GUARD = 0xa5;
const DATAGRAM_BYTES_MAX = 2_048;
/** Below every counter of the sessions' own packets stands nothing of ours. */
const FIRST_COUNTER = 10_000;
/** Elapsed milliseconds beyond this number are leaps, over which sessions age. */
const LEAPS_FROM = 250;
const LEAP_MS = 20_000;
const STRANGERS = 32;
/**
 * Epochs of each 32 in which the interface is down, in which the Device has no private key, and in
 * which it is flooded with handshakes and has no time for most of it.
 */
const [EPOCHS, DOWN, KEYLESS, FLOODED] = [32, 6, 7, 8];

/** Made once: choosing OpenSSL takes a self-test. Every creation of the target starts it anew. */
let shared: { subject: Arena; others: Arena; suite: CryptoSuite; otherSuite: CryptoSuite } | null =
  null;

function room(): NonNullable<typeof shared> {
  if (shared === null) {
    const [subject, others] = [new Arena(1 << 18), new Arena(1 << 18)];
    const suiteOf = (arena: Arena) => createOpensslSuite(arena) ?? createPortableSuite(arena);
    shared = { subject, others, suite: suiteOf(subject), otherSuite: suiteOf(others) };
  }
  return shared;
}

const PACKETS: readonly Uint8Array[] = [
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

class Messages implements RunningTarget {
  readonly #seed: number;
  readonly #clock: Clock = { now: 0 };
  readonly #random: (out: Uint8Array) => void;
  #source: (out: Uint8Array) => void;
  readonly #suite: CryptoSuite;
  readonly #subject: Party;
  readonly #friend: Party;
  readonly #second: Party;
  readonly #third: Party;
  readonly #endpoints: readonly Endpoint[];
  /** With their cookies, in epochs that begin under load. */
  #makers: CookieMaker[] = [];
  /** What real peers have on the wire in this epoch. */
  #wire: Uint8Array[] = [];
  #accepted = new Set<string>();
  #received = 0;
  /** Messages that came while an epoch began, and so outside of a run. */
  #others = 0;

  constructor(seed: number) {
    const { subject, others, suite, otherSuite } = room();
    subject.reset();
    others.reset();
    this.#seed = seed;
    this.#suite = otherSuite;
    this.#source = seeded(seed + 1);
    this.#random = (out) => this.#source(out);
    const party = (arena: Arena, its: CryptoSuite, number: number) =>
      new Party(arena, its, this.#clock, this.#random, number);
    this.#subject = party(subject, suite, 1);
    this.#friend = party(others, otherSuite, 2);
    this.#second = party(others, otherSuite, 3);
    this.#third = party(others, otherSuite, 4);
    const secret = new Uint8Array(32).fill(7);
    this.#subject.meet(this.#friend, '10.1.0.0/16');
    this.#subject.meet(this.#friend, 'fd01::/16');
    this.#subject.meet(this.#second, '10.2.0.0/16', secret);
    this.#subject.meet(this.#third, '10.3.0.0/16');
    this.#friend.meet(this.#subject, '10.0.0.0/16');
    this.#second.meet(this.#subject, '10.0.0.0/16', secret);
    this.#third.meet(this.#subject, '10.0.0.0/16');
    this.#endpoints = endpointsOf([this.#friend, this.#second, this.#third]);
  }

  begin(epoch: number): void {
    this.#clock.now = (epoch + 1) * EPOCH_MS;
    this.#source = seeded(this.#seed ^ Math.imul(epoch + 1, 0x9e3779b1));
    const subject = this.#subject;
    const now = this.#clock.now;
    subject.device.configure(now, { privateKey: subject.privateKey, peers: [] });
    subject.device.up(now);
    const before = total(tallyEnds(this.#subject));
    for (const party of [subject, this.#friend, this.#second, this.#third]) party.settle();
    this.#clock.now += PAUSE_MS;
    // To the third peer: what is due by now, or else what a first packet sets off.
    const initiations = [...subject.settle(), ...subject.send(ipv4('10.0.0.5', '10.3.0.5'))];
    connect(this.#friend, subject, ipv4('10.1.0.5', '10.0.0.5'));
    connect(this.#second, subject, ipv4('10.2.0.5', '10.0.0.5'));
    this.#wire = this.#realMessages(initiations);
    this.#others += total(tallyEnds(this.#subject)) - before;
    this.#accepted = new Set();
    this.#makers = epoch % 2 === 0 ? [] : this.#giveCookies();
    if (epoch % EPOCHS === DOWN) subject.device.down();
    if (epoch % EPOCHS === KEYLESS) {
      subject.device.configure(now, { privateKey: new Uint8Array(32), peers: [] });
    }
  }

  /** Of every kind at least one that the Device would take now, and some made for others. */
  #realMessages(initiations: readonly Uint8Array[]): Uint8Array[] {
    const [friend, second, third] = [this.#friend, this.#second, this.#third];
    const subject = this.#subject;
    const data = PACKETS.flatMap((packet) => [...friend.send(packet), ...second.send(packet)]);
    const responses = third.receive(initiations, subject.endpoint);
    const cookies = initiations.map((initiation) => {
      const cookie = new Uint8Array(COOKIE_REPLY_BYTES);
      const { cookieChecker } = third.device.core;
      cookieChecker.createReply(cookie, initiation, this.#clock.now, new Uint8Array(6));
      return cookie;
    });
    const fresh = new Uint8Array(INITIATION_BYTES);
    const identity = { privateKey: friend.privateKey, publicKey: friend.publicKey };
    const handshake = new Handshake(this.#suite, identity, subject.publicKey);
    handshake.createInitiation(fresh, 77, this.#wallClock(), this.#random);
    new CookieMaker(subject.publicKey).addMacs(fresh, this.#clock.now);
    return [...data, ...responses, ...cookies, fresh, ...CAPTURED_MESSAGES, ...initiations];
  }

  #wallClock(): number {
    return Date.UTC(2026, 0, 1) + this.#clock.now + 60_000;
  }

  /** One for each endpoint, as a Device under load hands them out. */
  #giveCookies(): CookieMaker[] {
    return this.#endpoints.map((endpoint) => {
      const maker = new CookieMaker(this.#subject.publicKey);
      const message = new Uint8Array(INITIATION_BYTES);
      const reply = new Uint8Array(COOKIE_REPLY_BYTES);
      maker.addMacs(message, this.#clock.now);
      const { cookieChecker } = this.#subject.device.core;
      cookieChecker.createReply(reply, message, this.#clock.now, remoteId(endpoint));
      maker.consumeReply(reply, this.#clock.now);
      return maker;
    });
  }

  generate(dice: Dice, number: number): Uint8Array {
    const source = dice.below(this.#endpoints.length);
    // Now and then the Device has no time for a while, so that its queue of handshakes fills.
    const isFlood = Math.floor(number / EPOCH) % EPOCHS === FLOODED;
    const isIdle = number % EPOCH > EPOCH / 2 || dice.oneIn(64);
    // By the last quarter of a flood the queue is full.
    const isLate = number % EPOCH > (EPOCH * 3) / 4;
    const hasTime = (isFlood ? isLate : isIdle) ? HAS_TIME : 0;
    const elapsed = dice.oneIn(100) ? dice.below(256) : dice.below(2);
    const kind = isFlood ? WITH_MACS : dice.below(KINDS);
    let datagram: Uint8Array;
    let flags = hasTime;
    if (kind < WITH_MACS) {
      datagram = this.#sealed(dice, number);
      flags |= IS_SEALED;
    } else if (kind < AS_ON_THE_WIRE) {
      datagram = this.#withMacs(dice, source);
    } else {
      const base = dice.pick(this.#wire);
      if (dice.oneIn(12)) datagram = base;
      else if (dice.oneIn(2)) datagram = mutateInPlace(base, this.#wire, dice);
      else datagram = mutateBytes(base, this.#wire, dice, DATAGRAM_BYTES_MAX);
    }
    const input = new Uint8Array(SURROUNDINGS_BYTES + datagram.length);
    input.set([source, dice.oneIn(4) ? dice.below(256) : 0, elapsed, flags]);
    input.set(datagram, SURROUNDINGS_BYTES);
    return input;
  }

  /** A changed packet under the key of a live session, and sometimes an old or far counter. */
  #sealed(dice: Dice, number: number): Uint8Array {
    const sender = dice.oneIn(3) ? this.#second : this.#friend;
    const keypair = sender.record(this.#subject).current;
    const base = dice.pick(PACKETS);
    const packet = dice.oneIn(3) ? base : mutateBytes(base, PACKETS, dice, DATAGRAM_BYTES_MAX);
    const { bytes, view } = this.#friend.arena;
    const padded = dice.oneIn(8) ? packet.length : (packet.length + 15) & -16;
    const slot = this.#friend.arena.allocate(DATA_HEADER_BYTES + padded + TAG_BYTES);
    const at = slot + DATA_HEADER_BYTES;
    bytes.fill(0, at, at + padded);
    bytes.set(packet, at);
    const counter = counterOf(dice, number);
    writeDataHeader(view, slot, keypair?.remoteIndex ?? 0, counter);
    keypair?.sealer.seal(at, padded, counter);
    const datagram = bytes.slice(slot, at + padded + TAG_BYTES);
    this.#friend.arena.reset();
    return datagram;
  }

  /** A changed handshake message whose MACs are right again; now and then one of a stranger. */
  #withMacs(dice: Dice, source: number): Uint8Array {
    const maker = this.#makers[source] ?? new CookieMaker(this.#subject.publicKey);
    let message: Uint8Array;
    if (dice.oneIn(24)) {
      message = this.#crafted(dice);
    } else {
      const handshakes = this.#wire.filter(
        ({ length }) => length === INITIATION_BYTES || length === RESPONSE_BYTES,
      );
      message = dice.pick(handshakes);
      message = dice.oneIn(8) ? message.slice() : mutateInPlace(message, handshakes, dice);
    }
    maker.addMacs(message, this.#clock.now);
    return message;
  }

  /** An initiation that decrypts: by a peer or a stranger, at any time. */
  #crafted(dice: Dice): Uint8Array {
    const sender = dice.pick([this.#friend, this.#second, this.#third]);
    const privateKey = dice.oneIn(2) ? sender.privateKey : Uint8Array.from(dice.bytes(32));
    const identity = { privateKey, publicKey: this.#suite.publicKey(privateKey) };
    const handshake = new Handshake(this.#suite, identity, this.#subject.publicKey);
    const message = new Uint8Array(INITIATION_BYTES);
    const random = seeded(dice.below(0xffff_ffff));
    const wallClock = this.#wallClock() + dice.below(100_000) - 50_000;
    handshake.createInitiation(message, dice.below(0xffff_ffff), wallClock, random);
    return message;
  }

  run(input: Uint8Array): string {
    if (input.length < SURROUNDINGS_BYTES) return 'nothing';
    const subject = this.#subject;
    const { device, arena } = subject;
    const datagram = datagramOf(input);
    this.#clock.now += elapsedMs(input[ELAPSED]);
    const before = tallyEnds(this.#subject);
    subject.delivered = null;
    const slot = arena.allocate(2 * GUARD_BYTES + datagram.length);
    const offset = slot + GUARD_BYTES;
    arena.bytes.fill(GUARD, slot, offset + datagram.length + GUARD_BYTES);
    arena.bytes.set(datagram, offset);
    const endpoint = this.#endpoints[input[SOURCE] % this.#endpoints.length];
    device.receiveDatagram(
      this.#clock.now,
      offset,
      datagram.length,
      endpoint,
      input[TRAFFIC_CLASS],
    );
    const after = tallyEnds(this.#subject);
    holds(total(after) === total(before) + 1, 'a datagram with no end, or with two');
    holds(isGuarded(arena.bytes, slot, offset, datagram.length), 'bytes around the datagram');
    const waiting = device.core.handshakeQueue.length;
    holds(waiting <= MAX_QUEUED_HANDSHAKES, `${waiting} handshakes wait`);
    const outcome = endBetween(before, after);
    if (outcome === 'delivered') this.#checkDelivery(input, datagram, offset);
    this.#received++;
    const handled = (input[FLAGS] & HAS_TIME) === 0 ? '' : this.#giveTime();
    subject.sent = [];
    arena.reset();
    return handled === '' ? outcome : `handled: ${handled}`;
  }

  /** Only what a peer sealed is delivered, once, from an address that is that peer's. */
  #checkDelivery(input: Uint8Array, datagram: Uint8Array, offset: number): void {
    const { arena, delivered } = this.#subject;
    const { offset: at, length } = delivered!;
    const isGenuine =
      (input[FLAGS] & IS_SEALED) !== 0 || this.#wire.some((one) => sameBytes(one, datagram));
    holds(isGenuine, 'a forged packet was delivered');
    const isInside = at === offset + DATA_HEADER_BYTES && at + length <= offset + datagram.length;
    holds(isInside && length >= 20, 'a delivery beyond its datagram');
    // Index and counter name the packet.
    const name = Buffer.from(datagram.subarray(4, 16)).toString('latin1');
    holds(!this.#accepted.has(name), 'a packet was delivered twice');
    this.#accepted.add(name);
    const packet = arena.bytes.subarray(at, at + length);
    const source = packet[0] >> 4 === 4 ? [packet[12], packet[13]] : [packet[8], packet[9]];
    const sources = [
      [10, 1],
      [10, 2],
      [10, 3],
      [0xfd, 0x01],
    ];
    const isAllowed = sources.some(([a, b]) => source[0] === a && source[1] === b);
    holds(isAllowed, `a packet from ${source.join('.')}`);
  }

  /** The Device handles a few of the queued handshakes: each ends as well. One of the ends. */
  #giveTime(): string {
    const { device } = this.#subject;
    const waiting = device.core.handshakeQueue.length;
    const before = tallyEnds(this.#subject);
    device.handleTimeout(this.#clock.now);
    const after = tallyEnds(this.#subject);
    const handled = waiting - device.core.handshakeQueue.length;
    holds(total(after) === total(before), 'a handshake message with no end, or with two');
    holds(handled >= Math.min(waiting, 4), 'a queue that is not worked off');
    return handled === 0 ? '' : endBetween(before, after);
  }

  finish(): void {
    const all = total(tallyEnds(this.#subject));
    holds(all === this.#received + this.#others, `${all} ends of ${this.#received} datagrams`);
  }
}

function datagramOf(input: Input): Uint8Array {
  return (input as Uint8Array).subarray(SURROUNDINGS_BYTES);
}

function elapsedMs(octet: number): number {
  return octet < LEAPS_FROM ? octet : (octet - LEAPS_FROM + 1) * LEAP_MS;
}

function isGuarded(bytes: Uint8Array, slot: number, offset: number, length: number): boolean {
  const end = offset + length;
  for (let i = slot; i < offset; i++) if (bytes[i] !== GUARD) return false;
  for (let i = end; i < end + GUARD_BYTES; i++) if (bytes[i] !== GUARD) return false;
  return true;
}

/** Mostly the next; sometimes one of before, one far ahead, or one past the limit of a session. */
function counterOf(dice: Dice, number: number): number {
  const next = FIRST_COUNTER + (number % EPOCH);
  if (dice.oneIn(8)) return next - dice.below(EPOCH);
  if (dice.oneIn(1_000)) return next + dice.below(20_000);
  return dice.oneIn(2_000) ? 2 ** dice.below(53) : next;
}

/** The peers' own, and others of both families. */
function endpointsOf(parties: readonly Party[]): Endpoint[] {
  const strangers = Array.from({ length: STRANGERS }, (_, i) => {
    const address = i % 2 === 0 ? Uint8Array.of(203, 0, 113, i) : new Uint8Array(16).fill(i);
    return new Endpoint(address, 1024 + i);
  });
  return [...parties.map(({ endpoint }) => endpoint), ...strangers];
}

export const messages: Target = {
  name: 'messages',
  sources: [
    ...['device/receive', 'device/session', 'device/handshakequeue', 'device/ratelimiter'],
    ...['noise/messages', 'noise/handshake', 'noise/cookie', 'noise/replay', 'noise/keypair'],
    'packet/ip',
  ],
  epoch: EPOCH,
  create: (seed) => new Messages(seed),
};
