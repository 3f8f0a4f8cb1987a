/**
 * Asks the kernel over rtnetlink and waits for the answer: links, addresses and routes of the
 * network namespace in which it was opened. Blocks, for microseconds; for control, not for the
 * data path. The bytes are netlinkmessage.ts' and netlinkrequest.ts'.
 */

import { visible } from '../quotation.ts';
import {
  close,
  ERRNO,
  errno,
  recv,
  Scratch,
  SystemError,
  send,
  setIntOption,
  setsockopt,
  socket,
} from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  MSG_TRUNC,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_ROUTE,
  SO_RCVTIMEO,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from '../sys/linux.ts';
import {
  ALL_LINKS,
  isInterrupted,
  type Link,
  type LinkAddress,
  type LocalRoute,
  type Message,
  parseAddress,
  parseAnswer,
  parseLink,
  parseLocalRoute,
  parseMessages,
  parseNamespaceNumber,
  parseReversePathFilter,
  parseRoute,
  type Recording,
  type Route,
  RTM_DELADDR,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNETCONF,
  RTM_NEWNSID,
  RTM_NEWROUTE,
  recordAddress,
  recordRoute,
} from './netlinkmessage.ts';
import {
  type AddressChange,
  type Flow,
  type LinkChange,
  type MessageWriter,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  type RouteChange,
  writeAddress,
  writeDeleteLink,
  writeGetAddresses,
  writeGetConfiguration,
  writeGetLink,
  writeGetLinks,
  writeGetLocalRoutes,
  writeGetNamespaceNumber,
  writeGetRoute,
  writeGetRoutes,
  writeNumberNamespace,
  writeRecording,
  writeRoute,
  writeSetLink,
  writeTunnelIpv4,
  writeTunnelIpv6,
} from './netlinkrequest.ts';

export type { Link, LinkAddress, LocalRoute, Route } from './netlinkmessage.ts';
export type { AddressChange, Flow, LinkChange, RouteChange } from './netlinkrequest.ts';

/** More than the kernel puts into one datagram (32 KiB), save for hardware with many functions. */
const BUFFER_BYTES = 128 * 1024;
const TIMEOUT_SECONDS = 2;
/** How often a listing that changed while it was read is read again. */
const DUMP_ATTEMPTS = 8;
/** Of `rp_filter`. */
const STRICT = 1;

const {
  EINTR,
  ENOENT,
  EEXIST,
  ENODEV,
  ENETUNREACH,
  EHOSTUNREACH,
  EMSGSIZE,
  EBUSY,
  EACCES,
  EINVAL,
  ERANGE,
  EXDEV,
  EAFNOSUPPORT,
} = ERRNO;

export class Netlink {
  readonly #fd: number;
  readonly #buffer = new Scratch(BUFFER_BYTES);
  /** Whether it lists only what is asked for (Linux 4.20). */
  readonly #canChoose: boolean;
  #sequence = 0;
  #isClosed = false;

