/**
 * The books of one Device, balanced after every input: a packet from the interface is sealed, waits,
 * or was dropped for a reason; a datagram was delivered, was a keepalive or a cookie, is queued, or
 * was dropped for a reason; and what waits is, packet by packet, what should wait.
 */

import { type Core, peerKey } from '../../src/device/core.ts';
import { DROP_REASON_NAMES, type DropReason } from '../../src/device/drops.ts';
import type { DeviceEvent } from '../../src/device/events.ts';
import type { Peer } from '../../src/device/peer.ts';
import type { Arrival, Departure } from './burst.ts';
import { type Flight, NOBODY } from './network.ts';
import type { AuditedSession } from './suite.ts';
import type { Packet, Traffic } from './traffic.ts';
import { hold } from './violation.ts';

/** Which of the Device's inputs a step is. Of packets and datagrams there may be several in one. */
export type Input = 'packets' | 'datagrams' | 'timeout' | 'configuration';

/** In a list of what waits: an empty packet, which is a keepalive. */
const KEEPALIVE = 0;

/** The datagram was not shown to be a peer's: nothing may come of it. */
const UNAUTHENTIC: ReadonlySet<DropReason> = new Set<DropReason>([
  'malformedMessage',
  'badMac1',
  'noPrivateKey',
  'handshakeQueueFull',
  'unknownIndex',
  'badCookie',
  'expiredKey',
  'badPacket',
  'replayedPacket',
  'interfaceDown',
]);

/** Told of a handshake message taken from the queue, what came of it, and whether there was load. */
export type Judged = (flight: Flight, event: DeviceEvent, isUnderLoad: boolean) => void;

/** What a step did, in numbers. */
class Step {
  seals = 0;
  dataSent = 0;
  handshakesSent = 0;
  keepalivesOpened = 0;
  packetsDelivered = 0;
  answersDelivered = 0;
  handshakesCreated = 0;
  handshakesUnsent = 0;
  handshakesConsumed = 0;
  cookiesConsumed = 0;
  /** Of datagrams, not of packets. */
  refused = 0;
  readonly reasons = new Set<DropReason>();
  /** Whose session opened a datagram, and the places of those that were opened. */
  readonly heard = new Set<Peer>();
  readonly opened = new Set<number>();
  /** Handshake messages that the queue took. */
  queued = 0;
  /** The verdict on the last datagram that had one, if that was that it is nobody's. */
  unauthentic: DropReason | null = null;
}

export class Ledger {
  readonly #name: string;
  readonly #core: Core;
  readonly #traffic: Traffic;
  readonly #judged: Judged;
  /** What waits on each peer, oldest first. */
  readonly #waiting = new Map<Peer, number[]>();
  readonly #dropped = new Map<DropReason, number>();
  #input: Input = 'timeout';
  /** The packets of this step whose fates are still open, in their order. */
  #open: Packet[] = [];
  #arrival: Arrival | null = null;
  /** The datagrams of the handshake queue, oldest first. */
  readonly #queued: Flight[] = [];
  #queuedBefore = 0;
  /** Monotonic ms of the step. */
  #now = 0;
  #isUnderLoad = false;
  #answersBefore = 0;
  #step = new Step();

  constructor(name: string, core: Core, traffic: Traffic, judged: Judged) {
    this.#name = name;
    this.#core = core;
    this.#traffic = traffic;
    this.#judged = judged;
  }

