/**
 * The path of packets: joins a Device to an interface and a transport, and owns the turn.
 *
 * A turn begins when something can be read, a deadline is due or somebody asks for something. It
 * reads the clock once, gives the Device a bounded number of packets, flushes what the Device put
 * out, and takes the arena back. Turns follow each other and never lie in each other; what happens
 * in one has its `now`. What kind of interface and transport there is, is not known here.
 */

import type { Arena } from '../arena.ts';
import { takeSecret } from '../crypto/openssl/secretmemory.ts';
import type { CryptoSuite } from '../crypto/suite.ts';
import { Device } from '../device/device.ts';
import { NO_DOORKEEPER } from '../device/doorkeeper.ts';
import { type Outlet, transmitRun } from '../device/outlet.ts';
import type { NameService } from '../device/ways.ts';
import { monotonicMs, random, threadMs, wallClockMs } from '../sys/clock.ts';
import type { Guard } from './guard.ts';
import type { Interface, PacketSink } from './interface.ts';
import type { DatagramSink, Inlet, Transport } from './transport.ts';
import { Warming } from './warming.ts';

/** Packets a turn takes from the interface or an inlet before the others have theirs. */
const INTERFACE_BUDGET = 256;
const INLET_BUDGET = 256;

/** What a handshake message costs, in packets: a genuine one, and one that is refused. */
const HANDSHAKE_WEIGHT = 30;
const REFUSAL_WEIGHT = 3;

export interface DatapathOptions {
  readonly arena: Arena;
  readonly suite: CryptoSuite;
  /** For the Device; see there. */
  readonly nameService?: NameService;
  readonly interfaceIndex?: (name: string) => number;
  /** Whether caches are kept warm in pauses (warming.ts); they are, unless this is false. */
  readonly warm?: boolean;
  /**
   * Told at a turn's end when the transport takes no more, and when it does again: meanwhile the
   * interface is not read, and watching it is of no use.
   */
  readonly onHold?: (isHeld: boolean) => void;
}

export class Datapath {
  readonly device: Device;
  /** For the pauses of a session; undefined when caches are not to be kept warm. */
  readonly stayWarm: (() => void) | undefined;
  readonly #arena: Arena;
  readonly #onHold: (isHeld: boolean) => void;
  readonly #warming: Warming | undefined;
  #interface: Interface | undefined;
  #transport: Transport | undefined;
  /** The transport's. */
  #guard: Guard | undefined;
  #link = 0;
  #now = monotonicMs();
  #isInTurn = false;
  #isHeld = false;
  #moved = 0;
  #turns = 0;
  /** For how many turns this one tells the guard its cost; 0 for none. */
  #stride = 0;
  /** What this thread had computed when the turn began, if it tells. */
  #threadMsAtBegin = 0;
  /** What this turn has done, in packets or as much as one costs: for peers, and for nothing. */
  #work = 0;
  #nuisance = 0;
  /** Datagrams of this turn that came to nothing, or that wait for their verdict. */
  #strangers = 0;
  /** Whether this turn gave packets to the interface. */
  #hasDelivered = false;

  constructor({ arena, suite, nameService, interfaceIndex, warm = true, onHold }: DatapathOptions) {
    this.#arena = arena;
    this.#onHold = onHold ?? (() => {});
    this.device = new Device({
      arena,
      suite,
      random,
      wallClock: wallClockMs,
      takeSecret,
      failureTo: (endpoint) => this.#transport?.failureTo?.(endpoint) ?? null,
      lead: (endpoint) => this.#transport?.lead?.(endpoint, this.#link) ?? 'out',
      isBroadcast: (address) => this.#transport?.isBroadcast?.(address) ?? false,
      ...(nameService === undefined ? {} : { nameService }),
      ...(interfaceIndex === undefined ? {} : { interfaceIndex }),
      outlet: {
        transmit: (offset, length, endpoint, trafficClass) =>
          this.#transport?.transmit(offset, length, endpoint, trafficClass),
        transmitRun: this.#transmitRun,
        deliver: (offset, length) => {
          this.#hasDelivered = true;
          this.#interface?.deliver(offset, length);
        },
      },
    });
    this.#warming = warm ? new Warming({ arena, suite, readAll: this.catchUp }) : undefined;
    this.stayWarm = this.#warming?.stayWarm;
  }

  // What it joins.

  get interface(): Interface | undefined {
    return this.#interface;
  }

  get transport(): Transport | undefined {
    return this.#transport;
  }

