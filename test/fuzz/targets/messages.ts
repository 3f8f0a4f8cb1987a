/**
 * All four messages through Device.receiveDatagram, and several datagrams as one through receiveRun.
 * The Device has a live session with a friend, another with a second peer, and an initiation on its
 * way to a third (scene.ts), so that what is right but for one field gets as far as it can. Inputs are
 * changed as they lie on the wire; or their MACs are made right again behind the change; or the change
 * is inside, and sealed with the session's own key. A second Device of the same seed is given each
 * datagram by itself: it must deliver, send, drop and count the same.
 *
 * A byte string of six before the datagrams says what surrounds them: where they came from, their
 * traffic class, the milliseconds since the last one, whether the Device has time to act, and in two
 * bytes the length of each but the last, which has what is left; 0 when there is one.
 */

import { sameBytes } from '../../../src/bytes.ts';
import { TAG_BYTES } from '../../../src/crypto/suite.ts';
import { MAX_QUEUED_HANDSHAKES } from '../../../src/device/handshakequeue.ts';
import { CookieMaker } from '../../../src/noise/cookie.ts';
import { Handshake } from '../../../src/noise/handshake.ts';
import {
  DATA_HEADER_BYTES,
  INITIATION_BYTES,
  RESPONSE_BYTES,
  writeDataHeader,
} from '../../../src/noise/messages.ts';
import { seeded } from '../../noise/parties.ts';
import type { Dice } from '../../packet/trains.ts';
import { mutateBytes, mutateInPlace } from '../mutator.ts';
import { holds, holdsEqual, type RunningTarget, type Target } from '../target.ts';
import { endBetween, endsBetween, tallyEnds, total } from './ends.ts';
import type { Party } from './party.ts';
import { createRoom, PACKETS, type Room, Scene } from './scene.ts';

const EPOCH = 1536;
const SURROUNDINGS_BYTES = 6;
const [SOURCE, TRAFFIC_CLASS, ELAPSED, FLAGS, LENGTH] = [0, 1, 2, 3, 4];
const HAS_TIME = 1;
/** The change is inside what the session's key protects. */
const IS_SEALED = 2;
/** Of 16 inputs so many are changed inside, these behind them get their MACs anew. */
const [WITH_MACS, AS_ON_THE_WIRE, KINDS] = [6, 9, 16];
/** Of those that are changed inside, one of so many is a run. */
const RUN_ONE_IN = 3;
/** Datagrams of a run, as they are made, and as they are taken (UDP_MAX_SEGMENTS). */
const [RUN_MADE_MAX, RUN_MAX] = [12, 64];
const GUARD_BYTES = 64;
const GUARD = 0xa5;
const DATAGRAM_BYTES_MAX = 2_048;
/** Below every counter of the sessions' own packets stands nothing of ours. */
const FIRST_COUNTER = 10_000;
/** From those of one input to those of the next. */
const COUNTER_STEP = 4;
/** Elapsed milliseconds beyond this number are leaps, over which sessions age. */
const LEAPS_FROM = 250;
const LEAP_MS = 20_000;
const LEAP_MAX = 255;
/** Inputs of an epoch over which a session ends, whose keys are there for a while longer. */
const AGING: readonly number[] = [EPOCH - 32, EPOCH - 31];
/** In one epoch of each 32 the Device is flooded with handshakes, and has no time for most of it. */
const [EPOCHS, FLOODED] = [32, 8];
/** Inputs between two looks at all that is counted. */
const STATS_EVERY = 64;

/** Made once: choosing OpenSSL takes a self-test. Every creation of the target starts them anew. */
let rooms: readonly [Room, Room] | null = null;

class Messages implements RunningTarget {
  /** Whose Device is given runs, and whose is given datagrams one by one. */
  readonly #scene: Scene;
  readonly #twin: Scene;
  #accepted = new Set<string>();
  #received = 0;
  #inputs = 0;

  constructor(seed: number) {
    rooms ??= [createRoom(), createRoom()];
    this.#scene = new Scene(seed, rooms[0]);
    this.#twin = new Scene(seed, rooms[1]);
  }

  begin(epoch: number): void {
    this.#scene.begin(epoch);
    this.#twin.begin(epoch);
    this.#accepted = new Set();
  }

