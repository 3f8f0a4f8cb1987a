/**
 * The tunnel's interface in a running daemon: opens it, follows what becomes of it and of the
 * machine around it, and gives it up or leaves it at the end. An interface that is up has sockets
 * (underlay.ts) and a Device that is up.
 */

import type { Datapath } from '../datapath/datapath.ts';
import { DEFAULT_MTU } from '../device/configuration.ts';
import type { EventBody } from '../events/record.ts';
import { watchSuspension } from '../host/suspension.ts';
import type { Log } from '../log.ts';
import type { ChangingWatch, Loop } from '../sys/loop.ts';
import type { Interest } from '../sys/watch.ts';
import {
  type LinkEvents,
  type LinkState,
  type Monitor,
  openLinkEvents,
  watchLink,
} from '../tun/linkmonitor.ts';
import { openTun, type Tun, type TunOptions } from '../tun/tun.ts';
import type { Ending } from './ending.ts';
import type { EndKind, Subsystem } from './subsystem.ts';
import { Surroundings } from './surroundings.ts';
import type { Underlay } from './underlay.ts';

const GONE = 'the interface was deleted';

export interface TunnelInterfaceOptions {
  readonly path: Datapath;
  readonly underlay: Underlay;
  readonly loop: Loop;
  readonly log: Log;
  readonly ending: Ending;
  /** It outlives the daemon. */
  readonly isPersistent: boolean;
  readonly tell: (event: EventBody) => void;
  /** How the interface is opened. */
  readonly tun: Pick<TunOptions, 'arena' | 'kernels' | 'offload' | 'onDrop' | 'onNote'>;
  /** It is called so now, as before or not: its control socket is to follow. */
  readonly onNamed: (name: string) => void;
}

export class TunnelInterface implements Subsystem {
  readonly #options: TunnelInterfaceOptions;
  #linkEvents: LinkEvents | undefined;
  readonly #monitors: Monitor[] = [];
  #tun: Tun | undefined;
  #watch: ChangingWatch | undefined;
  #isHeld = false;

  constructor(options: TunnelInterfaceOptions) {
    this.#options = options;
  }

  /** What of its opening takes a right that a successor has given up by then. @throws {SystemError} */
  prepare(): void {
    this.#linkEvents = openLinkEvents();
  }

  /** @throws {SystemError} or Error with one line for the operator */
  open(name: string, fd: number | undefined): Tun {
    const { path, ending, isPersistent, tun } = this.#options;
    const opened = openTun({
      name,
      mtu: DEFAULT_MTU,
      takeOver: isPersistent,
      ...tun,
      onGone: () => ending.endForGood(GONE),
      ...(fd === undefined ? {} : { fd }),
    });
    this.#tun = opened;
    path.attachInterface(opened);
    return opened;
  }

  /** Packets and events are read from now on. @throws {SystemError} */
  begin(): void {
    const { path, underlay, loop, tun, ending, tell, isPersistent } = this.#options;
    const opened = this.#tun;
    if (opened === undefined) throw new Error('tunnel interface: it is not open');
    const onBug = ending.surface;
    if (isPersistent) opened.setPersistent(true);
    this.#watch = loop.watch(opened.fd, this.#interest);
    const surroundings = new Surroundings(path, (now) => underlay.follow(now), onBug);
    this.#monitors.push(surroundings);
    const { followPlace: onPlace } = surroundings;
    const listener = { onNote: tun.onNote, onPlace, onBug, events: this.#linkEvents };
    this.#monitors.push(watchLink(opened.fd, opened.name, this.#follow, listener));
    const onResumed = (note: string, ms: number): void => {
      tun.onNote(note);
      tell({ kind: 'resumed', ms });
      // The machine may have been carried to another network, and names may have other addresses.
      path.turn(() => path.device.pathsChanged(path.now));
    };
    this.#monitors.push(watchSuspension(onResumed, onBug));
  }

  /** Undefined before it is opened. */
  get tun(): Tun | undefined {
    return this.#tun;
  }

  /** Once it is open. */
  get fd(): number {
    if (this.#tun === undefined) throw new Error('tunnel interface: it is not open');
    return this.#tun.fd;
  }

  setMtu(mtu: number): void {
    this.#options.path.device.setMtu(mtu);
    if (this.#tun !== undefined) this.#tun.mtu = mtu;
  }

  /** While the transport takes no more, packets wait in the interface's queue. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#watch?.change(this.#interest);
  }

  get #interest(): Interest {
    return this.#isHeld ? {} : { readable: this.#options.path.readInterface };
  }

  readonly #follow = (link: LinkState): void => {
    const { path, underlay, ending, onNamed } = this.#options;
    if (!link.exists) {
      ending.endForGood(GONE);
      return;
    }
    onNamed(link.name);
    path.turn(() => {
      this.setMtu(link.mtu);
      if (link.isUp && !path.device.isUp) this.#bringUp();
      else if (!link.isUp && (path.device.isUp || underlay.trouble !== '')) this.#takeDown();
    });
  };

  #bringUp(): void {
    const { path, underlay, log, tell } = this.#options;
    if (!underlay.bringUp()) {
      tell({ kind: 'linkUp', port: 0 });
      log.error(`Interface is up, but there is no socket: ${underlay.trouble}`);
      return;
    }
    tell({ kind: 'linkUp', port: path.device.listenPort });
    path.device.up(path.now);
    log.debug(`Interface up, listening on UDP port ${path.device.listenPort}`);
  }

  #takeDown(): void {
    const { path, underlay, log, tell } = this.#options;
    path.device.down();
    underlay.close();
    tell({ kind: 'linkDown' });
    log.debug('Interface down');
  }

  stop(): void {
    for (const monitor of this.#monitors.splice(0)) monitor.close();
    this.#watch?.close();
    this.#watch = undefined;
  }

  close(kind: EndKind): void {
    const { path, isPersistent } = this.#options;
    if (kind === 'forGood' && isPersistent) this.#tun?.setPersistent(false);
    path.detachInterface();
    this.#tun?.close();
  }
}
