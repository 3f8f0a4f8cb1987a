/**
 * From the interface to the Device: one frame of a TUN device with IFF_VNET_HDR becomes the IP
 * packets it stands for. A super-packet (TSO, USO) is cut up once, straight into the layout in
 * which its packets leave: each with a message header's room before it, padding's and
 * authenticator's after it, so that the sealed messages lie one after the other without a gap.
 *
 * Copying while summing costs about 7 ns a packet of 1368 bytes more than the sum alone, which is
 * needed anyway: no more than that could be saved by reading frames scattered into place.
 *
 * Owns the check of what the frame says about itself; the cutting is a kernel's, and what the
 * packets hold, beyond the headers needed for that, is nobody's business here.
 */

import { type Arena, HEADROOM_BYTES } from '../arena.ts';
import { fold } from './checksum.ts';
import {
  IPV4_HEADER_BYTES,
  IPV6_HEADER_BYTES,
  IPV6_NEXT_HEADER_OFFSET,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from './ip.ts';
import type { Kernels } from './kernels/kernels.ts';
import { messageStride } from './padding.ts';
import {
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  NEEDS_CHECKSUM,
  TCP_CHECKSUM_OFFSET,
  UDP_CHECKSUM_OFFSET,
  VIRTIO_CHECKSUM_OFFSET,
  VIRTIO_CHECKSUM_START,
  VIRTIO_FLAGS,
  VIRTIO_GSO_SIZE,
  VIRTIO_GSO_TYPE,
  VIRTIO_HEADER_BYTES,
} from './virtio.ts';

/** `ok`, or the DropReason (device/drops.ts) under which the frame is to be counted. */
export type SegmentVerdict = 'ok' | 'malformedPacket' | 'arenaExhausted';

const TCP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;

// IPv6 extension headers that may stand between the fixed header and TCP or UDP (RFC 8200 4). Not
// the fragment header: what is a fragment is no super-packet.
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;

/**
 * Cuts frames, one at a time. After `ok`, and until the next call, the fields name the packets:
 * the i-th of `count` begins at `offset + i * stride` and is `packetLength` bytes long, the last
 * one `lastLength`. HEADROOM_BYTES before each and TAILROOM_BYTES after each one's padding are
 * free, if (for a plain packet, which stays where it is) they are around the frame.
 */
export class Segmenter {
  offset = 0;
  count = 0;
  stride = 0;
  packetLength = 0;
  lastLength = 0;

  readonly #arena: Arena;
  readonly #kernels: Kernels;
  /** Where the transport header begins and whether it is UDP's, as `#isTransport` found it. */
  #transport = 0;
  #isUdp = false;

  constructor(arena: Arena, kernels: Kernels) {
    this.#arena = arena;
    this.#kernels = kernels;
  }

  /**
   * @param frame offset of the virtio header; the IP packet is right after it (place the frame so
   *   that it is 16-byte aligned). Any bytes are taken; none outside the frame are read.
   * @param length of both together, at most 64 KiB and the header.
   * @param mtu the Device's, by which it will pad the packets.
   *
   * Takes room for the packets of a super-packet from the arena's turn; a plain packet is used in
   * place, its checksum completed if the frame asks for that.
   */
  segment(frame: number, length: number, mtu: number): SegmentVerdict {
    this.count = 0;
    if (length <= VIRTIO_HEADER_BYTES) return 'malformedPacket';
    const packet = frame + VIRTIO_HEADER_BYTES;
    const packetLength = length - VIRTIO_HEADER_BYTES;
    const { bytes } = this.#arena;
    const type = bytes[frame + VIRTIO_GSO_TYPE] & ~GSO_ECN;
    if (type !== GSO_NONE) return this.#cut(frame, packet, packetLength, type, mtu);
    if (bytes[frame + VIRTIO_FLAGS] & NEEDS_CHECKSUM) {
      if (!this.#completeChecksum(frame, packet, packetLength)) return 'malformedPacket';
    }
    this.#name(packet, 1, packetLength, packetLength, mtu);
    return 'ok';
  }

  #name(offset: number, count: number, length: number, lastLength: number, mtu: number): void {
    this.offset = offset;
    this.count = count;
    this.packetLength = length;
    this.lastLength = lastLength;
    this.stride = messageStride(length, mtu);
  }

  /**
   * The checksum field holds the pseudo-header's sum, so the sum over everything from
   * `csum_start` on is the one to complement (virtio 1.2, 5.1.6.2).
   */
  #completeChecksum(frame: number, packet: number, packetLength: number): boolean {
    const { view } = this.#arena;
    const start = view.getUint16(frame + VIRTIO_CHECKSUM_START, true);
    const field = view.getUint16(frame + VIRTIO_CHECKSUM_OFFSET, true);
    if (start + field + 2 > packetLength) return false;
    const checksum = ~this.#kernels.sum(packet + start, packetLength - start, 0) & 0xffff;
    // In UDP zero means that there is none (RFC 768); in others it is a checksum like any.
    const isNone = checksum === 0 && field === UDP_CHECKSUM_OFFSET;
    view.setUint16(packet + start + field, isNone ? 0xffff : checksum);
    return true;
  }

  #cut(
    frame: number,
    packet: number,
    packetLength: number,
    type: number,
    mtu: number,
  ): SegmentVerdict {
    const { view } = this.#arena;
    const isIpv6 = view.getUint8(packet) >> 4 === 6;
    const isSound = isIpv6
      ? this.#findTransport6(packet, packetLength)
      : this.#findTransport4(packet, packetLength);
    if (!isSound || type !== this.#gsoType(isIpv6)) return 'malformedPacket';
    const transport = this.#transport;
    const headerLength = transport + this.#transportHeaderLength(packet, packetLength);
    const payloadLength = packetLength - headerLength;
    const segmentSize = view.getUint16(frame + VIRTIO_GSO_SIZE, true);
    if (headerLength === transport || payloadLength <= 0 || segmentSize === 0) {
      return 'malformedPacket';
    }
    const pseudoSum = this.#pseudoSum(frame, packet, packetLength, isIpv6);
    if (pseudoSum < 0) return 'malformedPacket';

    const count = Math.ceil(payloadLength / segmentSize);
    const lastLength = headerLength + payloadLength - (count - 1) * segmentSize;
    const length = count === 1 ? lastLength : headerLength + segmentSize;
    const stride = messageStride(length, mtu);
    const room = this.#arena.allocate(count * stride);
    if (room < 0) return 'arenaExhausted';
    const target = room + HEADROOM_BYTES;
    this.#kernels.segment(
      packet,
      transport,
      headerLength,
      payloadLength,
      segmentSize,
      target,
      stride,
      isIpv6 ? 1 : 0,
      this.#isUdp ? 1 : 0,
      pseudoSum,
    );
    this.#name(target, count, length, lastLength, mtu);
    return 'ok';
  }

  #gsoType(isIpv6: boolean): number {
    if (this.#isUdp) return GSO_UDP_L4;
    return isIpv6 ? GSO_TCPV6 : GSO_TCPV4;
  }

  /** After the IPv4 header and its options; false when this is no whole TCP or UDP packet. */
  #findTransport4(packet: number, packetLength: number): boolean {
    const { view } = this.#arena;
    if (packetLength < IPV4_HEADER_BYTES || view.getUint8(packet) >> 4 !== 4) return false;
    const headerLength = (view.getUint8(packet) & 15) << 2;
    if (headerLength < IPV4_HEADER_BYTES || headerLength > packetLength) return false;
    if (view.getUint16(packet + 2) !== packetLength) return false;
    // More fragments, or an offset: a fragment.
    if ((view.getUint16(packet + 6) & 0x3fff) !== 0) return false;
    return this.#isTransport(view.getUint8(packet + 9), headerLength);
  }

  /** After the IPv6 header and its extensions; false when this is no whole TCP or UDP packet. */
  #findTransport6(packet: number, packetLength: number): boolean {
    const { view } = this.#arena;
    if (packetLength < IPV6_HEADER_BYTES) return false;
    if (view.getUint16(packet + 4) !== packetLength - IPV6_HEADER_BYTES) return false;
    let next = view.getUint8(packet + IPV6_NEXT_HEADER_OFFSET);
    let at = IPV6_HEADER_BYTES;
    while (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS) {
      if (at + 8 > packetLength) return false;
      next = view.getUint8(packet + at);
      at += (view.getUint8(packet + at + 1) + 1) << 3;
    }
    return at <= packetLength && this.#isTransport(next, at);
  }

  #isTransport(protocol: number, at: number): boolean {
    this.#transport = at;
    this.#isUdp = protocol === PROTOCOL_UDP;
    return this.#isUdp || protocol === PROTOCOL_TCP;
  }

  /** By the header itself, since `hdr_len` is only a hint; 0 when it does not fit. */
  #transportHeaderLength(packet: number, packetLength: number): number {
    const available = packetLength - this.#transport;
    if (this.#isUdp) return available < UDP_HEADER_BYTES ? 0 : UDP_HEADER_BYTES;
    if (available < TCP_HEADER_BYTES) return 0;
    const length = (this.#arena.view.getUint8(packet + this.#transport + 12) >> 4) << 2;
    return length < TCP_HEADER_BYTES || length > available ? 0 : length;
  }

  /**
   * The pseudo-header's sum without the length, which differs per segment; -1 when the frame
   * contradicts itself. It is taken from the checksum field if the frame says that it stands there:
   * after an IPv6 routing header the addresses in the packet are not those it is made of.
   */
  #pseudoSum(frame: number, packet: number, packetLength: number, isIpv6: boolean): number {
    const { view } = this.#arena;
    const field = this.#isUdp ? UDP_CHECKSUM_OFFSET : TCP_CHECKSUM_OFFSET;
    if (view.getUint8(frame + VIRTIO_FLAGS) & NEEDS_CHECKSUM) {
      const start = view.getUint16(frame + VIRTIO_CHECKSUM_START, true);
      if (start !== this.#transport) return -1;
      if (view.getUint16(frame + VIRTIO_CHECKSUM_OFFSET, true) !== field) return -1;
      const length = packetLength - start;
      return fold(view.getUint16(packet + start + field) + (~length & 0xffff));
    }
    const protocol = this.#isUdp ? PROTOCOL_UDP : PROTOCOL_TCP;
    return isIpv6
      ? this.#kernels.sum(packet + 8, 32, protocol)
      : this.#kernels.sum(packet + 12, 8, protocol);
  }
}
