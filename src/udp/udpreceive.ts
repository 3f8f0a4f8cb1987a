/**
 * The receiving half of one UDP socket: many datagrams a call, straight into the arena, each with
 * who sent it, which of our addresses it came to, and its traffic class. With UDP_GRO one buffer
 * carries a run of alike datagrams, which are handed on together. Knows no protocol.
 */

import { type Arena, TURN_RESERVE_BYTES } from '../arena.ts';
import type { DatagramSink } from '../datapath/transport.ts';
import type { DropReason } from '../device/drops.ts';
import { addressOf, ERRNO, errno, errnoName, putAddress, recvmmsg, Scratch } from '../sys/libc.ts';
import {
  IP_PKTINFO,
  IP_TOS,
  IPV6_PKTINFO,
  IPV6_TCLASS,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_GRO,
} from '../sys/linux.ts';
import { EndpointCache } from './endpointcache.ts';

const MAX_MESSAGES = 32;
/**
 * Room for one message: any UDP payload, and any run that UDP_GRO makes. The odd kilobytes keep
 * the buffers of one call from falling on the same lines of the processor's caches.
 */
const SLOT_BYTES = 65_536 + 2_112;

// struct mmsghdr, in 32-bit words: name 0, namelen 2, iov 4, iovlen 6, control 8, controllen 10,
// flags 12, len 14.
const HEADER_WORDS = 16;
const NAME_WORDS = 8;
const CONTROL_WORDS = 32;
const IOVEC_WORDS = 4;

/** A run of large buffers is taken few at a time, so that it is still in the cache when opened. */
const LARGE_TAKE_BYTES = 128 * 1024;
const SMALL_TAKE_BYTES = 32 * 1024;
/**
 * After so many bytes a `receive` ends, however few datagrams they are: then they are still in the
 * cache when the interface gets them, and who waits for them begins before the next are opened.
 */
const RECEIVE_BYTES = 384 * 1024;
const MIN_MESSAGES = 2;
/** ICMP errors reported by the socket that one `receive` reads away. */
const MAX_ERRORS = 16;

const { EAGAIN } = ERRNO;

export interface ReceiveOptions {
  readonly arena: Arena;
  readonly fd: number;
  readonly family: 4 | 6;
  readonly onDrop: (reason: DropReason, packets: number) => void;
  readonly errors: Map<string, number>;
}

export class ReceiveQueue {
  readonly #arena: Arena;
  readonly #base: number;
  readonly #fd: number;
  readonly #isV4: boolean;
  readonly #onDrop: ReceiveOptions['onDrop'];
  readonly #errors: Map<string, number>;
  readonly #endpoints = new EndpointCache();
  readonly #headers = new Scratch(MAX_MESSAGES * HEADER_WORDS * 4);
  readonly #names = new Scratch(MAX_MESSAGES * NAME_WORDS * 4);
  readonly #controls = new Scratch(MAX_MESSAGES * CONTROL_WORDS * 4);
  readonly #iovecs = new Scratch(MAX_MESSAGES * IOVEC_WORDS * 4);
  /** Whether the last `receive` left nothing unread. */
  isEmpty = true;
  /** How many messages to ask for next. */
  #messages = 8;
  // What the control messages of the message at hand say.
  #trafficClass = 0;
  #segmentSize = 0;

