/**
 * A rehearsal of the packet path: once a daemon runs, two ends on its own arena, suite, kernels
 * and loop play ping with each other for a moment, so that the engine has compiled and optimized
 * the path when packets come. Without it the first thousand each take a tenth of a millisecond
 * longer.
 *
 * Nothing leaves the process: pairs of sockets stand in for interfaces, and the UDP sockets are
 * real ones in a network namespace of their own, which ends with them. All kinds of packets take
 * part, and the pauses between them, since code optimized for a part of what comes is thrown away
 * with the first of the rest. The keys are random and are erased at the end.
 */

import type { Arena } from '../arena.ts';
import type { CryptoSuite } from '../crypto/suite.ts';
import { Datapath } from '../datapath/datapath.ts';
import { Endpoint } from '../device/endpoint.ts';
import { Netlink } from '../netlink/netlink.ts';
import type { Kernels } from '../packet/kernels/kernels.ts';
import { VIRTIO_HEADER_BYTES } from '../packet/virtio.ts';
import { random } from '../sys/clock.ts';
import { close, read, Scratch, SystemError, socketPair, write } from '../sys/libc.ts';
import type { Loop } from '../sys/loop.ts';
import { enterNewNamespace } from '../sys/namespace.ts';
import type { Watch } from '../sys/poller.ts';
import { Tun } from '../tun/tun.ts';
import { openUdp, type Udp } from '../udp/udp.ts';

const ROUND_TRIPS = 4_000;
/** After so many of them comes a pause. */
const ROUND_TRIPS_TOGETHER = 32;
const PAUSE_MS = 4;
/** After so many pauses, the first among them, sessions end and others begin. */
const PAUSES_A_SESSION = 8;
/** A machine that is busy has better things to do. */
const LONGEST_MS = 2_000;
const MANY_PACKETS = 1_000;
const MTU = 1_420;
const PACKET_BYTES = [84, 1_400] as const;
const ICMP = 1;
const NAME = 'rehearsal';
const QUIET = { name: NAME, onDrop: () => {}, onNote: () => {}, onGone: () => {} };
const LOOPBACK4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

export interface RehearsalOptions {
  readonly arena: Arena;
  readonly suite: CryptoSuite;
  readonly kernels: Kernels;
  readonly loop: Loop;
  readonly offload: boolean;
  /** Whether there is to be one, and the real path stays warm; there is, unless this is false. */
  readonly warm?: boolean;
  /** Packets that the real path has moved: once they are many it needs no rehearsal. */
  readonly moved?: () => number;
  /** Called when it is over, to its end or not. */
  readonly onEnd?: () => void;
}

export class Rehearsal {
  readonly #ends: readonly [left: End, right: End];
  #startedAt = 0;
  readonly #moved: () => number;
  readonly #onEnd: () => void;
  #roundTrips = 0;
  #meetings = 0;
  #pause: NodeJS.Timeout | undefined;
  #isClosed = false;

