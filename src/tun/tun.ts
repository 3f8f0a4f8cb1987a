/**
 * Packets to and from the TUN device: reads frames into the arena and cuts super-packets into the
 * packets they stand for, gathers a turn's packets and writes them as few frames. Owns the choice
 * of path (offloads or one packet at a time) and the device's errors; it knows nothing of peers.
 */

import { type Arena, HEADROOM_BYTES, TAILROOM_BYTES, TURN_RESERVE_BYTES } from '../arena.ts';
import type { Interface, PacketSink } from '../datapath/interface.ts';
import type { DropReason } from '../device/drops.ts';
import { Coalescer } from '../packet/coalesce.ts';
import { PACKET_BYTES_MAX } from '../packet/ip.ts';
import { createKernels } from '../packet/kernels/fastest.ts';
import type { Kernels } from '../packet/kernels/kernels.ts';
import { Segmenter } from '../packet/segment.ts';
import { GSO_NONE, VIRTIO_FLAGS, VIRTIO_GSO_TYPE, VIRTIO_HEADER_BYTES } from '../packet/virtio.ts';
import { addressOf, close, ERRNO, errno, errnoName, read, write, writev } from '../sys/libc.ts';
import {
  openTunDevice,
  setTunPersistent,
  type TunDevice,
  type TunDeviceOptions,
  tunName,
} from './tundevice.ts';

export interface TunOptions extends TunDeviceOptions {
  /** Where packets are read to and written from. */
  readonly arena: Arena;
  /** The kernels on that arena; made when they are needed and not given. */
  readonly kernels?: Kernels;
  readonly onDrop: (reason: DropReason, packets: number) => void;
  /**
   * Called once when the interface exists no more, on its own turn of the event loop. Close the
   * watch then, and the Tun.
   */
  readonly onGone: () => void;
}

const FRAME_ROOM_BYTES = HEADROOM_BYTES + PACKET_BYTES_MAX + TAILROOM_BYTES;
/**
 * What must be free in the arena before a read. A super-packet of tiny segments grows severalfold
 * in the cutting; one of 256-byte segments fits.
 */
const READ_ROOM_BYTES = 4 * FRAME_ROOM_BYTES + TURN_RESERVE_BYTES;
/**
 * How much of the arena a read fills before it ends, even if the packets are few: what it has read is
 * then still in the processor's cache when it is sent, and the other end has begun before the next.
 */
const READ_BYTES = 384 * 1024;
/** Packets between two flushes; more flush early. */
const BATCH_PACKETS = 1024;

const { EAGAIN, EINTR, EBADFD, EIO } = ERRNO;

export class Tun implements Interface {
  readonly kind = 'tun';
  readonly fd: number;
  readonly name: string;
  /** The MTU by which packets are laid out for padding; keep it the Device's. */
  mtu: number;
  /** Error name -> packets that writing lost to it. */
  readonly errors = new Map<string, number>();
  readonly #device: TunDevice;
  readonly #arena: Arena;
  readonly #base: number;
  readonly #onDrop: TunOptions['onDrop'];
  readonly #onGone: () => void;
  readonly #kernels: Kernels | null;
  readonly #segmenter: Segmenter | null;
  readonly #coalescer: Coalescer | null;
  /** Room for life for one frame: where super-packets are read to. */
  readonly #frame: number;
  /** Whether the next frame is likely to be a super-packet: what the last one was. */
  #expectsLarge = false;
  readonly #offsets = new Int32Array(BATCH_PACKETS);
  readonly #lengths = new Int32Array(BATCH_PACKETS);
  #batched = 0;
  #isGone = false;
  #isClosed = false;

