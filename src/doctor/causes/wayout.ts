/**
 * The way that datagrams to the endpoint take from here: into the tunnel itself, nowhere, over a link
 * that nobody expects, or from an address that is not ours. Pure.
 */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import { endpointRoute, isOutOfContact, unansweredBy } from '../contact.ts';
import type { Evidence, OwnPeer, Route } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { networkErrors } from '../icmperrors.ts';
import { daemonOf, isOfKernel, nameOf, peersOf } from '../peer.ts';
import { covers, hostPrefix, lengthOf } from '../prefix.ts';

const MAIN_TABLE = 254;
/** For `wgfwmark` and a table of its own; any number does. */
const MARK = 51_820;
const TUNNEL_KINDS: readonly string[] = ['tun', 'wireguard'];

const CONSEQUENCES = [
  ...['hostUnreachable', 'networkUnreachable', 'prohibited', 'nothingListens'],
  ...['natMappingLost', 'answersLost', 'answersUnconfirmed', 'forbiddenHere'],
];

/** A route of the endpoint into the tunnel is none for an allowed IP, and has the tunnel's MTU. */
const OF_THE_TUNNEL = ['allowedIpsLackNetwork', 'mtuTooLarge', 'mtuBlackHole'];

export const WAY_OUT: readonly Cause[] = [
  {
    code: 'routingLoop',
    weight: 'handshake',
    find: findLoop,
    explains: [...CONSEQUENCES, ...OF_THE_TUNNEL],
  },
  {
    code: 'sourceGone',
    weight: 'handshake',
    find: findSourceGone,
    explains: ['endpointNoRoute', ...CONSEQUENCES],
  },
  { code: 'endpointNoRoute', weight: 'handshake', find: findNoRoute, explains: CONSEQUENCES },
  {
    code: 'endpointRouteUnexpected',
    weight: 'handshake',
    find: findUnexpected,
    explains: CONSEQUENCES,
  },
];

function findLoop(evidence: Evidence): Finding[] {
  const { name } = evidence.run;
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const isTold = peer.troubles.some(({ code }) => code === 'routingLoop');
    const route = routeOf(evidence, peer);
    const leadsIn = route?.link === name;
    // Without a mark the daemon goes around its own routes, where there is a way around.
    const goesAround = !isOfKernel(evidence) && !isOutOfContact(evidence, peer);
    const isLooping = isTold || (leadsIn && !goesAround);
    if (peer.endpoint === null || !isLooping) return [];
    const { address } = peer.endpoint;
    const drops = peer.counters.drop_routingLoop ?? 0;
    return [
      {
        code: 'routingLoop',
        peer: peer.publicKey,
        sentence: `the way to ${nameOf(peer)} at ${address} leads into ${name} itself: what is sent there would go round for ever`,
        proof: [
          ...(leadsIn ? [saysRoute(address, route)] : []),
          ...(isTold ? ['the daemon found out, and sends nothing there'] : []),
          ...(drops === 0
            ? []
            : [
                `${counted(drops, 'packet was', 'packets were')} dropped for that reason (routingLoop)`,
              ]),
          saysMark(evidence),
        ],
        commands: aroundCommands(evidence, address, route),
      },
    ];
  });
}

function saysMark(evidence: Evidence): string {
  const mark = daemonOf(evidence)?.fwmark ?? 0;
  return mark === 0 ? 'no wgfwmark is set' : `wgfwmark is ${mark}, and no rule leads it elsewhere`;
}

/** Around the tunnel: a route of its own, by the way that other packets take; or a mark and a rule. */
function aroundCommands(evidence: Evidence, address: string, route: Route | null): string[] {
  const { name } = evidence.run;
  const away = defaultRoute(evidence, address);
  if (away !== null) {
    return [`ip route replace ${hostPrefix(address)}${wayWords(away)}`];
  }
  const mark = daemonOf(evidence)?.fwmark || MARK;
  const table = route === null || route.table === MAIN_TABLE ? null : route.table;
  const family = address.includes(':') ? 'ip -6' : 'ip';
  return [
    `tswg ${name} wgfwmark ${mark}`,
    `${family} rule add not fwmark ${mark} table ${table ?? mark}`,
    ...(table === null
      ? [
          `${family} route replace default dev ${name} table ${mark}`,
          `${family} route delete default dev ${name}`,
        ]
      : []),
  ];
}

/** The best default route over another link than the tunnel. */
function defaultRoute(evidence: Evidence, address: string): Route | null {
  const family = address.includes(':') ? 6 : 4;
  const found = (known(evidence.table) ?? [])
    .filter(
      (one) =>
        one.family === family &&
        one.type === 'unicast' &&
        lengthOf(one.prefix) === 0 &&
        one.link !== null &&
        one.link !== evidence.run.name,
    )
    .sort((a, b) => a.metric - b.metric);
  return found[0] ?? null;
}

