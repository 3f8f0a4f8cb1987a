/** Too many handshakes: cookies, a shut gate, limits, here or at the peer. Pure. */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import { hasSession, placeOf } from '../contact.ts';
import type { AnsweringDaemon, Evidence, OwnPeer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';
import { familyOf } from '../prefix.ts';

/** Longer than a call waits until it is made again, 5 s and up to a third of one. */
const LATELY_MS = 8_000;
/** The daemon's limits: of an address under load (device/ratelimiter.ts), of a peer (noise/constants.ts). */
const PACKETS_PER_SECOND = 20;
const INITIATIONS_PER_SECOND = 50;
const MS_PER_S = 1_000;

export const LOAD: readonly Cause[] = [
  {
    code: 'peerUnderLoad',
    weight: 'handshake',
    find: findPeer,
    explains: ['answersLost', 'filteredBeyond', 'silence'],
  },
  {
    code: 'gateShut',
    weight: 'some',
    find: findGate,
    explains: ['underLoad', 'rateLimited', 'receiveOverflow', 'processorSaturated'],
  },
  { code: 'underLoad', weight: 'some', find: findUnderLoad, explains: ['rateLimited'] },
  { code: 'rateLimited', weight: 'some', find: findRateLimited },
];

function findPeer(evidence: Evidence): Finding[] {
  const { name } = evidence.run;
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const told = peer.troubles.find(({ code }) => code === 'peerUnderLoad');
    const cookies = Number(told?.values.cookies ?? cookiesLately(evidence, peer));
    if (cookies === 0) return [];
    const isFirst = told === undefined;
    return [
      {
        code: 'peerUnderLoad',
        peer: peer.publicKey,
        sentence: `${nameOf(peer)} is reachable but under load: ${isFirst ? 'it wants a cookie with a handshake, and has answered none so far' : 'it answers with cookies, and has no time for our handshakes'}`,
        proof: [
          `${counted(cookies, 'cookie')} of it since the last handshake, ${peer.counters.cookies_received ?? cookies} in all, and no answer`,
          'a cookie is made for a message of ours and with that public key: our calls arrive there, and its answers here',
        ],
        commands: [
          ...(isFirst
            ? [`sleep 10; tswg ${name} doctor # the next try, after five seconds, has the cookie`]
            : []),
          `tswg ${name} doctor # at the other end: what it is busy with`,
        ],
        undecided: [
          'it is flooded with handshakes, or its processor is busy with something else',
          'a NAT on the way gives our datagrams another port at each try: a cookie holds for one address and port',
          'others have the address that we have there, as those of the same NAT have, and use up what one address may',
        ],
      },
    ];
  });
}

/** Cookies in answer to a call that has had no time yet to be silence; 0 while there is a session. */
function cookiesLately(evidence: Evidence, peer: OwnPeer): number {
  if (hasSession(evidence, peer)) return 0;
  const now = evidence.run.startedMs + evidence.run.tookMs;
  return (known(evidence.events) ?? []).filter(
    (event) =>
      event.kind === 'cookieReceived' &&
      event.peer === peer.publicKey &&
      event.timeMs > peer.lastHandshakeMs &&
      now - event.timeMs < LATELY_MS,
  ).length;
}

function findGate(evidence: Evidence): Finding[] {
  const daemon = daemonOf(evidence);
  const gate = daemon?.facts.gate ?? '';
  if (daemon === null || !gate.startsWith('shut')) return [];
  const gained = daemon.gained.drop_turnedAway ?? 0;
  return [
    {
      code: 'gateShut',
      peer: null,
      sentence: `UDP port ${daemon.listenPort} is flooded: the kernel turns most strangers away, so that a peer without a session may have to try several times`,
      proof: [
        `the gate is ${printable(daemon.facts.gate_text ?? gate)}`,
        `${counted(gained, 'datagram was', 'datagrams were')} turned away over the run, ${daemon.counters.drop_turnedAway ?? 0} in all`,
      ],
      commands: barCommands(evidence),
    },
  ];
}

function findUnderLoad(evidence: Evidence): Finding[] {
  const daemon = daemonOf(evidence);
  if (daemon === null) return [];
  const isTold = daemon.troubles.some(({ code }) => code === 'underLoad');
  const required = daemon.gained.drop_cookieRequired ?? 0;
  const full = daemon.gained.drop_handshakeQueueFull ?? 0;
  if (!isTold && required === 0 && full === 0) return [];
  // What has a cookie comes from addresses that are true, and one of them sends too much.
  if ((daemon.gained.drop_rateLimited ?? 0) > required + full) return [];
  return [
    {
      code: 'underLoad',
      peer: null,
      sentence: `so large a number of handshakes arrives that each needs a cookie first: who cannot receive one at his address does not get through`,
      proof: [
        ...(isTold ? ['the daemon says that it is under load'] : []),
        `over the run, ${counted(required, 'handshake')} without a cookie and ${full} beyond the queue were dropped, and ${counted(daemon.gained.cookies_sent ?? 0, 'cookie')} sent`,
      ],
      commands: barCommands(evidence),
    },
  ];
}

function findRateLimited(evidence: Evidence): Finding[] {
  return [...findGreedy(evidence), ...peersOf(evidence).flatMap(findRestless)];
}