  generate(dice: Dice, number: number): Uint8Array {
    const { endpoints, wire } = this.#scene;
    const source = dice.below(endpoints.length);
    // Now and then the Device has no time for a while, so that its queue of handshakes fills.
    const isFlood = Math.floor(number / EPOCH) % EPOCHS === FLOODED;
    const isIdle = number % EPOCH > EPOCH / 2 || dice.oneIn(64);
    // By the last quarter of a flood the queue is full.
    const isLate = number % EPOCH > (EPOCH * 3) / 4;
    const hasTime = (isFlood ? isLate : isIdle) ? HAS_TIME : 0;
    const elapsed = dice.oneIn(100) ? dice.below(256) : dice.below(2);
    const isAging = AGING.includes(number % EPOCH);
    const kind = isFlood ? WITH_MACS : dice.below(KINDS);
    let datagram: Uint8Array;
    let flags = hasTime;
    let length = 0;
    if (kind < WITH_MACS) {
      const run = dice.oneIn(RUN_ONE_IN) ? this.#sealedRun(dice, number) : [];
      length = run[0]?.length ?? 0;
      datagram = length > 0 ? new Uint8Array(Buffer.concat(run)) : this.#sealed(dice, number);
      flags |= IS_SEALED;
    } else if (kind < AS_ON_THE_WIRE) {
      datagram = this.#withMacs(dice, source);
    } else {
      const base = dice.pick(wire);
      if (dice.oneIn(12)) datagram = base;
      else if (dice.oneIn(2)) datagram = mutateInPlace(base, wire, dice);
      else datagram = mutateBytes(base, wire, dice, DATAGRAM_BYTES_MAX);
    }
    const input = new Uint8Array(SURROUNDINGS_BYTES + datagram.length);
    const trafficClass = dice.oneIn(4) ? dice.below(256) : 0;
    input.set([source, trafficClass, isAging ? LEAP_MAX : elapsed, flags, length >> 8, length]);
    input.set(datagram, SURROUNDINGS_BYTES);
    return input;
  }

