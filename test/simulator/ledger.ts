/**
 * The books of one Device, balanced after every input: a packet from the interface is sealed, waits,
 * or was dropped for a reason; a datagram was delivered, was a keepalive or a cookie, is queued, or
 * was dropped for a reason; and what waits is, packet by packet, what should wait.
 */

import { type Core, peerKey } from '../../src/device/core.ts';
import { DROP_REASON_NAMES, type DropReason } from '../../src/device/drops.ts';
import type { DeviceEvent } from '../../src/device/events.ts';
import type { Peer } from '../../src/device/peer.ts';
import type { Flight } from './network.ts';
import type { AuditedSession } from './suite.ts';
import type { Packet, Traffic } from './traffic.ts';
import { hold } from './violation.ts';

/** Which of the Device's inputs a step is. */
export type Input = 'packet' | 'datagram' | 'timeout' | 'configuration';

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
  unauthentic: DropReason | null = null;
  roamed = false;
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
  /** The packet of this step whose fate is still open. */
  #packet: Packet | null = null;
  #flight: Flight | null = null;
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

  /** With the packet or the datagram that comes in. */
  begin(input: Input, now: number, packet: Packet | null, flight: Flight | null): void {
    this.#input = input;
    this.#now = now;
    this.#isUnderLoad = this.#core.handshakeQueue.isUnderLoad(now);
    this.#flight = flight;
    this.#packet = packet;
    this.#queuedBefore = this.#core.handshakeQueue.length;
    this.#answersBefore = this.#core.counts.unreachablesSent;
    this.#step = new Step();
  }

  /** A packet is being sealed; `number`: 0 for a keepalive. */
  sealed(session: AuditedSession, number: number): void {
    this.#step.seals++;
    const waiting = this.#waitingOf(session.peer);
    if (waiting.length > 0) {
      // First come, first served; a packet never overtakes those that wait.
      const first = waiting.shift()!;
      hold('inOrder', first === number, () => {
        return `${this.#name} sends packet ${number} before packet ${first}, which waited longer`;
      });
    }
    if (number === KEEPALIVE) return;
    const packet = this.#traffic.get(number);
    hold('everyPacketCounted', packet !== undefined && packet.fate !== 'sealed', () => {
      return `${this.#name} seals packet ${number}, which is ${packet?.fate ?? 'unknown'}`;
    });
    packet!.fate = 'sealed';
    if (packet === this.#packet) this.#packet = null;
  }

  opened(length: number): void {
    if (length === 0) this.#step.keepalivesOpened++;
  }

  transmitted(isData: boolean): void {
    if (isData) this.#step.dataSent++;
    else this.#step.handshakesSent++;
  }

  delivered(isAnswer: boolean): void {
    if (isAnswer) this.#step.answersDelivered++;
    else this.#step.packetsDelivered++;
  }

  /** `peer`: whom the event is about. */
  event(event: DeviceEvent, peer: Peer | null): void {
    const step = this.#step;
    if (event.kind === 'dropped') this.#drop(event, peer);
    else if (event.kind === 'roamed') step.roamed = true;
    else if (event.kind === 'initiationReceived' || event.kind === 'responseReceived') {
      step.handshakesConsumed++;
      this.#takeQueued(event);
    } else if (event.kind === 'cookieReceived') step.cookiesConsumed++;
    else if (event.kind === 'initiationSent') step.handshakesCreated++;
    else if (event.kind === 'responseSent') step.handshakesCreated++;
    else if (event.kind === 'cookieSent') step.handshakesCreated++;
  }

  /** Balances the books. `packetPeer`: on whom the packet has to wait if its fate is still open. */
  close(packetPeer: Peer | undefined): void {
    if (this.#packet !== null) {
      const packet = this.#packet;
      hold('everyPacketCounted', packetPeer !== undefined, () => {
        return `${this.#name}: packet ${packet.number} was neither sealed nor dropped, and nobody could wait for it`;
      });
      packet.fate = 'waiting';
      this.#waitingOf(packetPeer!).push(packet.number);
    }
    this.#balanceWaiting();
    this.#balanceDatagrams();
  }

  /** Whether the datagram of the last step was shown to come from a peer. */
  get wasAuthentic(): boolean {
    const { packetsDelivered, keepalivesOpened, refused, unauthentic } = this.#step;
    return unauthentic === null && packetsDelivered + keepalivesOpened + refused > 0;
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
      // A datagram from there, or, for want of memory, a handshake message to there.
      if (reason === 'arenaExhausted') this.#step.handshakesUnsent++;
      else this.#step.refused += packets;
      if (this.#input === 'timeout' && reason !== 'arenaExhausted') this.#takeQueued(event);
      if (UNAUTHENTIC.has(reason)) this.#step.unauthentic = reason;
      return;
    }
    const waiting = peer === null ? null : this.#waitingOf(peer);
    if (waiting === null || waiting.length === 0 || reason === 'noEndpoint') {
      // It was the packet at hand, or a keepalive made and lost in this step.
      if (this.#packet !== null) this.#packet.fate = 'dropped';
      this.#packet = null;
      return;
    }
    const isAll = reason === 'handshakeTimeout' || reason === 'peerRemoved';
    hold('everyPacketCounted', !isAll || packets === waiting.length, () => {
      return `${this.#name} drops ${packets} packets as ${reason}, but ${waiting.length} waited`;
    });
    for (const number of waiting.splice(0, packets))
      if (number !== KEEPALIVE) this.#traffic.get(number)!.fate = 'dropped';
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
      if (this.#input !== 'packet' && should.length === 0 && there === 1) should.push(KEEPALIVE);
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
    if (this.#input === 'datagram') {
      if (queued === 1) this.#queued.push(this.#flight!);
      // A keepalive that was opened and then found to be a replay is refused only.
      const twice = step.unauthentic === 'replayedPacket' ? step.keepalivesOpened : 0;
      hold('everyDatagramCounted', accepted + step.refused + queued - twice === 1, () => {
        return `${name}: 1 datagram in, but delivered ${step.packetsDelivered} + keepalives ${step.keepalivesOpened - twice} + cookies ${step.cookiesConsumed} + queued ${queued} + dropped ${step.refused}`;
      });
      const answered = step.dataSent + step.handshakesSent;
      const isQuiet = answered === 0 && step.packetsDelivered === 0 && !step.roamed;
      hold('silentToStrangers', step.unauthentic === null || isQuiet, () => {
        return `${name} drops a datagram as ${step.unauthentic}, but sends ${answered}, delivers ${step.packetsDelivered}${step.roamed ? ' and roams' : ''}`;
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
