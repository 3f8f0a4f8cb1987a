/**
 * The UDP sockets of one device: IPv4 and IPv6 on the same port, or the one of them that the
 * machine has. Owns opening and options; udpreceive.ts and udpsend.ts move the datagrams.
 */

import type { Arena } from '../arena.ts';
import type { DropReason } from '../device/drops.ts';
import type { Endpoint } from '../device/endpoint.ts';
import { detachFilter } from '../gate/bpf.ts';
import { Netlink } from '../netlink/netlink.ts';
import {
  bindSocket,
  close,
  ERRNO,
  errno,
  getIntOption,
  getsockname,
  Scratch,
  SystemError,
  setIntOption,
  socket,
} from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IP_PMTUDISC_DONT,
  IP_RECVTOS,
  IPV6_MTU_DISCOVER,
  IPV6_PMTUDISC_DONT,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IPV6_V6ONLY,
  SO_MARK,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from '../sys/linux.ts';
import { type DatagramSink, ReceiveQueue } from './udpreceive.ts';
import { type SendOptions, SendQueue } from './udpsend.ts';

export type { DatagramSink } from './udpreceive.ts';
export { RECEIVE_ROOM_BYTES } from './udpreceive.ts';

export interface UdpOptions {
  /** Where datagrams are received to and sent from. */
  readonly arena: Arena;
  /** 0 lets the kernel pick. */
  readonly port: number;
  /** SO_MARK of everything sent; 0 is off. */
  readonly fwmark: number;
  /** Whether to use UDP_SEGMENT and UDP_GRO where the kernel has them. */
  readonly offload: boolean;
  readonly onDrop: (reason: DropReason, packets: number) => void;
  /** Gets one line for the log when something works less well than asked. */
  readonly onNote: (note: string) => void;
  /** Bytes of each socket's kernel buffers (the kernel doubles them). */
  readonly bufferBytes?: number;
}

/** One socket, to be watched and read by the loop. */
export interface UdpSocket {
  readonly family: 4 | 6;
  readonly fd: number;
  /** See ReceiveQueue.receive. */
  receive(sink: DatagramSink, budget: number): number;
  /** Whether the last `receive` left nothing behind. */
  readonly isEmpty: boolean;
}

const DEFAULT_BUFFER_BYTES = 4 * 1024 * 1024;
/** How often a port that the kernel picked for one family may be taken in the other. */
const PORT_ATTEMPTS = 16;

const { EADDRINUSE, EAFNOSUPPORT, EADDRNOTAVAIL } = ERRNO;

const scratch = new Scratch(128);

class Channel implements UdpSocket {
  readonly family: 4 | 6;
  readonly fd: number;
  readonly sending: SendQueue;
  readonly #receiving: ReceiveQueue;

  constructor(
    family: 4 | 6,
    fd: number,
    options: UdpOptions,
    { errors, isSourceCurrent }: Pick<SendOptions, 'errors' | 'isSourceCurrent'>,
  ) {
    this.family = family;
    this.fd = fd;
    const { arena, onDrop, onNote, offload } = options;
    // UDP_SEGMENT can be asked for wherever the kernel knows it (4.18); UDP_GRO came with 5.0.
    const segmentation = offload && getIntOption(fd, SOL_UDP, UDP_SEGMENT) !== undefined;
    if (offload && setIntOption(fd, SOL_UDP, UDP_GRO, 1) !== 0) {
      onNote(`udp: IPv${family}: no UDP_GRO in this kernel; receiving singly`);
    }
    if (offload && !segmentation) {
      onNote(`udp: IPv${family}: no UDP_SEGMENT in this kernel; sending singly`);
    }
    const common = { arena, fd, family, onDrop, onNote, errors };
    this.sending = new SendQueue({ ...common, segmentation, isSourceCurrent });
    this.#receiving = new ReceiveQueue(common);
  }

  receive(sink: DatagramSink, budget: number): number {
    return this.#receiving.receive(sink, budget);
  }

  get isEmpty(): boolean {
    return this.#receiving.isEmpty;
  }