  /** A changed packet under the key of a live session, and sometimes an old or far counter. */
  #sealed(dice: Dice, number: number): Uint8Array {
    const sender = dice.oneIn(3) ? this.#scene.second : this.#scene.friend;
    const base = dice.pick(PACKETS);
    const packet = dice.oneIn(3) ? base : mutateBytes(base, PACKETS, dice, DATAGRAM_BYTES_MAX);
    const padded = dice.oneIn(8) ? packet.length : paddedTo16(packet);
    return this.#seal(sender, packet, padded, counterOf(dice, number));
  }

  #seal(sender: Party, packet: Uint8Array, padded: number, counter: number): Uint8Array {
    const { arena } = sender;
    const keypair = sender.record(this.#scene.subject).current;
    const slot = arena.allocate(DATA_HEADER_BYTES + padded + TAG_BYTES);
    const at = slot + DATA_HEADER_BYTES;
    arena.bytes.fill(0, at, at + padded);
    arena.bytes.set(packet, at);
    writeDataHeader(arena.view, slot, keypair?.remoteIndex ?? 0, counter);
    keypair?.sealer.seal(at, padded, counter);
    const datagram = arena.bytes.slice(slot, at + padded + TAG_BYTES);
    arena.reset();
    return datagram;
  }

  /**
   * Packets under one counter after the other, mostly alike, and what may have happened to them on
   * their way. All of one length but for the last.
   */
  #sealedRun(dice: Dice, number: number): Uint8Array[] {
    const { friend, second } = this.#scene;
    const [sender, other] = dice.oneIn(3) ? [second, friend] : [friend, second];
    const base = dice.pick(PACKETS);
    const padded = paddedTo16(base);
    const first = counterOf(dice, number);
    const run = Array.from({ length: 2 + dice.below(RUN_MADE_MAX - 1) }, (_, i) => {
      const packet = dice.oneIn(6) ? mutateInPlace(base, PACKETS, dice) : base.slice();
      // From elsewhere, or, of IPv6, from another host.
      if (packet.length > 13 && dice.oneIn(6)) packet[13] = 1 + dice.below(3);
      return this.#seal(sender, packet, padded, first + i);
    });
    for (let mishaps = dice.oneIn(2) ? 0 : 1 + dice.below(3); mishaps > 0; mishaps--) {
      const at = dice.below(run.length);
      const kind = dice.below(6);
      if (kind === 0) run[at] = mutateInPlace(run[at], run, dice);
      else if (kind === 1) run.splice(at, 0, run[at].slice());
      else if (kind === 2 && run.length > 2) run.splice(at, 1);
      else if (kind === 3) run.push(...run.splice(at, 1));
      else if (kind === 4) run[at][4 + dice.below(4)] ^= 1 << dice.below(8);
      // What the other peer sends, under the counter that is due.
      else run[at] = this.#seal(other, base, padded, first + at);
    }
    if (dice.oneIn(4)) run.push(this.#seal(sender, NOTHING, 0, first + run.length));
    return run;
  }

  /** A changed handshake message whose MACs are right again; now and then one of a stranger. */
  #withMacs(dice: Dice, source: number): Uint8Array {
    const { makers, subject, clock, wire } = this.#scene;
    const maker = makers[source] ?? new CookieMaker(subject.publicKey);
    let message: Uint8Array;
    if (dice.oneIn(24)) {
      message = this.#crafted(dice);
    } else {
      const handshakes = wire.filter(
        ({ length }) => length === INITIATION_BYTES || length === RESPONSE_BYTES,
      );
      message = dice.pick(handshakes);
      message = dice.oneIn(8) ? message.slice() : mutateInPlace(message, handshakes, dice);
    }
    maker.addMacs(message, clock.now);
    return message;
  }

  /** An initiation that decrypts: by a peer or a stranger, at any time. */
  #crafted(dice: Dice): Uint8Array {
    const { friend, second, third, subject, suite } = this.#scene;
    const sender = dice.pick([friend, second, third]);
    const privateKey = dice.oneIn(2) ? sender.privateKey : Uint8Array.from(dice.bytes(32));
    const identity = { privateKey, publicKey: suite.publicKey(privateKey) };
    const handshake = new Handshake(suite, identity, subject.publicKey);
    const message = new Uint8Array(INITIATION_BYTES);
    const random = seeded(dice.below(0xffff_ffff));
    const wallClock = this.#scene.wallClock() + dice.below(100_000) - 50_000;
    handshake.createInitiation(message, dice.below(0xffff_ffff), wallClock, random);
    return message;
  }

  run(input: Uint8Array): string {
    if (input.length < SURROUNDINGS_BYTES) return 'nothing';
    const datagrams = datagramsOf(input);
    const ends = this.#give(this.#scene, datagrams, input);
    const endsOfTwin = this.#give(this.#twin, datagrams, input);
    holdsEqual(ends, endsOfTwin, 'the ends of a run');
    this.#compare();
    this.#received += datagrams.length;
    const hasTime = (input[FLAGS] & HAS_TIME) !== 0;
    const handled = hasTime ? giveTime(this.#scene) : '';
    holdsEqual(hasTime ? giveTime(this.#twin) : '', handled, 'what is handled after a run');
    for (const { subject } of [this.#scene, this.#twin]) {
      subject.sent = [];
      subject.delivered = [];
      subject.arena.reset();
    }
    if (handled !== '') return `handled: ${handled}`;
    if (datagrams.length === 1) return ends[0];
    const other = ends.find((end) => end !== ends[0]);
    return `run: ${ends[0]}${other === undefined ? '' : ` and ${other}`}`;
  }

  /** Datagrams without a gap between them, as a run or, to the twin, one by one. How they ended. */
  #give(scene: Scene, datagrams: readonly Uint8Array[], input: Uint8Array): string[] {
    const { subject, endpoints, clock } = scene;
    const { device, arena } = subject;
    clock.now += elapsedMs(input[ELAPSED]);
    const all = Buffer.concat(datagrams);
    const before = tallyEnds(subject);
    const slot = arena.allocate(2 * GUARD_BYTES + all.length);
    const offset = slot + GUARD_BYTES;
    arena.bytes.fill(GUARD, slot, offset + all.length + GUARD_BYTES);
    arena.bytes.set(all, offset);
    const endpoint = endpoints[input[SOURCE] % endpoints.length];
    const [count, { length }] = [datagrams.length, datagrams[0]];
    const lastLength = datagrams[count - 1].length;
    const trafficClass = input[TRAFFIC_CLASS];
    if (scene === this.#scene && count > 1) {
      device.receiveRun(clock.now, offset, length, endpoint, trafficClass, count, lastLength);
    } else {
      for (const [i, own] of datagrams.entries()) {
        const at = offset + i * length;
        device.receiveDatagram(clock.now, at, own.length, endpoint, trafficClass);
      }
    }
    const after = tallyEnds(subject);
    holds(total(after) === total(before) + count, 'a datagram with no end, or with two');
    holds(isGuarded(arena.bytes, slot, offset, all.length), 'bytes around the datagrams');
    const waiting = device.core.handshakeQueue.length;
    holds(waiting <= MAX_QUEUED_HANDSHAKES, `${waiting} handshakes wait`);
    if (scene === this.#scene) this.#checkDeliveries(input, datagrams, offset);
    return endsBetween(before, after);
  }

  /** Only what a peer sealed is delivered, once, from an address that is that peer's. */
  #checkDeliveries(input: Uint8Array, datagrams: readonly Uint8Array[], start: number): void {
    const { subject, wire } = this.#scene;
    const stride = datagrams[0].length;
    for (const { offset: at, length } of subject.delivered) {
      const place = Math.floor((at - start) / stride);
      const datagram = datagrams[place];
      const offset = start + place * stride;
      const isGenuine =
        (input[FLAGS] & IS_SEALED) !== 0 || wire.some((one) => sameBytes(one, datagram));
      holds(isGenuine, 'a forged packet was delivered');
      const isInside = at === offset + DATA_HEADER_BYTES && at + length <= offset + datagram.length;
      holds(isInside && length >= 20, 'a delivery beyond its datagram');
      // Index and counter name the packet.
      const name = Buffer.from(datagram.subarray(4, 16)).toString('latin1');
      holds(!this.#accepted.has(name), 'a packet was delivered twice');
      this.#accepted.add(name);
      const packet = subject.arena.bytes.subarray(at, at + length);
      const source = packet[0] >> 4 === 4 ? [packet[12], packet[13]] : [packet[8], packet[9]];
      const isAllowed = SOURCES.some(([a, b]) => source[0] === a && source[1] === b);
      holds(isAllowed, `a packet from ${source.join('.')}`);
    }
  }

  /** What a run comes to is what its datagrams come to. */
  #compare(): void {
    const [ours, theirs] = [this.#scene.subject, this.#twin.subject];
    if (ours.delivered.length + theirs.delivered.length > 0)
      holdsEqual(deliveriesOf(ours), deliveriesOf(theirs), 'the deliveries of a run');
    if (ours.sent.length + theirs.sent.length > 0)
      holdsEqual(ours.sent, theirs.sent, 'what is sent after a run');
    holds(ours.device.nextTimeout() === theirs.device.nextTimeout(), 'when it is called again');
    if (this.#inputs++ % STATS_EVERY > 0) return;
    const { now } = this.#scene.clock;
    holdsEqual(ours.device.stats(now), theirs.device.stats(now), 'the counts after runs');
  }

  finish(): void {
    const all = total(tallyEnds(this.#scene.subject));
    const given = this.#received + this.#scene.others;
    holds(all === given, `${all} ends of ${this.#received} datagrams`);
  }
}

const NOTHING = new Uint8Array(0);
/** What the sources begin with that a peer of ours may send from. */
const SOURCES = [
  [10, 1],
  [10, 2],
  [10, 3],
  [0xfd, 0x01],
];

/** The Device handles a few of the queued handshakes: each ends as well. One of the ends. */
function giveTime({ subject, clock }: Scene): string {
  const { device } = subject;
  const waiting = device.core.handshakeQueue.length;
  const before = tallyEnds(subject);
  device.handleTimeout(clock.now);
  const after = tallyEnds(subject);
  const handled = waiting - device.core.handshakeQueue.length;
  holds(total(after) === total(before), 'a handshake message with no end, or with two');
  holds(handled >= Math.min(waiting, 4), 'a queue that is not worked off');
  return handled === 0 ? '' : endBetween(before, after);
}

/** At least one, which may be empty. */
function datagramsOf(input: Uint8Array): Uint8Array[] {
  const all = input.subarray(SURROUNDINGS_BYTES);
  const said = (input[LENGTH] << 8) | input[LENGTH + 1];
  const length = said === 0 ? all.length : said;
  const datagrams = [all.subarray(0, length)];
  for (let at = length; at < all.length && datagrams.length < RUN_MAX; at += length) {
    datagrams.push(all.subarray(at, at + length));
  }
  return datagrams;
}

function deliveriesOf({ delivered, arena }: Party): Uint8Array[] {
  return delivered.map(({ offset, length }) => arena.bytes.slice(offset, offset + length));
}

function paddedTo16({ length }: Uint8Array): number {
  return (length + 15) & -16;
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
  const next = FIRST_COUNTER + COUNTER_STEP * (number % EPOCH);
  if (dice.oneIn(8)) return Math.max(FIRST_COUNTER, next - dice.below(COUNTER_STEP * EPOCH));
  if (dice.oneIn(1_000)) return next + dice.below(20_000);
  return dice.oneIn(2_000) ? 2 ** dice.below(53) : next;
}

export const messages: Target = {
  name: 'messages',
  sources: [
    ...['device/receive', 'device/receiverun', 'device/session', 'device/handshakequeue'],
    ...['noise/messages', 'noise/handshake', 'noise/cookie', 'noise/replay', 'noise/keypair'],
    ...['packet/ip', 'device/ratelimiter'],
  ],
  epoch: EPOCH,
  create: (seed) => new Messages(seed),
};
