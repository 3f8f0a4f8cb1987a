/**
 * The UDP sockets of one device: IPv4 and IPv6 on the same port, or the one of them that the
 * machine has. Owns which of them a datagram takes, and what is known of its route; udpsocket.ts
 * opens them, udpreceive.ts and udpsend.ts move the datagrams.
 */

import type { Guard } from '../datapath/guard.ts';
import type { Transport } from '../datapath/transport.ts';
import type { DropReason } from '../device/drops.ts';
import type { Endpoint, SendFailure } from '../device/endpoint.ts';
import { detachFilter } from '../gate/bpf.ts';
import type { Floodgate } from '../gate/floodgate.ts';
import { Netlink } from '../netlink/netlink.ts';
import { monotonicMs } from '../sys/clock.ts';
import { close, ERRNO, SystemError } from '../sys/libc.ts';
import { UdpChannel, type UdpChannelOptions } from './udpchannel.ts';
import type { SendQueue } from './udpsend.ts';
import { openUdpSocket, portOf, setMark, type UdpSocketOptions } from './udpsocket.ts';

export interface UdpOptions
  extends Omit<UdpChannelOptions, 'errors' | 'isSourceCurrent' | 'onFailure' | 'gate'>,
    UdpSocketOptions {
  /** Holds strangers back; it outlives the sockets, and has been opened before confinement. */
  readonly gate?: Gate;
  /** 0 lets the kernel pick. */
  readonly port: number;
}

/** What the sockets need of the gate before them. */
export type Gate = Guard & Pick<Floodgate, 'guard' | 'release' | 'wasRead'>;

/** Bound sockets with their options set. */
export interface BoundSockets {
  readonly port: number;
  readonly sockets: readonly { readonly family: 4 | 6; readonly fd: number }[];
}

/** How often a port that the kernel picked for one family may be taken in the other. */
const PORT_ATTEMPTS = 16;

const { EADDRINUSE, EAFNOSUPPORT } = ERRNO;

export class Udp implements Transport {
  readonly kind = 'udp';
  readonly port: number;
  /**
   * Always: what a full socket does not take is waited for a moment, and then counted as
   * `sendFailed` (see SendQueue.flush), as a slow link's queue would drop it.
   */
  readonly isWritable = true;
  /** Error name -> how often; `receive_` before those of receiving. */
  readonly errors = new Map<string, number>();
  readonly sockets: readonly UdpChannel[];
  readonly guard?: Gate;
  readonly #onDrop: (reason: DropReason, packets: number) => void;
  readonly #onNote: (note: string) => void;
  readonly #v4: SendQueue | undefined;
  readonly #v6: SendQueue | undefined;
  #fwmark: number;
  /** Opened when a route is asked for for the first time. */
  #netlink: Netlink | undefined;
  readonly #failures = new WeakMap<Endpoint, SendFailure>();
  #isClosed = false;

  /** Takes over the bound sockets. */
  constructor({ port, sockets }: BoundSockets, options: Omit<UdpOptions, 'port'>) {
    this.port = port;
    this.#fwmark = options.fwmark;
    this.#onDrop = options.onDrop;
    this.#onNote = options.onNote;
    const [errors, isSourceCurrent] = [this.errors, this.#isSourceCurrent];
    const common = { ...options, errors, isSourceCurrent, onFailure: this.#noteFailure };
    this.sockets = sockets.map(({ family, fd }) => new UdpChannel(family, fd, common));
    if (options.gate !== undefined) this.guard = options.gate;
    this.guard?.guard(this.sockets);
    this.#v4 = this.sockets.find(({ family }) => family === 4)?.sending;
    this.#v6 = this.sockets.find(({ family }) => family === 6)?.sending;
  }

  get inlets(): readonly UdpChannel[] {
    return this.sockets;
  }

  /** Whether every socket still sends segmented runs. */
  get isOffloading(): boolean {
    return this.sockets.every(({ sending }) => sending.isSegmenting);
  }

  /**
   * Appends a datagram of the arena to the batch; its bytes must stay until `flush`.
   * `trafficClass`: DSCP and ECN of the outer header.
   */
  transmit(offset: number, length: number, endpoint: Endpoint, trafficClass: number): void {
    const queue = endpoint.family === 4 ? this.#v4 : this.#v6;
    if (queue !== undefined) queue.transmit(offset, length, endpoint, trafficClass);
    else this.#refuse(endpoint);
  }

  /** The machine lacked the endpoint's family when the port was opened. */
  #refuse(endpoint: Endpoint): void {
    const before = this.errors.get('EAFNOSUPPORT') ?? 0;
    if (before === 0) {
      const name = `IPv${endpoint.family}`;
      this.#onNote(
        `udp: ${name}: cannot send: this machine had no ${name} when the port was opened`,
      );
    }
    this.errors.set('EAFNOSUPPORT', before + 1);
    this.#noteFailure(endpoint, 'EAFNOSUPPORT');
    this.#onDrop('sendFailed', 1);
  }

