/**
 * Frames of the TUN device, virtio header and all, on their way in: the segmenter cuts or completes
 * them, and each packet goes to a Device that can send it nowhere at once, so that it is staged,
 * or refused with an ICMP answer. The packets then go back through the coalescer, which with the
 * segmenter must be the identity. As they were cut they also go to a Device with a session as a run,
 * and to another one by one.
 *
 * A first byte chooses the MTU; the frame follows.
 */

import { Arena, HEADROOM_BYTES, TAILROOM_BYTES } from '../../../src/arena.ts';
import { sameBytes } from '../../../src/bytes.ts';
import { createPortableSuite } from '../../../src/crypto/portable.ts';
import { Device } from '../../../src/device/device.ts';
import type { DropReason } from '../../../src/device/drops.ts';
import { Endpoint } from '../../../src/device/endpoint.ts';
import { parsePrefix } from '../../../src/packet/address.ts';
import { checksum, pseudoHeaderSum, sum } from '../../../src/packet/checksum.ts';
import { createUnreachable, ICMP_ANSWER_BYTES_MAX } from '../../../src/packet/icmp.ts';
import { ipLength, ipVersion, isSound, readEcn, writeEcn } from '../../../src/packet/ip.ts';
import { createKernels } from '../../../src/packet/kernels/fastest.ts';
import { createPortableKernels } from '../../../src/packet/kernels/portable.ts';
import { Segmenter } from '../../../src/packet/segment.ts';
import { VIRTIO_HEADER_BYTES } from '../../../src/packet/virtio.ts';
import { seeded } from '../../noise/parties.ts';
import type { Dice } from '../../packet/trains.ts';
import { mutateBytes, mutateInPlace } from '../mutator.ts';
import { holds, holdsEqual, type RunningTarget, type Target } from '../target.ts';
import { FRAMES } from './packetseeds.ts';
import { Rejoiner } from './rejoiner.ts';
import { Senders } from './senders.ts';

const MTUS = [1420, 1280, 68, 0, 65_535, 1500, 1421, 16];
const FRAME_BYTES_MAX = VIRTIO_HEADER_BYTES + 65_535;
const ARENA_BYTES = 1 << 20;
const GUARD_BYTES = 64;
const GUARD = 0xa5;
/** Around the frame that the portable kernels get: who reads beyond it (it reads as TCP) differs. */
const OTHER_GUARD = 6;
/** Of one frame; of the others only the layout is looked at. */
const PACKETS_LOOKED_AT = 64;
const STAGED_BYTES_MAX = 1 << 18;
const OUTBOUND: readonly DropReason[] = [
  'malformedPacket',
  'noPeer',
  'noEndpoint',
  'stagedOverflow',
];

/** With the byte that chooses the MTU. */
const CORPUS = FRAMES.map((frame) => Uint8Array.of(0, ...frame));

class Frames implements RunningTarget {
  readonly #arena = new Arena(ARENA_BYTES);
  readonly #plainArena = new Arena(ARENA_BYTES);
  readonly #segmenter = new Segmenter(this.#arena, createKernels(this.#arena));
  readonly #plain = new Segmenter(this.#plainArena, createPortableKernels(this.#plainArena));
  readonly #rejoiner = new Rejoiner();
  readonly #senders: Senders;
  readonly #device: Device;
  #answers = 0;
  #stagedBytes = 0;
  #now = 0;