  transmit(offset: number, length: number, endpoint: Endpoint, trafficClass: number): void {
    this.sending.transmit(offset, length, endpoint, trafficClass);
  }

  close(): void {
    close(this.fd);
  }
}

export class Udp {
  readonly port: number;
  /** Error name -> how often; `receive_` before those of receiving. */
  readonly errors = new Map<string, number>();
  readonly sockets: readonly UdpSocket[];
  readonly #onDrop: UdpOptions['onDrop'];
  readonly #onNote: UdpOptions['onNote'];
  readonly #channels: readonly Channel[];
  readonly #v4: Channel | undefined;
  readonly #v6: Channel | undefined;
  #fwmark: number;
  /** Opened when a route is asked for for the first time. */
  #netlink: Netlink | undefined;
  #isClosed = false;

  /** Takes over the bound sockets. */
  constructor(
    port: number,
    sockets: readonly { readonly family: 4 | 6; readonly fd: number }[],
    options: UdpOptions,
  ) {
    this.port = port;
    this.#fwmark = options.fwmark;
    this.#onDrop = options.onDrop;
    this.#onNote = options.onNote;
    const shared = { errors: this.errors, isSourceCurrent: this.#isSourceCurrent };
    const channels = sockets.map(({ family, fd }) => new Channel(family, fd, options, shared));
    this.sockets = channels;
    this.#channels = channels;
    this.#v4 = channels.find(({ family }) => family === 4);
    this.#v6 = channels.find(({ family }) => family === 6);
  }

  get families(): readonly (4 | 6)[] {
    return this.#channels.map(({ family }) => family);
  }

  /** Whether every socket still sends segmented runs. */
  get isOffloading(): boolean {
    return this.#channels.every(({ sending }) => sending.isSegmenting);
  }

  /**
   * Appends a datagram of the arena to the batch; its bytes must stay until `flush`.
   * `trafficClass`: DSCP and ECN of the outer header.
   */
  transmit(offset: number, length: number, endpoint: Endpoint, trafficClass: number): void {
    const channel = endpoint.family === 4 ? this.#v4 : this.#v6;
    if (channel !== undefined) {
      channel.transmit(offset, length, endpoint, trafficClass);
      return;
    }
    const before = this.errors.get('EAFNOSUPPORT') ?? 0;
    if (before === 0) {
      const name = `IPv${endpoint.family}`;
      this.#onNote(
        `udp: ${name}: cannot send: this machine had no ${name} when the port was opened`,
      );
    }
    this.errors.set('EAFNOSUPPORT', before + 1);
    this.#onDrop('sendFailed', 1);
  }

  /** Sends the batch. */
  flush(): void {
    this.#v4?.sending.flush();
    this.#v6?.sending.flush();
  }

