/**
 * Where datagrams lead, as the machine's routes, links and addresses are: whether into the tunnel,
 * by which interface around it, and from which near end. Owns the questions to the kernel and what
 * an endpoint's datagrams have to name (Exit); it sends nothing.
 *
 * A route into the tunnel is got around by naming another interface: a lookup with an output
 * interface skips all routes over others, as SO_BINDTODEVICE has it, and takes no right. So each
 * interface is asked for its route, and the kernel follows its rules and tables itself. The best
 * is what its own choice would be without the tunnel: a longer prefix, then a lower metric.
 *
 * IPv6 keeps to the interface only where no source is named beside it (RT6_LOOKUP_F_IFACE): that the
 * two together lead there is asked, too.
 */

import { sameBytes } from '../bytes.ts';
import { Endpoint, type Exit } from '../device/endpoint.ts';
import type { Lead, NearFault } from '../device/lead.ts';
import type { Near } from '../device/ways.ts';
import { type Link, type LinkAddress, Netlink, type Route } from '../netlink/netlink.ts';
import { SystemError } from '../sys/libc.ts';
import { IFF_LOOPBACK, IFF_NOARP, IFF_POINTOPOINT, IFF_RUNNING } from '../sys/linux.ts';

export interface RoutesOptions {
  readonly port: number;
  readonly fwmark: number;
  /** That of every endpoint which has none of its own. */
  readonly near: Near | null;
}

/** An index that no link has: a send that names it fails (ENODEV) and takes no other way. */
const NO_EXIT: Exit = { link: 0x7fff_ffff, source: null };
/** Links of these kinds are tunnels, which may lead back to this one: others come first. */
const TUNNEL_KINDS = ['tun', 'wireguard'];
const RTN_BROADCAST = 3;
const IFA_F_TENTATIVE = 0x40;
const IFA_F_DADFAILED = 0x08;

/** A route over a link, and from where if it holds for one source only. */
interface Passage {
  readonly link: Link;
  readonly source: Uint8Array | null;
  readonly prefixLength: number;
  readonly metric: number;
}

/** What is there of a near end. */
interface Found {
  readonly link: Link | undefined;
  readonly fault: NearFault | null;
}

export class Routes {
  fwmark: number;
  readonly #port: number;
  readonly #near: Near | null;
  /** Opened for the first question. */
  #opened: Netlink | undefined;
  /** As they are until `forget`. */
  #links: readonly Link[] | undefined;
  #addresses: readonly LinkAddress[] | undefined;
  /** Links over which answers come although the way to their sender leads over another. */
  readonly #crooked = new Set<number>();

  constructor({ port, fwmark, near }: RoutesOptions) {
    this.#port = port;
    this.fwmark = fwmark;
    this.#near = near;
  }

  /** Links, addresses, routes or rules have changed. */
  forget(): void {
    this.#links = undefined;
    this.#addresses = undefined;
    this.#crooked.clear();
  }

  close(): void {
    this.#opened?.close();
  }

  /**
   * How the way to the endpoint leads, and sees to it that its datagrams take it: writes `exit`, and
   * forgets a source from which they would not. Asks the kernel: some 15 us a question, of which
   * there is one as a rule, and one for each link that is up when routes lead into the tunnel.
   *
   * @param inside index of the tunnel's own link; 0 when it is in another network
   */
  lead(endpoint: Endpoint, inside: number): Lead {
    try {
      const { isPinned, source, sourceInterface } = endpoint;
      if (isPinned && source !== null) return this.#leadFrom(source, endpoint, inside);
      if (isPinned) return this.#leadOver(this.#findLink(sourceInterface), endpoint, inside);
      const near = this.#near;
      if (near?.kind === 'address') return this.#leadFrom(near.address, endpoint, inside);
      if (near !== null) return this.#leadOver(this.#findInterface(near.name), endpoint, inside);
      return this.#leadFreely(endpoint, inside);
    } catch (error) {
      if (error instanceof SystemError) return 'nowhere';
      throw error;
    }
  }

