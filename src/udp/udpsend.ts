/**
 * The sending half of one UDP socket: hands a turn's datagrams (sendbatch.ts) to the kernel in as few
 * calls as it can, all sends of a flush as one `sendmmsg`. Owns the kernel's structures and the
 * fallbacks (no segmentation, a stale source address, a full buffer); it knows no peers and no
 * protocol.
 */

import type { Arena } from '../arena.ts';
import type { DropReason } from '../device/drops.ts';
import type { Endpoint } from '../device/endpoint.ts';
import {
  addressOf,
  ERRNO,
  errno,
  errnoName,
  putAddress,
  Scratch,
  sendmmsg,
  sendmsg,
  waitFor,
} from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  IP_TOS,
  IPV6_TCLASS,
  POLLOUT,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_SEGMENT,
} from '../sys/linux.ts';
import { sendErrorMeaning } from '../sys/senderrors.ts';
import { loadWord, putControl, putNearEnd } from './controlmessages.ts';
import { MAX_SENDS, MAX_STRETCHES, SendBatch } from './sendbatch.ts';

/** How long a full socket buffer may hold up the whole loop. */
const WAIT_FOR_ROOM_MS = 5;
/** How often in one flush: each wait that succeeds leaves half of the buffer free. */
const MAX_WAITS = 2;

// struct mmsghdr, in 32-bit words: name 0, namelen 2, iov 4, iovlen 6, control 8, controllen 10.
const HEADER_WORDS = 16;
const HEADER_BYTES = HEADER_WORDS * 4;
const NAME_WORDS = 8;
const CONTROL_WORDS = 24;
const IOVEC_WORDS = 4;

const { EAGAIN, EINTR, EIO, EINVAL, EMSGSIZE, ENETUNREACH, EADDRNOTAVAIL, ECONNREFUSED } = ERRNO;

export interface SendOptions {
  readonly arena: Arena;
  readonly fd: number;
  readonly family: 4 | 6;
  /** Whether the kernel has UDP_SEGMENT. */
  readonly segmentation: boolean;
  readonly onDrop: (reason: DropReason, packets: number) => void;
  /** Told in one line when segmentation is given up, and of the first error of each kind. */
  readonly onNote: (note: string) => void;
  /** Whether the kernel would still send to this endpoint from its source; asked rarely. */
  readonly isSourceCurrent: (endpoint: Endpoint) => boolean;
  /** The socket is bound to an address, which all is sent from unless an endpoint says otherwise. */
  readonly isBound: boolean;
  /** Error name -> datagrams that it cost; shared by the sockets of one port. */
  readonly errors: Map<string, number>;
  /** Told of each loss, by the name of the error. */
  readonly onFailure: (endpoint: Endpoint, error: string) => void;
}

export class SendQueue {
  readonly #fd: number;
  readonly #family: 4 | 6;
  readonly #onDrop: SendOptions['onDrop'];
  readonly #onNote: SendOptions['onNote'];
  readonly #errors: Map<string, number>;
  readonly #onFailure: SendOptions['onFailure'];
  readonly #isSourceCurrent: SendOptions['isSourceCurrent'];
  readonly #isBound: boolean;
  /** The endpoints whose source has to be checked before it is used again. */
  #unchecked = new Set<Endpoint>();

  readonly #batch: SendBatch;
  readonly #firstIovec = new Int32Array(MAX_SENDS);

  // The kernel's structures, one of each kind for every send.
  readonly #headers = new Scratch(MAX_SENDS * HEADER_BYTES);
  readonly #names = new Scratch(MAX_SENDS * NAME_WORDS * 4);
  readonly #controls = new Scratch(MAX_SENDS * CONTROL_WORDS * 4);
  readonly #iovecs = new Scratch(MAX_STRETCHES * IOVEC_WORDS * 4);
  readonly #base: number;
  #iovecsUsed = 0;