  /** By the object: that of a peer is the same each time, and those of strangers push it out never. */
  readonly #noteFailure = (endpoint: Endpoint, error: string): void => {
    this.#failures.set(endpoint, { error, at: monotonicMs() });
  };

  /** The last failure to send to this very endpoint. */
  failureTo(endpoint: Endpoint): SendFailure | null {
    return this.#failures.get(endpoint) ?? null;
  }

  /** Sends the batch. */
  flush(): void {
    this.#v4?.flush();
    this.#v6?.flush();
  }

  /**
   * Call when addresses or routes of the machine changed (see watchRoutes): what was learnt of
   * paths is forgotten, and the sticky source addresses of `endpoints` are checked when they are
   * next used. A stranger's is not worth a question to the kernel.
   */
  forgetPaths(endpoints: Iterable<Endpoint>): void {
    const unchecked = new Set(endpoints);
    for (const { sending } of this.sockets) sending.forgetPaths(unchecked);
  }

  readonly #isSourceCurrent = (endpoint: Endpoint): boolean => this.#pinnedLink(endpoint) > 0;

  /**
   * Index of the link over which a datagram to the endpoint would leave, as the kernel routes at
   * this moment; 0 when there is none. A source from which it would not is forgotten. Asks the
   * kernel, some 15 us.
   */
  outgoingLink(endpoint: Endpoint): number {
    const pinned = endpoint.source === null ? 0 : this.#pinnedLink(endpoint);
    if (pinned > 0) return pinned;
    endpoint.forgetSource();
    return this.#linkOfRoute(endpoint, null);
  }

  /**
   * As the kernel's WireGuard has it: a source holds as long as the way to the peer, from there,
   * leads over the interface on which the peer was heard. 0 when it does not.
   */
  #pinnedLink(endpoint: Endpoint): number {
    const { source, sourceInterface } = endpoint;
    const link = this.#linkOfRoute(endpoint, source);
    return sourceInterface === 0 || link === sourceInterface ? link : 0;
  }

  #linkOfRoute({ address, port, scope }: Endpoint, source: Uint8Array | null): number {
    try {
      this.#netlink ??= new Netlink();
      const route = this.#netlink.getRoute({
        destination: address,
        source,
        mark: this.#fwmark,
        // A link-local address is looked up on its link.
        linkIndex: scope,
        ports: { source: this.port, destination: port },
      });
      return route?.linkIndex ?? 0;
    } catch (error) {
      if (error instanceof SystemError) return 0;
      throw error;
    }
  }

  /** @throws {SystemError} when it is not permitted */
  setFwmark(mark: number): void {
    for (const { fd } of this.sockets) setMark(fd, mark);
    this.#fwmark = mark;
  }

  /** Stop watching the sockets first. What is in the batch is lost. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.guard?.release(this.sockets);
    for (const channel of this.sockets) channel.close();
    this.#netlink?.close();
  }
}

/** Continues with another process's sockets; a gate that it has shut before them is taken away. */
export function adoptUdp(bound: BoundSockets, options: Omit<UdpOptions, 'port'>): Udp {
  for (const { fd } of bound.sockets) detachFilter(fd);
  return new Udp(bound, options);
}

/**
 * Opens the sockets of a device.
 *
 * @throws {SystemError} and leaves nothing open when the port is taken (EADDRINUSE), the machine
 * has neither family (EAFNOSUPPORT), or the mark is not permitted (EPERM)
 */
export function openUdp(options: UdpOptions): Udp {
  for (let attempt = 1; ; attempt++) {
    const sockets: { family: 4 | 6; fd: number }[] = [];
    let port = options.port;
    try {
      for (const family of [4, 6] as const) {
        const fd = openUdpSocket(family, port, options);
        if (fd === undefined) continue;
        sockets.push({ family, fd });
        port = portOf(fd);
      }
      if (sockets.length === 0) throw new SystemError('open UDP sockets', 'socket', EAFNOSUPPORT!);
      return new Udp({ port, sockets }, options);
    } catch (error) {
      for (const { fd } of sockets) close(fd);
      // The kernel's pick for IPv4 may be taken in IPv6: let it pick again.
      const isUnluckyPick =
        options.port === 0 && sockets.length > 0 && (error as SystemError).errno === EADDRINUSE;
      if (!isUnluckyPick || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}
