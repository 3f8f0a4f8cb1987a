/**
 * Ways into the tunnel: an allowed IP without one, or with one that another route takes the packets
 * from. Pure.
 */

import { counted } from '../../counted.ts';
import type { Cause } from '../cause.ts';
import type { Evidence, OwnPeer, Route, RouteAnswer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { having } from '../having.ts';
import { nameOf, peersOf } from '../peer.ts';
import { addressOf, covers, familyOf, isHost, isScoped, lengthOf, overlap } from '../prefix.ts';
import { innerAddresses, routesInto } from '../tunnelroutes.ts';
import { missingFamilies, outsiders } from './addresses.ts';

const MAIN_TABLE = 254;
/**
 * A shorter allowed IP is a summary, such as 10.0.0.0/8 towards a hub: what of it leads elsewhere is
 * meant to.
 */
const SUMMARY_LENGTH = { 4: 16, 6: 48 } as const;

export const ROUTES: readonly Cause[] = [
  { code: 'routeShadowed', weight: 'traffic', find: findShadowed, explains: ['nothingComesBack'] },
  { code: 'noRoute', weight: 'traffic', find: findMissing, explains: ['nothingComesBack'] },
];

function findMissing(evidence: Evidence): Finding[] {
  if (!evidence.table.ok || known(evidence.link)?.isUp !== true) return [];
  const ways = routesInto(evidence);
  const missing = missingFamilies(evidence);
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const outside = outsiders(evidence, peer).map(({ prefix }) => prefix);
    const lost = peer.allowedIps.filter((prefix) => {
      if (ways.some((route) => overlap(route.prefix, prefix))) return false;
      if (isScoped(prefix)) return false;
      if (outside.includes(prefix) || missing.includes(familyOf(prefix))) return false;
      return !isUnusedDefault(evidence, prefix);
    });
    return lost.length === 0 ? [] : [missingFinding(evidence, peer, lost)];
  });
}

/** `::/0` beside `0.0.0.0/0` in a tunnel of IPv4 only: it was copied along. */
function isUnusedDefault(evidence: Evidence, prefix: string): boolean {
  const hasFamily = innerAddresses(evidence).some((one) => familyOf(one) === familyOf(prefix));
  return lengthOf(prefix) === 0 && !hasFamily;
}

function missingFinding(evidence: Evidence, peer: OwnPeer, lost: readonly string[]): Finding {
  const { name } = evidence.run;
  const ways = routesInto(evidence).length;
  const taken = lost.flatMap((prefix) => {
    const route = networkOf(evidence, prefix);
    return route === null ? [] : [{ prefix, route }];
  });
  const free = lost.filter((prefix) => taken.every((one) => one.prefix !== prefix));
  const undecided = taken.map(
    ({ prefix, route: { link } }) =>
      `${link} and ${name} are both for ${prefix}: of two networks with the same numbers one has to be renumbered, of two tunnels to the same peer one is too many`,
  );
  return {
    code: 'noRoute',
    peer: peer.publicKey,
    sentence: `no route leads into ${name} for ${lost.join(' and ')} of ${nameOf(peer)}: packets for it go elsewhere, or nowhere`,
    proof: lost.map((prefix) => {
      const asked = answerFor(evidence, peer, prefix);
      return asked === null
        ? `of ${counted(ways, 'route')} over ${name} none is for ${prefix}`
        : saysWay(asked);
    }),
    commands: free.map((prefix) => `ip route replace ${prefix} dev ${name}`),
    ...(undecided.length === 0 ? {} : { undecided }),
  };
}

/** The network of another interface with just these numbers: to replace its route would cut it off. */
function networkOf(evidence: Evidence, prefix: string): Route | null {
  const all = known(evidence.table) ?? [];
  const found = all.find(
    ({ gateway, link, table, type, ...route }) =>
      route.prefix === prefix &&
      type === 'unicast' &&
      table === MAIN_TABLE &&
      gateway === null &&
      link !== null &&
      link !== evidence.run.name,
  );
  return found ?? null;
}

function answerFor(evidence: Evidence, peer: OwnPeer, prefix: string): RouteAnswer | null {
  const answers = having(known(evidence.routes) ?? [], 'peer', peer.publicKey);
  const found = answers.find((one) => one.purpose === 'allowedIp' && one.about === prefix);
  return found ?? null;
}

function saysWay({ destination, answer }: RouteAnswer): string {
  if (answer.kind === 'none') return `a packet to ${destination} is refused: ${answer.error}`;
  return `a packet to ${destination} takes ${saysRoute(answer.route)}`;
}

function saysRoute({ prefix, link, gateway, table, type, metric }: Route): string {
  const way = [
    ...(type === 'unicast' ? [] : [type]),
    prefix,
    ...(gateway === null ? [] : ['via', gateway]),
    ...(link === null ? [] : ['over', link]),
  ].join(' ');
  const where = table === MAIN_TABLE ? 'the main table' : `table ${table}`;
  return `the route ${way} of ${where}${metric === 0 ? '' : `, metric ${metric}`}`;
}

