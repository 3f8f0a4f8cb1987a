/** Evidence: which ways packets take, by the kernel's own word, and the tables that say so. */

import type { Near } from '../../device/ways.ts';
import type { Route as KernelRoute, Netlink } from '../../netlink/netlink.ts';
import { parseRoute } from '../../netlink/netlinkmessage.ts';
import { formatAddress, formatPrefix, parseAddress } from '../../packet/address.ts';
import { errnoName } from '../../sys/libc.ts';
import type { Link, Route, RouteAnswer, RouteType, Rule, Way } from '../evidence.ts';
import { overlap } from '../prefix.ts';

const ROUTES_MAX = 1_000;
const RT_TABLE_LOCAL = 255;

/** By RTN_ of linux/rtnetlink.h. */
const TYPES: readonly RouteType[] = [
  ...(['other', 'unicast', 'local', 'broadcast', 'anycast', 'multicast', 'blackhole'] as const),
  ...(['unreachable', 'prohibit', 'throw'] as const),
];
/** By FR_ACT_ of linux/fib_rules.h. */
const ACTIONS: Readonly<Record<number, Rule['action']>> = {
  1: 'lookup',
  2: 'goto',
  3: 'nop',
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
};

/** What is asked; the answer repeats it. */
export interface RouteQuestion extends Omit<RouteAnswer, 'answer'> {
  /** UDP ports of the datagram; null for a packet of no particular kind. */
  readonly ports: { readonly source: number; readonly destination: number } | null;
  /** Of a link-local address; else 0. */
  readonly scope: number;
  /** The address or the interface that it has to leave from; null for the kernel's choice. */
  readonly near: Near | null;
}

/** @throws {SystemError} */
export function askRoutes(
  netlink: Netlink,
  links: readonly Link[],
  questions: readonly RouteQuestion[],
): RouteAnswer[] {
  return questions.map(({ ports, scope, near, ...question }) => {
    const destination = parseAddress(question.destination);
    if (destination === null) throw new Error(`doctor: no address: ${question.destination}`);
    const flow = {
      destination,
      source: near?.kind === 'address' ? near.address : null,
      mark: question.mark,
      linkIndex: near?.kind === 'interface' ? indexOf(links, near.name) : scope,
      ...(ports === null ? {} : { ports }),
    };
    const way = netlink.askRoute(flow);
    const entry = netlink.askRoute({ ...flow, asEntry: true });
    return { ...question, answer: describeWay(way, entry, links, destination.length) };
  });
}

function indexOf(links: readonly Link[], name: string): number {
  return links.find((link) => link.name === name)?.index ?? 0;
}

function describeWay(
  way: KernelRoute | number,
  entry: KernelRoute | number,
  links: readonly Link[],
  addressBytes: number,
): Way {
  if (typeof way === 'number') return { kind: 'none', error: errnoName(way) };
  const route = describeRoute(way, links, addressBytes);
  if (typeof entry === 'number') return { kind: 'route', route };
  const { prefix, table, metric } = describeRoute(entry, links, addressBytes);
  return { kind: 'route', route: { ...route, prefix, table, metric } };
}

function describeRoute(route: KernelRoute, links: readonly Link[], addressBytes: number): Route {
  const { type, table, destination, prefixLength, linkIndex, gateway, preferredSource } = route;
  const address = destination ?? new Uint8Array(addressBytes);
  return {
    family: addressBytes === 4 ? 4 : 6,
    type: TYPES[type] ?? 'other',
    table,
    prefix: formatPrefix({ address, length: prefixLength }),
    link: links.find(({ index }) => index === linkIndex)?.name ?? null,
    gateway: gateway === null ? null : formatAddress(gateway),
    source: preferredSource === null ? null : formatAddress(preferredSource),
    metric: route.metric,
  };
}

/** See Evidence.table. @throws {SystemError} */
export function gatherTable(
  netlink: Netlink,
  links: readonly Link[],
  name: string,
  places: readonly string[],
): Route[] {
  const index = links.find((link) => link.name === name)?.index ?? -1;
  const found = netlink.routes((body) => {
    const route = parseRoute(body);
    if (route === null || route.table === RT_TABLE_LOCAL) return null;
    // AF_INET is 2.
    const addressBytes = body[0] === 2 ? 4 : 16;
    const address = route.destination ?? new Uint8Array(addressBytes);
    const prefix = formatPrefix({ address, length: route.prefixLength });
    const isNear = route.linkIndex === index || places.some((place) => overlap(place, prefix));
    return isNear ? describeRoute(route, links, addressBytes) : null;
  });
  // Ours first: what is cut is others'.
  const isOurs = ({ link }: Route): number => (link === name ? 0 : 1);
  return found.sort((a, b) => isOurs(a) - isOurs(b)).slice(0, ROUTES_MAX);
}

/** @throws {SystemError} */
export function gatherRules(netlink: Netlink): Rule[] {
  return [...netlink.rules(4), ...netlink.rules(6)].map(({ action, from, to, ...rule }) => ({
    ...rule,
    action: ACTIONS[action] ?? 'other',
    from: from === null ? null : formatPrefix(from),
    to: to === null ? null : formatPrefix(to),
  }));
}