  /**
   * The books of a Device that has taken over go on where its predecessor's stopped. What was in the
   * queue of handshakes is lost: whoever sent it will send it again.
   */
  continue(predecessor: Ledger): void {
    for (const [peer, waiting] of predecessor.#waiting) {
      const own = this.#core.peers.get(peerKey(peer.publicKey));
      if (own !== undefined && waiting.length > 0) this.#waiting.set(own, [...waiting]);
    }
    for (const [reason, packets] of predecessor.#dropped) this.#dropped.set(reason, packets);
  }

  /** A successor acts for the Device, and will fail. */
  keepWaiting(): void {
    for (const packet of this.#packetsWaiting()) packet.isHeld = true;
  }

  /**
   * The Device goes on after its successor has failed, whose books are abandoned: what waited then
   * waits again, and leaves a second time if the successor has sent it.
   */
  takeBack(): void {
    for (const packet of this.#packetsWaiting()) {
      packet.isHeld = false;
      if (packet.fate === 'sealed') packet.copies++;
      packet.fate = 'waiting';
    }
  }

  /** With the packets or the datagrams that come in. */
  begin(
    input: Input,
    now: number,
    departure: Departure | null = null,
    arrival: Arrival | null = null,
  ): void {
    this.#input = input;
    this.#now = now;
    this.#isUnderLoad = this.#core.handshakeQueue.isUnderLoad(now);
    this.#arrival = arrival;
    this.#open = [...(departure?.packets ?? [])];
    this.#queuedBefore = this.#core.handshakeQueue.length;
    this.#answersBefore = this.#core.counts.unreachablesSent;
    this.#step = new Step();
  }

  /** A packet is being sealed; `number`: 0 for a keepalive. */
  sealed(session: AuditedSession, number: number): void {
    this.#step.seals++;
    const waiting = this.#waitingOf(session.peer);
    // One that is made and sealed in the same step waits for nothing.
    if (number === KEEPALIVE && waiting.length === 0) return;
    // First come, first served; a packet never overtakes those that wait, or that came before it.
    const first = waiting.length > 0 ? waiting.shift() : this.#open.shift()?.number;
    hold('inOrder', first === undefined || first === number, () => {
      return `${this.#name} sends packet ${number} before packet ${first}, which waited longer`;
    });
    if (number === KEEPALIVE) return;
    const packet = this.#traffic.get(number);
    hold('everyPacketCounted', packet !== undefined && packet.fate !== 'sealed', () => {
      return `${this.#name} seals packet ${number}, which is ${packet?.fate ?? 'unknown'}`;
    });
    packet!.fate = 'sealed';
  }

  /** The datagram whose ciphertext lies at `offset` was opened, and `length` bytes were in it. */
  opened(session: AuditedSession, offset: number, length: number): void {
    const step = this.#step;
    if (length === 0) step.keepalivesOpened++;
    step.heard.add(session.peer);
    step.unauthentic = null;
    const place = this.#placeOf(offset);
    const flight = this.#arrival!.flights[place];
    // The receiver's index is not among what is authenticated: it has to be the session's own.
    hold('onlyGenuine', flight.from !== NOBODY && !flight.isAltered, () => {
      return `${this.#name} takes a datagram that ${flight.isAltered ? 'was altered' : 'nobody has sent'}`;
    });
    hold('everyDatagramCounted', !step.opened.has(place), () => {
      return `${this.#name} opens a datagram a second time`;
    });
    step.opened.add(place);
  }

  /** The queue of handshakes took the message at `offset`. */
  queued(offset: number): void {
    this.#step.queued++;
    this.#queued.push(this.#arrival!.flights[this.#placeOf(offset)]);
  }

  transmitted(isData: boolean): void {
    if (isData) this.#step.dataSent++;
    else this.#step.handshakesSent++;
    this.#checkCause('sends');
  }

  delivered(isAnswer: boolean): void {
    if (isAnswer) this.#step.answersDelivered++;
    else this.#step.packetsDelivered++;
    this.#checkCause('delivers');
  }

  /** `peer`: whom the event is about. */
  event(event: DeviceEvent, peer: Peer | null): void {
    const step = this.#step;
    if (event.kind === 'dropped') this.#drop(event, peer);
    else if (event.kind === 'roamed') {
      const isHeard = this.#input !== 'datagrams' || step.heard.has(peer!);
      hold('silentToStrangers', isHeard, () => {
        return `${this.#name} roams, but has opened nothing of that peer's`;
      });
    } else if (event.kind === 'initiationReceived' || event.kind === 'responseReceived') {
      step.handshakesConsumed++;
      this.#takeQueued(event);
    } else if (event.kind === 'cookieReceived') step.cookiesConsumed++;
    else if (event.kind === 'initiationSent') step.handshakesCreated++;
    else if (event.kind === 'responseSent') step.handshakesCreated++;
    else if (event.kind === 'cookieSent') step.handshakesCreated++;
  }

  /** Balances the books. `packetPeer`: on whom the packets have to wait whose fates are still open. */
  close(packetPeer: Peer | undefined): void {
    for (const packet of this.#open.splice(0)) {
      hold('everyPacketCounted', packetPeer !== undefined, () => {
        return `${this.#name}: packet ${packet.number} was neither sealed nor dropped, and nobody could wait for it`;
      });
      packet.fate = 'waiting';
      this.#waitingOf(packetPeer!).push(packet.number);
    }
    this.#balanceWaiting();
    this.#balanceDatagrams();
  }

  /** The places of the datagrams of the last step that were shown to come from a peer. */
  get authentic(): ReadonlySet<number> {
    return this.#step.opened;
  }

  /** Why datagrams of the last step were refused. */
  get refusals(): ReadonlySet<DropReason> {
    return this.#step.reasons;
  }

  /** The Device is gone, and with it what waited. */
  abandon(): void {
    for (const packet of this.#packetsWaiting()) {
      packet.isHeld = false;
      // What waits on a predecessor may have left by its successor.
      if (packet.fate === 'waiting') packet.fate = 'gone';
    }
  }

  /** Whether the oldest that waits on the peer is an empty packet. */
  isKeepaliveWaiting(peer: Peer): boolean {
    return this.#waiting.get(peer)?.[0] === KEEPALIVE;
  }

  /** Every counter of the Device says what its observer was told. Dearer: now and then. */
  checkCounters(): void {
    for (const reason of DROP_REASON_NAMES) {
      const told = this.#dropped.get(reason) ?? 0;
      const counted = this.#core.drops.get(reason);
      hold('everyDropCounted', told === counted, () => {
        return `${this.#name} counts ${counted} drops as ${reason} but told of ${told}`;
      });
    }
  }

  #packetsWaiting(): Packet[] {
    return [...this.#waiting.values()].flatMap((waiting) =>
      waiting.filter((number) => number !== KEEPALIVE).map((number) => this.#traffic.get(number)!),
    );
  }

  #waitingOf(peer: Peer): number[] {
    let waiting = this.#waiting.get(peer);
    if (waiting === undefined) {
      waiting = [];
      this.#waiting.set(peer, waiting);
    }
    return waiting;
  }

  #drop(event: Extract<DeviceEvent, { kind: 'dropped' }>, peer: Peer | null): void {
    const { reason, endpoint, packets } = event;
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + packets);
    if (endpoint !== null) {
      this.#refuse(event);
      return;
    }
    const waiting = peer === null || reason === 'noEndpoint' ? [] : this.#waitingOf(peer);
    const isAll = reason === 'handshakeTimeout' || reason === 'peerRemoved';
    const there = waiting.length + this.#open.length;
    hold('everyPacketCounted', !isAll || packets === there || there === 0, () => {
      return `${this.#name} drops ${packets} packets as ${reason}, but ${there} waited`;
    });
    // The oldest; who has none that wait, drops the packet at hand, or a keepalive made in this step.
    for (let i = 0; i < packets; i++) {
      const number = waiting.length > 0 ? waiting.shift() : this.#open.shift()?.number;
      if (number !== undefined && number !== KEEPALIVE) this.#traffic.get(number)!.fate = 'dropped';
    }
  }

  /** A datagram from there is dropped, or, for want of memory, a handshake message to there. */
  #refuse(event: Extract<DeviceEvent, { kind: 'dropped' }>): void {
    const { reason, packets } = event;
    const step = this.#step;
    if (reason === 'arenaExhausted') {
      step.handshakesUnsent++;
      return;
    }
    step.refused += packets;
    step.reasons.add(reason);
    if (this.#input === 'timeout') this.#takeQueued(event);
    if (UNAUTHENTIC.has(reason)) step.unauthentic = reason;
  }

  /** Which of the datagrams that came the bytes at `offset` are in. */
  #placeOf(offset: number): number {
    const { offset: start, stride } = this.#arrival!;
    return Math.floor((offset - start) / stride);
  }

  /** Of datagrams only those are answered, delivered or followed that a session has opened. */
  #checkCause(what: string): void {
    const { heard, unauthentic } = this.#step;
    if (this.#input !== 'datagrams') return;
    hold('silentToStrangers', heard.size > 0 && unauthentic === null, () => {
      return `${this.#name} ${what} something after it dropped a datagram as ${unauthentic}`;
    });
  }

  /** The queue is first in, first out: the next verdict is on its oldest message. */
  #takeQueued(event: DeviceEvent): void {
    const flight = this.#queued.shift();
    if (flight !== undefined) this.#judged(flight, event, this.#isUnderLoad);
    // A message may itself bring us under load, but only for the next one.
    this.#isUnderLoad = this.#core.handshakeQueue.isUnderLoad(this.#now);
  }

  #balanceWaiting(): void {
    for (const peer of this.#core.peers.values()) {
      const there = peer.staged.length;
      const waiting = this.#waiting.get(peer);
      if (waiting === undefined && there === 0) continue;
      const should = waiting ?? this.#waitingOf(peer);
      // A keepalive waits only where nothing else does.
      if (this.#input !== 'packets' && should.length === 0 && there === 1) should.push(KEEPALIVE);
      hold('everyPacketCounted', there === should.length, () => {
        return `${this.#name}: ${there} packets wait on a peer, but in - sealed - dropped = ${should.length}`;
      });
    }
    if (this.#waiting.size > 2 * this.#core.peers.size + 8) this.#forgetRemoved();
  }

  #forgetRemoved(): void {
    const here = new Set(this.#core.peers.values());
    for (const peer of this.#waiting.keys()) if (!here.has(peer)) this.#waiting.delete(peer);
  }

  #balanceDatagrams(): void {
    const step = this.#step;
    const name = this.#name;
    const queued = this.#core.handshakeQueue.length - this.#queuedBefore;
    const accepted = step.packetsDelivered + step.keepalivesOpened + step.cookiesConsumed;
    if (this.#input === 'datagrams') {
      const came = this.#arrival!.flights.length;
      hold('everyDatagramCounted', accepted + step.refused + queued === came, () => {
        return `${name}: ${came} datagrams in, but delivered ${step.packetsDelivered} + keepalives ${step.keepalivesOpened} + cookies ${step.cookiesConsumed} + queued ${queued} + dropped ${step.refused}`;
      });
      hold('everyDatagramCounted', queued === step.queued, () => {
        return `${name}: ${step.queued} handshake messages queued, but ${queued} more are in the queue`;
      });
    } else if (this.#input === 'timeout') {
      hold('everyDatagramCounted', -queued === step.handshakesConsumed + step.refused, () => {
        return `${name}: ${-queued} handshake messages taken from the queue, but consumed ${step.handshakesConsumed} + dropped ${step.refused}`;
      });
    }
    hold('everyPacketCounted', step.seals === step.dataSent, () => {
      return `${name}: sealed ${step.seals} but transmitted ${step.dataSent}`;
    });
    const { handshakesCreated, handshakesUnsent, handshakesSent } = step;
    hold('everyDatagramCounted', handshakesCreated === handshakesSent + handshakesUnsent, () => {
      return `${name}: created ${handshakesCreated} handshake messages, but transmitted ${handshakesSent} + dropped ${handshakesUnsent}`;
    });
    const answers = this.#core.counts.unreachablesSent - this.#answersBefore;
    hold('everyPacketCounted', answers === step.answersDelivered, () => {
      return `${name} counts ${answers} answers "unreachable" but delivered ${step.answersDelivered}`;
    });
  }
}
