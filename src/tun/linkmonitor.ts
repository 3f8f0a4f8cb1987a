/**
 * Tells what happens to the tunnel's own interface, in whichever network namespace it is, and to
 * the addresses and routes of the daemon's. Owns the event sockets; what it means is the
 * listener's business.
 *
 * When an interface is moved to another network namespace, the TUN descriptor knows which, the
 * kernel has a number for it, and netlink answers questions about it from here and reports its
 * events too. So nobody has to go there, which would take CAP_SYS_ADMIN (sandbox.ts drops it).
 *
 * Events only say that it is time to look: the state is asked for, so none that was lost matters.
 */

import { fstatSync, statSync } from 'node:fs';
import { type Link, Netlink } from '../netlink/netlink.ts';
import {
  bindSocket,
  close,
  ERRNO,
  errno,
  ioctl,
  recv,
  Scratch,
  SystemError,
  setIntOption,
  socket,
} from '../sys/libc.ts';
import {
  AF_NETLINK,
  NETLINK_LISTEN_ALL_NSID,
  NETLINK_ROUTE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_NETLINK,
  TUNGETDEVNETNS,
} from '../sys/linux.ts';
import { drainSoon, type Watch, watch } from '../sys/poller.ts';
import { tunName } from './tundevice.ts';

export interface LinkState {
  /** False when the interface was deleted; then it is the last report. */
  readonly exists: boolean;
  readonly isUp: boolean;
  readonly mtu: number;
  /** It may have been renamed. */
  readonly name: string;
}

/** Where the interface is. */
export interface Place {
  readonly index: number;
  /** Whether that is the daemon's own network namespace, which is that of its sockets. */
  readonly isHome: boolean;
}

export interface Monitor {
  close(): void;
}

export interface MonitorOptions {
  /** Gets one line for the log when something cannot be followed. */
  readonly onNote?: (note: string) => void;
  /** Told of the interface's place, first of all, and whenever it is another. */
  readonly onPlace?: (place: Place) => void;
  /** Gets what a listener throws; without it, it ends the process as any uncaught exception. */
  readonly onBug?: (error: unknown) => void;
  /** Of a daemon that has no right to hear of other namespaces any more; the monitor's from here. */
  readonly events?: LinkEvents | undefined;
}

/** A socket that hears of links, and whether it hears of other namespaces', too. */
export interface LinkEvents {
  readonly fd: number;
  /** An error number, 0 when it does. */
  readonly deafness: number;
}

/** What watchLink opens if it is not given one. @throws {SystemError} */
export function openLinkEvents(): LinkEvents {
  const fd = openEvents(LINK_EVENTS);
  return { fd, deafness: setIntOption(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1) };
}

// Multicast groups, as bits of sockaddr_nl.
const LINK_EVENTS = 0x1;
const ADDRESS_EVENTS = 0x10 | 0x100;
const ROUTE_EVENTS = 0x40 | 0x400;
const RULE_EVENTS = 0x80 | 0x40000;
/** Among them changes of rp_filter, by which the kernel takes our answers or not. */
const IPV4_CONFIGURATION_EVENTS = 0x80_0000;

/**
 * Routing daemons change routes by the thousand. So many changes are reported at once, since a
 * datagram that leaves with the source of a path of before may move a peer there for good; beyond
 * that one in so many ms, and what comes in between is not even read.
 */
const CHANGES_AT_ONCE = 8;
const CHANGES_APART_MS = 100;
/** How often an interface that is on the move is looked for. */
const LOOK_ATTEMPTS = 8;

const { EINTR, EAGAIN, EMFILE, ENFILE } = ERRNO;

const buffer = new Scratch(64 * 1024);

/**
 * Follows the interface of a TUN descriptor: its state now, before this returns, and then every
 * change of it. Does not own the descriptor; close the monitor first.
 *
 * @param name the interface's, for messages
 * @throws {SystemError} when the kernel gives no events at all
 */
export function watchLink(
  tunFd: number,
  name: string,
  onChange: (state: LinkState) => void,
  options: MonitorOptions = {},
): Monitor {
  return new LinkMonitor(tunFd, name, onChange, options);
}

