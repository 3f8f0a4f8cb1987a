/**
 * The UDP sockets of one device: IPv4 and IPv6 on the same port, or the one of them that the
 * machine has. Owns which of them a datagram takes; udpsocket.ts opens them, routes.ts knows where
 * datagrams lead, udpreceive.ts and udpsend.ts move them.
 */

import type { Guard } from '../datapath/guard.ts';
import type { Transport } from '../datapath/transport.ts';
import type { DropReason } from '../device/drops.ts';
import type { Endpoint, SendFailure } from '../device/endpoint.ts';
import type { Lead, NearFault } from '../device/lead.ts';
import { formatNear } from '../device/near.ts';
import type { Near } from '../device/ways.ts';
import { detachFilter } from '../gate/bpf.ts';
import type { Floodgate } from '../gate/floodgate.ts';
import { interfaceIndex } from '../netlink/netlink.ts';
import { monotonicMs } from '../sys/clock.ts';
import { close, ERRNO, SystemError } from '../sys/libc.ts';
import { Routes } from './routes.ts';
import { UdpChannel, type UdpChannelOptions } from './udpchannel.ts';
import type { SendQueue } from './udpsend.ts';
import { linkOf, openUdpSocket, portOf, setMark, type UdpSocketOptions } from './udpsocket.ts';

export interface UdpOptions
  extends Omit<UdpChannelOptions, 'errors' | 'isSourceCurrent' | 'isBound' | 'onFailure' | 'gate'>,
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

const NO_INTERFACE = 'there is no such interface now';

const { EADDRINUSE, EAFNOSUPPORT, ENODEV } = ERRNO;

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
  readonly #near: Near | null;
  readonly #routes: Routes;
  readonly #failures = new WeakMap<Endpoint, SendFailure>();
  #isClosed = false;

  /** Takes over the bound sockets. */
  constructor({ port, sockets }: BoundSockets, options: Omit<UdpOptions, 'port'>) {
    this.port = port;
    const { fwmark, near = null } = options;
    this.#near = near;
    this.#routes = new Routes({ port, fwmark, near });
    this.#onDrop = options.onDrop;
    this.#onNote = options.onNote;
    const common = {
      ...{ ...options, errors: this.errors, isBound: near?.kind === 'address' },
      isSourceCurrent: (endpoint: Endpoint) => this.#routes.isSourceCurrent(endpoint),
      onFailure: this.#noteFailure,
    };
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

  /** As `transmit`, for a run of datagrams (see Transport). */
  transmitRun(
    offset: number,
    length: number,
    endpoint: Endpoint,
    trafficClass: number,
    count: number,
    lastLength: number,
  ): void {
    const queue = endpoint.family === 4 ? this.#v4 : this.#v6;
    if (queue === undefined) this.#refuse(endpoint, count);
    else queue.transmitRun(offset, length, endpoint, trafficClass, count, lastLength);
  }

  /** Index of the interface that the sockets are bound to; 0 for none. */
  get link(): number {
    const [first] = this.sockets;
    return first === undefined ? 0 : linkOf(first.fd);
  }

  /** There is no socket of the endpoint's family. */
  #refuse(endpoint: Endpoint, datagrams = 1): void {
    const before = this.errors.get('EAFNOSUPPORT') ?? 0;
    if (before === 0) {
      const name = `IPv${endpoint.family}`;
      const why =
        this.#near?.kind === 'address'
          ? `${formatNear(this.#near)}, which all is sent from, is none of ${name}`
          : `this machine had no ${name} when the port was opened`;
      this.#onNote(`udp: ${name}: cannot send: ${why}`);
    }
    this.errors.set('EAFNOSUPPORT', before + datagrams);
    this.#noteFailure(endpoint, 'EAFNOSUPPORT');
    this.#onDrop('sendFailed', datagrams);
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
    this.#routes.forget();
    const unchecked = new Set(endpoints);
    for (const { sending } of this.sockets) sending.forgetPaths(unchecked);
  }

  /** See Routes.lead. */
  lead(endpoint: Endpoint, inside: number): Lead {
    return this.#routes.lead(endpoint, inside);
  }

  /** See Routes.isBroadcast. */
  isBroadcast(address: Uint8Array): boolean {
    return this.#routes.isBroadcast(address);
  }

  /** What is wrong with the near end that all datagrams have; null: nothing. */
  get nearFault(): NearFault | null {
    return this.#routes.fault;
  }

  /** See Routes.strictFilters. */
  strictFilters(): string[] {
    return this.#routes.strictFilters();
  }

  /** @throws {SystemError} when it is not permitted */
  setFwmark(mark: number): void {
    for (const { fd } of this.sockets) setMark(fd, mark);
    this.#routes.fwmark = mark;
  }

  /** Stop watching the sockets first. What is in the batch is lost. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.guard?.release(this.sockets);
    for (const channel of this.sockets) channel.close();
    this.#routes.close();
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
 * has neither family (EAFNOSUPPORT), the mark is not permitted (EPERM), or the near end is not there:
 * no such interface (ENODEV), or none that has the address (EADDRNOTAVAIL)
 */
export function openUdp(options: UdpOptions): Udp {
  const { near } = options;
  const link = near?.kind === 'interface' ? interfaceIndex(near.name) : 0;
  if (near?.kind === 'interface' && link === 0) {
    throw new SystemError(`wgbind ${near.name}`, 'open UDP sockets', ENODEV!, NO_INTERFACE);
  }
  for (let attempt = 1; ; attempt++) {
    const sockets: { family: 4 | 6; fd: number }[] = [];
    let port = options.port;
    try {
      for (const family of [4, 6] as const) {
        const fd = openUdpSocket(family, port, link, options);
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