function findGreedy(evidence: Evidence): Finding[] {
  const daemon = daemonOf(evidence);
  const limited = daemon?.gained.drop_rateLimited ?? 0;
  if (daemon === null || limited === 0) return [];
  const caller = greediest(evidence, daemon.listenPort);
  return [
    {
      code: 'rateLimited',
      peer: null,
      sentence: `${caller === null ? 'one address' : caller.address} sends more handshakes than are allowed to one address: the rest are dropped, those of other peers at that address, too`,
      proof: [
        `${counted(limited, 'handshake over the limit was', 'handshakes over the limit were')} dropped over the run, ${daemon.counters.drop_rateLimited ?? limited} in all (rateLimited)`,
        ...(caller === null
          ? []
          : [
              `over the run, ${counted(caller.packets, 'initiation')} came from ${caller.address} ${saysPorts(caller.ports)}, over ${caller.link}: ${PACKETS_PER_SECOND} a second are allowed`,
            ]),
        'each has a cookie of ours: the address is true, and nobody has forged it',
      ],
      commands:
        caller === null
          ? [`tcpdump -ni any udp port ${daemon.listenPort} # who sends most`]
          : dropCommands(evidence, [whoseDatagrams(daemon, caller)]),
    },
  ];
}

interface Caller {
  readonly address: string;
  readonly link: string;
  readonly ports: readonly number[];
  readonly packets: number;
}

/** Who sends most of what a tap saw, and too much; null where that was not seen. */
function greediest({ wire, run }: Evidence, port: number): Caller | null {
  const flows = (known(wire) ?? []).filter(
    ({ direction, destinationPort, message }) =>
      direction === 'in' && destinationPort === port && message === 'initiation',
  );
  const callers = [...new Set(flows.map(({ source }) => source))].map((address): Caller => {
    const own = flows.filter(({ source }) => source === address);
    return {
      address,
      link: own[0].link,
      ports: own.map(({ sourcePort }) => sourcePort),
      packets: own.reduce((sum, { packets }) => sum + packets, 0),
    };
  });
  const allowed = (PACKETS_PER_SECOND * run.tookMs) / MS_PER_S;
  const [most] = callers.sort((one, other) => other.packets - one.packets);
  return most === undefined || most.packets <= allowed ? null : most;
}

function saysPorts(ports: readonly number[]): string {
  return ports.length === 1 ? `port ${ports[0]}` : `with ${ports.length} ports`;
}

/** As words of nft. Of an address that peers are at, too, only that port's. */
function whoseDatagrams({ listenPort, peers }: AnsweringDaemon, caller: Caller): string {
  const { address, ports } = caller;
  const word = familyOf(address) === 4 ? 'ip' : 'ip6';
  const isShared = peers.some(({ endpoint }) => endpoint?.address === address);
  const from = isShared && ports.length === 1 ? ` udp sport ${ports[0]}` : '';
  return `${word} saddr ${address}${from} udp dport ${listenPort}`;
}

function findRestless(peer: OwnPeer): Finding[] {
  const dropped = peer.gained.drop_initiationFlood ?? 0;
  if (dropped === 0) return [];
  return [
    {
      code: 'rateLimited',
      peer: peer.publicKey,
      sentence: `${nameOf(peer)} begins handshakes faster than is allowed to a peer, ${INITIATIONS_PER_SECOND} a second: the rest are dropped`,
      proof: [
        `${counted(dropped, 'initiation of it was', 'initiations of it were')} dropped over the run, ${peer.counters.drop_initiationFlood ?? dropped} in all (initiationFlood), and ${counted(peer.gained.initiations_received ?? 0, 'was', 'were')} answered`,
        'only who has its private key can make them',
      ],
      commands: [],
      undecided: [
        `the program at ${placeOf(peer)} is broken: a WireGuard that works begins one in five seconds at most`,
        'somebody else has its private key, and sends them: a new key for it ends that',
      ],
    },
  ];
}

/** Where every peer's address is configured, nobody else has to be heard. */
function barCommands(evidence: Evidence): readonly string[] {
  const daemon = daemonOf(evidence);
  const peers = daemon?.peers ?? [];
  const known = peers.map((peer) => fixedAddress(evidence, peer)).filter((one) => one !== null);
  if (daemon === null || known.length === 0 || known.length < peers.length) return [];
  const families = [4, 6] as const;
  const sets = families.map((family) => known.filter((one) => familyOf(one) === family));
  const matches = sets.map((set, at) => {
    const word = at === 0 ? 'ip' : 'ip6';
    const others = set.length === 0 ? '' : ` ${word} saddr != '{ ${set.join(', ')} }'`;
    const family = at === 0 ? 'ipv4' : 'ipv6';
    return `meta nfproto ${family} udp dport ${daemon.listenPort}${others}`;
  });
  return dropCommands(evidence, matches);
}

/** Where the operator wants the peer to be, and it is; null for one that may be anywhere. */
function fixedAddress({ files }: Evidence, peer: OwnPeer): string | null {
  const { ways, endpoint, publicKey } = peer;
  if (endpoint === null) return null;
  // The daemon tells no way where a single one is a plain address, as it may be one that was learnt.
  const wished = known(files)?.hostname?.peers.find((one) => one.publicKey === publicKey);
  const isWished = wished?.ways.some(({ host }) => host === endpoint.address) === true;
  return ways.length > 0 || isWished ? endpoint.address : null;
}

/** In a table of its own, which one command takes away again. @param matches in words of nft */
function dropCommands({ run }: Evidence, matches: readonly string[]): readonly string[] {
  const table = `inet ${run.name}_peers`;
  return [
    `nft add table ${table}`,
    `nft add chain ${table} input '{ type filter hook input priority -10; }'`,
    ...matches.map((match) => `nft add rule ${table} input ${match} drop`),
  ];
}
