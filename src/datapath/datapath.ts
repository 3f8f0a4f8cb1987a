/**
 * The path of packets: joins a Device to an interface and its sockets, and owns the turn.
 *
 * A turn begins when a descriptor is readable, a deadline is due or the operator asks for
 * something. It reads the clock once, gives the Device a bounded number of packets, flushes what
 * the Device put out, and takes the arena back.
 */

import type { Arena } from '../arena.ts';
import { takeSecret } from '../crypto/openssl/secretmemory.ts';
import type { CryptoSuite, Opener, Sealer } from '../crypto/suite.ts';
import { Device } from '../device/device.ts';
import type { Floodgate } from '../gate/floodgate.ts';
import { monotonicMs, random, threadMs, wallClockMs } from '../sys/clock.ts';
import type { Tun } from '../tun/tun.ts';
import type { DatagramSink, Udp } from '../udp/udp.ts';
import type { UdpChannel } from '../udp/udpchannel.ts';

/** Packets a turn takes from one descriptor before the others have theirs. */
const TUN_BUDGET = 256;
const UDP_BUDGET = 256;

/** What a handshake message costs, in packets: a genuine one, and one that is refused. */
const HANDSHAKE_WEIGHT = 30;
const REFUSAL_WEIGHT = 3;

/** As much as a small packet has, and its authenticator. */
const PRACTICE_BYTES = 96;
const PRACTICE_ROOM_BYTES = PRACTICE_BYTES + 16;

export interface DatapathOptions {
  readonly arena: Arena;
  readonly suite: CryptoSuite;
  /** Guards the sockets, if there is one. */
  readonly gate?: Floodgate;
}

export class Datapath {
  readonly device: Device;
  tun: Tun | undefined;
  udp: Udp | undefined;
  /** The interface's index in the network where the sockets are; 0 when it is in another one. */
  link = 0;
  /** Monotonic ms of this turn. */
  now = monotonicMs();
  readonly #arena: Arena;
  readonly #suite: CryptoSuite;
  readonly gate: Floodgate | undefined;
  /** Keys for `stayWarm`, and how often they were used. */
  #practice: { readonly sealer: Sealer; readonly opener: Opener; counter: number } | undefined;
  /** Packets and datagrams read so far. */
  moved = 0;
  #turns = 0;
  /** For how many turns this one tells the gate its cost; 0 for none. */
  #stride = 0;
  /** What this thread had computed when the turn began, if it tells. */
  #threadMsAtBegin = 0;
  /** What this turn has done, in packets or as much as a packet costs: for peers, and for nothing. */
  #work = 0;
  #nuisance = 0;
  /** Datagrams of this turn that came to nothing, or that wait for their verdict. */
  #strangers = 0;
  /** Whether this turn gave packets to the interface. */
  #hasDelivered = false;

  constructor({ arena, suite, gate }: DatapathOptions) {
    this.#arena = arena;
    this.#suite = suite;
    this.gate = gate;
    this.device = new Device({
      arena,
      suite,
      random,
      wallClock: wallClockMs,
      takeSecret,
      leadsInside: (endpoint) => this.link !== 0 && this.udp?.outgoingLink(endpoint) === this.link,
      outlet: {
        transmit: (offset, length, endpoint, trafficClass) =>
          this.udp?.transmit(offset, length, endpoint, trafficClass),
        deliver: (offset, length) => {
          this.#hasDelivered = true;
          this.tun?.deliver(offset, length);
        },
      },
      ...(gate === undefined ? {} : { doorkeeper: gate }),
    });
  }

