/**
 * What is asked of the network, out of what the daemon and the hostname file say: ports, endpoints,
 * names, ways, and whom to ping. Pure.
 */

import type { Near } from '../../device/ways.ts';
import { formatKey } from '../../keytext.ts';
import { formatAddress, formatPrefix, parseAddress } from '../../packet/address.ts';
import type { Link, NameAnswer, OtherEnd, Wishes } from '../evidence.ts';
import { innerPlaces, sampleOf } from './innerplaces.ts';
import type { NameQuestion } from './names.ts';
import type { PingTarget } from './pings.ts';
import type { ProbeTarget } from './probes.ts';
import type { RouteQuestion } from './routes.ts';
import type { DaemonSample } from './sample.ts';

/** With more peers than so, those are probed and pinged that are wrong or come first. */
const PEERS_MAX = 64;
/** Of each peer. */
const OTHER_PROBES_MAX = 4;
const ALLOWED_IPS_MAX = 512;
const SMALL_PING = { 4: 84, 6: 104 } as const;
/** IP and UDP headers, and WireGuard's own 32 bytes. */
const OVERHEAD = { 4: 60, 6: 80 } as const;

export interface Plan {
  readonly name: string;
  readonly link: Link | null;
  /** Of the interface; 0 when there is none. */
  readonly port: number;
  readonly isQuiet: boolean;
  readonly publicKey: string | null;
  readonly allowedIps: readonly string[];
  readonly endpointAddresses: readonly string[];
  readonly names: readonly NameQuestion[];
  readonly routes: readonly RouteQuestion[];
  routesOfNames(answers: readonly NameAnswer[]): RouteQuestion[];
  readonly probes: readonly ProbeTarget[];
  readonly pings: readonly PingTarget[];
}

/** A peer, out of the running configuration or else out of the file. */
interface Asked {
  readonly publicKey: string;
  readonly endpoint: { address: string; port: number; scope: number } | null;
  /** Where its datagrams leave from; null for the kernel's choice. */
  readonly near: Near | null;
  /** By the daemon, best first: names or addresses. */
  readonly ways: readonly { readonly host: string; readonly port: number }[];
  readonly allowedIps: readonly string[];
  readonly isWrong: boolean;
}

/** What is known before anything is asked of the network. */
export interface Known {
  readonly name: string;
  /** Only this one; null for all. */
  readonly peer: string | null;
  readonly isQuiet: boolean;
  readonly other: OtherEnd | null;
  readonly links: readonly Link[];
  readonly link: Link | null;
  readonly sample: DaemonSample | null;
  readonly wishes: Wishes | null;
}

export function planOf(facts: Known): Plan {
  const { name, isQuiet, other, links, link, sample, wishes } = facts;
  const { port, mark } = faceOf(sample, wishes);
  const peers = peersOf(sample, wishes).filter(
    ({ publicKey }) => facts.peer === null || publicKey === facts.peer,
  );
  const chosen = [...peers]
    .sort((a, b) => Number(b.isWrong) - Number(a.isWrong))
    .slice(0, PEERS_MAX);
  const own = new Set(links.flatMap(({ addresses }) => addresses.map(({ address }) => address)));
  const isUp = link?.isUp === true && sample !== null;
  return {
    name,
    link,
    port,
    isQuiet,
    publicKey: sample?.publicKey ?? null,
    allowedIps: peers.flatMap(({ allowedIps }) => allowedIps),
    endpointAddresses: peers.flatMap(({ endpoint }) =>
      endpoint === null ? [] : [endpoint.address],
    ),
    names: [...namesOfDaemon(sample, facts.peer), ...namesOfFile(wishes, facts.peer)],
    routes: [
      ...peers.flatMap((peer) => endpointRoutes(peer, port, mark)),
      ...peers.flatMap((peer) => allowedRoutes(peer, own)).slice(0, ALLOWED_IPS_MAX),
    ],
    routesOfNames: (answers) => answers.flatMap((answer) => nameRoutes(answer, port, mark)),
    probes: chosen.flatMap((peer) => [
      ...probeOf(peer, link, mark),
      ...otherProbes(peer, wishes, link, mark),
    ]),
    pings: !isUp
      ? []
      : chosen
          .filter(({ endpoint }) => endpoint !== null)
          .flatMap((peer) =>
            innerPlaces(peer, link, other).map(({ destination, known: how }) => {
              const family = parseAddress(destination)!.length === 4 ? 4 : 6;
              const sizes = [
                ...new Set([SMALL_PING[family], Math.max(link.mtu, SMALL_PING[family])]),
              ];
              return { peer: peer.publicKey, destination, known: how, sizes };
            }),
          ),
  };
}

function faceOf(
  sample: DaemonSample | null,
  wishes: Wishes | null,
): { port: number; mark: number } {
  if (sample !== null) return { port: sample.state.listenPort, mark: sample.state.fwmark };
  return { port: wishes?.listenPort ?? 0, mark: wishes?.fwmark ?? 0 };
}