  #leadFreely(endpoint: Endpoint, inside: number): Lead {
    const pinned = endpoint.source === null ? 0 : this.#pinnedLink(endpoint);
    const link = pinned > 0 ? pinned : this.#linkOfRoute(endpoint, null);
    if (inside !== 0 && link === inside) {
      endpoint.exit = this.#exitAround(endpoint, inside);
      if (endpoint.exit === null) endpoint.forgetSource();
      return endpoint.exit === null ? 'inside' : 'out';
    }
    endpoint.exit = null;
    if (pinned === 0) endpoint.forgetSource();
    return link === 0 ? 'nowhere' : 'out';
  }

  /** With a mark, who set it has made the rules. */
  #exitAround(endpoint: Endpoint, inside: number): Exit | null {
    if (this.fwmark !== 0) return null;
    let best: Passage | null = null;
    for (const link of this.#allLinks()) {
      if (link.index === inside || !link.isUp || isOf(link, IFF_LOOPBACK)) continue;
      const passage = this.#passageOver(endpoint, link);
      if (passage !== null && (best === null || isBetter(passage, best))) best = passage;
    }
    return best === null ? null : this.#exitBy(endpoint, best);
  }

  /** `via IF`. */
  #leadOver({ link, fault }: Found, endpoint: Endpoint, inside: number): Lead {
    if (link === undefined || fault === 'down') return closed(endpoint, fault!);
    if (link.index === inside) return closed(endpoint, 'inside');
    const passage = this.#passageOver(endpoint, link);
    if (passage === null && !hasOneOtherEnd(link)) return closed(endpoint, fault ?? 'nowhere');
    endpoint.exit = this.#exitBy(endpoint, passage ?? { link, source: null, ...WHOLE });
    return fault ?? 'out';
  }

  /** `via ADDR`: over the interface that has it, unless a rule for this source leads elsewhere. */
  #leadFrom(address: Uint8Array, endpoint: Endpoint, inside: number): Lead {
    if (address.length !== endpoint.address.length) return closed(endpoint, 'otherFamily');
    const { link: home, fault } = this.#findAddress(address);
    if (home === undefined || fault === 'down') return closed(endpoint, fault!);
    const link = this.#linkOfRoute(endpoint, address);
    const isRuled = link !== inside && link !== this.#linkOfRoute(endpoint, null);
    const isHome = link !== 0 && link === home.index;
    if (!isHome && !isRuled && home.index !== inside && this.#leadsOver(endpoint, address, home)) {
      endpoint.exit = this.#exitOver(endpoint, home, address);
      return fault ?? 'out';
    }
    if (inside !== 0 && link === inside) return closed(endpoint, 'inside');
    endpoint.exit = null;
    return fault ?? (link === 0 ? 'nowhere' : 'out');
  }

  /** The best route to the endpoint over this link; null when there is none. */
  #passageOver(endpoint: Endpoint, link: Link): Passage | null {
    const free = this.#routeOver(endpoint, null, link);
    if (free !== null) return { link, source: null, ...free };
    // A rule may lead over it only who comes from its address.
    for (const { address } of this.#addressesOf(link, endpoint.family)) {
      const route = this.#routeOver(endpoint, address, link);
      if (route !== null) return { link, source: address, ...route };
    }
    return null;
  }

  #routeOver(endpoint: Endpoint, source: Uint8Array | null, link: Link): Route | null {
    const route = this.#ask(endpoint, source, link.index, true);
    // A route over several links names none; IPv4 has looked at no other than this one.
    if (route === null || endpoint.family === 4) return route;
    return route.linkIndex === link.index ? route : null;
  }

  #leadsOver(endpoint: Endpoint, source: Uint8Array, link: Link): boolean {
    return !isOf(link, IFF_LOOPBACK) && this.#routeOver(endpoint, source, link) !== null;
  }

  /** The source that the peer has been answered from is kept if it belongs to that link. */
  #exitBy(endpoint: Endpoint, { link, source: fixed }: Passage): Exit {
    const { source: learnt } = endpoint;
    const isKept =
      learnt !== null &&
      this.#addressesOf(link, endpoint.family).some(({ address }) => sameBytes(address, learnt)) &&
      this.#routeOver(endpoint, learnt, link) !== null;
    return this.#exitOver(endpoint, link, isKept ? learnt : fixed);
  }

  #exitOver(endpoint: Endpoint, link: Link, source: Uint8Array | null): Exit {
    if (endpoint.family === 4) this.#lookBack(endpoint, link, source);
    return { link: link.index, source };
  }

  /** Which way rp_filter, which only IPv4 has, will find that answers ought to come. */
  #lookBack(endpoint: Endpoint, link: Link, source: Uint8Array | null): void {
    const here = source ?? this.#addressesOf(link, 4)[0]?.address ?? null;
    if (this.#linkOfRoute(endpoint, here) !== link.index) this.#crooked.add(link.index);
  }

  /** Whether what is sent to the address goes to all of a link, which a socket refuses (EACCES). */
  isBroadcast(address: Uint8Array): boolean {
    const endpoint = new Endpoint(address, this.#port);
    return this.#ask(endpoint, null, 0, false)?.type === RTN_BROADCAST;
  }

  /** Whether the kernel would still send to the endpoint from its source. */
  isSourceCurrent(endpoint: Endpoint): boolean {
    if (endpoint.isPinned || endpoint.exit !== null) return true;
    return this.#pinnedLink(endpoint) > 0;
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

  /** A link-local address is looked up on its link. */
  #linkOfRoute(endpoint: Endpoint, source: Uint8Array | null): number {
    return this.#ask(endpoint, source, endpoint.scope, false)?.linkIndex ?? 0;
  }

  #ask(
    { address, port }: Endpoint,
    source: Uint8Array | null,
    linkIndex: number,
    asEntry: boolean,
  ): Route | null {
    const ports = { source: this.#port, destination: port };
    const flow = { destination: address, source, mark: this.fwmark, linkIndex, ports, asEntry };
    return answerOr(() => this.#netlink.getRoute(flow), null);
  }

  /** How the near end of all endpoints is; null: nothing is known to be wrong, or there is none. */
  get fault(): NearFault | null {
    const near = this.#near;
    if (near === null) return null;
    const find = (): Found =>
      near.kind === 'address' ? this.#findAddress(near.address) : this.#findInterface(near.name);
    return answerOr(() => find().fault, null);
  }

  #findInterface(name: string): Found {
    return foundLink(this.#allLinks().find((one) => one.name === name));
  }

  #findLink(index: number): Found {
    return foundLink(this.#allLinks().find((one) => one.index === index));
  }

  #findAddress(address: Uint8Array): Found {
    const own = this.#allAddresses().find((one) => sameBytes(one.address, address));
    const link = this.#allLinks().find(({ index }) => index === own?.linkIndex);
    return { link, fault: link === undefined ? 'noAddress' : faultOf(link) };
  }

  /**
   * Names of the links from which the kernel takes no answers (rp_filter), since the way back to
   * their sender leads over another.
   */
  strictFilters(): string[] {
    return answerOr(() => [...this.#crooked].flatMap((index) => this.#strictFilter(index)), []);
  }

  #strictFilter(index: number): string[] {
    const link = this.#allLinks().find((one) => one.index === index);
    return link !== undefined && this.#netlink.filtersStrictly(index) ? [link.name] : [];
  }

  get #netlink(): Netlink {
    this.#opened ??= new Netlink();
    return this.#opened;
  }

  #allLinks(): readonly Link[] {
    this.#links ??= this.#netlink.links();
    return this.#links;
  }

  #allAddresses(): readonly LinkAddress[] {
    // A duplicate on the link, or what may be one, is not to be sent from yet.
    this.#addresses ??= this.#netlink
      .addresses()
      .filter(({ flags }) => (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) === 0);
    return this.#addresses;
  }

  #addressesOf({ index }: Link, family: 4 | 6): LinkAddress[] {
    const length = family === 4 ? 4 : 16;
    return this.#allAddresses().filter(
      ({ linkIndex, address }) => linkIndex === index && address.length === length,
    );
  }
}

