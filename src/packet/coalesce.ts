/**
 * From the Device to the interface: packets delivered in one turn become as few frames as they
 * can. TCP segments and UDP datagrams of one flow are merged into a super-packet where cutting it
 * up again gives back every one of them bit for bit; everything else passes alone, untouched.
 *
 * Owns which packets may be merged and the order in which frames leave: packets of one flow are
 * never reordered. Knows no file descriptor: frames are handed out as lists of iovecs, their
 * pieces in place.
 */

import type { Arena } from '../arena.ts';
import {
  IPV4_CHECKSUM_OFFSET,
  IPV4_HEADER_BYTES,
  IPV4_LENGTH_OFFSET,
  IPV4_SOURCE_OFFSET,
  IPV6_HEADER_BYTES,
  IPV6_PAYLOAD_LENGTH_OFFSET,
  IPV6_SOURCE_OFFSET,
  PACKET_BYTES_MAX,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from './ip.ts';
import type { Kernels } from './kernels/kernels.ts';
import {
  LONE,
  OPAQUE,
  RECORD_ADDRESS_HASH,
  RECORD_BYTES,
  RECORD_FLOW_HASH,
  RECORD_HEADER_LENGTH,
  RECORD_IDENTIFICATION,
  RECORD_PAYLOAD_LENGTH,
  RECORD_PUSH,
  RECORD_SEQUENCE,
  RECORD_TRANSPORT,
  TCP,
  UDP,
} from './kernels/record.ts';
import {
  GSO_SEGMENTS_MAX,
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
  VIRTIO_HEADER_LENGTH,
} from './virtio.ts';

/** Flows that are merged at the same time; one more closes another. */
const FLOWS_MAX = 32;
const IOVEC_BYTES = 16;
const NONE = -1;
const UDP_LENGTH_OFFSET = 4;
const TCP_FLAGS_OFFSET = 13;

export interface CoalescerOptions {
  readonly arena: Arena;
  readonly kernels: Kernels;
  /** The address in memory of the arena's first byte. */
  readonly address: bigint;
  /** Most packets between two flushes. */
  readonly capacity: number;
  /** Whether the interface takes UDP super-packets (TUN_F_USO4 and TUN_F_USO6, Linux 6.2). */
  readonly mergeUdp: boolean;
}

/** A frame to be written to the interface in one go (`writev`), virtio header and all. */
export type WriteFrame = (iovecs: number, iovecCount: number, totalLength: number) => void;

/** Constructed before the first turn: it reserves room in the arena. */
export class Coalescer {
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #kernels: Kernels;
  readonly #capacity: number;
  readonly #mergeUdp: 0 | 1;
  readonly #iovecs: number;
  readonly #addressLow: number;
  readonly #addressHigh: number;

  // Packets, in order of arrival: the piece of the arena each gives to its frame.
  #packets = 0;
  readonly #pieceOffset: Uint32Array;
  readonly #pieceLength: Uint32Array;
  /** The next packet of the same frame, or NONE. */
  readonly #pieceNext: Int32Array;

  // Frames, in order of their first packets, in which they are written.
  #frames = 0;
  readonly #frameHead: Int32Array;
  readonly #framePieces: Int32Array;
  readonly #frameLength: Uint32Array;

  // Open flows: frames that may still grow, each with the record of its first packet.
  #flows = 0;
  #recent = 0;
  #evicted = 0;
  readonly #flowHash = new Int32Array(FLOWS_MAX);
  readonly #flowAddressHash = new Int32Array(FLOWS_MAX);
  readonly #flowKind = new Uint8Array(FLOWS_MAX);
  readonly #flowFrame = new Int32Array(FLOWS_MAX);
  readonly #flowTail = new Int32Array(FLOWS_MAX);
  readonly #flowSequence = new Int32Array(FLOWS_MAX);
  readonly #flowIdentification = new Uint16Array(FLOWS_MAX);
  readonly #flowSegmentSize = new Uint32Array(FLOWS_MAX);
  readonly #flowPush = new Uint8Array(FLOWS_MAX);
  /** The flows' records; the one after the last flow's is the newest packet's. */
  readonly #records = new Uint32Array(FLOWS_MAX + 1);

  constructor({ arena, kernels, address, capacity, mergeUdp }: CoalescerOptions) {
    this.#view = arena.view;
    this.#words = new Int32Array(arena.memory.buffer);
    this.#kernels = kernels;
    this.#capacity = capacity;
    this.#mergeUdp = mergeUdp ? 1 : 0;
    this.#iovecs = arena.reserve(capacity * IOVEC_BYTES);
    this.#addressLow = Number(address & 0xffff_ffffn);
    this.#addressHigh = Number(address >> 32n);
    this.#pieceOffset = new Uint32Array(capacity);
    this.#pieceLength = new Uint32Array(capacity);
    this.#pieceNext = new Int32Array(capacity);
    this.#frameHead = new Int32Array(capacity);
    this.#framePieces = new Int32Array(capacity);
    this.#frameLength = new Uint32Array(capacity);
    const records = arena.reserve((FLOWS_MAX + 1) * RECORD_BYTES);
    for (let i = 0; i <= FLOWS_MAX; i++) this.#records[i] = records + i * RECORD_BYTES;
  }

  /** Packets added since the last flush. */
  get pending(): number {
    return this.#packets;
  }

  /**
   * Takes the IP packet at `offset`, after those taken before. From here until the flush the bytes
   * are the coalescer's, and so are VIRTIO_HEADER_BYTES before them (a received packet has its
   * message header there, which nobody needs any more). False, and not taken, when as many as the
   * capacity wait already: flush first. Any bytes are taken.
   */
  add(offset: number, length: number): boolean {
    if (this.#packets === this.#capacity) return false;
    const packet = this.#packets++;
    this.#pieceOffset[packet] = offset;
    this.#pieceLength[packet] = length;
    this.#pieceNext[packet] = NONE;
    const record = this.#records[this.#flows];
    const kind = this.#kernels.inspect(offset, length, record, this.#mergeUdp);
    if (kind === OPAQUE) {
      // Of which flow it is cannot be told: none between these hosts may overtake it.
      this.#closeBetween(this.#word(record, RECORD_ADDRESS_HASH));
      this.#openFrame(packet, offset, length);
      return true;
    }
    const flow = this.#find(this.#word(record, RECORD_FLOW_HASH));
    if (kind === LONE) {
      if (flow !== NONE) this.#close(flow);
      this.#openFrame(packet, offset, length);
      return true;
    }
    if (flow !== NONE) {
      if (this.#append(flow, packet, offset, kind, record)) return true;
      this.#close(flow);
    }
    this.#openFlow(packet, offset, length, kind, record);
    return true;
  }

  /**
   * Hands out all frames, oldest first, and forgets them. The iovecs (address and length, 64-bit
   * little-endian each; at most 64 a frame) lie at the offset given; they and the bytes they name
   * stay as they are until the next `add`.
   */
  flush(write: WriteFrame): void {
    while (this.#flows > 0) this.#close(this.#flows - 1);
    let iovec = this.#iovecs;
    for (let frame = 0; frame < this.#frames; frame++) {
      const first = iovec;
      for (let i = this.#frameHead[frame]; i !== NONE; i = this.#pieceNext[i]) {
        this.#writeIovec(iovec, this.#pieceOffset[i], this.#pieceLength[i]);
        iovec += IOVEC_BYTES;
      }
      write(first, this.#framePieces[frame], this.#frameLength[frame]);
    }
    this.#packets = 0;
    this.#frames = 0;
  }

  #writeIovec(iovec: number, offset: number, length: number): void {
    const low = this.#addressLow + offset;
    const at = iovec >> 2;
    this.#words[at] = low;
    this.#words[at + 1] = this.#addressHigh + (low > 0xffff_ffff ? 1 : 0);
    this.#words[at + 2] = length;
    this.#words[at + 3] = 0;
  }

  #word(record: number, field: number): number {
    return this.#words[(record + field) >> 2];
  }

  /** A frame of this packet, so far alone, after a virtio header that says nothing. */
  #openFrame(packet: number, offset: number, length: number): number {
    const header = offset - VIRTIO_HEADER_BYTES;
    this.#view.setInt32(header, 0);
    this.#view.setInt32(header + 4, 0);
    this.#view.setInt16(header + 8, 0);
    this.#pieceOffset[packet] = header;
    this.#pieceLength[packet] = length + VIRTIO_HEADER_BYTES;
    const frame = this.#frames++;
    this.#frameHead[frame] = packet;
    this.#framePieces[frame] = 1;
    this.#frameLength[frame] = length + VIRTIO_HEADER_BYTES;
    return frame;
  }

  #openFlow(packet: number, offset: number, length: number, kind: number, record: number): void {
    const frame = this.#openFrame(packet, offset, length);
    // With PSH it is the last of its super-packet, hence the only one.
    if (this.#word(record, RECORD_PUSH) !== 0) return;
    if (this.#flows === FLOWS_MAX) {
      this.#evicted = (this.#evicted + 1) % FLOWS_MAX;
      this.#close(this.#evicted);
    }
    const flow = this.#flows++;
    const payloadLength = this.#word(record, RECORD_PAYLOAD_LENGTH);
    this.#recent = flow;
    this.#flowHash[flow] = this.#word(record, RECORD_FLOW_HASH);
    this.#flowAddressHash[flow] = this.#word(record, RECORD_ADDRESS_HASH);
    this.#flowKind[flow] = kind;
    this.#flowFrame[flow] = frame;
    this.#flowTail[flow] = packet;
    this.#flowSequence[flow] = this.#word(record, RECORD_SEQUENCE) + payloadLength;
    this.#flowIdentification[flow] = this.#word(record, RECORD_IDENTIFICATION) + 1;
    this.#flowSegmentSize[flow] = payloadLength;
    this.#flowPush[flow] = 0;
  }

  #find(hash: number): number {
    if (this.#recent < this.#flows && this.#flowHash[this.#recent] === hash) return this.#recent;
    for (let flow = 0; flow < this.#flows; flow++) {
      if (this.#flowHash[flow] === hash) {
        this.#recent = flow;
        return flow;
      }
    }
    return NONE;
  }

  /** Adds the packet to the flow's frame, if the segments cut from that will be what was received. */
  #append(flow: number, packet: number, offset: number, kind: number, record: number): boolean {
    const frame = this.#flowFrame[flow];
    const headerLength = this.#word(record, RECORD_HEADER_LENGTH);
    const payloadLength = this.#word(record, RECORD_PAYLOAD_LENGTH);
    const identification = this.#word(record, RECORD_IDENTIFICATION);
    const isIpv4 = this.#word(record, RECORD_TRANSPORT) === IPV4_HEADER_BYTES;
    const length = this.#frameLength[frame] + payloadLength;
    if (
      kind !== this.#flowKind[flow] ||
      payloadLength > this.#flowSegmentSize[flow] ||
      length > PACKET_BYTES_MAX + VIRTIO_HEADER_BYTES ||
      (kind === TCP && this.#word(record, RECORD_SEQUENCE) !== this.#flowSequence[flow]) ||
      (isIpv4 && identification !== this.#flowIdentification[flow]) ||
      this.#kernels.sameHeaders(record, this.#records[flow]) === 0
    ) {
      return false;
    }
    this.#pieceOffset[packet] = offset + headerLength;
    this.#pieceLength[packet] = payloadLength;
    this.#pieceNext[this.#flowTail[flow]] = packet;
    this.#flowTail[flow] = packet;
    this.#frameLength[frame] = length;
    const pieces = ++this.#framePieces[frame];
    this.#flowSequence[flow] += payloadLength;
    this.#flowIdentification[flow]++;
    const push = this.#word(record, RECORD_PUSH);
    this.#flowPush[flow] = push;
    // Only the last segment may be shorter or carry PSH.
    const isLast = payloadLength < this.#flowSegmentSize[flow] || push !== 0;
    if (isLast || pieces === GSO_SEGMENTS_MAX) this.#close(flow);
    return true;
  }

  #closeBetween(addressHash: number): void {
    for (let flow = this.#flows - 1; flow >= 0; flow--) {
      if (this.#flowAddressHash[flow] === addressHash) this.#close(flow);
    }
  }

  /** Lets the flow's frame grow no more. The newest packet's record stays after the last flow's. */
  #close(flow: number): void {
    const record = this.#records[flow];
    const frame = this.#flowFrame[flow];
    if (this.#framePieces[frame] > 1) this.#writeHeaders(flow, frame, record);
    const last = --this.#flows;
    this.#records[flow] = this.#records[last];
    this.#records[last] = this.#records[last + 1];
    this.#records[last + 1] = record;
    this.#flowHash[flow] = this.#flowHash[last];
    this.#flowAddressHash[flow] = this.#flowAddressHash[last];
    this.#flowKind[flow] = this.#flowKind[last];
    this.#flowFrame[flow] = this.#flowFrame[last];
    this.#flowTail[flow] = this.#flowTail[last];
    this.#flowSequence[flow] = this.#flowSequence[last];
    this.#flowIdentification[flow] = this.#flowIdentification[last];
    this.#flowSegmentSize[flow] = this.#flowSegmentSize[last];
    this.#flowPush[flow] = this.#flowPush[last];
  }

  /** Makes the first packet's headers the super-packet's, and says in the virtio header what it is. */
  #writeHeaders(flow: number, frame: number, record: number): void {
    const view = this.#view;
    const header = this.#pieceOffset[this.#frameHead[frame]];
    const packet = header + VIRTIO_HEADER_BYTES;
    const transport = this.#word(record, RECORD_TRANSPORT);
    const isIpv6 = transport === IPV6_HEADER_BYTES;
    const isUdp = this.#flowKind[flow] === UDP;
    const length = this.#frameLength[frame] - VIRTIO_HEADER_BYTES;
    const transportLength = length - transport;
    const at = packet + transport;

    if (isIpv6) {
      view.setUint16(packet + IPV6_PAYLOAD_LENGTH_OFFSET, transportLength);
    } else {
      view.setUint16(packet + IPV4_LENGTH_OFFSET, length);
      view.setUint16(packet + IPV4_CHECKSUM_OFFSET, 0);
      view.setUint16(packet + IPV4_CHECKSUM_OFFSET, ~this.#kernels.sum(packet, transport, 0));
    }
    if (isUdp) view.setUint16(at + UDP_LENGTH_OFFSET, transportLength);
    else
      view.setUint8(
        at + TCP_FLAGS_OFFSET,
        view.getUint8(at + TCP_FLAGS_OFFSET) | this.#flowPush[flow],
      );
    const field = isUdp ? UDP_CHECKSUM_OFFSET : TCP_CHECKSUM_OFFSET;
    const protocol = isUdp ? PROTOCOL_UDP : PROTOCOL_TCP;
    const addresses = isIpv6 ? IPV6_SOURCE_OFFSET : IPV4_SOURCE_OFFSET;
    // The pseudo-header's sum, not complemented, is what the kernel completes per segment.
    view.setUint16(
      at + field,
      this.#kernels.sum(packet + addresses, transport - addresses, protocol + transportLength),
    );

    view.setUint8(header + VIRTIO_FLAGS, NEEDS_CHECKSUM);
    view.setUint8(header + VIRTIO_GSO_TYPE, isUdp ? GSO_UDP_L4 : isIpv6 ? GSO_TCPV6 : GSO_TCPV4);
    view.setUint16(header + VIRTIO_HEADER_LENGTH, this.#word(record, RECORD_HEADER_LENGTH), true);
    view.setUint16(header + VIRTIO_GSO_SIZE, this.#flowSegmentSize[flow], true);
    view.setUint16(header + VIRTIO_CHECKSUM_START, transport, true);
    view.setUint16(header + VIRTIO_CHECKSUM_OFFSET, field, true);
  }
}
