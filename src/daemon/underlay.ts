/**
 * What is under the tunnel: the UDP sockets of a running daemon, while its interface is up. Opens
 * them in place of those there are, has them watched, and remembers why there are none.
 */

import type { Arena } from '../arena.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { DeviceChange } from '../device/configuration.ts';
import type { Device } from '../device/device.ts';
import type { DropReason } from '../device/drops.ts';
import { formatNear, sameNear } from '../device/near.ts';
import type { Floodgate } from '../gate/floodgate.ts';
import { interfaceIndex } from '../netlink/netlink.ts';
import { ERRNO, SystemError } from '../sys/libc.ts';
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

/** What sockets are to be like; a Device says so, too. */
type Wanted = Pick<Device, 'listenPort' | 'fwmark' | 'bind'>;

const { ENODEV, EADDRNOTAVAIL } = ERRNO;

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
      this.#use(openUdp(this.#udpOptions(device)));
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
    this.#use(adoptUdp(bound, this.#udpOptions(this.#options.path.device)));
  }

  /**
   * Links or addresses of the machine changed: sockets whose near end was not there when they were
   * wanted are opened, and opened again if it is another interface of that name now.
   */
  follow(now: number): void {
    const { device } = this.#options.path;
    if (this.#udp === undefined ? !this.#isAwaited : !this.#isElsewhere(this.#udp)) return;
    try {
      this.#replace(device);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // Not yet, or gone again; the next change tells.
      this.#refusal = error;
    }
    if (this.#udp !== undefined && !device.isUp) device.up(now);
  }

  #isElsewhere({ link }: Udp): boolean {
    const { bind } = this.#options.path.device;
    const index = bind?.kind === 'interface' ? interfaceIndex(bind.name) : 0;
    return index !== 0 && index !== link;
  }

  /** There are no sockets because what they are to be bound to is not there. */
  get #isAwaited(): boolean {
    return isMissing(this.#refusal);
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
    const wanted: Wanted = {
      listenPort: change.listenPort ?? device.listenPort,
      fwmark: change.fwmark ?? device.fwmark,
      bind: change.bind === undefined ? device.bind : change.bind,
    };
    if (!device.isUp && this.#refusal === null) {
      // No socket is wanted yet, but a port that is taken is better heard of now.
      if (change.listenPort) this.#tryPort(wanted);
    } else if (udp === undefined || wanted.listenPort !== udp.port) {
      this.#openOrAwait(wanted, () => this.#use(openUdp(this.#udpOptions(wanted))), now);
    } else if (!sameNear(wanted.bind, device.bind)) {
      this.#openOrAwait(wanted, () => this.#replace(wanted), now);
    } else if (wanted.fwmark !== device.fwmark) {
      udp.setFwmark(wanted.fwmark);
    }
  }

  /** A near end that is not there is no mistake: it may come with the line. */
  #openOrAwait({ bind }: Wanted, open: () => void, now: number): void {
    const { device } = this.#options.path;
    try {
      open();
      if (!device.isUp) device.up(now);
    } catch (error) {
      if (bind === null || !isMissing(error)) throw error;
      if (device.isUp) device.down();
      this.close();
      this.#refusal = error;
    }
  }

  /** Tells the Device which port is bound: after it was configured, maybe with any port. */
  tellPort(): void {
    if (this.#udp !== undefined) this.#options.path.device.setListenPort(this.#udp.port);
  }

  troubles(): readonly DaemonTrouble[] {
    const { bind } = this.#options.path.device;
    if (this.#isAwaited && bind !== null) {
      const why = bind.kind === 'interface' ? 'noInterface' : 'noAddress';
      return [{ code: 'bindGone', near: formatNear(bind), why }];
    }
    if (this.#refusal !== null) {
      const { message, call, code } = this.#refusal;
      return [{ code: 'noSocket', why: message, call, error: code }];
    }
    const why = this.#udp?.nearFault ?? null;
    const filters = this.#udp?.strictFilters() ?? [];
    return [
      ...(why === null || bind === null
        ? []
        : [{ code: 'bindGone', near: formatNear(bind), why } as const]),
      ...filters.map((name) => ({ code: 'strictFilter', interface: name }) as const),
    ];
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

  /**
   * Opens sockets on the port of those there are, which end before that; when it fails they are
   * opened again.
   *
   * @throws {SystemError}
   */
  #replace(wanted: Wanted): void {
    const { device } = this.#options.path;
    const hadSome = this.#udp !== undefined;
    this.close();
    try {
      this.#use(openUdp(this.#udpOptions(wanted)));
    } catch (error) {
      if (hadSome && error instanceof SystemError && !isMissing(error)) this.#reopen(device);
      throw error;
    }
  }

  #reopen(wanted: Wanted): void {
    try {
      this.#use(openUdp(this.#udpOptions(wanted)));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#refusal = error;
    }
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

  #tryPort(wanted: Wanted): void {
    const ignore = (): void => {};
    const { arena } = this.#options;
    const { listenPort: port, fwmark } = wanted;
    const options = { arena, port, fwmark, offload: false };
    openUdp({ ...options, onDrop: ignore, onNote: ignore }).close();
  }

  #udpOptions({ listenPort: port, fwmark, bind: near }: Wanted): UdpOptions {
    const { arena, gate, offload, onDrop, onNote } = this.#options;
    return { arena, gate, port, fwmark, near, offload, onDrop, onNote };
  }
}

/** Whether sockets could not be opened because their near end is not there. */
function isMissing(error: unknown): error is SystemError {
  return error instanceof SystemError && [ENODEV, EADDRNOTAVAIL].includes(error.errno);
}
