/**
 * Packets -> coalescer -> frames -> segmenter -> packets: what comes out must be what went in, to
 * the last byte and in the order of each flow. Whatever the packets are.
 */

import { Arena, HEADROOM_BYTES } from '../../../src/arena.ts';
import { sameBytes } from '../../../src/bytes.ts';
import { Coalescer } from '../../../src/packet/coalesce.ts';
import { PACKET_BYTES_MAX } from '../../../src/packet/ip.ts';
import { createKernels } from '../../../src/packet/kernels/fastest.ts';
import { createPortableKernels } from '../../../src/packet/kernels/portable.ts';
import {
  OPAQUE,
  RECORD_ADDRESS_HASH,
  RECORD_BYTES,
  RECORD_FLOW_HASH,
} from '../../../src/packet/kernels/record.ts';
import { Segmenter } from '../../../src/packet/segment.ts';
import { GSO_SEGMENTS_MAX, VIRTIO_HEADER_BYTES } from '../../../src/packet/virtio.ts';
import { holds } from '../target.ts';

export const REJOINED_PACKETS_MAX = 256;
const ARENA_BYTES = 1 << 21;
const IOVEC_BYTES = 16;
/** An address as high as a process may have; what is behind it is the arena's offset. */
const ADDRESS = 0x7fff_ffff_0000n;

interface Flow {
  readonly kind: number;
  readonly addresses: number;
  readonly ports: number;
}

export class Rejoiner {
  readonly #arena = new Arena(ARENA_BYTES);
  readonly #kernels = createKernels(this.#arena);
  readonly #record = this.#arena.reserve(RECORD_BYTES);
  readonly #plainArena = new Arena(ARENA_BYTES);
  readonly #plain = createPortableKernels(this.#plainArena);
  readonly #plainRecord = this.#plainArena.reserve(RECORD_BYTES);
  readonly #coalescer = new Coalescer({
    arena: this.#arena,
    kernels: this.#kernels,
    address: ADDRESS,
    capacity: REJOINED_PACKETS_MAX,
    mergeUdp: true,
  });
  readonly #segmenter = new Segmenter(this.#arena, this.#kernels);

  /** Returns into how many frames the packets were put. */
  check(packets: readonly Uint8Array[]): number {
    const arena = this.#arena;
    arena.reset();
    const flows = packets.map((packet) => {
      const slot = arena.allocate(HEADROOM_BYTES + packet.length);
      holds(slot >= 0, 'more packets than there is room for');
      const offset = slot + HEADROOM_BYTES;
      arena.bytes.set(packet, offset);
      const flow = this.#inspect(packet, offset);
      holds(this.#coalescer.add(offset, packet.length), 'a packet not taken');
      return flow;
    });
    let frames = 0;
    const back: Uint8Array[] = [];
    const end = packets.length === 0 ? 0 : arena.bytes.length - arena.available;
    this.#coalescer.flush((iovecs, count, total) => {
      frames++;
      back.push(...this.#cut(iovecs, count, total, end));
    });
    holds(back.length === packets.length, `${back.length} packets out of ${packets.length}`);
    checkOrder(packets, back, flows);
    return frames;
  }

  /** Both kernels say and write the same of a packet. */
  #inspect(packet: Uint8Array, offset: number): Flow {
    const plain = this.#plainArena;
    plain.reset();
    const at = plain.allocate(packet.length);
    plain.bytes.set(packet, at);
    const kind = this.#kernels.inspect(offset, packet.length, this.#record, 1);
    const plainKind = this.#plain.inspect(at, packet.length, this.#plainRecord, 1);
    holds(kind === plainKind, `a packet is ${kind} to one kernel and ${plainKind} to the other`);
    const record = this.#arena.bytes.subarray(this.#record, this.#record + RECORD_BYTES);
    const plainEnd = this.#plainRecord + RECORD_BYTES;
    const plainRecord = plain.bytes.subarray(this.#plainRecord, plainEnd);
    holds(sameBytes(record, plainRecord), 'records that differ between the kernels');
    const { view } = this.#arena;
    const addresses = view.getUint32(this.#record + RECORD_ADDRESS_HASH, true);
    return { kind, addresses, ports: view.getUint32(this.#record + RECORD_FLOW_HASH, true) };
  }

  /** One frame as the kernel gets it, gathered from its pieces before `end` and cut up again. */
  #cut(iovecs: number, count: number, total: number, end: number): Uint8Array[] {
    const { bytes, view } = this.#arena;
    holds(count >= 1 && count <= GSO_SEGMENTS_MAX, `a frame of ${count} pieces`);
    holds(total <= VIRTIO_HEADER_BYTES + PACKET_BYTES_MAX, `a frame of ${total} bytes`);
    const slot = this.#arena.allocate(HEADROOM_BYTES + total);
    holds(slot >= 0, 'no room for the frame');
    const frame = slot + HEADROOM_BYTES - VIRTIO_HEADER_BYTES;
    let at = frame;
    for (let i = 0; i < count; i++) {
      const offset = Number(view.getBigUint64(iovecs + IOVEC_BYTES * i, true) - ADDRESS);
      const length = Number(view.getBigUint64(iovecs + IOVEC_BYTES * i + 8, true));
      holds(offset >= 0 && offset + length <= end, 'a piece outside of the packets');
      bytes.copyWithin(at, offset, offset + length);
      at += length;
    }
    holds(at - frame === total, 'a frame of another length');
    if (total === VIRTIO_HEADER_BYTES) return [new Uint8Array(0)];
    const verdict = this.#segmenter.segment(frame, total, 0);
    holds(verdict === 'ok', `a frame of ours is ${verdict}`);
    const { offset, count: cut, stride, packetLength, lastLength } = this.#segmenter;
    holds(cut === count, `${count} packets merged, ${cut} cut`);
    return Array.from({ length: cut }, (_, i) => {
      const length = i === cut - 1 ? lastLength : packetLength;
      return bytes.slice(offset + i * stride, offset + i * stride + length);
    });
  }
}

/** Each packet is back, none before another of its flow that came earlier. */
function checkOrder(
  packets: readonly Uint8Array[],
  back: readonly Uint8Array[],
  flows: readonly Flow[],
): void {
  const taken = new Set<number>();
  const lastOfFlow = new Map<number, number>();
  const lastOfHosts = new Map<number, number>();
  const lastOpaque = new Map<number, number>();
  packets.forEach((packet, i) => {
    const place = back.findIndex((one, at) => !taken.has(at) && sameBytes(one, packet));
    holds(place >= 0, `packet ${i} did not come back as it was`);
    taken.add(place);
    const { kind, addresses, ports } = flows[i];
    // Of which flow an opaque packet is cannot be told: it may be any between its hosts.
    const before = kind === OPAQUE ? lastOfHosts.get(addresses) : lastOfFlow.get(ports);
    const latest = Math.max(before ?? -1, lastOpaque.get(addresses) ?? -1);
    holds(place > latest, `packet ${i} was overtaken`);
    if (kind === OPAQUE) lastOpaque.set(addresses, place);
    else lastOfFlow.set(ports, place);
    lastOfHosts.set(addresses, Math.max(place, lastOfHosts.get(addresses) ?? -1));
  });
}
