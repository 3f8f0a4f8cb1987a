/**
 * The packet filter of this machine: what it forbids the daemon to send, and what of the peer's calls
 * and answers it keeps from it. Pure.
 */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import { arrivalsLost, isOutOfContact, placeOf, unansweredBy, wireOf } from '../contact.ts';
import type { Chain, Evidence, Firewall, FirewallRule, Hook, OwnPeer } from '../evidence.ts';
import { known } from '../evidence.ts';
import {
  deleteCommand,
  iptablesOf,
  isDropping,
  nameChain,
  nameRule,
  pathAt,
} from '../filterpath.ts';
import type { Finding } from '../finding.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';

type Direction = 'in' | 'out';

const HOOKS: Readonly<Record<Direction, readonly Hook[]>> = {
  out: ['output', 'postrouting', 'egress'],
  in: ['ingress', 'prerouting', 'input'],
};
/** What sendmsg(2) says when a filter drops at once. */
const FORBIDDEN = 'EPERM';

export const FIREWALL: readonly Cause[] = [
  {
    code: 'forbiddenHere',
    weight: 'handshake',
    find: findForbidden,
    explains: [
      'prohibited',
      'nothingListens',
      'answersUnconfirmed',
      'answersLost',
      'natMappingLost',
    ],
  },
  {
    code: 'inboundFirewall',
    weight: 'handshake',
    find: findInbound,
    explains: ['answersUnconfirmed', 'answersLost', 'natMappingLost'],
  },
];

function findForbidden(evidence: Evidence): Finding[] {
  const daemon = daemonOf(evidence);
  if (daemon === null) return [];
  const gained = daemon.gained[`udp_${FORBIDDEN}`] ?? 0;
  const all = daemon.counters[`udp_${FORBIDDEN}`] ?? 0;
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const isRefused = (peer.gained.drop_sendFailed ?? 0) > 0 || gained > 0;
    const probe = (known(evidence.probes) ?? []).find(
      (one) => one.peer === peer.publicKey && one.sent.some(({ error }) => error === FORBIDDEN),
    );
    const isSeen = all > 0 && unansweredBy(evidence, peer) !== null;
    if (!isOutOfContact(evidence, peer) || wireOf(evidence, peer, 'out').length > 0) return [];
    if (all === 0 || !(isRefused || isSeen || probe !== undefined)) return [];
    const place = placeOfDrop(evidence, 'out', peer);
    return [
      {
        code: 'forbiddenHere',
        peer: peer.publicKey,
        sentence: `the firewall of this machine forbids what is sent to ${nameOf(peer)} at ${placeOf(peer)}${place.where}`,
        proof: [
          `the kernel refused ${counted(all, 'datagram')} of the daemon at once (sendmsg: ${FORBIDDEN})${gained === 0 ? '' : `, ${gained} of them over the run`}`,
          ...(probe === undefined ? [] : [`a probe that doctor sent there got ${FORBIDDEN}, too`]),
          ...place.proof,
        ],
        commands: place.commands,
        ...(place.isKnown ? {} : { undecided: place.undecided }),
      },
    ];
  });
}

/** It arrives on the link, and is not among what the daemon has counted in any way. */
function findInbound(evidence: Evidence): Finding[] {
  const daemon = daemonOf(evidence);
  if (daemon === null) return [];
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const arriving = arrivalsLost(evidence, peer);
    if (arriving === null || !isMissed(evidence, peer)) return [];
    const place = placeOfDrop(evidence, 'in', peer);
    if (place.isEmpty) return [];
    return [
      {
        code: 'inboundFirewall',
        peer: peer.publicKey,
        sentence: `the firewall of this machine keeps what ${nameOf(peer)} sends from the daemon${place.where}`,
        proof: [
          arriving.proof,
          'the daemon counted none of them, neither as taken nor as dropped',
          ...place.proof,
        ],
        commands: place.commands,
        ...(place.isKnown ? {} : { undecided: place.undecided }),
      },
    ];
  });
}

/** Messages arrive for it, so that silence counts also where we did not call. */
function isMissed(evidence: Evidence, peer: OwnPeer): boolean {
  return isOutOfContact(evidence, peer) || peer.lastHandshakeMs === 0;
}

interface Place {
  /** A rule counted it. */
  readonly isKnown: boolean;
  /** Nothing that could drop is seen. */
  readonly isEmpty: boolean;
  /** Of the sentence. */
  readonly where: string;
  readonly proof: readonly string[];
  readonly commands: readonly string[];
  readonly undecided: readonly string[];
}