function peersOf(sample: DaemonSample | null, wishes: Wishes | null): Asked[] {
  if (sample === null) {
    return (wishes?.peers ?? []).map(({ publicKey, ways, allowedIps }) => {
      const way = ways.find(({ host }) => parseAddress(host) !== null);
      const endpoint = way === undefined ? null : { address: way.host, port: way.port, scope: 0 };
      return { publicKey, allowedIps, endpoint, near: null, ways: [], isWrong: true };
    });
  }
  const troubled = new Set(
    sample.stats?.peers
      .filter(({ troubles }) => troubles.length > 0)
      .map(({ publicKey }) => formatKey(publicKey)),
  );
  return sample.state.peers.map(({ publicKey, endpoint, ways, allowedIps }) => ({
    publicKey: formatKey(publicKey),
    endpoint:
      endpoint === null
        ? null
        : { address: formatAddress(endpoint.address), port: endpoint.port, scope: endpoint.scope },
    near: ways.find(({ isInUse }) => isInUse)?.near ?? sample.state.bind,
    ways,
    allowedIps: allowedIps.map(formatPrefix),
    isWrong: troubled.has(formatKey(publicKey)),
  }));
}

function namesOfDaemon(sample: DaemonSample | null, peer: string | null): NameQuestion[] {
  return (sample?.state.peers ?? []).flatMap(({ publicKey, ways }) => {
    const key = formatKey(publicKey);
    if (peer !== null && key !== peer) return [];
    return ways.map(({ host, port }) => ({ of: 'daemon' as const, peer: key, host, port }));
  });
}

function namesOfFile(wishes: Wishes | null, peer: string | null): NameQuestion[] {
  return (wishes?.peers ?? [])
    .filter(({ publicKey }) => peer === null || publicKey === peer)
    .flatMap(({ publicKey, ways }) =>
      ways.map(({ host, port }) => ({ of: 'file' as const, peer: publicKey, host, port })),
    );
}

function endpointRoutes(peer: Asked, port: number, mark: number): RouteQuestion[] {
  const { publicKey, endpoint, near } = peer;
  if (endpoint === null) return [];
  const { address, scope } = endpoint;
  const asked = { peer: publicKey, about: address, destination: address, scope };
  const ports = { source: port, destination: endpoint.port };
  return [
    { ...asked, purpose: 'endpoint', mark, ports, near },
    // An unmarked packet of no kind, as the kernel asks about one that came in.
    { ...asked, purpose: 'back', mark: 0, ports: null, near: null },
  ];
}

function allowedRoutes(
  { publicKey, allowedIps }: Asked,
  own: ReadonlySet<string>,
): RouteQuestion[] {
  return allowedIps.flatMap((about) => {
    const destination = sampleOf(about, own);
    if (destination === null) return [];
    const asked = { peer: publicKey, about, destination, scope: 0 };
    return [{ ...asked, purpose: 'allowedIp' as const, mark: 0, ports: null, near: null }];
  });
}

function nameRoutes(answer: NameAnswer, port: number, mark: number): RouteQuestion[] {
  const { peer, host: about } = answer;
  const ports = { source: port, destination: answer.port };
  return answer.addresses
    .filter((address) => parseAddress(address) !== null)
    .map((destination) => {
      const asked = { peer, about, destination, mark, ports, scope: 0, near: null };
      return { ...asked, purpose: 'name' as const };
    });
}

function probeOf(
  { publicKey, endpoint, near }: Asked,
  link: Link | null,
  mark: number,
): ProbeTarget[] {
  if (endpoint === null) return [];
  const family = parseAddress(endpoint.address)!.length === 4 ? 4 : 6;
  const neededMtu = link === null ? null : link.mtu + OVERHEAD[family];
  return [{ peer: publicKey, ...endpoint, mark, near, neededMtu }];
}

/** Where it is configured to be and is not at the moment: a mistake there shows at the next start. */
function otherProbes(
  peer: Asked,
  wishes: Wishes | null,
  link: Link | null,
  mark: number,
): ProbeTarget[] {
  const wish = wishes?.peers.find(({ publicKey }) => publicKey === peer.publicKey);
  const places = new Map<string, ProbeTarget>();
  for (const { host, port } of [...peer.ways, ...(wish?.ways ?? [])]) {
    const isInUse = host === peer.endpoint?.address && port === peer.endpoint.port;
    if (isInUse || peer.endpoint === null || parseAddress(host) === null) continue;
    const endpoint = { address: host, port, scope: 0 };
    for (const target of probeOf({ ...peer, endpoint, near: null }, link, mark)) {
      places.set(`${host} ${port}`, target);
    }
  }
  return [...places.values()].slice(0, OTHER_PROBES_MAX);
}