  /** @throws {SystemError} */
  constructor() {
    this.#fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (this.#fd < 0) throw new SystemError('ask the kernel about interfaces', 'socket', errno());
    // Refused by kernels before 4.12, which explain nothing.
    setIntOption(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    this.#canChoose = setIntOption(this.#fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1) === 0;
    this.#buffer.bytes.fill(0, 0, 16);
    this.#buffer.view.setUint32(0, TIMEOUT_SECONDS, true);
    setsockopt(this.#fd, SOL_SOCKET, SO_RCVTIMEO, this.#buffer.address, 16);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    close(this.#fd);
  }

  /** All links, in the kernel's order. */
  links(): Link[] {
    return this.#list('list interfaces', writeGetLinks(), RTM_NEWLINK, parseLink);
  }

  /**
   * null when there is none of this name.
   *
   * @param namespaceNumber looks in this namespace (see `namespaceNumber`) instead of our own
   */
  linkByName(name: string, namespaceNumber?: number): Link | null {
    return this.#link(name, namespaceNumber);
  }

  linkByIndex(index: number): Link | null {
    return this.#link(index);
  }

  #link(name: string | number, namespaceNumber?: number): Link | null {
    let link: Link | null = null;
    const error = this.#exchange(writeGetLink(name, namespaceNumber), ({ type, body }) => {
      if (type === RTM_NEWLINK) link = parseLink(body);
    });
    // A name that the kernel finds too long is nobody's either.
    if (![ENODEV, ERANGE, EINVAL].includes(error.errno)) refuse(`look up interface ${name}`, error);
    return link;
  }

  /**
   * What the network namespace that `fd` is open on is called in our own, so that it can be asked
   * about from here; given a number if it has none, which takes CAP_NET_ADMIN.
   *
   * @throws {SystemError}
   */
  namespaceNumber(fd: number): number {
    const known = this.#namespaceNumber(fd);
    if (known !== null) return known;
    const { errno: number, text } = this.#exchange(writeNumberNamespace(fd), () => {});
    // The kernel itself numbers the namespace to which an interface is moved.
    if (number !== EEXIST) refuse('number a network namespace', { errno: number, text });
    const given = this.#namespaceNumber(fd);
    if (given === null) throw new SystemError('number a network namespace', 'netlink', EINVAL!);
    return given;
  }

  #namespaceNumber(fd: number): number | null {
    let number: number | null = null;
    const error = this.#exchange(writeGetNamespaceNumber(fd), ({ type, body }) => {
      if (type === RTM_NEWNSID) number = parseNamespaceNumber(body);
    });
    refuse('ask for the number of a network namespace', error);
    return number;
  }

  /** @throws {SystemError} saying which change was refused */
  setLink(index: number, change: LinkChange): void {
    const words = [
      change.isUp === undefined ? [] : [change.isUp ? 'up' : 'down'],
      change.isMulticast === undefined ? [] : [`multicast ${change.isMulticast ? 'on' : 'off'}`],
      change.mtu === undefined ? [] : [`mtu ${change.mtu}`],
      change.alias === undefined ? [] : [`alias ${visible(change.alias)}`],
    ].flat();
    this.#change(`set interface ${words.join(', ')}`, writeSetLink(index, change));
  }

  /** @throws {SystemError} */
  deleteLink(index: number): void {
    this.#change('delete interface', writeDeleteLink(index));
  }

  /** The addresses of one link, or of all. */
  addresses(linkIndex?: number): LinkAddress[] {
    return this.#list('list addresses', writeGetAddresses(), RTM_NEWADDR, parseAddress).filter(
      (address) => linkIndex === undefined || address.linkIndex === linkIndex,
    );
  }

  /**
   * @param replace whether the address may be there already; its other properties are set then
   * @throws {SystemError} EEXIST and others
   */
  addAddress(change: AddressChange, replace = false): void {
    const flags = NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL);
    this.#change('add address', writeAddress(RTM_NEWADDR, flags, change));
  }

  /** @throws {SystemError} EADDRNOTAVAIL when it is not there */
  deleteAddress(change: AddressChange): void {
    this.#change('delete address', writeAddress(RTM_DELADDR, 0, change));
  }

  /** @throws {SystemError} */
  addRoute(change: RouteChange, replace = false): void {
    const flags = NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL);
    this.#change('add route', writeRoute(RTM_NEWROUTE, flags, change));
  }

  /** @throws {SystemError} ESRCH when it is not there */
  deleteRoute(change: RouteChange): void {
    this.#change('delete route', writeRoute(RTM_DELROUTE, 0, change));
  }

  /**
   * What the kernel delivers to itself by a route of its table `local`: addresses of links, and what
   * was made so by hand (`ip route add local`). Nothing before Linux 4.20, which would list every
   * route there is. A link's number stands beside each.
   *
   * @throws {SystemError}
   */
  localRoutes(): LocalRoute[] {
    if (!this.#canChoose) return [];
    return [AF_INET, AF_INET6].flatMap((family) => this.#localRoutes(family));
  }

  #localRoutes(family: number): LocalRoute[] {
    const parse = (body: Uint8Array) => parseLocalRoute(body, family);
    try {
      return this.#list('list local routes', writeGetLocalRoutes(family), RTM_NEWROUTE, parse);
    } catch (error) {
      // A network without an address of this family has no such table.
      if (error instanceof SystemError && error.errno === ENOENT) return [];
      throw error;
    }
  }

  /** See writeTunnelIpv4. @throws {SystemError} */
  takeOwnAnswers(index: number): void {
    this.#change('set accept_local and send_redirects', writeTunnelIpv4(index));
  }

  /** See writeTunnelIpv6; skips a link without IPv6. @throws {SystemError} */
  makeNoAddress(index: number): void {
    const verdict = this.#exchange(writeTunnelIpv6(index), () => {});
    if (verdict.errno !== EAFNOSUPPORT) refuse('turn off automatic link-local addresses', verdict);
  }

  /** The routes over a link, and its IPv6 addresses, to be played back when they are gone. */
  recordings(linkIndex: number): Recording[] {
    const ofRoute = (body: Uint8Array) => recordRoute(body, linkIndex);
    const ofAddress = (body: Uint8Array) => recordAddress(body, linkIndex);
    return [
      // The kernel lists the newest first.
      ...this.#list('list addresses', writeGetAddresses(), RTM_NEWADDR, ofAddress).reverse(),
      ...this.#list('list routes', writeGetRoutes(), RTM_NEWROUTE, ofRoute),
    ];
  }

  /** Makes again what was recorded. @throws {SystemError} EEXIST when it is there, and others */
  playBack(bytes: Uint8Array): void {
    this.#change('put back a route or an address', writeRecording(bytes));
  }

  /**
   * Which way a packet takes; null when there is none, also because its source is no address of
   * ours any more, or, for one that came in, because the kernel would not have it.
   *
   * @throws {SystemError} when the kernel does not answer
   */
  getRoute(flow: Flow): Route | null {
    let route: Route | null = null;
    const error = this.#exchange(writeGetRoute(flow), ({ type, body }) => {
      if (type === RTM_NEWROUTE) route = parseRoute(body);
    });
    const noRoute = [ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL, EXDEV].includes(error.errno);
    if (!noRoute) refuse('look up a route', error);
    return noRoute ? null : route;
  }

  /**
   * Whether the kernel takes a packet of IPv4 from a link only if the way back to its sender leads
   * over that link (`rp_filter` 1; the greater one of the link and of all counts).
   */
  filtersStrictly(linkIndex: number): boolean {
    const filters = [ALL_LINKS, linkIndex].map((index) => this.#reversePathFilter(index));
    return Math.max(...filters) === STRICT;
  }

  #reversePathFilter(linkIndex: number): number {
    let filter = 0;
    const error = this.#exchange(writeGetConfiguration(linkIndex), ({ type, body }) => {
      if (type === RTM_NEWNETCONF) filter = parseReversePathFilter(body) ?? 0;
    });
    // The link is gone, or has nothing to do with IPv4.
    if (![EINVAL, ENODEV].includes(error.errno)) refuse('ask for rp_filter', error);
    return filter;
  }

  #list<T>(
    what: string,
    request: MessageWriter,
    type: number,
    parse: (body: Uint8Array) => T | null,
  ): T[] {
    for (let attempt = 1; ; attempt++) {
      const items: T[] = [];
      let wasInterrupted = false;
      const error = this.#exchange(request, (message) => {
        wasInterrupted ||= isInterrupted(message);
        const item = message.type === type ? parse(message.body) : null;
        if (item !== null) items.push(item);
      });
      refuse(what, error);
      if (!wasInterrupted) return items;
      if (attempt === DUMP_ATTEMPTS) {
        throw new SystemError(what, 'netlink', EBUSY!, 'it keeps changing; try again');
      }
    }
  }

  #change(what: string, request: MessageWriter): void {
    refuse(
      what,
      this.#exchange(request, () => {}),
    );
  }

  /** Sends a request and hands its answer's messages over. Returns the verdict, errno 0 if good. */
  #exchange(request: MessageWriter, onMessage: (message: Message) => void): Verdict {
    const sequence = ++this.#sequence;
    const bytes = request.finish(sequence);
    this.#buffer.bytes.set(bytes);
    while (send(this.#fd, this.#buffer.address, bytes.length, 0) < 0) {
      const error = errno();
      if (error !== EINTR) return { errno: error, text: '' };
    }
    for (;;) {
      const length = recv(this.#fd, this.#buffer.address, BUFFER_BYTES, MSG_TRUNC);
      if (length < 0) {
        const error = errno();
        if (error === EINTR) continue;
        return { errno: error, text: '' };
      }
      if (length > BUFFER_BYTES) return { errno: EMSGSIZE!, text: 'answer too long' };
      for (const message of parseMessages(this.#buffer.bytes.subarray(0, length))) {
        // An answer to an earlier request that was given up.
        if (message.sequence !== sequence) continue;
        const answer = parseAnswer(message);
        if (answer !== null) return answer;
        onMessage(message);
      }
    }
  }
}

interface Verdict {
  readonly errno: number;
  readonly text: string;
}

/** Throws unless the verdict is good; the kernel's own words come first. */
function refuse(what: string, { errno: number, text }: Verdict): void {
  if (number !== 0) throw new SystemError(what, 'netlink', number, text === '' ? undefined : text);
}

/** wg(8) names the link of a link-local endpoint; the kernel wants its number. */
export function interfaceIndex(name: string): number {
  const netlink = new Netlink();
  try {
    return netlink.linkByName(name)?.index ?? 0;
  } finally {
    netlink.close();
  }
}