  constructor(device: TunDevice, options: TunOptions) {
    const { arena, mtu, onDrop, onGone } = options;
    this.#device = device;
    this.fd = device.fd;
    this.name = device.name;
    this.mtu = mtu;
    this.#arena = arena;
    this.#base = addressOf(arena);
    this.#onDrop = onDrop;
    this.#onGone = onGone;
    // A header alone is reason enough to segment: a checksum may be left to complete.
    this.#kernels = device.hasHeader ? (options.kernels ?? createKernels(arena)) : null;
    this.#segmenter = this.#kernels === null ? null : new Segmenter(arena, this.#kernels);
    this.#frame = device.takesTcp ? arena.reserve(FRAME_ROOM_BYTES) : 0;
    this.#coalescer =
      device.takesTcp && this.#kernels !== null
        ? new Coalescer({
            arena,
            kernels: this.#kernels,
            address: BigInt(this.#base),
            capacity: BATCH_PACKETS,
            mergeUdp: device.takesUdp,
          })
        : null;
  }

  /** Whether the interface was there before, as TunDevice has it. */
  get isTakenOver(): boolean {
    return this.#device.isTakenOver;
  }

  /** Whether the interface stays when it is closed, or when the process dies. @throws {SystemError} */
  setPersistent(isPersistent: boolean): void {
    setTunPersistent(this.fd, isPersistent);
  }

  /** Whether super-packets are taken and given. */
  get isOffloading(): boolean {
    return this.#device.takesTcp;
  }

  /**
   * Hands waiting packets to `sink` until none waits, about `budget` or READ_BYTES were handed over
   * (a frame that has begun is finished) or the arena has no room. Returns how many were.
   */
  read(sink: PacketSink, budget: number): number {
    let handed = 0;
    const least = Math.max(READ_ROOM_BYTES, this.#arena.available - READ_BYTES);
    while (handed < budget && !this.#isGone && this.#arena.available >= least) {
      const packets =
        this.#segmenter === null
          ? this.#readPacket(sink)
          : this.#expectsLarge
            ? this.#readLargeFrame(this.#segmenter, sink)
            : this.#readFrame(this.#segmenter, sink);
      if (packets < 0) break;
      handed += packets;
    }
    return handed;
  }

  /** Without headers: one read, one packet. -1 when nothing waits. */
  #readPacket(sink: PacketSink): number {
    const start = this.#arena.allocate(FRAME_ROOM_BYTES);
    const packet = start + HEADROOM_BYTES;
    const length = this.#readTo(packet, PACKET_BYTES_MAX);
    if (length <= 0) {
      this.#arena.shrink(start, 0);
      return length < 0 ? -1 : 0;
    }
    this.#arena.shrink(start, HEADROOM_BYTES + length + TAILROOM_BYTES);
    sink(packet, length);
    return 1;
  }

  /** Into the turn's room, where a plain packet can stay: the header lies in the headroom. */
  #readFrame(segmenter: Segmenter, sink: PacketSink): number {
    const start = this.#arena.allocate(FRAME_ROOM_BYTES);
    const frame = start + HEADROOM_BYTES - VIRTIO_HEADER_BYTES;
    const length = this.#readTo(frame, VIRTIO_HEADER_BYTES + PACKET_BYTES_MAX);
    if (length < 0) {
      this.#arena.shrink(start, 0);
      return -1;
    }
    this.#arena.shrink(start, frame - start + length + TAILROOM_BYTES);
    this.#expectsLarge = this.#isOffloadingFrame(frame);
    return this.#handOver(segmenter, frame, length, sink);
  }

  /**
   * Into the room for life, from which the packets are cut into the turn's room: so a stream of
   * super-packets keeps using the same cached memory. A plain packet is moved out of it.
   */
  #readLargeFrame(segmenter: Segmenter, sink: PacketSink): number {
    const frame = this.#frame + HEADROOM_BYTES - VIRTIO_HEADER_BYTES;
    const length = this.#readTo(frame, VIRTIO_HEADER_BYTES + PACKET_BYTES_MAX);
    if (length < 0) {
      this.#expectsLarge = false;
      return -1;
    }
    if (this.#isOffloadingFrame(frame)) return this.#handOver(segmenter, frame, length, sink);
    this.#expectsLarge = false;
    const start = this.#arena.allocate(HEADROOM_BYTES + length + TAILROOM_BYTES);
    const moved = start + HEADROOM_BYTES - VIRTIO_HEADER_BYTES;
    this.#kernels!.copy(moved, frame, length);
    return this.#handOver(segmenter, moved, length, sink);
  }