function wayWords({ gateway, link }: Route): string {
  return `${gateway === null ? '' : ` via ${gateway}`}${link === null ? '' : ` dev ${link}`}`;
}

function routeOf(evidence: Evidence, peer: OwnPeer): Route | null {
  const asked = endpointRoute(evidence, peer);
  return asked?.answer.kind === 'route' ? asked.answer.route : null;
}

function saysRoute(address: string, route: Route): string {
  const { prefix, gateway, link, table } = route;
  const via = gateway === null ? '' : ` via ${gateway}`;
  const where = table === MAIN_TABLE ? 'the main table' : `table ${table}`;
  return `a datagram to ${address} takes the route ${prefix}${via} over ${link}, of ${where}`;
}

/** `wgbind`, or `via` of an endpoint, names an address or a link that is not there any more. */
function findSourceGone(evidence: Evidence): Finding[] {
  const told = daemonOf(evidence)?.troubles.find(({ code }) => code === 'bindGone');
  return peersOf(evidence)
    .flatMap((peer): Finding[] => {
      const own = peer.troubles.find(({ code }) => code === 'nearGone') ?? told;
      const near = own?.values.near ?? nearOf(peer);
      if (typeof near !== 'string' || near === '') return [];
      const links = known(evidence.links);
      if (links === null || !(own !== undefined || isOutOfContact(evidence, peer))) return [];
      const isThere = links.some(
        ({ name, addresses }) => name === near || addresses.some(({ address }) => address === near),
      );
      if (isThere && own === undefined) return [];
      const isLink = !/[.:]/.test(near);
      const shown = printable(near);
      const words = own === told && told !== undefined ? 'wgbind' : 'via';
      const why = printable(`${own?.values.why ?? ''}`);
      return [
        {
          code: 'sourceGone',
          peer: own === told && told !== undefined ? null : peer.publicKey,
          sentence: `nothing can be sent from ${shown}, which ${words} asks for: ${isThere ? `it cannot be used (${why})` : isLink ? 'there is no such interface any more' : 'it is no address of this machine any more'}`,
          proof: [
            ...(own === undefined
              ? []
              : [`the daemon says so: ${own.code}${why === '' ? '' : ` (${why})`}`]),
            `${links.length === 1 ? 'the only link of this machine has' : `the ${links.length} links of this machine have`} ${addressesOf(evidence)}`,
          ],
          commands: sourceCommands(evidence, peer, words),
        },
      ];
    })
    .filter(isFirstOfCode);
}

/** What is about the interface is told once, and not for each peer. */
function isFirstOfCode(finding: Finding, index: number, all: readonly Finding[]): boolean {
  return finding.peer !== null || all.findIndex(({ peer }) => peer === null) === index;
}

function nearOf({ ways }: OwnPeer): string | null {
  return ways.length === 1 ? ways[0].near : null;
}

function addressesOf(evidence: Evidence): string {
  const all = (known(evidence.links) ?? [])
    .filter(({ name }) => name !== 'lo' && name !== evidence.run.name)
    .flatMap(({ name, addresses }) =>
      addresses
        .filter(({ isLinkLocal }) => !isLinkLocal)
        .map(({ address }) => `${address} (${name})`),
    );
  return all.slice(0, 6).join(' and ') || 'no address';
}

function sourceCommands(evidence: Evidence, peer: OwnPeer, words: string): string[] {
  const { name } = evidence.run;
  if (words === 'wgbind') return [`tswg ${name} -wgbind`];
  const [way] = peer.ways;
  if (way === undefined) return [];
  return [`tswg ${name} wgpeer ${peer.publicKey} wgendpoint ${printable(way.host)} ${way.port}`];
}

const NO_ROUTE: Readonly<Record<string, string>> = {
  ENETUNREACH: 'no route leads there',
  EHOSTUNREACH: 'a route says that it is unreachable',
  EACCES: 'a route or a rule prohibits it',
  EINVAL: 'a route throws it away (blackhole), or the source is no address of ours',
};

