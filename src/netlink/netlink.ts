/**
 * Asks the kernel over rtnetlink and waits for the answer: links, addresses and routes of the
 * network namespace in which it was opened. Blocks, for microseconds; for control, not for the
 * data path. The bytes are netlinkmessage.ts' and netlinkrequest.ts'.
 */

import { visible } from '../quotation.ts';
import { ERRNO, SystemError } from '../sys/libc.ts';
import { AF_INET, AF_INET6, NETLINK_ROUTE } from '../sys/linux.ts';
import { NetlinkChannel, refuse } from './netlinkchannel.ts';
import {
  ALL_LINKS,
  type Link,
  type LinkAddress,
  type LocalRoute,
  parseAddress,
  parseLink,
  parseLocalRoute,
  parseNamespaceNumber,
  parseReversePathFilter,
  parseRoute,
  parseRule,
  parseStatistics,
  type Recording,
  type Route,
  RTM_DELADDR,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNETCONF,
  RTM_NEWNSID,
  RTM_NEWROUTE,
  RTM_NEWRULE,
  type Rule,
  recordAddress,
  recordRoute,
} from './netlinkmessage.ts';
import {
  type AddressChange,
  type Flow,
  type LinkChange,
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
  writeGetRules,
  writeNumberNamespace,
  writeRecording,
  writeRoute,
  writeSetLink,
  writeTunnelIpv4,
  writeTunnelIpv6,
} from './netlinkrequest.ts';

export type { Link, LinkAddress, LocalRoute, Route, Rule } from './netlinkmessage.ts';
export type { AddressChange, Flow, LinkChange, RouteChange } from './netlinkrequest.ts';

/** Of `rp_filter`. */
const STRICT = 1;

const {
  ENOENT,
  EEXIST,
  ENODEV,
  ENETUNREACH,
  EHOSTUNREACH,
  EACCES,
  EINVAL,
  ERANGE,
  EXDEV,
  EAFNOSUPPORT,
} = ERRNO;

const NO_ROUTE = [ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL, EXDEV];

type LinkStatistics = NonNullable<ReturnType<typeof parseStatistics>>;

export class Netlink {
  readonly #channel: NetlinkChannel;

  /** @throws {SystemError} */
  constructor() {
    this.#channel = new NetlinkChannel(NETLINK_ROUTE, 'ask the kernel about interfaces');
  }

  close(): void {
    this.#channel.close();
  }

  /** All links, in the kernel's order. */
  links(): Link[] {
    return this.#channel.list('list interfaces', writeGetLinks(), RTM_NEWLINK, parseLink);
  }

  /** What the kernel counts of each of them. @throws {SystemError} */
  linkStatistics(): LinkStatistics[] {
    return this.#channel.list('list interfaces', writeGetLinks(), RTM_NEWLINK, parseStatistics);
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
    const error = this.#channel.exchange(writeGetLink(name, namespaceNumber), ({ type, body }) => {
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
    const { errno: number, text } = this.#channel.exchange(writeNumberNamespace(fd), () => {});
    // The kernel itself numbers the namespace to which an interface is moved.
    if (number !== EEXIST) refuse('number a network namespace', { errno: number, text });
    const given = this.#namespaceNumber(fd);
    if (given === null) throw new SystemError('number a network namespace', 'netlink', EINVAL!);
    return given;
  }