function findShadowed(evidence: Evidence): Finding[] {
  const { name } = evidence.run;
  const ways = routesInto(evidence);
  return peersOf(evidence).flatMap((peer) =>
    peer.allowedIps.flatMap((prefix): Finding[] => {
      const way = wayInto(ways, prefix);
      if (way === null) return [];
      const shadow =
        shadowOf(evidence, peer, prefix, way) ?? specificOf(evidence, peer, prefix, way);
      if (shadow === null) return [];
      const { route, proof } = shadow;
      return [
        {
          code: 'routeShadowed',
          peer: peer.publicKey,
          sentence: `packets for ${prefix} of ${nameOf(peer)} do not go into ${name}: ${saysRoute(route)} takes them`,
          proof: [proof, `${saysRoute(way)} would lead into the tunnel`],
          commands: [removeCommand(route)],
        },
      ];
    }),
  );
}

/** The route that is meant for the prefix: one for all of it, in the main table, before others. */
function wayInto(ways: readonly Route[], prefix: string): Route | null {
  const near = ways.filter((route) => overlap(route.prefix, prefix));
  const whole = near.filter((route) => covers(route.prefix, prefix));
  const [first] = [...whole.filter(({ table }) => table === MAIN_TABLE), ...whole, ...near];
  return first ?? null;
}

interface Shadow {
  readonly route: Route;
  readonly proof: string;
}

/** What the kernel itself says a packet takes. */
function shadowOf(evidence: Evidence, peer: OwnPeer, prefix: string, way: Route): Shadow | null {
  const asked = answerFor(evidence, peer, prefix);
  if (asked === null || asked.answer.kind === 'none') return null;
  const { route } = asked.answer;
  const isOurs = route.link === evidence.run.name || !covers(way.prefix, asked.destination);
  const isOwn = route.type === 'local' || route.type === 'broadcast';
  // Another table that somebody chose by a rule is policy, unless it takes from the main one.
  const isPolicy = way.table !== MAIN_TABLE && way.table !== route.table;
  const isPart = lengthOf(route.prefix) > lengthOf(prefix);
  // Of two for the same prefix the one with the greater metric is there for when the other fails.
  const isSpare =
    route.gateway !== null && route.table === way.table && route.prefix === way.prefix;
  if (isOurs || isOwn || isPolicy || isSpare) return null;
  if (isPart && !isForeignPart(route, prefix)) return null;
  return { route, proof: saysWay(asked) };
}

/** A route for a part of the prefix that the kernel was not asked about. */
function specificOf(evidence: Evidence, peer: OwnPeer, prefix: string, way: Route): Shadow | null {
  const table = known(evidence.table) ?? [];
  const found = table.find(
    (route) =>
      route.link !== evidence.run.name &&
      route.table === way.table &&
      route.type !== 'local' &&
      route.type !== 'broadcast' &&
      covers(prefix, route.prefix) &&
      lengthOf(route.prefix) > lengthOf(way.prefix) &&
      !(isHost(route.prefix) && isEndpoint(evidence, addressOf(route.prefix))) &&
      isForeignPart(route, prefix) &&
      !isOthers(evidence, peer, route) &&
      !isIdle(table, route),
  );
  if (found === undefined) return null;
  return { route: found, proof: `${saysRoute(found)} is for a part of ${prefix}` };
}

function isEndpoint(evidence: Evidence, address: string): boolean {
  return peersOf(evidence).some(({ endpoint }) => endpoint?.address === address);
}

/** A network of our own within what a hub has, and what lies beyond it, are no mistake. */
function isForeignPart({ gateway, type }: Route, prefix: string): boolean {
  if (lengthOf(prefix) < SUMMARY_LENGTH[familyOf(prefix)]) return false;
  return type !== 'unicast' || (gateway !== null && !covers(prefix, gateway));
}

/** Of two for the same prefix the one with the greater metric takes nothing while the other is there. */
function isIdle(table: readonly Route[], { table: id, prefix, metric }: Route): boolean {
  return table.some((one) => one.table === id && one.prefix === prefix && one.metric < metric);
}

/** A longer prefix that is another peer's, in another tunnel's words. */
function isOthers(evidence: Evidence, peer: OwnPeer, { prefix }: Route): boolean {
  return peersOf(evidence).some((one) => one !== peer && one.allowedIps.includes(prefix));
}

function removeCommand({ prefix, gateway, link, table, type, metric }: Route): string {
  return [
    'ip route delete',
    ...(type === 'unicast' ? [] : [type]),
    prefix,
    ...(gateway === null ? [] : ['via', gateway]),
    ...(link === null ? [] : ['dev', link]),
    ...(table === MAIN_TABLE ? [] : ['table', `${table}`]),
    ...(metric === 0 ? [] : ['metric', `${metric}`]),
  ].join(' ');
}
