/**
 * What is under the tunnel: the UDP sockets of a running daemon, while its interface is up. Opens
 * them in place of those there are, has them watched, and remembers why there are none.
 */

import type { Arena } from '../arena.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { DeviceChange } from '../device/configuration.ts';
import type { DropReason } from '../device/drops.ts';
import type { Floodgate } from '../gate/floodgate.ts';
import { SystemError } from '../sys/libc.ts';
import type { Loop } from '../sys/loop.ts';
import type { Watch } from '../sys/poller.ts';
import { adoptUdp, type BoundSockets, openUdp, type Udp, type UdpOptions } from '../udp/udp.ts';
import type { Subsystem } from './subsystem.ts';
import type { DaemonTrouble } from './troubles.ts';

export interface UnderlayOptions {
  readonly path: Datapath;
  readonly loop: Loop;
  readonly arena: Arena;
  readonly gate: Floodgate;
  readonly offload: boolean;
  readonly onDrop: (reason: DropReason, packets: number) => void;
  readonly onNote: (note: string) => void;
}

export class Underlay implements Subsystem {
  /** Why there is no socket although the interface is up. */
  #refusal: SystemError | null = null;
  readonly #options: UnderlayOptions;
  #udp: Udp | undefined;
  #watches: readonly Watch[] = [];

  constructor(options: UnderlayOptions) {
    this.#options = options;
  }

  /** Why there is no socket although the interface is up, in plain words; '' when all is well. */
  get trouble(): string {
    return this.#refusal?.message ?? '';
  }

  /** The interface is up. False, and `trouble` says why, when there can be no socket. */
  bringUp(): boolean {
    const { device } = this.#options.path;
    try {
      this.#open(device.listenPort, device.fwmark);
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#refusal = error;
      return false;
    }
  }

  /** The sockets there are. */
  get bound(): BoundSockets | undefined {
    return this.#udp;
  }

  /** Continues with the sockets of a predecessor. */
  adopt(bound: BoundSockets): void {
    const { fwmark } = this.#options.path.device;
    this.#use(adoptUdp(bound, this.#udpOptions(bound.port, fwmark)));
  }

  /**
   * Does to the sockets what a change asks of them, before anything else of it is carried out.
   *
   * @throws {SystemError} and leaves the sockets as they are
   */
  apply(change: DeviceChange, now: number): void {
    const { path } = this.#options;
    const { device } = path;
    const udp = this.#udp;
    const port = change.listenPort ?? device.listenPort;
    const fwmark = change.fwmark ?? device.fwmark;
    if (!device.isUp && this.#refusal === null) {
      // No socket is wanted yet, but a port that is taken is better heard of now.
      if (change.listenPort) this.#tryPort(port, fwmark);
    } else if (udp === undefined || port !== udp.port) {
      this.#open(port, fwmark);
      if (!device.isUp) device.up(now);
    } else if (fwmark !== device.fwmark) {
      udp.setFwmark(fwmark);
    }
  }

  /** Tells the Device which port is bound: after it was configured, maybe with any port. */
  tellPort(): void {
    if (this.#udp !== undefined) this.#options.path.device.setListenPort(this.#udp.port);
  }

  troubles(): readonly DaemonTrouble[] {
    if (this.#refusal === null) return [];
    const { message, call, code } = this.#refusal;
    return [{ code: 'noSocket', why: message, call, error: code }];
  }

  stop(): void {
    this.close();
  }

  /** The interface is down, or all ends. */
  close(): void {
    for (const watch of this.#watches) watch.close();
    this.#watches = [];
    this.#options.path.detachTransport();
    this.#udp?.close();
    this.#udp = undefined;
    this.#refusal = null;
  }

  /** Opens sockets on `port` in place of those there are, which stay when that fails. */
  #open(port: number, fwmark: number): void {
    this.#use(openUdp(this.#udpOptions(port, fwmark)));
  }

  #use(udp: Udp): void {
    const { path, loop } = this.#options;
    this.close();
    this.#udp = udp;
    path.attachTransport(udp);
    this.#watches = udp.sockets.map((socket) =>
      loop.watch(socket.fd, { readable: () => path.receive(socket) }),
    );
    this.tellPort();
  }

  #tryPort(port: number, fwmark: number): void {
    const ignore = (): void => {};
    const { arena } = this.#options;
    const options = { arena, port, fwmark, offload: false };
    openUdp({ ...options, onDrop: ignore, onNote: ignore }).close();
  }

  #udpOptions(port: number, fwmark: number): UdpOptions {
    const { arena, gate, offload, onDrop, onNote } = this.#options;
    return { arena, gate, port, fwmark, offload, onDrop, onNote };
  }
}