class LinkMonitor implements Monitor {
  readonly #tunFd: number;
  readonly #onChange: (state: LinkState) => void;
  readonly #onNote: (note: string) => void;
  readonly #onPlace: (place: Place) => void;
  #state: LinkState;
  #place: Place = { index: 0, isHome: false };
  /** The daemon's own namespace, and the one where the interface was found last. */
  readonly #home: number;
  #namespace: number;
  /** What the latter is called here; undefined at home. */
  #namespaceNumber: number | undefined;
  readonly #events: Events;
  readonly #netlink: Netlink;
  /** Why events of other namespaces are not heard: an error number, 0 when they are. */
  readonly #deafness: number;
  #cannotFollow = false;
  #isClosed = false;

  constructor(
    tunFd: number,
    name: string,
    onChange: (state: LinkState) => void,
    {
      onNote = () => {},
      onPlace = () => {},
      onBug = rethrow,
      events = openLinkEvents(),
    }: MonitorOptions,
  ) {
    this.#tunFd = tunFd;
    this.#onChange = onChange;
    this.#onNote = onNote;
    this.#onPlace = onPlace;
    // What no interface is like, so that the first look reports.
    this.#state = { exists: true, isUp: false, mtu: -1, name };
    this.#home = ownNamespace();
    this.#namespace = this.#home;
    this.#netlink = new Netlink();
    this.#events = new Events(events.fd, this.#look, onBug);
    this.#deafness = events.deafness;
    this.#look();
  }

  readonly #look = (): void => {
    for (let attempt = 0; attempt < LOOK_ATTEMPTS && !this.#isClosed; attempt++) {
      const name = tunName(this.#tunFd);
      if (name === null) {
        this.#report({ exists: false, isUp: false, mtu: this.#state.mtu, name: this.#state.name });
        this.close();
        return;
      }
      this.#follow(name);
      const link: Link | null = this.#netlink.linkByName(name, this.#namespaceNumber);
      if (link !== null) {
        this.#locate(link);
        this.#report({ exists: true, isUp: link.isUp, mtu: link.mtu, name });
        return;
      }
      // It was renamed or moved between the two questions.
      if (this.#cannotFollow) return;
    }
  };

  /** Without the means to follow it, one of the same name at home may be another. */
  #locate({ index }: Link): void {
    const isHome = this.#namespaceNumber === undefined && !this.#cannotFollow;
    if (index === this.#place.index && isHome === this.#place.isHome) return;
    this.#place = { index, isHome };
    this.#onPlace(this.#place);
  }

  /** Finds out where the interface is, and how to ask about it there. */
  #follow(name: string): void {
    if (this.#cannotFollow) return;
    const fd = ioctl(this.#tunFd, TUNGETDEVNETNS, 0);
    if (fd < 0) {
      const error = errno();
      // Without descriptors now, the next event may find one; till then it is where it was.
      if (error !== EMFILE && error !== ENFILE) this.#giveUp(name, 'TUNGETDEVNETNS', error);
      return;
    }
    try {
      const namespace = fstatSync(fd).ino;
      if (namespace === this.#namespace) return;
      const isHome = namespace === this.#home;
      if (!isHome && this.#deafness !== 0) {
        this.#giveUp(name, 'NETLINK_LISTEN_ALL_NSID', this.#deafness);
        return;
      }
      this.#namespaceNumber = isHome ? undefined : this.#netlink.namespaceNumber(fd);
      this.#namespace = namespace;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#giveUp(name, error.call, error.errno);
    } finally {
      close(fd);
    }
  }

  #giveUp(name: string, call: string, error: number): void {
    this.#cannotFollow = true;
    const why = new SystemError(`follow ${name} to another network namespace`, call, error);
    this.#onNote(why.message);
  }

  #report(state: LinkState): void {
    const { exists, isUp, mtu, name } = this.#state;
    const isSame =
      state.exists === exists && state.isUp === isUp && state.mtu === mtu && state.name === name;
    if (isSame) return;
    this.#state = state;
    this.#onChange(state);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events.close();
    this.#netlink.close();
  }
}

/**
 * Calls `onChange` when addresses, routes, rules or links of the daemon's own namespace have
 * changed: at once, but for a flood of changes, in which it is called ten times a second and once
 * after the last.
 *
 * @throws {SystemError} when the kernel gives no events
 */
export function watchRoutes(
  onChange: () => void,
  { onBug = rethrow }: MonitorOptions = {},
): Monitor {
  return new RouteMonitor(onChange, onBug);
}

class RouteMonitor implements Monitor {
  readonly #onChange: () => void;
  readonly #events: Events;
  /** How many changes may still be reported at once. */
  #allowance = CHANGES_AT_ONCE;
  #refill: NodeJS.Timeout | undefined;

