/**
 * Where the peer is said to be, and is not: a wrong port, a name that does not resolve or means
 * another place, or nothing said at all. Pure.
 */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import { hasSession, isOutOfContact, placeOf, unansweredBy, wireOf } from '../contact.ts';
import type { Evidence, NameAnswer, OwnPeer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { having } from '../having.ts';
import { counterpartOf } from '../otherend.ts';
import { nameOf, peersOf } from '../peer.ts';

const CONSEQUENCES = [
  ...['nothingListens', 'hostUnreachable', 'networkUnreachable', 'prohibited'],
  ...['endpointNoRoute', 'noEndpoint', 'natMappingLost'],
];

export const ENDPOINT: readonly Cause[] = [
  { code: 'wrongPort', weight: 'handshake', find: findWrongPort, explains: CONSEQUENCES },
  { code: 'nameUnresolved', weight: 'handshake', find: findUnresolved, explains: CONSEQUENCES },
  {
    code: 'nameFamilyUnroutable',
    weight: 'handshake',
    find: findUnroutable,
    explains: CONSEQUENCES,
  },
  { code: 'nameElsewhere', weight: 'handshake', find: findElsewhere, explains: CONSEQUENCES },
  { code: 'noEndpoint', weight: 'handshake', find: findNoEndpoint },
];

interface Wanted {
  readonly host: string;
  readonly port: number;
  /** Who says so. */
  readonly by: string;
}

/** What is configured, by the daemon's word or by the file's. */
function wantedPlaces(evidence: Evidence, peer: OwnPeer): readonly Wanted[] {
  const file = known(evidence.files)?.hostname;
  const wish = file?.peers.find(({ publicKey }) => publicKey === peer.publicKey);
  const ofFile = (wish?.ways ?? []).map((way) => ({ ...way, by: printable(file!.path) }));
  const ofDaemon = peer.ways.map(({ host, port }) => ({ host, port, by: 'wgendpoint' }));
  return [...ofDaemon, ...ofFile];
}

function findWrongPort(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const found = portOfOther(evidence, peer) ?? portHeard(evidence, peer);
    if (found === null) return [];
    const { configured, actual, address, proof } = found;
    return [
      {
        code: 'wrongPort',
        peer: peer.publicKey,
        sentence: `wgendpoint of ${nameOf(peer)} has port ${configured}, but it is at port ${actual} of ${address}`,
        proof,
        commands: [
          `tswg ${evidence.run.name} wgpeer ${peer.publicKey} wgendpoint ${address} ${actual}`,
        ],
      },
    ];
  });
}

interface WrongPort {
  readonly configured: number;
  readonly actual: number;
  readonly address: string;
  readonly proof: readonly string[];
}

function portOfOther(evidence: Evidence, peer: OwnPeer): WrongPort | null {
  const counterpart = counterpartOf(evidence, peer);
  const calls = unansweredBy(evidence, peer);
  const { endpoint } = peer;
  if (counterpart === null || endpoint === null || calls === null) return null;
  const { listenPort } = counterpart.other;
  if (listenPort === 0 || listenPort === endpoint.port) return null;
  return {
    configured: endpoint.port,
    actual: listenPort,
    address: endpoint.address,
    proof: [
      `the other end says that it listens on port ${listenPort}`,
      `here, its endpoint is ${placeOf(peer)}`,
      calls.proof,
    ],
  };
}

/**
 * It is heard from another port than the one that is configured, where nothing listens. A NAT before
 * it changes the port, too, but then it listens where it is configured.
 */
function portHeard(evidence: Evidence, peer: OwnPeer): WrongPort | null {
  for (const { host, port, by } of wantedPlaces(evidence, peer)) {
    const heard = heardPort(evidence, peer, host, port);
    const probe = (known(evidence.probes) ?? []).find(
      (one) => one.address === host && one.port === port,
    );
    const refusal = probe?.errors.find(
      ({ meaning, from }) => meaning === 'portUnreachable' && from === host,
    );
    if (heard === null || refusal === undefined) continue;
    return {
      configured: port,
      actual: heard.port,
      address: host,
      proof: [
        heard.proof,
        `${by} says ${host} port ${port}, and a probe to there got ${refusal.error}: nothing listens`,
      ],
    };
  }
  return null;
}

function heardPort(
  evidence: Evidence,
  peer: OwnPeer,
  address: string,
  port: number,
): { readonly port: number; readonly proof: string } | null {
  const { endpoint } = peer;
  if (endpoint?.address !== address) return null;
  if (endpoint.port !== port && peer.lastHandshakeMs > 0) {
    const seconds = Math.round((evidence.run.startedMs - peer.lastHandshakeMs) / 1_000);
    return {
      port: endpoint.port,
      proof: `it was heard from ${placeOf(peer)}: the last handshake was ${counted(seconds, 'second')} ago`,
    };
  }
  const flow = wireOf(evidence, peer, 'in').find(
    ({ sourcePort, hasOurMac1 }) => sourcePort !== port && hasOurMac1 === true,
  );
  if (flow === undefined) return null;
  return {
    port: flow.sourcePort,
    proof: `over the run, ${counted(flow.packets, 'handshake message')} for our key came from ${flow.source} port ${flow.sourcePort}`,
  };
}

function namesOf(evidence: Evidence, peer: OwnPeer): readonly NameAnswer[] {
  const all = having(known(evidence.names) ?? [], 'peer', peer.publicKey);
  const ofDaemon = all.filter((one) => one.of === 'daemon');
  return ofDaemon.length > 0 ? ofDaemon : all;
}