  constructor(seed: number) {
    this.#device = new Device({
      arena: this.#arena,
      suite: createPortableSuite(this.#arena),
      random: seeded(seed + 1),
      wallClock: () => 0,
      outlet: {
        transmit: () => holds(false, 'sent without a session'),
        deliver: (offset, length) => this.#checkAnswer(offset, length),
      },
    });
    const peer = (first: number, prefix: string, endpoint: Endpoint | null) => ({
      publicKey: new Uint8Array(32).fill(first),
      endpoint,
      allowedIps: [{ prefix: parsePrefix(prefix)!, remove: false }],
    });
    const endpoint = new Endpoint(Uint8Array.of(192, 0, 2, 1), 51820);
    // Without a private key no handshake begins, so that what has an endpoint is staged for ever.
    const peers = [peer(1, '10.0.1.0/24', endpoint), peer(2, '2001:db8::/33', null)];
    this.#device.configure(0, { peers });
    this.#device.up(0);
    this.#senders = new Senders(seed, [this.#arena, this.#plainArena]);
  }

  generate(dice: Dice): Uint8Array {
    const base = dice.pick(CORPUS);
    const input = dice.oneIn(2)
      ? mutateInPlace(base, CORPUS, dice)
      : mutateBytes(base, CORPUS, dice, 1 + FRAME_BYTES_MAX);
    if (input.length > 0 && dice.oneIn(2)) input[0] = dice.below(256);
    return input;
  }

  run(input: Uint8Array): string {
    if (input.length === 0) return 'nothing';
    const mtu = MTUS[input[0] % MTUS.length];
    const frame = input.subarray(1);
    this.#now += 20;
    this.#arena.reset();
    this.#plainArena.reset();
    const at = place(this.#arena, frame, GUARD);
    const verdict = this.#segmenter.segment(at, frame.length, mtu);
    holds(isGuarded(this.#arena.bytes, at, frame.length), 'bytes around the frame');
    this.#compareKernels(frame, mtu, verdict);
    const { count, offset, stride } = this.#segmenter;
    if (verdict !== 'ok') {
      holds(count === 0 || verdict === 'arenaExhausted', 'packets of a refused frame');
      return verdict;
    }
    holds(count >= 1 && stride > 0, 'no packets of an accepted frame');
    holds(offset + count * stride <= this.#arena.bytes.length + TAILROOM_BYTES, 'beyond the arena');
    const packets = this.#packets();
    const isWhole = count <= PACKETS_LOOKED_AT;
    if (isWhole && count > 1) this.#checkPayload(frame, packets);
    if (isWhole) this.#senders.send(this.#segmenter, this.#plain, mtu);
    const outcome = this.#send(packets);
    if (this.#stagedBytes > STAGED_BYTES_MAX) this.#forgetStaged();
    if (isWhole) this.#rejoiner.check(packets);
    return count === 1
      ? `1 packet, ${outcome}`
      : `${count > 9 ? 'many' : count} packets, ${outcome}`;
  }

  /** Both kernels say and write the same. */
  #compareKernels(frame: Uint8Array, mtu: number, verdict: string): void {
    const at = place(this.#plainArena, frame, OTHER_GUARD);
    holdsEqual(this.#plain.segment(at, frame.length, mtu), verdict, 'the portable verdict');
    if (verdict !== 'ok') return;
    const { count, offset, stride, packetLength, lastLength } = this.#segmenter;
    const others = [this.#plain.count, this.#plain.stride, this.#plain.packetLength];
    holdsEqual(
      [...others, this.#plain.lastLength],
      [count, stride, packetLength, lastLength],
      'cut',
    );
    for (let i = 0; i < Math.min(count, PACKETS_LOOKED_AT); i++) {
      const length = i === count - 1 ? lastLength : packetLength;
      const ours = this.#arena.bytes.subarray(offset + i * stride, offset + i * stride + length);
      const from = this.#plain.offset + i * stride;
      const theirs = this.#plainArena.bytes.subarray(from, from + length);
      holds(sameBytes(ours, theirs), `packet ${i} differs between the kernels`);
    }
  }

  /** Copies, since what follows writes to them. */
  #packets(): Uint8Array[] {
    const { count, offset, stride, packetLength, lastLength } = this.#segmenter;
    return Array.from({ length: Math.min(count, PACKETS_LOOKED_AT) }, (_, i) => {
      const length = i === count - 1 ? lastLength : packetLength;
      return this.#arena.bytes.slice(offset + i * stride, offset + i * stride + length);
    });
  }

  /** The payloads, one after the other, are the super-packet's. */
  #checkPayload(frame: Uint8Array, packets: readonly Uint8Array[]): void {
    const { packetLength } = this.#segmenter;
    const size = frame[4] | (frame[5] << 8);
    const header = packetLength - size;
    const payload = Buffer.concat(packets.map((packet) => packet.subarray(header)));
    const whole = frame.subarray(VIRTIO_HEADER_BYTES + header);
    holds(sameBytes(payload, whole), 'the payload of a super-packet');
    for (const packet of packets) {
      holds(isSound(packet, 0, packet.length), 'an unsound segment');
      holds(ipLength(packet, 0) === packet.length, 'a segment of another length than it says');
    }
  }

  /** Each packet ends once: staged, or dropped for a reason. How the last of them did. */
  #send(packets: readonly Uint8Array[]): string {
    const { core } = this.#device;
    const arena = this.#arena;
    let outcome = '';
    for (const packet of packets) {
      arena.reset();
      const slot = arena.allocate(HEADROOM_BYTES + packet.length + TAILROOM_BYTES);
      arena.bytes.set(packet, slot + HEADROOM_BYTES);
      const before = OUTBOUND.map((reason) => core.drops.get(reason));
      const waited = this.#waiting();
      this.#answers = 0;
      this.#device.sendPacket(this.#now, slot + HEADROOM_BYTES, packet.length);
      const after = OUTBOUND.map((reason) => core.drops.get(reason));
      const staged = this.#waiting() - waited;
      const dropped = after.reduce((all, drops, i) => all + drops - before[i], 0);
      this.#stagedBytes += staged * packet.length;
      holds(staged + dropped === 1, `a packet staged ${staged} and dropped ${dropped} times`);
      const reason = OUTBOUND[after.findIndex((drops, i) => drops > before[i])];
      outcome = `${staged > 0 ? 'staged' : reason}${this.#answers > 0 ? ', answered' : ''}`;
      checkHeader(packet, arena);
    }
    return outcome;
  }

  /** Large packets are not let wait until they overflow, or they would look like a leak. */
  #forgetStaged(): void {
    this.#device.down();
    this.#device.up(this.#now);
    this.#stagedBytes = 0;
  }

  #waiting(): number {
    let waiting = 0;
    for (const { staged } of this.#device.core.peers.values()) waiting += staged.length;
    return waiting;
  }

  /** An ICMP answer is itself a packet without a fault. */
  #checkAnswer(offset: number, length: number): void {
    this.#answers++;
    checkAnswer(this.#arena.bytes, offset, length);
  }
}

function checkAnswer(bytes: Uint8Array, offset: number, length: number): void {
  holds(length <= ICMP_ANSWER_BYTES_MAX, `an answer of ${length} bytes`);
  holds(isSound(bytes, offset, length) && ipLength(bytes, offset) === length, 'an unsound answer');
  if (ipVersion(bytes, offset) === 4) {
    holds(checksum(bytes, offset, 20) === 0, "an answer's IP checksum");
    holds(checksum(bytes, offset + 20, length - 20) === 0, "an answer's ICMP checksum");
  } else {
    const pseudo = pseudoHeaderSum(bytes, offset, 58, length - 40);
    holds(checksum(bytes, offset + 40, length - 40, pseudo) === 0, "an answer's ICMPv6 checksum");
  }
}

/** What else is asked of packets: a change of ECN keeps a right checksum right; answers. */
function checkHeader(packet: Uint8Array, arena: Arena): void {
  if (!isSound(packet, 0, packet.length)) return;
  const out = arena.allocate(ICMP_ANSWER_BYTES_MAX);
  const length = createUnreachable(packet, 0, packet.length, arena.bytes, out, null);
  if (length > 0) checkAnswer(arena.bytes, out, length);
  const changed = packet.slice();
  const before = sum(changed, 0, 20);
  for (const codepoint of [1, 3, 0]) {
    writeEcn(changed, 0, codepoint);
    holds(readEcn(changed, 0) === codepoint, 'ECN that was written');
  }
  // Modulo 0xffff, of which the sum knows two zeros.
  if (ipVersion(packet, 0) === 4)
    holds((sum(changed, 0, 20) - before) % 0xffff === 0, 'its checksum');
}

/** The frame in the arena with guards around; its packet is 16-byte aligned. */
function place(arena: Arena, frame: Uint8Array, guard: number): number {
  const slot = arena.allocate(2 * GUARD_BYTES + HEADROOM_BYTES + frame.length);
  const at = slot + GUARD_BYTES + HEADROOM_BYTES - VIRTIO_HEADER_BYTES;
  arena.bytes.fill(guard, at - GUARD_BYTES, at + frame.length + GUARD_BYTES);
  arena.bytes.set(frame, at);
  return at;
}

function isGuarded(bytes: Uint8Array, at: number, length: number): boolean {
  for (let i = at - GUARD_BYTES; i < at; i++) if (bytes[i] !== GUARD) return false;
  const end = at + length;
  for (let i = end; i < end + GUARD_BYTES; i++) if (bytes[i] !== GUARD) return false;
  return true;
}

export const frames: Target = {
  name: 'frames',
  sources: [
    ...['packet/segment', 'packet/coalesce', 'packet/ip', 'packet/icmp', 'packet/checksum'],
    ...['packet/padding', 'packet/kernels/portable', 'device/staged', 'device/sendrun'],
  ],
  create: (seed) => new Frames(seed),
};