  /**
   * Call when addresses or routes of the machine changed (see watchRoutes): what was learnt of
   * paths is forgotten, and the sticky source addresses of `endpoints` are checked when they are
   * next used. A stranger's is not worth a question to the kernel.
   */
  forgetPaths(endpoints: Iterable<Endpoint>): void {
    const unchecked = new Set(endpoints);
    for (const { sending } of this.#channels) sending.forgetPaths(unchecked);
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
    for (const { fd } of this.#channels) setMark(fd, mark);
    this.#fwmark = mark;
  }

  /** Stop watching the sockets first. What is in the batch is lost. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const channel of this.#channels) channel.close();
    this.#netlink?.close();
  }
}

/** Bound sockets with their options set. */
export interface BoundSockets {
  readonly port: number;
  readonly sockets: readonly { readonly family: 4 | 6; readonly fd: number }[];
}

/** Continues with another process's sockets; a gate that it has shut before them is taken away. */
export function adoptUdp({ port, sockets }: BoundSockets, options: Omit<UdpOptions, 'port'>): Udp {
  for (const { fd } of sockets) detachFilter(fd);
  return new Udp(port, sockets, { ...options, port });
}

/**
 * Opens the sockets of a device.
 *
 * @throws {SystemError} and leaves nothing open when the port is taken (EADDRINUSE), the machine
 * has neither family (EAFNOSUPPORT), or the mark is not permitted (EPERM)
 */
export function openUdp(options: UdpOptions): Udp {
  for (let attempt = 1; ; attempt++) {
    const fds: { family: 4 | 6; fd: number }[] = [];
    let port = options.port;
    try {
      for (const family of [4, 6] as const) {
        const fd = openSocket(family, port, options);
        if (fd === undefined) continue;
        fds.push({ family, fd });
        port = portOf(fd);
      }
      if (fds.length === 0) throw new SystemError('open UDP sockets', 'socket', EAFNOSUPPORT!);
      return new Udp(port, fds, options);
    } catch (error) {
      for (const { fd } of fds) close(fd);
      // The kernel's pick for IPv4 may be taken in IPv6: let it pick again.
      const isUnluckyPick =
        options.port === 0 && fds.length > 0 && (error as SystemError).errno === EADDRINUSE;
      if (!isUnluckyPick || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

/** A bound socket with its options set; undefined where the machine lacks the family. */
function openSocket(family: 4 | 6, port: number, options: UdpOptions): number | undefined {
  const domain = family === 4 ? AF_INET : AF_INET6;
  const fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    const error = errno();
    if (error === EAFNOSUPPORT) return undefined;
    throw new SystemError(`open an IPv${family} UDP socket`, 'socket', error);
  }
  try {
    setOptions(fd, family, options);
    if (bindPort(fd, domain, port)) return fd;
    close(fd);
    return undefined;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function setOptions(fd: number, family: 4 | 6, options: UdpOptions): void {
  const require = (level: number, name: number, value: number, label: string): void => {
    const error = setIntOption(fd, level, name, value);
    if (error !== 0) throw new SystemError(`set ${label} on a UDP socket`, 'setsockopt', error);
  };
  if (family === 4) {
    require(SOL_IP, IP_PKTINFO, 1, 'IP_PKTINFO');
    require(SOL_IP, IP_RECVTOS, 1, 'IP_RECVTOS');
    // No DF on the outside: a datagram too large for the path is fragmented, not lost.
    require(SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, 'IP_MTU_DISCOVER');
  } else {
    require(SOL_IPV6, IPV6_V6ONLY, 1, 'IPV6_V6ONLY');
    require(SOL_IPV6, IPV6_RECVPKTINFO, 1, 'IPV6_RECVPKTINFO');
    require(SOL_IPV6, IPV6_RECVTCLASS, 1, 'IPV6_RECVTCLASS');
    require(SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, 'IPV6_MTU_DISCOVER');
  }
  const bytes = options.bufferBytes ?? DEFAULT_BUFFER_BYTES;
  // Beyond net.core.?mem_max only with CAP_NET_ADMIN; less is not an error.
  if (setIntOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) !== 0) {
    setIntOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  }
  if (setIntOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes) !== 0) {
    setIntOption(fd, SOL_SOCKET, SO_SNDBUF, bytes);
  }
  if (options.fwmark !== 0) setMark(fd, options.fwmark);
}

function setMark(fd: number, mark: number): void {
  const error = setIntOption(fd, SOL_SOCKET, SO_MARK, mark);
  if (error !== 0) throw new SystemError(`set fwmark ${mark}`, 'setsockopt', error);
}

/** False where IPv6 exists but is disabled, so that not even the wildcard address is there. */
function bindPort(fd: number, domain: number, port: number): boolean {
  scratch.bytes.fill(0, 0, 28);
  scratch.view.setUint16(0, domain, true);
  scratch.view.setUint16(2, port, false);
  if (bindSocket(fd, scratch.address, domain === AF_INET ? 16 : 28) === 0) return true;
  const error = errno();
  if (error === EADDRNOTAVAIL && domain === AF_INET6) return false;
  throw new SystemError(
    `open UDP port ${port}`,
    'bind',
    error,
    error === EADDRINUSE ? 'another program has this port; choose another one' : undefined,
  );
}

function portOf(fd: number): number {
  scratch.view.setInt32(32, 28, true);
  if (getsockname(fd, scratch.address, scratch.address + 32) < 0) {
    throw new SystemError('ask for the UDP port', 'getsockname', errno());
  }
  return scratch.view.getUint16(2, false);
}
