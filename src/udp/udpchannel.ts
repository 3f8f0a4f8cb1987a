/**
 * One UDP socket with its two halves, which know nothing of each other: the queue that sends and
 * the queue that receives. Owns what the kernel can do for both (UDP_SEGMENT, UDP_GRO).
 */

import type { Arena } from '../arena.ts';
import type { DatagramSink, Inlet } from '../datapath/transport.ts';
import type { DropReason } from '../device/drops.ts';
import { close, getIntOption, setIntOption } from '../sys/libc.ts';
import { SOL_UDP, UDP_GRO, UDP_SEGMENT } from '../sys/linux.ts';
import { ReceiveQueue } from './udpreceive.ts';
import { type SendOptions, SendQueue } from './udpsend.ts';

type Shared = 'errors' | 'isSourceCurrent' | 'isBound' | 'onFailure';

export interface UdpChannelOptions extends Pick<SendOptions, Shared> {
  /** Where datagrams are received to and sent from. */
  readonly arena: Arena;
  /** Whether to use UDP_SEGMENT and UDP_GRO where the kernel has them. */
  readonly offload: boolean;
  readonly onDrop: (reason: DropReason, packets: number) => void;
  /** Gets one line for the log when something works less well than asked. */
  readonly onNote: (note: string) => void;
  /** Told after each read whether it left anything unread. */
  readonly gate?: { wasRead(family: 4 | 6, isEmpty: boolean, now: number): void };
}

export class UdpChannel implements Inlet {
  readonly family: 4 | 6;
  readonly fd: number;
  readonly sending: SendQueue;
  readonly #receiving: ReceiveQueue;
  readonly #gate: UdpChannelOptions['gate'];

  /** Takes over a bound socket. */
  constructor(family: 4 | 6, fd: number, options: UdpChannelOptions) {
    this.family = family;
    this.fd = fd;
    this.#gate = options.gate;
    const { arena, onDrop, onNote, offload, errors, isSourceCurrent, isBound, onFailure } = options;
    // UDP_SEGMENT can be asked for wherever the kernel knows it (4.18); UDP_GRO came with 5.0.
    const segmentation = offload && getIntOption(fd, SOL_UDP, UDP_SEGMENT) !== undefined;
    if (offload && setIntOption(fd, SOL_UDP, UDP_GRO, 1) !== 0) {
      onNote(`udp: IPv${family}: no UDP_GRO in this kernel; receiving singly`);
    }
    if (offload && !segmentation) {
      onNote(`udp: IPv${family}: no UDP_SEGMENT in this kernel; sending singly`);
    }
    const common = { arena, fd, family, onDrop, onNote, errors };
    const ofSending = { segmentation, isSourceCurrent, isBound, onFailure };
    this.sending = new SendQueue({ ...common, ...ofSending });
    this.#receiving = new ReceiveQueue(common);
  }

  /** See ReceiveQueue.receive. */
  receive(sink: DatagramSink, budget: number, now: number): number {
    const handed = this.#receiving.receive(sink, budget);
    this.#gate?.wasRead(this.family, this.#receiving.isEmpty, now);
    return handed;
  }

  close(): void {
    close(this.fd);
  }
}