/** `otherwise` when the kernel does not answer, as while its tables keep changing. */
function answerOr<T>(ask: () => T, otherwise: T): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof SystemError) return otherwise;
    throw error;
  }
}

/** Of a route that is assumed. */
const WHOLE = { prefixLength: 0, metric: 0 };

/** Nothing is sent: there is no way, or the wrong one. */
function closed(endpoint: Endpoint, why: Lead): Lead {
  endpoint.exit = NO_EXIT;
  return why;
}

function isOf({ flags }: Link, flag: number): boolean {
  return (flags & flag) !== 0;
}

function foundLink(link: Link | undefined): Found {
  return { link, fault: link === undefined ? 'noInterface' : faultOf(link) };
}

function faultOf(link: Link): NearFault | null {
  if (!link.isUp) return 'down';
  return isOf(link, IFF_RUNNING) ? null : 'noCarrier';
}

/** Whatever is put into such a link comes out at its other end: a modem's, without any route. */
function hasOneOtherEnd(link: Link): boolean {
  return isOf(link, IFF_POINTOPOINT) || isOf(link, IFF_NOARP);
}

/** Nothing goes over an unplugged link, whatever its routes say; then the longer prefix wins. */
function isBetter(one: Passage, other: Passage): boolean {
  const differences = [
    Number(isOf(one.link, IFF_RUNNING)) - Number(isOf(other.link, IFF_RUNNING)),
    Number(isTunnel(other.link)) - Number(isTunnel(one.link)),
    one.prefixLength - other.prefixLength,
    other.metric - one.metric,
  ];
  return (differences.find((difference) => difference !== 0) ?? 0) > 0;
}

function isTunnel({ kind }: Link): boolean {
  return TUNNEL_KINDS.includes(kind);
}
