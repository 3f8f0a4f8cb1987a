/**
 * A program of its own, run on the crowd's host: many peers of one victim at once, each a Device of
 * the library over a UDP socket at an address of its own, and none of them seen before.
 *
 *     node newcomers.js <PLAN          a `CrowdPlan` in JSON, and after it a line for the start
 *
 * Prints "ready" when every socket is open and, at the start, one line of JSON for each who is
 * connected, as it is (`Arrival`); it ends when all are, or when its time is over. A caller is
 * connected when its first ping is answered, who is called when the first packet has come.
 */

import { randomFillSync } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { Arena, HEADROOM_BYTES, TAILROOM_BYTES } from '../../src/arena.ts';
import { createOpensslSuite } from '../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { Device } from '../../src/device/device.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { parseAddress, parsePrefix } from '../../src/packet/address.ts';
import { checksum } from '../../src/packet/checksum.ts';
import { monotonicMs } from '../../src/sys/clock.ts';

export interface CrowdPlan {
  readonly victim: {
    /** Base64. */
    readonly publicKey: string;
    readonly outer: string;
    readonly inner: string;
    readonly port: number;
  };
  readonly newcomers: readonly {
    /** Base64. */
    readonly privateKey: string;
    readonly outer: string;
    readonly inner: string;
  }[];
  readonly isCalling: boolean;
  readonly seconds: number;
}

export interface Arrival {
  readonly newcomer: number;
  /** Milliseconds since 1970: all programs of a machine have one clock. */
  readonly at: number;
  /** Cookies that it was given. */
  readonly cookies: number;
}

const ARENA_BYTES = 1 << 20;
const TICK_MS = 10;
/** Between two pings of a caller. */
const PING_MS = 100;
const MS_PER_S = 1_000;
const PROTOCOL_ICMP = 1;
const ECHO_REQUEST = 8;
const PACKET_BYTES = 36;

const arena = new Arena(ARENA_BYTES);
const suite = createOpensslSuite(arena) ?? createPortableSuite(arena);

class Newcomer {
  readonly #number: number;
  readonly #plan: CrowdPlan;
  readonly #device: Device;
  readonly #socket: Socket;
  readonly #onArrival: () => void;
  #isConnected = false;

  constructor(number: number, plan: CrowdPlan, onArrival: () => void) {
    this.#number = number;
    this.#plan = plan;
    this.#onArrival = onArrival;
    this.#socket = createSocket(plan.victim.outer.includes(':') ? 'udp6' : 'udp4');
    this.#device = new Device({
      arena,
      suite,
      random: (out) => void randomFillSync(out),
      wallClock: Date.now,
      outlet: {
        transmit: (offset, length, endpoint) => this.#transmit(offset, length, endpoint),
        deliver: () => this.#arrive(),
      },
    });
    const { victim, isCalling } = plan;
    const peer = {
      publicKey: Buffer.from(victim.publicKey, 'base64'),
      endpoint: isCalling ? new Endpoint(parseAddress(victim.outer)!, victim.port) : null,
      allowedIps: [{ prefix: parsePrefix(victim.inner)!, remove: false }],
    };
    const privateKey = Buffer.from(plan.newcomers[number].privateKey, 'base64');
    this.#device.configure(monotonicMs(), { privateKey, peers: [peer] });
    this.#device.up(monotonicMs());
  }

  /** Resolves when the socket is open. */
  open(): Promise<void> {
    this.#socket.on('message', (message, { address, port }) => {
      const offset = allocate(message.length);
      arena.bytes.set(message, offset);
      const endpoint = new Endpoint(parseAddress(address)!, port);
      this.#device.receiveDatagram(monotonicMs(), offset, message.length, endpoint, 0);
      this.#settle();
    });
    const { outer } = this.#plan.newcomers[this.#number];
    return new Promise((resolve) => {
      this.#socket.bind(this.#plan.victim.port, outer, resolve);
    });
  }

  ping(): void {
    if (this.#isConnected) return;
    const offset = allocate(PACKET_BYTES);
    const { inner } = this.#plan.newcomers[this.#number];
    writePing(arena.bytes, offset, inner, this.#plan.victim.inner);
    this.#device.sendPacket(monotonicMs(), offset, PACKET_BYTES);
    this.#settle();
  }

  tick(): void {
    if (this.#device.nextTimeout() <= monotonicMs()) this.#settle();
  }

  close(): void {
    this.#socket.close();
  }

  /** Does what is due after an input, and gives the arena back. */
  #settle(): void {
    do this.#device.handleTimeout(monotonicMs());
    while (this.#device.nextTimeout() <= monotonicMs());
    arena.reset();
  }

  #transmit(offset: number, length: number, { port }: Endpoint): void {
    // The victim's is the only endpoint that there is.
    const message = arena.bytes.slice(offset, offset + length);
    this.#socket.send(message, port, this.#plan.victim.outer);
  }

  #arrive(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    const [peer] = this.#device.stats(monotonicMs()).peers;
    const cookies = peer.counters.cookies_received;
    const arrival: Arrival = { newcomer: this.#number, at: Date.now(), cookies };
    console.log(JSON.stringify(arrival));
    this.#onArrival();
  }
}

/** Room for a packet with what the Device may write around it. */
function allocate(length: number): number {
  return arena.allocate(HEADROOM_BYTES + length + TAILROOM_BYTES) + HEADROOM_BYTES;
}

function writePing(bytes: Uint8Array, offset: number, from: string, to: string): void {
  const packet = bytes.subarray(offset, offset + PACKET_BYTES);
  packet.fill(0);
  packet[0] = 0x45;
  packet[3] = PACKET_BYTES;
  packet[8] = 64;
  packet[9] = PROTOCOL_ICMP;
  packet.set(parseAddress(from)!, 12);
  packet.set(parseAddress(to)!, 16);
  packet[20] = ECHO_REQUEST;
  putChecksum(packet, 10, checksum(packet, 0, 20));
  putChecksum(packet, 22, checksum(packet, 20, PACKET_BYTES - 20));
}

function putChecksum(packet: Uint8Array, at: number, value: number): void {
  packet[at] = value >> 8;
  packet[at + 1] = value & 0xff;
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const plan = JSON.parse((await lines.next()).value) as CrowdPlan;
let missing = plan.newcomers.length;
const crowd = plan.newcomers.map((_, number) => new Newcomer(number, plan, arrived));
await Promise.all(crowd.map((newcomer) => newcomer.open()));
const ticks = setInterval(() => {
  for (const newcomer of crowd) newcomer.tick();
}, TICK_MS);
console.log('ready');
await lines.next();
const calls = plan.isCalling ? setInterval(callAll, PING_MS) : undefined;
const end = setTimeout(finish, plan.seconds * MS_PER_S);
console.log(`begun ${Date.now()}`);
if (plan.isCalling) callAll();

function callAll(): void {
  for (const newcomer of crowd) newcomer.ping();
}

function arrived(): void {
  if (--missing === 0) finish();
}

function finish(): void {
  clearInterval(ticks);
  clearInterval(calls);
  clearTimeout(end);
  // What is under way in this turn may still want its socket.
  setImmediate(() => {
    for (const newcomer of crowd) newcomer.close();
    process.exit();
  });
}