/** It may be found by another way, or it has moved and is well: then its name does not matter now. */
function isMissed(evidence: Evidence, peer: OwnPeer): boolean {
  if (hasSession(evidence, peer) && !isOutOfContact(evidence, peer)) return false;
  return peer.endpoint === null || isOutOfContact(evidence, peer);
}

const NAME_ERRORS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such name',
  EAI_NONAME: 'there is no such name',
  EAI_NODATA: 'the name has no address',
  ENODATA: 'the name has no address',
  EAI_AGAIN: 'the name service does not answer',
  ETIMEDOUT: 'the name service does not answer',
  EAI_FAIL: 'the name service refuses',
};

function findUnresolved(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const names = namesOf(evidence, peer);
    const failed = names.filter(({ error }) => error !== null);
    const [first] = failed;
    if (first === undefined || failed.length < names.length || !isMissed(evidence, peer)) return [];
    const host = printable(first.host);
    const error = first.error ?? '';
    return [
      {
        code: 'nameUnresolved',
        peer: peer.publicKey,
        sentence: `the name of ${nameOf(peer)}, ${host}, does not resolve: ${NAME_ERRORS[error] ?? printable(error)}`,
        proof: failed.map(
          (one) =>
            `${printable(one.host)} was looked up for ${one.tookMs} ms: ${printable(one.error ?? '')}`,
        ),
        commands: [
          ...(error === 'EAI_AGAIN' ? ['cat /etc/resolv.conf'] : []),
          `getent ahosts ${shellWord(host)}`,
        ],
      },
    ];
  });
}

/** The name's addresses are all of a family that this machine has no way for. */
function findUnroutable(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    if (!isMissed(evidence, peer)) return [];
    const answers = known(evidence.routes) ?? [];
    for (const { host, addresses } of namesOf(evidence, peer)) {
      const isSix = addresses[0]?.includes(':') ?? false;
      if (addresses.length === 0 || addresses.some((one) => one.includes(':') !== isSix)) continue;
      const refused = answers.filter(
        ({ destination, answer }) => addresses.includes(destination) && answer.kind === 'none',
      );
      if (refused.length === 0 || refused.some(({ answer }) => answer.kind === 'route')) continue;
      const family = isSix ? 'IPv6' : 'IPv4';
      return [
        {
          code: 'nameFamilyUnroutable',
          peer: peer.publicKey,
          sentence: `the name of ${nameOf(peer)}, ${printable(host)}, has ${family} addresses only, and this machine has no way for ${family}`,
          proof: [
            `it means ${addresses.slice(0, 3).join(' and ')}`,
            ...refused.map(
              ({ destination, answer }) =>
                `a datagram to ${destination} is refused: ${answer.kind === 'none' ? answer.error : ''}`,
            ),
          ],
          commands: [`getent ${isSix ? 'ahostsv4' : 'ahostsv6'} ${shellWord(printable(host))}`],
        },
      ];
    }
    return [];
  });
}

function findElsewhere(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const { endpoint } = peer;
    const calls = unansweredBy(evidence, peer);
    if (endpoint === null || calls === null) return [];
    const resolved = namesOf(evidence, peer).filter(({ addresses }) => addresses.length > 0);
    const [name] = resolved;
    if (name === undefined) return [];
    if (resolved.some(({ addresses }) => addresses.includes(endpoint.address))) return [];
    const { host, port, addresses } = name;
    return [
      {
        code: 'nameElsewhere',
        peer: peer.publicKey,
        sentence: `${nameOf(peer)} is called at ${endpoint.address}, but its name, ${printable(host)}, means ${addresses[0]} now`,
        proof: [
          `${printable(host)} resolves to ${addresses.slice(0, 3).join(' and ')}`,
          `the endpoint in use is ${placeOf(peer)}`,
          calls.proof,
        ],
        commands: [
          `tswg ${evidence.run.name} wgpeer ${peer.publicKey} wgendpoint ${shellWord(printable(host))} ${port}`,
        ],
      },
    ];
  });
}

function findNoEndpoint(evidence: Evidence): Finding[] {
  const peers = peersOf(evidence);
  if (peers.some((peer) => hasSession(evidence, peer))) return [];
  return peers.flatMap((peer): Finding[] => {
    const { counters, gained } = peer;
    const before = (counters.drop_noEndpoint ?? 0) - (gained.drop_noEndpoint ?? 0);
    const waits = peer.troubles.some(({ code }) => code === 'noEndpoint');
    const isSaid = peer.endpoint !== null || namesOf(evidence, peer).length > 0;
    if (isSaid || peer.lastHandshakeMs > 0 || (before <= 0 && !waits)) return [];
    return [
      {
        code: 'noEndpoint',
        peer: peer.publicKey,
        sentence: `no endpoint of ${nameOf(peer)} is known, and it has never called: nothing can be sent to it`,
        proof: [
          `${counted(before, 'packet for it was', 'packets for it were')} dropped because of that (noEndpoint)`,
          'no wgendpoint is set, and no message has come from it',
        ],
        commands: [`tswg help wgendpoint`],
        undecided: ['it is to call us, and does not: doctor at the other end says why'],
      },
    ];
  });
}

/** A host's name has no character that a shell would take; what is none is quoted. */
function shellWord(text: string): string {
  return /^[\w.:%-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
