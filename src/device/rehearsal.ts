/**
 * A rehearsal of the packet path: two Devices on the daemon's own arena and suite talk to each
 * other before there is traffic, so that the engine has compiled and optimized the path when the
 * first packets come. Without it the first thousand each take a tenth of a millisecond longer.
 *
 * Nothing leaves: the two outlets are joined in memory, the keys are random and erased at the end.
 */

import { type Arena, HEADROOM_BYTES, TAILROOM_BYTES } from '../arena.ts';
import type { CryptoSuite } from '../crypto/suite.ts';
import { Device } from './device.ts';
import { Endpoint } from './endpoint.ts';

/** Packets each way. */
const PACKETS = 4_000;
/** As few as delay a turn of the event loop by about a millisecond. */
const PACKETS_PER_CHUNK = 40;
const SHORT_BYTES = 84;
const LONG_BYTES = 1_420;
const MS_PER_PACKET = 1;

export interface RehearsalOptions {
  readonly arena: Arena;
  readonly suite: CryptoSuite;
  readonly random: (out: Uint8Array) => void;
}

/**
 * The rehearsal, to be gone through chunk by chunk between turns of the event loop (each ends with
 * the arena reset), to its end or until there is real work to do.
 */
export function* rehearse({ arena, suite, random }: RehearsalOptions): Generator<void, void, void> {
  const ends = [new End(arena, suite, random, 1), new End(arena, suite, random, 2)] as const;
  const [left, right] = ends;
  left.meet(right);
  right.meet(left);
  try {
    for (let i = 0; i < PACKETS; i++) {
      const now = i * MS_PER_PACKET;
      const length = i % 2 === 0 ? SHORT_BYTES : LONG_BYTES;
      exchange(now, left, right, length);
      exchange(now, right, left, length);
      arena.reset();
      if (i % PACKETS_PER_CHUNK === 0) yield;
    }
  } finally {
    for (const end of ends) end.device.close();
    arena.reset();
  }
}

/** One packet, and whatever it sets off: a handshake the first time. */
function exchange(now: number, from: End, to: End, length: number): void {
  from.send(now, to, length);
  while (from.outbox.length > 0 || to.outbox.length > 0) {
    from.post(now, to);
    to.post(now, from);
    from.device.handleTimeout(now);
    to.device.handleTimeout(now);
  }
}

class End {
  readonly device: Device;
  readonly outbox: { readonly offset: number; readonly length: number }[] = [];
  readonly #arena: Arena;
  readonly #publicKey: Uint8Array;
  readonly #address: Uint8Array;
  readonly #endpoint: Endpoint;

  constructor(arena: Arena, suite: CryptoSuite, random: (out: Uint8Array) => void, number: number) {
    this.#arena = arena;
    this.#address = Uint8Array.of(192, 0, 2, number);
    this.#endpoint = new Endpoint(this.#address, number);
    this.device = new Device({
      arena,
      suite,
      random,
      wallClock: () => 0,
      outlet: {
        transmit: (offset, length) => this.outbox.push({ offset, length }),
        deliver: () => {},
      },
    });
    const privateKey = new Uint8Array(32);
    random(privateKey);
    this.#publicKey = suite.publicKey(privateKey);
    this.device.configure(0, { privateKey, peers: [] });
    privateKey.fill(0);
    this.device.up(0);
  }

  meet(other: End): void {
    const allowedIps = [{ prefix: { address: other.#address, length: 32 }, remove: false }];
    const peer = { publicKey: other.#publicKey, endpoint: other.#endpoint, allowedIps };
    this.device.configure(0, { peers: [peer] });
  }

  send(now: number, to: End, length: number): void {
    const slot = this.#arena.allocate(HEADROOM_BYTES + length + TAILROOM_BYTES);
    if (slot < 0) return;
    const offset = slot + HEADROOM_BYTES;
    const { bytes, view } = this.#arena;
    bytes.fill(0, offset, offset + length);
    bytes[offset] = 0x45;
    view.setUint16(offset + 2, length);
    bytes.set(this.#address, offset + 12);
    bytes.set(to.#address, offset + 16);
    this.device.sendPacket(now, offset, length);
  }

  post(now: number, to: End): void {
    for (const { offset, length } of this.outbox.splice(0)) {
      to.device.receiveDatagram(now, offset, length, this.#endpoint, 0);
    }
  }
}
