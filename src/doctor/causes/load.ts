/** Too many handshakes: cookies, a shut gate, limits, here or at the peer. Pure. */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import type { Evidence, OwnPeer } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';
import { familyOf } from '../prefix.ts';

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
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const told = peer.troubles.find(({ code }) => code === 'peerUnderLoad');
    if (told === undefined) return [];
    return [
      {
        code: 'peerUnderLoad',
        peer: peer.publicKey,
        sentence: `${nameOf(peer)} is reachable but under load: it answers with cookies, and has no time for our handshakes`,
        proof: [
          `${counted(Number(told.values.cookies), 'cookie')} of it since the last handshake, ${peer.counters.cookies_received ?? told.values.cookies} in all, and no answer`,
        ],
        commands: [],
        undecided: [
          'its processor is busy with something else, or it is flooded: doctor at that end decides',
        ],
      },
    ];
  });
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
  const daemon = daemonOf(evidence);
  const limited = daemon?.gained.drop_rateLimited ?? 0;
  const ofPeers = peersOf(evidence).filter(({ gained }) => (gained.drop_initiationFlood ?? 0) > 0);
  const general: Finding[] =
    limited === 0
      ? []
      : [
          {
            code: 'rateLimited',
            peer: null,
            sentence: `one address sends more handshakes than are allowed to one: the rest are dropped, those of other peers at that address, too`,
            proof: [
              `${counted(limited, 'handshake over the limit was', 'handshakes over the limit were')} dropped over the run, ${daemon?.counters.drop_rateLimited ?? limited} in all (rateLimited)`,
            ],
            commands: [],
          },
        ];
  return [...general, ...ofPeers.map(floodFinding)];
}

function floodFinding(peer: OwnPeer): Finding {
  return {
    code: 'rateLimited',
    peer: peer.publicKey,
    sentence: `${nameOf(peer)} begins handshakes faster than is allowed to it`,
    proof: [
      `${counted(peer.gained.drop_initiationFlood, 'initiation of it was', 'initiations of it were')} dropped over the run, ${peer.counters.drop_initiationFlood} in all (initiationFlood)`,
    ],
    commands: [],
    undecided: ['two machines have its private key, and both begin: its endpoint changes then'],
  };
}

/** Where every peer's address is configured, nobody else has to be heard. */
function barCommands(evidence: Evidence): readonly string[] {
  const daemon = daemonOf(evidence);
  const peers = daemon?.peers ?? [];
  const places = peers.map(({ ways, endpoint }) => (ways.length === 0 ? null : endpoint?.address));
  const known = places.filter((one) => one !== null && one !== undefined);
  if (daemon === null || known.length === 0 || known.length < peers.length) return [];
  const table = `inet ${evidence.run.name}_peers`;
  const families = [4, 6] as const;
  const sets = families.map((family) => known.filter((one) => familyOf(one) === family));
  const rules = sets.map((set, at) => {
    const word = at === 0 ? 'ip' : 'ip6';
    const others = set.length === 0 ? '' : ` ${word} saddr != '{ ${set.join(', ')} }'`;
    const family = at === 0 ? 'ipv4' : 'ipv6';
    return `nft add rule ${table} input meta nfproto ${family} udp dport ${daemon.listenPort}${others} drop`;
  });
  return [
    `nft add table ${table}`,
    `nft add chain ${table} input '{ type filter hook input priority -10; }'`,
    ...rules,
  ];
}