  /**
   * Opens all that takes a right, and some room of the arena for life. To be called between turns.
   *
   * @throws {SystemError} where namespaces are not permitted, or descriptors are short
   */
  constructor(options: RehearsalOptions) {
    this.#moved = options.moved ?? (() => 0);
    this.#onEnd = options.onEnd ?? (() => {});
    openAndClose(options);
    const [leftUdp, rightUdp] = openNetwork(options);
    const left = new End(options, 1, leftUdp, () => this.#goOn());
    const right = new End(options, 2, rightUdp, () => right.send(left, this.#roundTrips));
    this.#ends = [left, right];
  }

  /** The first round trip; call once. */
  begin(): void {
    if (this.#isClosed) return;
    const [left, right] = this.#ends;
    for (const end of this.#ends) end.path.readClock();
    this.#startedAt = left.path.now;
    this.#meet();
    left.send(right, 0);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** A round trip is done. */
  #goOn(): void {
    this.#roundTrips++;
    const [left, right] = this.#ends;
    const isLate = left.path.now - this.#startedAt > LONGEST_MS;
    if (this.#roundTrips === ROUND_TRIPS || isLate || this.#moved() > MANY_PACKETS) {
      this.close();
      return;
    }
    if (this.#roundTrips % ROUND_TRIPS_TOGETHER === 0) {
      this.#pause = setTimeout(this.#endPause, PAUSE_MS);
    } else left.send(right, this.#roundTrips);
  }

  readonly #endPause = (): void => {
    const [left, right] = this.#ends;
    for (const end of this.#ends) end.path.stayWarm?.();
    const pauses = this.#roundTrips / ROUND_TRIPS_TOGETHER;
    if (pauses % PAUSES_A_SESSION === 1) this.#meet();
    left.send(right, this.#roundTrips);
  };

  /** The ends forget each other and meet again, by turns over IPv6 and IPv4. */
  #meet(): void {
    const [left, right] = this.#ends;
    const address = (this.#meetings++ & 1) === 0 ? LOOPBACK6 : LOOPBACK4;
    left.meet(right, address);
    right.meet(left, address);
  }

  /** Ends it, early if it has not ended yet. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#pause);
    for (const end of this.#ends) end.close();
    this.#onEnd();
  }
}

/**
 * Undefined, and at its end at once, where it is not wanted or not possible: the start is slower
 * then, no more, and `onRefusal` gets a line for the log.
 */
export function openRehearsal(
  options: RehearsalOptions,
  onRefusal: (line: string) => void,
): Rehearsal | undefined {
  try {
    if (options.warm !== false) return new Rehearsal(options);
    onRefusal('No rehearsal of the packet path: it is switched off');
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    onRefusal(`No rehearsal of the packet path: ${error.message}`);
  }
  options.onEnd?.();
  return undefined;
}

/**
 * Optimized code takes a field for a constant that no object of its kind has ever changed, and is
 * thrown away when one does: so the first interface is closed before there is such code.
 */
function openAndClose({ arena }: RehearsalOptions): void {
  const [fd, farSide] = socketPair();
  close(farSide);
  const device = { fd, name: NAME, isTakenOver: false, hasHeader: false };
  new Tun(
    { ...device, takesTcp: false, takesUdp: false },
    { ...QUIET, mtu: MTU, arena, offload: false },
  ).close();
}

/** Sockets of two ends in a network of their own. */
function openNetwork({ arena, offload }: RehearsalOptions): readonly [Udp, Udp] {
  const comeBack = enterNewNamespace();
  try {
    const netlink = new Netlink();
    const loopback = netlink.linkByName('lo');
    if (loopback !== null) netlink.setLink(loopback.index, { isUp: true });
    netlink.close();
    const options = { arena, offload, port: 0, fwmark: 0, onDrop: () => {}, onNote: () => {} };
    const left = openUdp(options);
    return [left, openUdp(options)];
  } finally {
    comeBack();
  }
}

class End {
  readonly path: Datapath;
  readonly #tun: Tun;
  readonly #udp: Udp;
  readonly #publicKey: Uint8Array;
  readonly #addresses: readonly [v4: Uint8Array, v6: Uint8Array];
  /** Where the kernel would be: what is written here, the interface reads. */
  readonly #farSide: number;
  readonly #frame = new Scratch(VIRTIO_HEADER_BYTES + MTU);
  readonly #watches: readonly Watch[];

  /** @param onPacket called for every packet that came out of the interface */
  constructor(
    { arena, suite, kernels, loop }: RehearsalOptions,
    number: number,
    udp: Udp,
    onPacket: () => void,
  ) {
    this.#addresses = [Uint8Array.of(192, 0, 2, number), LOOPBACK6.with(0, 0xfd).with(15, number)];
    this.#udp = udp;
    this.path = new Datapath({ arena, suite });
    const [tunFd, farSide] = socketPair();
    this.#farSide = farSide;
    const device = { fd: tunFd, name: NAME, isTakenOver: false, hasHeader: true };
    this.#tun = new Tun(
      { ...device, takesTcp: true, takesUdp: true },
      { ...QUIET, mtu: MTU, arena, kernels, offload: true },
    );
    this.path.attachInterface(this.#tun);
    this.path.attachTransport(udp);
    this.#watches = [
      loop.watch(tunFd, { readable: this.path.readInterface }),
      ...udp.sockets.map((socket) =>
        loop.watch(socket.fd, { readable: () => this.path.receive(socket) }),
      ),
      loop.watch(farSide, {
        readable: () => {
          if (read(farSide, this.#frame.address, this.#frame.bytes.length) > 0) onPacket();
        },
      }),
    ];
    const privateKey = new Uint8Array(32);
    random(privateKey);
    this.#publicKey = suite.publicKey(privateKey);
    this.path.device.configure(this.path.now, { privateKey, peers: [] });
    privateKey.fill(0);
    this.path.device.up(this.path.now);
  }

  /** Forgets the other end, if it knows it, and makes it a peer. */
  meet(other: End, address: Uint8Array): void {
    const allowedIps = other.#addresses.map((inner) => ({
      prefix: { address: inner, length: inner.length * 8 },
      remove: false,
    }));
    const endpoint = new Endpoint(address, other.#udp.port);
    const publicKey = other.#publicKey;
    const peers = [
      { publicKey, remove: true, allowedIps: [] },
      { publicKey, endpoint, allowedIps },
    ];
    this.path.device.configure(this.path.now, { peers });
    this.#udp.forgetPaths(this.path.device.endpoints());
  }

  /** The kernel's part: a frame with a packet for the other end, of this kind and that. */
  send(to: End, number: number): void {
    const { bytes, view, address } = this.#frame;
    const length = PACKET_BYTES[(number >> 1) & 1];
    const packet = VIRTIO_HEADER_BYTES;
    bytes.fill(0);
    if ((number & 1) === 0) {
      bytes[packet] = 0x45;
      view.setUint16(packet + 2, length);
      bytes[packet + 9] = ICMP;
      bytes.set(this.#addresses[0], packet + 12);
      bytes.set(to.#addresses[0], packet + 16);
    } else {
      bytes[packet] = 0x60;
      view.setUint16(packet + 4, length - 40);
      bytes[packet + 6] = ICMP;
      bytes.set(this.#addresses[1], packet + 8);
      bytes.set(to.#addresses[1], packet + 24);
    }
    write(this.#farSide, address, VIRTIO_HEADER_BYTES + length);
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
    this.path.close();
    this.#udp.close();
    this.#tun.close();
    close(this.#farSide);
  }
}