function findNoRoute(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const asked = endpointRoute(evidence, peer);
    if (peer.endpoint === null || asked?.answer.kind !== 'none') return [];
    if (!isOutOfContact(evidence, peer) && peer.lastHandshakeMs > 0) return [];
    const { address } = peer.endpoint;
    const { error } = asked.answer;
    const refusals = daemonOf(evidence)?.counters[`udp_${error}`] ?? 0;
    const culprit = closingRoute(evidence, address);
    return [
      {
        code: 'endpointNoRoute',
        peer: peer.publicKey,
        sentence: `this machine has no way to ${nameOf(peer)} at ${address}: ${NO_ROUTE[error] ?? 'the kernel refuses'}`,
        proof: [
          `asked for the route of a datagram to ${address}, the kernel says ${error}`,
          ...(culprit === null
            ? []
            : [`there is the route ${culprit.type} ${culprit.prefix} of table ${culprit.table}`]),
          ...(refusals === 0
            ? []
            : [
                `${counted(refusals, 'datagram of the daemon was', 'datagrams of the daemon were')} refused for that reason (udp ${error})`,
              ]),
          ...noDefault(evidence, address),
        ],
        commands: routeCommands(evidence, address, culprit),
      },
    ];
  });
}

/** A route that is there to refuse, and covers the address. */
function closingRoute(evidence: Evidence, address: string): Route | null {
  const found = (known(evidence.table) ?? []).find(
    ({ type, prefix }) =>
      ['unreachable', 'prohibit', 'blackhole'].includes(type) && covers(prefix, address),
  );
  return found ?? null;
}

function noDefault(evidence: Evidence, address: string): string[] {
  if (!evidence.table.ok || defaultRoute(evidence, address) !== null) return [];
  return [`there is no default route of ${address.includes(':') ? 'IPv6' : 'IPv4'}`];
}

function routeCommands(evidence: Evidence, address: string, culprit: Route | null): string[] {
  if (culprit !== null) {
    return [`ip route delete ${culprit.type} ${culprit.prefix} table ${culprit.table}`];
  }
  const away = defaultRoute(evidence, address);
  if (away !== null) return [`ip route replace ${hostPrefix(address)}${wayWords(away)}`];
  const family = address.includes(':') ? '-6 ' : '';
  return [
    `ip ${family}route show table all # what there is: a route by way of a router is missing`,
  ];
}

/**
 * A route of its own takes the endpoint over another link than everything else, and nothing comes
 * back from there. Many a route of its own is meant: it is named only where the network there fails.
 */
function findUnexpected(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const route = routeOf(evidence, peer);
    const calls = unansweredBy(evidence, peer);
    if (peer.endpoint === null || route === null || calls === null) return [];
    const { address } = peer.endpoint;
    const usual = defaultRoute(evidence, address);
    const strange = strangeness(evidence, peer, route, usual);
    if (strange === null || route.link === evidence.run.name) return [];
    return [
      {
        code: 'endpointRouteUnexpected',
        peer: peer.publicKey,
        sentence: `what is sent to ${nameOf(peer)} at ${address} leaves by ${route.link}, ${strange.what}`,
        proof: [saysRoute(address, route), ...strange.proof, calls.proof],
        commands:
          usual === null || route.type === 'local'
            ? [`ip route get ${address}`]
            : [
                `ip route delete ${route.prefix}${wayWords(route)}${route.table === MAIN_TABLE ? '' : ` table ${route.table}`}`,
              ],
        undecided: strange.undecided,
      },
    ].map(({ undecided, ...finding }) =>
      undecided.length === 0 ? finding : { ...finding, undecided },
    );
  });
}

interface Strangeness {
  readonly what: string;
  readonly proof: readonly string[];
  readonly undecided: readonly string[];
}

function strangeness(
  evidence: Evidence,
  peer: OwnPeer,
  route: Route,
  usual: Route | null,
): Strangeness | null {
  const link = (known(evidence.links) ?? []).find(({ name }) => name === route.link);
  if (route.type === 'local') {
    const proof = ['it is an address of this machine itself'];
    return { what: 'to this machine itself', proof, undecided: [] };
  }
  if (link !== undefined && TUNNEL_KINDS.includes(link.kind)) {
    const proof = [`${link.name} is another tunnel (${link.kind})`];
    return { what: 'another tunnel', proof, undecided: NOT_THE_WAY };
  }
  if (usual === null || usual.link === route.link || lengthOf(route.prefix) === 0) return null;
  const isConnected = link?.addresses.some(
    ({ address, length }) => covers(route.prefix, address) && length === lengthOf(route.prefix),
  );
  if (isConnected) return null;
  const isFailing = networkErrors(evidence, peer).some(
    ({ from, meaning }) => from === null && meaning === 'hostUnreachable',
  );
  const proof = [
    `everything else outside leaves by ${usual.link}${usual.gateway === null ? '' : ` via ${usual.gateway}`}`,
    ...(isFailing ? ['nobody answers there for the next hop'] : []),
  ];
  return {
    what: `by a route of its own, and not by ${usual.link} as everything else`,
    proof,
    undecided: isFailing ? [] : NOT_THE_WAY,
  };
}

const NOT_THE_WAY = [
  'that way is meant, and what it leads to drops our datagrams or the peer does not answer: doctor after `ip route delete` tells',
];