  constructor(onChange: () => void, onBug: (error: unknown) => void) {
    this.#onChange = onChange;
    // A link that goes down takes its IPv4 routes along without a word about them.
    const groups = LINK_EVENTS | ADDRESS_EVENTS | ROUTE_EVENTS | RULE_EVENTS;
    this.#events = new Events(openEvents(groups | IPV4_CONFIGURATION_EVENTS), this.#changed, onBug);
  }

  readonly #changed = (): void => {
    this.#allowance--;
    this.#refill ??= setTimeout(this.#refilled, CHANGES_APART_MS);
    if (this.#allowance === 0) this.#events.pause();
    this.#onChange();
  };

  readonly #refilled = (): void => {
    const mayGoOn = this.#allowance++ === 0;
    const isFull = this.#allowance === CHANGES_AT_ONCE;
    this.#refill = isFull ? undefined : setTimeout(this.#refilled, CHANGES_APART_MS);
    // What waits on the socket is heard of in the loop's next turn.
    if (mayGoOn) this.#events.resume();
  };

  close(): void {
    clearTimeout(this.#refill);
    this.#events.close();
  }
}

/** A socket that hears of such events. The right to it is that of its opener, also later. */
function openEvents(groups: number): number {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw new SystemError('watch the network', 'socket', errno());
  buffer.bytes.fill(0, 0, 12);
  buffer.view.setUint16(0, AF_NETLINK, true);
  buffer.view.setUint32(8, groups, true);
  if (bindSocket(fd, buffer.address, 12) === 0) return fd;
  const error = errno();
  close(fd);
  throw new SystemError('watch the network', 'bind', error);
}

/** Hears of kernel events over such a socket, which it owns, and reads them away. */
class Events implements Monitor {
  readonly #fd: number;
  readonly #onEvent: () => void;
  readonly #onBug: (error: unknown) => void;
  #watch: Watch | undefined;
  #isClosed = false;

  constructor(fd: number, onEvent: () => void, onBug: (error: unknown) => void) {
    this.#fd = fd;
    this.#onEvent = onEvent;
    this.#onBug = onBug;
    this.resume();
  }

  resume(): void {
    if (this.#isClosed) return;
    this.#watch ??= watch(this.#fd, this.#heard, this.#onBug);
  }

  /** Events wait on the socket until `resume`, as many as it holds; the kernel leaves out the rest. */
  pause(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  readonly #heard = (): void => {
    this.#readAway();
    this.#onEvent();
    drainSoon();
  };

  /** ENOBUFS says that events were lost, which is no less a reason to look. */
  #readAway(): void {
    for (;;) {
      if (recv(this.#fd, buffer.address, buffer.bytes.length, 0) >= 0) continue;
      const error = errno();
      if (error === EAGAIN) return;
      if (error !== EINTR && error !== ERRNO.ENOBUFS) {
        throw new SystemError('watch the network', 'recv', error);
      }
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.pause();
    close(this.#fd);
  }
}

/** Its inode, by which namespaces are told apart; 0 where there is no /proc to tell. */
function ownNamespace(): number {
  return statSync('/proc/thread-self/ns/net', { throwIfNoEntry: false })?.ino ?? 0;
}

function rethrow(error: unknown): never {
  throw error;
}