  constructor(options: ReceiveOptions) {
    this.#arena = options.arena;
    this.#base = addressOf(options.arena);
    this.#fd = options.fd;
    this.#isV4 = options.family === 4;
    this.#onDrop = options.onDrop;
    this.#errors = options.errors;
    const words = this.#headers.words;
    for (let i = 0; i < MAX_MESSAGES; i++) {
      const at = i * HEADER_WORDS;
      putAddress(words, at, this.#names.address + i * NAME_WORDS * 4);
      putAddress(words, at + 4, this.#iovecs.address + i * IOVEC_WORDS * 4);
      words[at + 6] = 1;
      putAddress(words, at + 8, this.#controls.address + i * CONTROL_WORDS * 4);
      this.#iovecs.words[i * IOVEC_WORDS + 2] = SLOT_BYTES;
    }
  }

  /**
   * Hands waiting datagrams to `sink` until none waits, about `budget` or RECEIVE_BYTES were handed
   * over (a run that has begun is finished) or the arena has no room. Returns how many were.
   */
  receive(sink: DatagramSink, budget: number): number {
    let handed = 0;
    let bytes = 0;
    let errors = 0;
    this.isEmpty = false;
    while (handed < budget && bytes < RECEIVE_BYTES && errors < MAX_ERRORS) {
      const room = Math.floor((this.#arena.available - TURN_RESERVE_BYTES) / SLOT_BYTES);
      const wanted = Math.min(this.#messages, budget - handed, room);
      if (wanted <= 0) break;
      const start = this.#arena.allocate(wanted * SLOT_BYTES);
      const got = this.#take(start, wanted);
      if (got < 0) {
        this.#arena.shrink(start, 0);
        if (got === -EAGAIN!) {
          this.isEmpty = true;
          break;
        }
        // An ICMP error that waited on the socket; the datagrams after it are still there.
        this.#countError(-got);
        errors++;
        continue;
      }
      // Before anything is handed over: the sink may allocate.
      this.#arena.shrink(start, (got - 1) * SLOT_BYTES + this.#lengthOf(got - 1));
      bytes += this.#adapt(got, wanted);
      for (let i = 0; i < got; i++) handed += this.#handOver(i, start + i * SLOT_BYTES, sink);
      if (got < wanted) {
        this.isEmpty = true;
        break;
      }
    }
    return handed;
  }

  /** Returns how many messages there are now, or the negative error. */
  #take(start: number, wanted: number): number {
    const headers = this.#headers.words;
    const iovecs = this.#iovecs.words;
    for (let i = 0; i < wanted; i++) {
      const at = i * HEADER_WORDS;
      headers[at + 2] = NAME_WORDS * 4;
      headers[at + 10] = CONTROL_WORDS * 4;
      putAddress(iovecs, i * IOVEC_WORDS, this.#base + start + i * SLOT_BYTES);
    }
    const got = recvmmsg(this.#fd, this.#headers.address, wanted, MSG_DONTWAIT, 0);
    return got < 0 ? -errno() : got;
  }

  #lengthOf(message: number): number {
    return this.#headers.words[message * HEADER_WORDS + 14];
  }

  /**
   * Asks for more messages next time when they are small and many, for fewer when they are runs or
   * come singly: what is laid out for messages that do not come costs an idle tunnel its cache.
   * Returns how many bytes there are now.
   */
  #adapt(got: number, wanted: number): number {
    let bytes = 0;
    for (let i = 0; i < got; i++) bytes += this.#lengthOf(i);
    if (bytes > LARGE_TAKE_BYTES) {
      this.#messages = Math.max(MIN_MESSAGES, this.#messages >> 1);
    } else if (bytes < SMALL_TAKE_BYTES && got === wanted) {
      this.#messages = Math.min(MAX_MESSAGES, this.#messages << 1);
    } else if (got === 1) {
      this.#messages = MIN_MESSAGES;
    }
    return bytes;
  }

  /** Hands over the datagrams of one message. Returns how many they are. */
  #handOver(message: number, offset: number, sink: DatagramSink): number {
    const length = this.#lengthOf(message);
    if ((this.#headers.words[message * HEADER_WORDS + 12] & MSG_TRUNC) !== 0) {
      this.#onDrop('malformedMessage', 1);
      return 1;
    }
    this.#readName(message);
    this.#readControl(message);
    const endpoint = this.#endpoints.lookup();
    const size = this.#segmentSize;
    const trafficClass = this.#trafficClass;
    if (size <= 0 || size >= length) {
      sink(offset, length, endpoint, trafficClass);
      return 1;
    }
    const count = Math.ceil(length / size);
    sink(offset, size, endpoint, trafficClass, count, length - (count - 1) * size);
    return count;
  }

  #readName(message: number): void {
    const words = this.#names.words;
    const at = message * NAME_WORDS;
    const { key } = this.#endpoints;
    key[0] = words[at];
    if (this.#isV4) {
      key[1] = words[at + 1];
      return;
    }
    for (let i = 0; i < 4; i++) key[1 + i] = words[at + 2 + i];
    key[5] = words[at + 6];
  }

  #readControl(message: number): void {
    this.#trafficClass = 0;
    this.#segmentSize = 0;
    const { key } = this.#endpoints;
    for (let i = 6; i <= 10; i++) key[i] = 0;
    const words = this.#controls.words;
    let at = message * CONTROL_WORDS;
    const end = at + (this.#headers.words[message * HEADER_WORDS + 10] >> 2);
    while (at + 4 < end) {
      const length = words[at];
      if (length < 16) break;
      this.#readControlMessage(words, at);
      at += ((length + 7) & -8) >> 2;
    }
  }

  #readControlMessage(words: Int32Array, at: number): void {
    const level = words[at + 2];
    const type = words[at + 3];
    const { key } = this.#endpoints;
    if (level === SOL_UDP && type === UDP_GRO) {
      this.#segmentSize = words[at + 4];
    } else if (level === SOL_IP && type === IP_TOS) {
      this.#trafficClass = words[at + 4] & 0xff;
    } else if (level === SOL_IPV6 && type === IPV6_TCLASS) {
      this.#trafficClass = words[at + 4] & 0xff;
    } else if (level === SOL_IP && type === IP_PKTINFO) {
      // ipi_spec_dst: the address to answer from, also where the datagram was a broadcast.
      key[6] = words[at + 5];
      key[10] = words[at + 4];
    } else if (level === SOL_IPV6 && type === IPV6_PKTINFO && (words[at + 4] & 0xff) !== 0xff) {
      // Nobody answers from a multicast address (ff00::/8).
      for (let i = 0; i < 4; i++) key[6 + i] = words[at + 4 + i];
      key[10] = words[at + 8];
    }
  }

  #countError(error: number): void {
    const name = `receive_${errnoName(error)}`;
    this.#errors.set(name, (this.#errors.get(name) ?? 0) + 1);
  }
}