  constructor(options: SendOptions) {
    this.#fd = options.fd;
    this.#family = options.family;
    const { family, segmentation: isSegmenting } = options;
    this.#batch = new SendBatch({ family, isSegmenting, onFull: () => this.flush() });
    this.#onDrop = options.onDrop;
    this.#onNote = options.onNote;
    this.#isSourceCurrent = options.isSourceCurrent;
    this.#isBound = options.isBound;
    this.#errors = options.errors;
    this.#onFailure = options.onFailure;
    this.#base = addressOf(options.arena);
    const words = this.#headers.words;
    for (let send = 0; send < MAX_SENDS; send++) {
      const at = send * HEADER_WORDS;
      putAddress(words, at, this.#names.address + send * NAME_WORDS * 4);
      words[at + 2] = this.#family === 4 ? 16 : 28;
      putAddress(words, at + 8, this.#controls.address + send * CONTROL_WORDS * 4);
    }
  }

  get isSegmenting(): boolean {
    return this.#batch.isSegmenting;
  }

  /**
   * Call when addresses or routes changed: a path that was too narrow may be wide now, and a
   * source address may lead the wrong way. Of `endpoints`, each is taken out of the set and checked
   * when it is next used.
   */
  forgetPaths(endpoints: Set<Endpoint>): void {
    this.#batch.forgetNarrow();
    this.#unchecked = endpoints;
  }

  /** See SendBatch. */
  transmit(offset: number, length: number, endpoint: Endpoint, trafficClass: number): void {
    this.#batch.transmit(offset, length, endpoint, trafficClass);
  }

  /** See SendBatch. */
  transmitRun(
    offset: number,
    length: number,
    endpoint: Endpoint,
    trafficClass: number,
    count: number,
    lastLength: number,
  ): void {
    this.#batch.transmitRun(offset, length, endpoint, trafficClass, count, lastLength);
  }

  /** Sends everything appended so far. What cannot be sent is counted, never kept. */
  flush(): void {
    const { sends } = this.#batch;
    if (sends === 0) return;
    this.#iovecsUsed = 0;
    for (let send = 0; send < sends; send++) this.#buildSend(send);
    let waits = MAX_WAITS;
    let sent = 0;
    while (sent < sends) {
      const result = sendmmsg(
        this.#fd,
        this.#headers.address + sent * HEADER_BYTES,
        sends - sent,
        0,
      );
      if (result > 0) {
        sent += result;
        continue;
      }
      const error = errno();
      if (error === EINTR) continue;
      if (error === EAGAIN && waits > 0) {
        waits--;
        if (waitFor(this.#fd, POLLOUT, WAIT_FOR_ROOM_MS)) continue;
        waits = 0;
      }
      this.#resolve(sent, error);
      sent++;
    }
    this.#batch.clear();
  }

  #buildSend(send: number): void {
    if (this.#unchecked.size > 0) this.#checkSource(this.#batch.endpoints[send]);
    const words = this.#headers.words;
    const at = send * HEADER_WORDS;
    const firstIovec = this.#iovecsUsed;
    this.#firstIovec[send] = firstIovec;
    this.#buildIovecs(this.#batch.first[send]);
    putAddress(words, at + 4, this.#iovecs.address + firstIovec * IOVEC_WORDS * 4);
    words[at + 6] = this.#iovecsUsed - firstIovec;
    this.#buildName(send);
    const segmentSize = this.#batch.segments[send] > 1 ? this.#batch.segmentSize[send] : 0;
    words[at + 10] = this.#buildControl(send, segmentSize) * 4;
  }

  #checkSource(endpoint: Endpoint): void {
    if (!this.#unchecked.delete(endpoint) || endpoint.source === null) return;
    if (!this.#isSourceCurrent(endpoint)) endpoint.forgetSource();
  }

  /** One iovec for each part of the arena that the chain of stretches covers without a gap. */
  #buildIovecs(first: number): void {
    const words = this.#iovecs.words;
    let end = -1;
    let at = this.#iovecsUsed * IOVEC_WORDS;
    for (let stretch = first; stretch >= 0; stretch = this.#batch.next[stretch]) {
      const offset = this.#batch.offsets[stretch];
      const length = this.#batch.lengths[stretch];
      if (offset === end) {
        words[at - IOVEC_WORDS + 2] += length;
      } else {
        putAddress(words, at, this.#base + offset);
        words[at + 2] = length;
        words[at + 3] = 0;
        at += IOVEC_WORDS;
      }
      end = offset + length;
    }
    this.#iovecsUsed = at / IOVEC_WORDS;
  }

  #buildName(send: number): void {
    const { address, port, scope } = this.#batch.endpoints[send];
    const words = this.#names.words;
    const at = send * NAME_WORDS;
    const portWord = ((port & 0xff) << 24) | ((port >>> 8) << 16);
    words[at] = (this.#family === 4 ? AF_INET : AF_INET6) | portWord;
    if (this.#family === 4) {
      words[at + 1] = loadWord(address, 0);
      return;
    }
    words[at + 1] = 0;
    for (let i = 0; i < 4; i++) words[at + 2 + i] = loadWord(address, i * 4);
    words[at + 6] = scope;
  }

  /** Returns the control messages' length in words. `segmentSize` 0: not segmented. */
  #buildControl(send: number, segmentSize: number): number {
    const words = this.#controls.words;
    const start = send * CONTROL_WORDS;
    let at = start;
    const isV4 = this.#family === 4;
    at += putNearEnd(words, at, this.#batch.endpoints[send], this.#isBound);
    if (this.#batch.classes[send] !== 0) {
      putControl(words, at, 4, isV4 ? SOL_IP : SOL_IPV6, isV4 ? IP_TOS : IPV6_TCLASS);
      words[at + 4] = this.#batch.classes[send];
      at += 6;
    }
    if (segmentSize > 0) {
      putControl(words, at, 2, SOL_UDP, UDP_SEGMENT);
      words[at + 4] = segmentSize;
      at += 6;
    }
    return at - start;
  }

  /** A send was refused: tries what may help against this error, and counts what is lost. */
  #resolve(send: number, error: number): void {
    const segments = this.#batch.segments[send];
    if (segments > 1 && (error === EIO || error === EINVAL || error === EMSGSIZE)) {
      const endpoint = this.#batch.endpoints[send];
      const source = endpoint.source;
      const lost = this.#sendSingly(send);
      if (error === EIO) {
        this.#stopSegmenting();
      } else if (lost < segments && endpoint.source === source) {
        // Neither the remote nor the local address was at fault, so it was the size.
        this.#batch.narrow(endpoint, this.#batch.segmentSize[send]);
      }
      return;
    }
    const segmentSize = segments > 1 ? this.#batch.segmentSize[send] : 0;
    const lasting = this.#mayRetry(send, error, segmentSize) ? this.#sendAgain(send) : error;
    if (lasting !== 0) this.#drop(this.#batch.endpoints[send], lasting, segments);
  }

  #stopSegmenting(): void {
    if (!this.#batch.isSegmenting) return;
    this.#batch.isSegmenting = false;
    this.#onNote(`udp: IPv${this.#family}: a device cannot segment (EIO); sending singly from now`);
  }

  /** Whether sending again can do better; forgets the source address if it may be the cause. */
  #mayRetry(send: number, error: number, segmentSize: number): boolean {
    const endpoint = this.#batch.endpoints[send];
    // An ICMP error that was waiting on the socket is reported once, whatever is sent.
    if (error === ECONNREFUSED) return true;
    // With what the operator or the routes have fixed there is no other way to try.
    const isFixed = endpoint.exit !== null || endpoint.isPinned || this.#isBound;
    if (isFixed || endpoint.source === null) return false;
    if (error !== EINVAL && error !== ENETUNREACH && error !== EADDRNOTAVAIL) return false;
    endpoint.forgetSource();
    this.#headers.words[send * HEADER_WORDS + 10] = this.#buildControl(send, segmentSize) * 4;
    return true;
  }

  /** Sends what stands in a send's structures. Returns 0 or the error. */
  #sendAgain(send: number): number {
    const result = sendmsg(this.#fd, this.#headers.address + send * HEADER_BYTES, 0);
    return result < 0 ? errno() : 0;
  }

  /** Sends the datagrams of a segmented send one by one. Returns how many were lost. */
  #sendSingly(send: number): number {
    const iovecs = this.#iovecs.words;
    const iovec = this.#firstIovec[send] * IOVEC_WORDS;
    const headers = this.#headers.words;
    const at = send * HEADER_WORDS;
    headers[at + 6] = 1;
    headers[at + 10] = this.#buildControl(send, 0) * 4;
    const size = this.#batch.segmentSize[send];
    let lost = 0;
    for (let stretch = this.#batch.first[send]; stretch >= 0; stretch = this.#batch.next[stretch]) {
      const end = this.#batch.offsets[stretch] + this.#batch.lengths[stretch];
      for (let at = this.#batch.offsets[stretch]; at < end; at += size) {
        putAddress(iovecs, iovec, this.#base + at);
        iovecs[iovec + 2] = Math.min(size, end - at);
        lost += this.#sendOne(send);
      }
    }
    return lost;
  }

  /** Sends what one iovec names. Returns how many datagrams were lost. */
  #sendOne(send: number): 0 | 1 {
    let error = this.#sendAgain(send);
    const mayRetry =
      error === EAGAIN
        ? waitFor(this.#fd, POLLOUT, WAIT_FOR_ROOM_MS)
        : error !== 0 && this.#mayRetry(send, error, 0);
    if (mayRetry) error = this.#sendAgain(send);
    if (error === 0) return 0;
    this.#drop(this.#batch.endpoints[send], error, 1);
    return 1;
  }

  /** The first time that an error costs something is told; all of them are counted. */
  #drop(endpoint: Endpoint, error: number, packets: number): void {
    const name = errnoName(error);
    const before = this.#errors.get(name) ?? 0;
    if (before === 0) {
      const why = `${sendErrorMeaning(name)} (sendmsg: ${name})`;
      this.#onNote(`udp: IPv${this.#family}: cannot send: ${why}`);
    }
    this.#errors.set(name, before + packets);
    this.#onFailure(endpoint, name);
    this.#onDrop('sendFailed', packets);
  }
}