const NOWHERE: Omit<Place, 'isEmpty' | 'undecided'> = {
  isKnown: false,
  where: '',
  proof: [],
  commands: [],
};

/** What of the filter did it, or can have done it. */
function placeOfDrop(evidence: Evidence, direction: Direction, peer: OwnPeer): Place {
  const { firewall } = evidence;
  if (!firewall.ok) {
    const because = printable(firewall.because);
    const undecided = [`which rule it is cannot be looked at: ${because}`];
    return { ...NOWHERE, isEmpty: true, undecided };
  }
  const port = daemonOf(evidence)?.listenPort ?? 0;
  const family = peer.endpoint?.address.includes(':') ? 6 : 4;
  const { chains, rules } = possiblePath(firewall.value, HOOKS[direction], family);
  const guilty = rules
    .filter((rule) => (rule.gainedPackets ?? 0) > 0)
    .sort((a, b) => Number(isAboutPort(b, port)) - Number(isAboutPort(a, port)));
  const [rule] = guilty;
  if (rule !== undefined) return knownPlace(rule);
  const mute = rules.filter(({ packets }) => packets === null);
  const closed = chains.filter(({ policy }) => policy === 'drop');
  if (mute.length === 0 && closed.length === 0) {
    const unseen = firewall.value.unseen.map(printable);
    const undecided = unseen.map((what) => `which rule it is cannot be seen: ${what}`);
    return { ...NOWHERE, isEmpty: true, undecided };
  }
  return possiblePlace(mute, closed, `udp ${direction === 'out' ? 'sport' : 'dport'} ${port}`);
}

function possiblePath(
  firewall: Firewall,
  hooks: readonly Hook[],
  family: 4 | 6,
): { readonly chains: readonly Chain[]; readonly rules: readonly FirewallRule[] } {
  const other = family === 4 ? 'ip6' : 'ip';
  const paths = hooks.flatMap((hook) =>
    (['filter', 'route'] as const).map((kind) => pathAt(firewall, hook, kind)),
  );
  return {
    chains: paths.flatMap(({ chains }) => chains).filter((one) => one.family !== other),
    rules: paths
      .flatMap(({ rules }) => rules)
      .filter((rule) => rule.family !== other && isDropping(rule)),
  };
}

function isAboutPort({ text }: FirewallRule, port: number): boolean {
  return text.split(/[^\d]+/).includes(`${port}`);
}

function knownPlace(rule: FirewallRule): Place {
  return {
    isKnown: true,
    isEmpty: false,
    where: `: ${nameRule(rule)}, \`${printable(rule.text)}\``,
    proof: [
      `this rule counted ${counted(rule.gainedPackets ?? 0, 'packet')} over the run, ${rule.packets} in all`,
    ],
    commands: [deleteCommand(rule)],
    undecided: [],
  };
}

/** Without a counter nobody knows: what can drop is named, and that it is not known which did. */
function possiblePlace(
  mute: readonly FirewallRule[],
  closed: readonly Chain[],
  match: string,
): Place {
  const names = [
    ...mute.map((one) => `${nameRule(one)}, \`${printable(one.text)}\``),
    ...closed.map((one) => `the policy of ${nameChain(one)}`),
  ];
  const isOne = names.length === 1;
  const places = [...mute, ...closed];
  return {
    isKnown: false,
    isEmpty: false,
    where: isOne ? `: ${names[0]} can do so` : '',
    proof: names.map((one) => `${one} can drop it, and has no counter`),
    commands: [...new Set(places.map((one) => acceptCommand(one, match)))],
    undecided: [
      isOne
        ? 'nothing counts there, so that it is not seen at work'
        : `which of these ${names.length} it is cannot be seen without a counter in them: \`nft monitor trace\` or a \`counter\` in each shows it`,
    ],
  };
}

/** Lets the tunnel's datagrams pass before the rule, or before the end of the chain. */
function acceptCommand(place: FirewallRule | Chain, match: string): string {
  const { tool, family, table } = place;
  const chain = 'chain' in place ? place.chain : place.name;
  if (tool === 'nft') return `nft insert rule ${family} ${table} ${chain} ${match} accept`;
  const [, side, port] = match.split(' ');
  return `${iptablesOf(place)} -t ${table} -I ${chain} -p udp --${side} ${port} -j ACCEPT`;
}