  /** The interface's owner opens and closes it. */
  attachInterface(side: Interface): void {
    if (this.#interface !== undefined) throw new Error('datapath: there is an interface');
    this.#interface = side;
  }

  /** Packets for it are lost from now on; those of the batch too. */
  detachInterface(): void {
    this.#interface = undefined;
  }

  /** The transport's owner opens, watches and closes it. */
  attachTransport(transport: Transport): void {
    if (this.#transport !== undefined) throw new Error('datapath: there is a transport');
    this.#transport = transport;
    this.#guard = transport.guard;
    this.device.setDoorkeeper(this.#guard ?? NO_DOORKEEPER);
  }

  /** Datagrams for it are lost from now on; those of the batch too. */
  detachTransport(): void {
    this.#transport = undefined;
    this.#guard = undefined;
    this.device.setDoorkeeper(NO_DOORKEEPER);
  }

  /** The interface's index in the network where the transport is; 0 when it is in another one. */
  get link(): number {
    return this.#link;
  }

  setLink(index: number): void {
    this.#link = index;
  }

  // Turns.

  /** Monotonic ms of this turn, or of the last one. */
  get now(): number {
    return this.#now;
  }

  /** Packets and datagrams read so far. */
  get moved(): number {
    return this.#moved;
  }

  readonly readInterface = (): void => {
    this.#begin();
    try {
      if (this.#interface !== undefined && this.#transport?.isWritable !== false) {
        const packets = this.#interface.read(this.#sendPacket, INTERFACE_BUDGET);
        this.#moved += packets;
        this.#work += packets;
      }
      this.#end();
    } finally {
      this.#isInTurn = false;
    }
  };

  /** @param inlet one of the attached transport's */
  receive(inlet: Inlet): void {
    this.#begin();
    this.#hasDelivered = false;
    try {
      const { outcomes } = this.device;
      const openedBefore = outcomes.opened;
      const handed = inlet.receive(this.#receiveDatagram, INLET_BUDGET, this.#now);
      this.#moved += handed;
      const opened = outcomes.opened - openedBefore;
      this.#work += opened;
      this.#strangers += handed - opened;
      this.#end();
    } finally {
      this.#isInTurn = false;
    }
    // The kernel answers within the write: an echo's reply or an ACK waits on the interface now,
    // and need not wait until the descriptors have been polled again.
    if (this.#hasDelivered) this.readInterface();
  }

  /** For the Device's deadlines, for handshakes that wait their turn, and to look around. */
  readonly handleTimeout = (): void => {
    this.#begin();
    try {
      this.#end();
    } finally {
      this.#isInTurn = false;
    }
  };

  /** A turn for the interface and one for each inlet: what has waited came before what follows. */
  readonly catchUp = (): void => {
    this.readInterface();
    for (const inlet of this.#transport?.inlets ?? []) this.receive(inlet);
  };

  /**
   * A turn of the caller's own making, for what puts something out: `body` asks of the Device what
   * it likes, at `now`. After a body that throws nothing is flushed.
   */
  turn<T>(body: () => T): T {
    this.#begin();
    try {
      const result = body();
      this.#end();
      return result;
    } finally {
      this.#isInTurn = false;
    }
  }

  /** Brings `now` up to date without a turn, for what puts nothing out. Returns it. */
  readClock(): number {
    if (this.#isInTurn) throw new Error('datapath: a turn has one time');
    this.#now = monotonicMs();
    return this.#now;
  }

  /** Erases every key. The interface and the transport are closed by those who opened them. */
  close(): void {
    this.device.close();
    this.#warming?.close();
  }

  #begin(): void {
    if (this.#isInTurn) throw new Error('datapath: a turn within a turn');
    this.#isInTurn = true;
    this.#now = monotonicMs();
    this.#work = 0;
    this.#strangers = 0;
    this.#nuisance = 0;
    const stride = this.#guard?.turnsASample ?? 0;
    this.#stride = stride > 0 && this.#turns++ % stride === 0 ? stride : 0;
    if (this.#stride > 0) this.#threadMsAtBegin = threadMs();
  }

  #end(): void {
    if (this.#guard?.isPressed) this.device.press(this.#now);
    if (this.device.queuedHandshakes > 0) this.#judgeHandshakes();
    else if (this.device.nextTimeout() <= this.#now) this.device.handleTimeout(this.#now);
    this.#transport?.flush();
    this.#interface?.flush();
    this.#arena.reset();
    if (this.#guard !== undefined) this.#account(this.#guard);
    const isHeld = this.#transport?.isWritable === false;
    if (isHeld !== this.#isHeld) {
      this.#isHeld = isHeld;
      this.#onHold(isHeld);
    }
  }

  /** Handshakes take their turns. */
  #judgeHandshakes(): void {
    const { outcomes } = this.device;
    const { judged, accepted } = outcomes;
    this.device.handleTimeout(this.#now);
    const genuine = outcomes.accepted - accepted;
    this.#work += genuine * HANDSHAKE_WEIGHT;
    // All of them have been counted as strangers when they were read.
    if (genuine > 0) this.#guard?.vindicate(genuine);
    this.#nuisance += (outcomes.judged - judged - genuine) * REFUSAL_WEIGHT;
  }

  /** Tells the guard what of the turn's cost strangers have to answer for. */
  #account(guard: Guard): void {
    const nuisance = this.#strangers + this.#nuisance;
    const all = nuisance + this.#work;
    if (all === 0 || this.#stride === 0) {
      guard.turned(this.#strangers, 0, 0, this.#now);
      return;
    }
    const cost = (threadMs() - this.#threadMsAtBegin) * this.#stride;
    guard.turned(this.#strangers, cost * (nuisance / all), cost, this.#now);
  }

  readonly #transmitRun: NonNullable<Outlet['transmitRun']> = (
    offset,
    length,
    endpoint,
    trafficClass,
    count,
    lastLength,
  ) => {
    const transport = this.#transport;
    if (transport === undefined) return;
    transmitRun(transport, offset, length, endpoint, trafficClass, count, lastLength);
  };

  readonly #sendPacket: PacketSink = (
    offset,
    length,
    count = 1,
    stride = 0,
    lastLength = length,
  ) => {
    if (count === 1) this.device.sendPacket(this.#now, offset, length);
    else this.device.sendRun(this.#now, offset, length, count, stride, lastLength);
  };

  readonly #receiveDatagram: DatagramSink = (
    offset,
    length,
    endpoint,
    trafficClass,
    count = 1,
    lastLength = length,
  ) => {
    const { device } = this;
    const now = this.#now;
    if (count === 1) device.receiveDatagram(now, offset, length, endpoint, trafficClass);
    else device.receiveRun(now, offset, length, endpoint, trafficClass, count, lastLength);
  };
}