  readonly readTun = (): void => {
    this.begin();
    const packets = this.tun?.read(this.#sendPacket, TUN_BUDGET) ?? 0;
    this.moved += packets;
    this.#work += packets;
    this.end();
  };

  readUdp(socket: UdpChannel): void {
    this.begin();
    this.#hasDelivered = false;
    const { outcomes } = this.device;
    const openedBefore = outcomes.opened;
    const handed = socket.receive(this.#receiveDatagram, UDP_BUDGET);
    this.moved += handed;
    const opened = outcomes.opened - openedBefore;
    this.#work += opened;
    this.#strangers += handed - opened;
    this.gate?.wasRead(socket.family, socket.isEmpty, this.now);
    this.end();
    // The kernel answers within the write: an echo's reply or an ACK waits on the interface now,
    // and need not wait until the descriptors have been polled again.
    if (this.#hasDelivered) this.readTun();
  }

  /** For the Device's deadlines, and for handshakes that wait their turn. */
  readonly handleTimeout = (): void => {
    this.begin();
    this.end();
  };

  /**
   * Goes the ways of a packet in vain. A packet that comes some milliseconds after the last one
   * then finds code and data of its way in the processor's caches (measured: a quarter of an idle
   * ping's round trip). What came meanwhile is handled as ever.
   */
  readonly stayWarm = (): void => {
    this.readTun();
    for (const socket of this.udp?.sockets ?? []) this.readUdp(socket);
    this.#practice ??= createPractice(this.#suite);
    const { sealer, opener } = this.#practice;
    const counter = this.#practice.counter++;
    const offset = this.#arena.allocate(PRACTICE_ROOM_BYTES);
    sealer.seal(offset, PRACTICE_BYTES, counter);
    opener.open(offset, PRACTICE_BYTES, counter);
    this.#arena.reset();
  };

  /** Erases every key. The interface and the sockets are closed by whoever opened them. */
  close(): void {
    this.device.close();
    this.#practice?.sealer.wipe();
    this.#practice?.opener.wipe();
    this.#practice = undefined;
  }

  /** Begins a turn of the caller's own making, which `end` ends. */
  begin(): void {
    this.now = monotonicMs();
    this.#work = 0;
    this.#strangers = 0;
    this.#nuisance = 0;
    const stride = this.gate?.turnsASample ?? 0;
    this.#stride = stride > 0 && this.#turns++ % stride === 0 ? stride : 0;
    if (this.#stride > 0) this.#threadMsAtBegin = threadMs();
  }

  end(): void {
    if (this.gate?.isPressed) this.device.press(this.now);
    if (this.device.queuedHandshakes > 0) this.#judgeHandshakes();
    else if (this.device.nextTimeout() <= this.now) this.device.handleTimeout(this.now);
    this.udp?.flush();
    this.tun?.flush();
    this.#arena.reset();
    if (this.gate !== undefined) this.#account(this.gate);
  }

  /** Handshakes take their turns. */
  #judgeHandshakes(): void {
    const { outcomes } = this.device;
    const { judged, accepted } = outcomes;
    this.device.handleTimeout(this.now);
    const genuine = outcomes.accepted - accepted;
    this.#work += genuine * HANDSHAKE_WEIGHT;
    // They have been counted as strangers when they were read.
    this.#nuisance += (outcomes.judged - judged - genuine) * REFUSAL_WEIGHT;
  }

  /** Tells the gate what of the turn's cost strangers have to answer for. */
  #account(gate: Floodgate): void {
    const nuisance = this.#strangers + this.#nuisance;
    const all = nuisance + this.#work;
    if (all === 0 || this.#stride === 0) {
      gate.turned(this.#strangers, 0, 0, this.now);
      return;
    }
    const cost = (threadMs() - this.#threadMsAtBegin) * this.#stride;
    gate.turned(this.#strangers, cost * (nuisance / all), cost, this.now);
  }

  readonly #sendPacket = (offset: number, length: number): void =>
    this.device.sendPacket(this.now, offset, length);

  readonly #receiveDatagram: DatagramSink = (offset, length, endpoint, trafficClass) =>
    this.device.receiveDatagram(this.now, offset, length, endpoint, trafficClass);
}

function createPractice(suite: CryptoSuite): { sealer: Sealer; opener: Opener; counter: number } {
  const key = new Uint8Array(32);
  random(key);
  const practice = { sealer: suite.createSealer(key), opener: suite.createOpener(key), counter: 0 };
  key.fill(0);
  return practice;
}