  #isOffloadingFrame(frame: number): boolean {
    return this.#device.takesTcp && this.#arena.bytes[frame + VIRTIO_GSO_TYPE] !== GSO_NONE;
  }

  #handOver(segmenter: Segmenter, frame: number, length: number, sink: PacketSink): number {
    const verdict = segmenter.segment(frame, length, this.mtu);
    if (verdict !== 'ok') {
      this.#onDrop(verdict, 1);
      return 1;
    }
    const { offset, count, stride, packetLength, lastLength } = segmenter;
    sink(offset, packetLength, count, stride, lastLength);
    return count;
  }

  /** What `read` returned, or -1 after it has dealt with the error. */
  #readTo(offset: number, room: number): number {
    for (;;) {
      const length = read(this.fd, this.#base + offset, room);
      if (length >= 0) return length;
      const error = errno();
      if (error === EINTR) continue;
      if (error !== EAGAIN) this.#checkGone(error);
      return -1;
    }
  }

  /**
   * Appends an IP packet of the arena to the batch. It must stay until `flush`; the
   * HEADROOM_BYTES before it are used up.
   */
  deliver(offset: number, length: number): void {
    if (this.#coalescer !== null) {
      if (this.#coalescer.add(offset, length)) return;
      this.flush();
      this.#coalescer.add(offset, length);
      return;
    }
    if (this.#batched === BATCH_PACKETS) this.flush();
    this.#offsets[this.#batched] = offset;
    this.#lengths[this.#batched] = length;
    this.#batched++;
  }

  /** Writes the batch. What cannot be written is counted, never kept. */
  flush(): void {
    if (this.#coalescer !== null) {
      if (this.#coalescer.pending > 0) this.#coalescer.flush(this.#writeFrame);
      return;
    }
    const headerBytes = this.#device.hasHeader ? VIRTIO_HEADER_BYTES : 0;
    for (let i = 0; i < this.#batched; i++) {
      const start = this.#offsets[i] - headerBytes;
      // A header that says nothing.
      if (headerBytes > 0) this.#arena.bytes.fill(0, start + VIRTIO_FLAGS, start + headerBytes);
      const length = headerBytes + this.#lengths[i];
      if (write(this.fd, this.#base + start, length) < 0) this.#writeFailed(1);
    }
    this.#batched = 0;
  }

  readonly #writeFrame = (iovecs: number, count: number): void => {
    if (writev(this.fd, this.#base + iovecs, count) < 0) this.#writeFailed(count);
  };

  #writeFailed(packets: number): void {
    const error = errno();
    const name = errnoName(error);
    this.errors.set(name, (this.errors.get(name) ?? 0) + packets);
    // The kernel says EIO of an interface that is down.
    this.#onDrop(error === EIO ? 'interfaceDown' : 'tunWriteFailed', packets);
    if (error === EBADFD) this.#checkGone(error);
  }

  #checkGone(error: number): void {
    if (this.#isGone || (error !== EBADFD && tunName(this.fd) !== null)) return;
    this.#isGone = true;
    setImmediate(this.#onGone);
  }

  /** Stop watching `fd` first. An interface that is not persistent goes with it. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isGone = true;
    close(this.fd);
  }
}

/**
 * Opens the TUN device; with offloads also reserves room in the arena, so before its first turn.
 *
 * @throws {SystemError} in one line for an operator; nothing is left open then
 */
export function openTun(options: TunOptions): Tun {
  return new Tun(openTunDevice(options), options);
}
