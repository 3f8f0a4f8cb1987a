/**
 * The sending half of one UDP socket: gathers a turn's datagrams and hands them to the kernel in
 * as few calls as it can. Alike datagrams to one endpoint travel as one UDP_SEGMENT send, all
 * sends of a flush as one `sendmmsg`. Owns the fallbacks (no segmentation, a stale source address,
 * a full buffer); it knows no peers and no protocol.
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

/** Datagrams and sends that one flush holds; more than that flushes early. */
const MAX_DATAGRAMS = 1024;
const MAX_SENDS = 256;
/** UDP_MAX_SEGMENTS of the kernels before 6.9. */
const MAX_SEGMENTS = 64;
/** The most UDP payload an IP packet carries; IPv6 counts its header against 65,535 in places. */
const MAX_BYTES = { 4: 65_507, 6: 65_487 } as const;
/** How many of the newest sends are searched for one to the same endpoint. */
const SEARCH_DEPTH = 4;
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
  readonly #maxBytes: number;
  readonly #onDrop: SendOptions['onDrop'];
  readonly #onNote: SendOptions['onNote'];
  readonly #errors: Map<string, number>;
  readonly #onFailure: SendOptions['onFailure'];
  #segmentation: boolean;
  /**
   * Endpoints behind a path too narrow for a whole datagram: fragments cannot be segmented, so
   * from this datagram length on they are sent singly. Mostly empty, and then costs nothing.
   */
  #narrow = new WeakMap<Endpoint, number>();
  #hasNarrow = false;
  readonly #isSourceCurrent: SendOptions['isSourceCurrent'];
  readonly #isBound: boolean;
  /** The endpoints whose source has to be checked before it is used again. */
  #unchecked = new Set<Endpoint>();

  // The datagrams in order of arrival; `#next` chains those of one send.
  readonly #offsets = new Int32Array(MAX_DATAGRAMS);
  readonly #lengths = new Int32Array(MAX_DATAGRAMS);
  readonly #next = new Int32Array(MAX_DATAGRAMS);
  #datagrams = 0;

  // The sends.
  readonly #endpoints: Endpoint[] = new Array(MAX_SENDS);
  readonly #classes = new Uint8Array(MAX_SENDS);
  readonly #first = new Int32Array(MAX_SENDS);
  readonly #last = new Int32Array(MAX_SENDS);
  readonly #segments = new Int32Array(MAX_SENDS);
  readonly #segmentSize = new Int32Array(MAX_SENDS);
  readonly #bytes = new Int32Array(MAX_SENDS);
  readonly #firstIovec = new Int32Array(MAX_SENDS);
  #sends = 0;

  // The kernel's structures, one of each kind for every send.
  readonly #headers = new Scratch(MAX_SENDS * HEADER_BYTES);
  readonly #names = new Scratch(MAX_SENDS * NAME_WORDS * 4);
  readonly #controls = new Scratch(MAX_SENDS * CONTROL_WORDS * 4);
  readonly #iovecs = new Scratch(MAX_DATAGRAMS * IOVEC_WORDS * 4);
  readonly #base: number;
  #iovecsUsed = 0;

  constructor(options: SendOptions) {
    this.#fd = options.fd;
    this.#family = options.family;
    this.#maxBytes = MAX_BYTES[options.family];
    this.#segmentation = options.segmentation;
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
    return this.#segmentation;
  }

  /**
   * Call when addresses or routes changed: a path that was too narrow may be wide now, and a
   * source address may lead the wrong way. Of `endpoints`, each is taken out of the set and checked
   * when it is next used.
   */
  forgetPaths(endpoints: Set<Endpoint>): void {
    this.#narrow = new WeakMap();
    this.#hasNarrow = false;
    this.#unchecked = endpoints;
  }

  /**
   * Appends a datagram of the arena, which must stay as it is until `flush`. Datagrams to one
   * endpoint keep their order.
   *
   * @param trafficClass the outer header's DSCP and ECN
   */
  transmit(offset: number, length: number, endpoint: Endpoint, trafficClass: number): void {
    let send = this.#segmentation ? this.#findSend(length, endpoint, trafficClass) : -1;
    if (this.#datagrams === MAX_DATAGRAMS || (send < 0 && this.#sends === MAX_SENDS)) {
      this.flush();
      send = -1;
    }
    const datagram = this.#datagrams++;
    this.#offsets[datagram] = offset;
    this.#lengths[datagram] = length;
    this.#next[datagram] = -1;
    if (send < 0) {
      send = this.#sends++;
      this.#endpoints[send] = endpoint;
      this.#classes[send] = trafficClass;
      this.#first[send] = datagram;
      this.#segments[send] = 1;
      this.#segmentSize[send] = length;
      this.#bytes[send] = length;
    } else {
      this.#next[this.#last[send]] = datagram;
      this.#segments[send]++;
      this.#bytes[send] += length;
    }
    this.#last[send] = datagram;
  }

  /** The send that a datagram can join: the newest to its endpoint, if that one takes it. */
  #findSend(length: number, endpoint: Endpoint, trafficClass: number): number {
    const oldest = Math.max(0, this.#sends - SEARCH_DEPTH);
    for (let send = this.#sends - 1; send >= oldest; send--) {
      if (this.#endpoints[send] !== endpoint) continue;
      const size = this.#segmentSize[send];
      const joins =
        length <= size &&
        // An empty datagram cannot be a segment: the kernel would drop it.
        length > 0 &&
        // A shorter segment is the last one.
        this.#bytes[send] === this.#segments[send] * size &&
        this.#classes[send] === trafficClass &&
        this.#segments[send] < MAX_SEGMENTS &&
        this.#bytes[send] + length <= this.#maxBytes &&
        !(this.#hasNarrow && size >= (this.#narrow.get(endpoint) ?? Infinity));
      return joins ? send : -1;
    }
    return -1;
  }

  /** Sends everything appended so far. What cannot be sent is counted, never kept. */
  flush(): void {
    const sends = this.#sends;
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
    this.#sends = 0;
    this.#datagrams = 0;
  }

  #buildSend(send: number): void {
    if (this.#unchecked.size > 0) this.#checkSource(this.#endpoints[send]);
    const words = this.#headers.words;
    const at = send * HEADER_WORDS;
    const firstIovec = this.#iovecsUsed;
    this.#firstIovec[send] = firstIovec;
    this.#buildIovecs(this.#first[send]);
    putAddress(words, at + 4, this.#iovecs.address + firstIovec * IOVEC_WORDS * 4);
    words[at + 6] = this.#iovecsUsed - firstIovec;
    this.#buildName(send);
    const segmentSize = this.#segments[send] > 1 ? this.#segmentSize[send] : 0;
    words[at + 10] = this.#buildControl(send, segmentSize) * 4;
  }

  #checkSource(endpoint: Endpoint): void {
    if (!this.#unchecked.delete(endpoint) || endpoint.source === null) return;
    if (!this.#isSourceCurrent(endpoint)) endpoint.forgetSource();
  }

  /** One iovec for each stretch of the arena that the chain of datagrams covers in order. */
  #buildIovecs(first: number): void {
    const words = this.#iovecs.words;
    let end = -1;
    let at = this.#iovecsUsed * IOVEC_WORDS;
    for (let datagram = first; datagram >= 0; datagram = this.#next[datagram]) {
      const offset = this.#offsets[datagram];
      const length = this.#lengths[datagram];
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
    const { address, port, scope } = this.#endpoints[send];
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
    at += putNearEnd(words, at, this.#endpoints[send], this.#isBound);
    if (this.#classes[send] !== 0) {
      putControl(words, at, 4, isV4 ? SOL_IP : SOL_IPV6, isV4 ? IP_TOS : IPV6_TCLASS);
      words[at + 4] = this.#classes[send];
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
    const segments = this.#segments[send];
    if (segments > 1 && (error === EIO || error === EINVAL || error === EMSGSIZE)) {
      const endpoint = this.#endpoints[send];
      const source = endpoint.source;
      const lost = this.#sendSingly(send);
      if (error === EIO) {
        this.#stopSegmenting();
      } else if (lost < segments && endpoint.source === source) {
        // Neither the remote nor the local address was at fault, so it was the size.
        this.#narrow.set(endpoint, this.#segmentSize[send]);
        this.#hasNarrow = true;
      }
      return;
    }
    const segmentSize = segments > 1 ? this.#segmentSize[send] : 0;
    const lasting = this.#mayRetry(send, error, segmentSize) ? this.#sendAgain(send) : error;
    if (lasting !== 0) this.#drop(this.#endpoints[send], lasting, segments);
  }

  #stopSegmenting(): void {
    if (!this.#segmentation) return;
    this.#segmentation = false;
    this.#onNote(`udp: IPv${this.#family}: a device cannot segment (EIO); sending singly from now`);
  }

  /** Whether sending again can do better; forgets the source address if it may be the cause. */
  #mayRetry(send: number, error: number, segmentSize: number): boolean {
    const endpoint = this.#endpoints[send];
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
    let lost = 0;
    for (let datagram = this.#first[send]; datagram >= 0; datagram = this.#next[datagram]) {
      putAddress(iovecs, iovec, this.#base + this.#offsets[datagram]);
      iovecs[iovec + 2] = this.#lengths[datagram];
      let error = this.#sendAgain(send);
      const mayRetry =
        error === EAGAIN
          ? waitFor(this.#fd, POLLOUT, WAIT_FOR_ROOM_MS)
          : error !== 0 && this.#mayRetry(send, error, 0);
      if (mayRetry) error = this.#sendAgain(send);
      if (error === 0) continue;
      this.#drop(this.#endpoints[send], error, 1);
      lost++;
    }
    return lost;
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