  #namespaceNumber(fd: number): number | null {
    let number: number | null = null;
    const error = this.#channel.exchange(writeGetNamespaceNumber(fd), ({ type, body }) => {
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
    this.#channel.change(`set interface ${words.join(', ')}`, writeSetLink(index, change));
  }

  /** @throws {SystemError} */
  deleteLink(index: number): void {
    this.#channel.change('delete interface', writeDeleteLink(index));
  }

  /** The addresses of one link, or of all. */
  addresses(linkIndex?: number): LinkAddress[] {
    return this.#channel
      .list('list addresses', writeGetAddresses(), RTM_NEWADDR, parseAddress)
      .filter((address) => linkIndex === undefined || address.linkIndex === linkIndex);
  }

  /**
   * @param replace whether the address may be there already; its other properties are set then
   * @throws {SystemError} EEXIST and others
   */
  addAddress(change: AddressChange, replace = false): void {
    const flags = NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL);
    this.#channel.change('add address', writeAddress(RTM_NEWADDR, flags, change));
  }

  /** @throws {SystemError} EADDRNOTAVAIL when it is not there */
  deleteAddress(change: AddressChange): void {
    this.#channel.change('delete address', writeAddress(RTM_DELADDR, 0, change));
  }

  /** @throws {SystemError} */
  addRoute(change: RouteChange, replace = false): void {
    const flags = NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL);
    this.#channel.change('add route', writeRoute(RTM_NEWROUTE, flags, change));
  }

  /** @throws {SystemError} ESRCH when it is not there */
  deleteRoute(change: RouteChange): void {
    this.#channel.change('delete route', writeRoute(RTM_DELROUTE, 0, change));
  }

  /**
   * What the kernel delivers to itself by a route of its table `local`: addresses of links, and what
   * was made so by hand (`ip route add local`). Nothing before Linux 4.20, which would list every
   * route there is. A link's number stands beside each.
   *
   * @throws {SystemError}
   */
  localRoutes(): LocalRoute[] {
    if (!this.#channel.canChoose) return [];
    return [AF_INET, AF_INET6].flatMap((family) => this.#localRoutes(family));
  }

  #localRoutes(family: number): LocalRoute[] {
    const parse = (body: Uint8Array) => parseLocalRoute(body, family);
    try {
      return this.#channel.list(
        'list local routes',
        writeGetLocalRoutes(family),
        RTM_NEWROUTE,
        parse,
      );
    } catch (error) {
      // A network without an address of this family has no such table.
      if (error instanceof SystemError && error.errno === ENOENT) return [];
      throw error;
    }
  }

  /** See writeTunnelIpv4. @throws {SystemError} */
  takeOwnAnswers(index: number): void {
    this.#channel.change('set accept_local and send_redirects', writeTunnelIpv4(index));
  }

  /** See writeTunnelIpv6; skips a link without IPv6. @throws {SystemError} */
  makeNoAddress(index: number): void {
    const verdict = this.#channel.exchange(writeTunnelIpv6(index), () => {});
    if (verdict.errno !== EAFNOSUPPORT) refuse('turn off automatic link-local addresses', verdict);
  }

  /** The routes over a link, and its IPv6 addresses, to be played back when they are gone. */
  recordings(linkIndex: number): Recording[] {
    const ofRoute = (body: Uint8Array) => recordRoute(body, linkIndex);
    const ofAddress = (body: Uint8Array) => recordAddress(body, linkIndex);
    return [
      // The kernel lists the newest first.
      ...this.#channel
        .list('list addresses', writeGetAddresses(), RTM_NEWADDR, ofAddress)
        .reverse(),
      ...this.#channel.list('list routes', writeGetRoutes(), RTM_NEWROUTE, ofRoute),
    ];
  }

  /** Makes again what was recorded. @throws {SystemError} EEXIST when it is there, and others */
  playBack(bytes: Uint8Array): void {
    this.#channel.change('put back a route or an address', writeRecording(bytes));
  }

  /**
   * Which way a packet takes; null when there is none, also because its source is no address of
   * ours any more, or, for one that came in, because the kernel would not have it.
   *
   * @throws {SystemError} when the kernel does not answer
   */
  getRoute(flow: Flow): Route | null {
    const way = this.askRoute(flow);
    return typeof way === 'number' ? null : way;
  }

  /** The same, or the number of the error that such a packet would get. @throws {SystemError} */
  askRoute(flow: Flow): Route | number {
    let route: Route | null = null;
    const error = this.#channel.exchange(writeGetRoute(flow), ({ type, body }) => {
      if (type === RTM_NEWROUTE) route = parseRoute(body);
    });
    if (!NO_ROUTE.includes(error.errno)) refuse('look up a route', error);
    return error.errno === 0 ? (route ?? EINVAL!) : error.errno;
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
    const error = this.#channel.exchange(writeGetConfiguration(linkIndex), ({ type, body }) => {
      if (type === RTM_NEWNETCONF) filter = parseReversePathFilter(body) ?? 0;
    });
    // The link is gone, or has nothing to do with IPv4.
    if (![EINVAL, ENODEV].includes(error.errno)) refuse('ask for rp_filter', error);
    return filter;
  }

  /** Entries of all routing tables that `parse` takes from their messages. @throws {SystemError} */
  routes<T>(parse: (body: Uint8Array) => T | null): T[] {
    return this.#channel.list('list routes', writeGetRoutes(), RTM_NEWROUTE, parse);
  }

  /** Policy rules of one family, 4 or 6, by priority. @throws {SystemError} */
  rules(family: 4 | 6): Rule[] {
    const request = writeGetRules(family === 4 ? AF_INET : AF_INET6);
    return this.#channel.list('list policy rules', request, RTM_NEWRULE, parseRule);
  }
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
