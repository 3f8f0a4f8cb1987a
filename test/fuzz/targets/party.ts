/**
 * A Device of the messages target with its own outlet: what it sends is kept until it is taken.
 * Time and randomness are handed in, so that the same seed says the same on every wire.
 */

import { type Arena, HEADROOM_BYTES, TAILROOM_BYTES } from '../../../src/arena.ts';
import type { CryptoSuite } from '../../../src/crypto/suite.ts';
import { Device } from '../../../src/device/device.ts';
import { Endpoint } from '../../../src/device/endpoint.ts';
import type { Peer } from '../../../src/device/peer.ts';
import type { Random } from '../../../src/noise/handshake.ts';
import { parsePrefix } from '../../../src/packet/address.ts';
import { holds } from '../target.ts';

const WALL_START = Date.UTC(2026, 0, 1);

export interface Clock {
  /** ms. */
  now: number;
}

export class Party {
  readonly device: Device;
  readonly arena: Arena;
  readonly endpoint: Endpoint;
  readonly publicKey: Uint8Array;
  readonly privateKey = new Uint8Array(32);
  /** Datagrams sent since they were last taken. */
  sent: Uint8Array[] = [];
  /** Packets delivered since this was emptied, as they lie in the arena. */
  delivered: { readonly offset: number; readonly length: number }[] = [];
  deliveries = 0;
  readonly #clock: Clock;

  constructor(arena: Arena, suite: CryptoSuite, clock: Clock, random: Random, number: number) {
    this.arena = arena;
    this.#clock = clock;
    this.endpoint = new Endpoint(Uint8Array.of(192, 0, 2, number), 51820);
    random(this.privateKey);
    this.publicKey = suite.publicKey(this.privateKey);
    this.device = new Device({
      arena,
      suite,
      random,
      wallClock: () => WALL_START + clock.now,
      outlet: {
        transmit: (offset, length, _endpoint, trafficClass) => {
          holds(length >= 32 && (trafficClass & ~0xff) === 0, 'a datagram that is no message');
          this.sent.push(arena.bytes.slice(offset, offset + length));
        },
        deliver: (offset, length) => {
          // The room before a packet is the outlet's.
          arena.bytes.fill(0xdd, offset - HEADROOM_BYTES, offset);
          this.delivered.push({ offset, length });
          this.deliveries++;
        },
      },
    });
    this.device.configure(0, { privateKey: this.privateKey, peers: [] });
    this.device.up(0);
  }

  meet(other: Party, prefix: string, presharedKey = new Uint8Array(32)): void {
    const { publicKey, endpoint } = other;
    const allowedIps = [{ prefix: parsePrefix(prefix)!, remove: false }];
    const peers = [{ publicKey, presharedKey, endpoint, allowedIps }];
    this.device.configure(this.#clock.now, { peers });
  }

  /** Sends an IP packet; what goes out is returned. */
  send(packet: Uint8Array): Uint8Array[] {
    const slot = this.arena.allocate(HEADROOM_BYTES + packet.length + TAILROOM_BYTES);
    this.arena.bytes.set(packet, slot + HEADROOM_BYTES);
    this.device.sendPacket(this.#clock.now, slot + HEADROOM_BYTES, packet.length);
    return this.#endTurn();
  }

  /** Takes datagrams and whatever is due; what goes out is returned. */
  receive(datagrams: readonly Uint8Array[], endpoint: Endpoint): Uint8Array[] {
    for (const datagram of datagrams) {
      const slot = this.arena.allocate(datagram.length);
      this.arena.bytes.set(datagram, slot);
      this.device.receiveDatagram(this.#clock.now, slot, datagram.length, endpoint, 0);
    }
    this.device.handleTimeout(this.#clock.now);
    return this.#endTurn();
  }

  /** Handles all that waits or is due. */
  settle(): Uint8Array[] {
    do this.device.handleTimeout(this.#clock.now);
    while (this.device.nextTimeout() <= this.#clock.now);
    return this.#endTurn();
  }

  /** The record of a peer inside the Device. */
  record(other: Party): Peer {
    const key = String.fromCharCode(...other.publicKey);
    return this.device.core.peers.get(key)!;
  }

  #endTurn(): Uint8Array[] {
    this.arena.reset();
    this.delivered = [];
    const { sent } = this;
    this.sent = [];
    return sent;
  }
}

/** A handshake and a first packet from one to the other, so that both have a live session. */
export function connect(from: Party, to: Party, packet: Uint8Array): void {
  let datagrams = from.send(packet);
  for (let turn = 0; turn < 4; turn++) {
    datagrams = to.receive(datagrams, from.endpoint);
    datagrams = from.receive(datagrams, to.endpoint);
  }
}
