/**
 * Nothing comes back, and nobody says why: what remains once all else is excluded, and which end's
 * packets are lost, where that can be known. Pure.
 */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import {
  type Arrivals,
  arrivalsLost,
  endpointRoute,
  isAnswerDue,
  placeOf,
  unansweredBy,
  unconfirmedBy,
  wireOf,
} from '../contact.ts';
import type { Evidence, OwnPeer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { type Counterpart, counterpartOf } from '../otherend.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';

const MS_PER_S = 1_000;

export const SILENCE: readonly Cause[] = [
  {
    code: 'answersLost',
    weight: 'handshake',
    find: findAnswersLost,
    explains: ['answersUnconfirmed', 'silence', 'filteredBeyond'],
  },
  { code: 'answersUnconfirmed', weight: 'handshake', find: findUnconfirmed },
  { code: 'filteredBeyond', weight: 'handshake', find: findFiltered, explains: ['silence'] },
  { code: 'silence', weight: 'handshake', find: findSilence, isLastResort: true },
  { code: 'noAnswerYet', weight: 'handshake', find: findNoAnswerYet, isLastResort: true },
];

/**
 * It calls again and again although we answer, and our own calls bring nothing: another preshared key
 * would show in its answers to those, so that they do not arrive.
 */
function findAnswersLost(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const answers = unconfirmedBy(peer);
    if (answers === null) return [];
    const inVain = callsInVain(evidence, peer);
    const counterpart = counterpartOf(evidence, peer);
    if (inVain === null && !isUnheardBy(counterpart)) return [];
    return [
      {
        code: 'answersLost',
        peer: peer.publicKey,
        sentence: `what ${nameOf(peer)} sends arrives here, and what we send to ${placeOf(peer)} does not arrive there`,
        proof: [
          answers.proof,
          ...(inVain === null ? [] : [inVain]),
          ...saysUnheard(counterpart),
          ...leaving(evidence, peer),
        ],
        commands: [
          `tcpdump -ni any udp and host ${ourAddress(evidence, peer)} # at the other end: whether our datagrams arrive on its link`,
        ],
      },
    ];
  });
}

/** Calls of ours to a peer that is there, and has not answered one; null where we did not call. */
function callsInVain(evidence: Evidence, peer: OwnPeer): string | null {
  const isAnswered = wireOf(evidence, peer, 'in').some(({ message }) => message === 'response');
  if (isAnswered) return null;
  const { initiations_sent: sent = 0, responses_received: heard = 0 } = peer.gained;
  const { initiations_sent: sentEver = 0, responses_received: heardEver = 0 } = peer.counters;
  const tells = 'were it the preshared key, an answer would come that does not decrypt';
  if (sent > 0 && heard === 0) {
    return `over the run, ${counted(sent, 'initiation')} of ours brought no answer: ${tells}`;
  }
  // The last one may be on its way.
  if (sentEver < 2 || heardEver > 0) return null;
  return `none of our initiations, ${sentEver} so far, brought an answer: ${tells}`;
}

/** By its own word, the other end has sent calls and had no answer of ours. */
function isUnheardBy(counterpart: Counterpart | null): boolean {
  const counters = counterpart?.us.counters;
  if (counters === undefined) return false;
  const { initiations_sent: sent = 0, responses_received: heard = 0 } = counters;
  return sent > 0 && heard === 0 && (counters.drop_badHandshake ?? 0) === 0;
}

function saysUnheard(counterpart: Counterpart | null): string[] {
  if (counterpart === null || !isUnheardBy(counterpart)) return [];
  const { initiations_sent: sent = 0 } = counterpart.us.counters;
  return [`the other end says that it sent ${counted(sent, 'initiation')} and received no answer`];
}

function findUnconfirmed(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const answers = unconfirmedBy(peer);
    if (answers === null) return [];
    const { name } = evidence.run;
    const has = peer.hasPresharedKey === true ? 'a preshared key is' : 'no preshared key is';
    return [
      {
        code: 'answersUnconfirmed',
        peer: peer.publicKey,
        sentence: `${nameOf(peer)} calls from ${placeOf(peer)} and cannot use our answers: they do not arrive there, or the preshared keys differ`,
        proof: [answers.proof, `${has} set for it here`, ...leaving(evidence, peer)],
        commands: [
          `tswg ${name} doctor # at the other end: an answer that arrives and does not decrypt is seen there`,
        ],
        undecided: [
          `the preshared keys differ, or only one end has one: \`tswg ${name} --json\` there, given to doctor here with --other, tells`,
          `our answers do not arrive: doctor can tell here ${whenWeCall(evidence)}`,
        ],
      },
    ];
  });
}

function whenWeCall({ pings }: Evidence): string {
  return pings.ok
    ? 'as soon as we call it, too, as after a ping to one of its inner addresses'
    : 'without --quick, since its pings make us call it, too';
}

/** The keys match at both ends, and still no call arrives there. */
function findFiltered(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const calls = unansweredBy(evidence, peer);
    const counterpart = counterpartOf(evidence, peer);
    if (calls === null || counterpart === null || unconfirmedBy(peer) !== null) return [];
    const { other, us } = counterpart;
    if (other.listenPort !== peer.endpoint?.port || !other.flags.includes('UP')) return [];
    const { initiations_received: heard = 0, responses_sent: answered = 0 } = us.counters;
    const isHeard = heard > 0 && answered > 0 && us.lastHandshakeMs === 0;
    if (heard > 0 && !isHeard) return [];
    return [
      {
        code: 'filteredBeyond',
        peer: peer.publicKey,
        sentence: isHeard
          ? `our calls reach ${nameOf(peer)}, and its answers are lost on their way here, without a word`
          : `what we send to ${nameOf(peer)} at ${placeOf(peer)} is dropped beyond this machine, without a word`,
        proof: [
          calls.proof,
          isHeard
            ? `the other end says that it received ${counted(heard, 'initiation')} of ours and sent ${counted(answered, 'answer')}`
            : 'the other end says that it received no initiation of ours',
          `each end has the public key of the other, and it listens on port ${other.listenPort}`,
          ...leaving(evidence, peer),
        ],
        commands: isHeard
          ? [
              `tcpdump -ni any udp and host ${peer.endpoint.address} # here: whether its answers arrive`,
            ]
          : [
              `nft insert rule inet filter input udp dport ${other.listenPort} accept # at the other end, if it filters; else ask who runs the network between`,
            ],
      },
    ];
  });
}

function findSilence(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const calls = unansweredBy(evidence, peer);
    if (calls === null || peer.endpoint === null) return [];
    const arrivals = arrivalsLost(evidence, peer);
    if (arrivals !== null) return [lostHere(evidence, peer, arrivals, calls.proof)];
    if (isCrossed(evidence, peer)) return [];
    const { name } = evidence.run;
    const { port } = peer.endpoint;
    const wasThere = peer.lastHandshakeMs > 0;
    const isHeard = evidence.icmp.ok || evidence.probes.ok;
    return [
      {
        code: 'silence',
        peer: peer.publicKey,
        sentence: `nothing comes back from ${nameOf(peer)} at ${placeOf(peer)}, and ${isHeard ? 'nobody says why' : 'why cannot be seen'}: a firewall there or on the way drops it, or ${wasThere ? 'it is off' : 'the keys do not match'}`,
        proof: [
          calls.proof,
          ...leaving(evidence, peer),
          ...excluded(evidence, peer),
          ...(wasThere ? [saysLast(evidence, peer)] : ['there has never been a handshake with it']),
        ],
        commands: [
          `tswg ${name} doctor # at the other end: what arrives there and why it is refused is seen there only`,
          `tswg ${name} --json >other.json # at the other end; then here: tswg ${name} doctor --other other.json`,
        ],
        undecided: [
          ...unheard(evidence),
          `a firewall at the other end or on the way drops UDP port ${port}: \`tcpdump -ni any udp port ${port}\` there sees nothing of ours then`,
          ...(wasThere
            ? [
                'that machine is off or has moved, or one of the two ends has another key since then',
              ]
            : [
                `${peer.publicKey} is not the public key of the other end: \`tswg ${name}\` there has a \`trouble: mac1\` then`,
                `our public key, ${daemonOf(evidence)?.publicKey}, is no peer there: \`tswg ${name}\` there has a \`trouble: stranger\` then`,
              ]),
        ],
      },
    ];
  });
}

/**
 * It was called a moment ago: what --quick does not wait for, or what has begun as doctor ended. Or it
 * calls us, so that the next call of either may be well, and the next ones tell if they are not.
 */
function findNoAnswerYet(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const calls = unansweredBy(evidence, peer);
    const isEarly =
      calls === null
        ? isAnswerDue(peer)
        : isCrossed(evidence, peer) && arrivalsLost(evidence, peer) === null;
    if (peer.endpoint === null || !isEarly) return [];
    const { packets_waiting: waiting = 0 } = peer.counters;
    const { initiations_received: received = 0 } = peer.gained;
    return [
      {
        code: 'noAnswerYet',
        peer: peer.publicKey,
        sentence: `${nameOf(peer)} at ${placeOf(peer)} has been called and has not answered so far: it is too early to tell why`,
        proof: [
          calls?.proof ??
            `${counted(waiting, 'packet waits', 'packets wait')} for a handshake with it`,
          ...saysBegun(evidence, peer),
          ...(received === 0 ? [] : [`over the run, it called ${counted(received, 'time')}`]),
          ...(peer.lastHandshakeMs > 0 ? [] : ['there has never been a handshake with it']),
        ],
        commands: [
          `tswg ${evidence.run.name} doctor # in some seconds, and without --quick, which does not wait for the next call`,
        ],
        undecided: [
          'its answer is on its way: then doctor finds nothing the next time',
          'its answer, or ours to its own calls, does not arrive: the next calls tell',
        ],
      },
    ];
  });
}

function saysBegun({ events, run }: Evidence, { publicKey }: OwnPeer): string[] {
  const begun = (known(events) ?? []).findLast(
    ({ kind, peer, values }) =>
      kind === 'handshakeBegun' && peer === publicKey && values.by === 'us',
  );
  if (begun === undefined) return [];
  const seconds = Math.max(0, run.startedMs + run.tookMs - begun.timeMs) / MS_PER_S;
  return [`the daemon began to call it ${seconds.toFixed(1)} s ago`];
}

/**
 * It answers, and too late: both ends called at once, and each gave up its own call for the other's. The
 * next ones are apart (whitepaper 6.1).
 */
function isCrossed(evidence: Evidence, peer: OwnPeer): boolean {
  const isAnswering = wireOf(evidence, peer, 'in').some(
    ({ message, hasOurMac1 }) => message === 'response' && hasOurMac1 === true,
  );
  return isAnswering || (peer.gained.initiations_received ?? 0) > 0;
}

/** No filter here is seen that could have dropped it: firewall.ts would have found that one. */
function lostHere(
  { firewall }: Evidence,
  peer: OwnPeer,
  arrivals: Arrivals,
  calls: string,
): Finding {
  const unseen = firewall.ok ? firewall.value.unseen : [firewall.because];
  return {
    code: 'silence',
    peer: peer.publicKey,
    sentence: `what ${nameOf(peer)} sends reaches ${arrivals.link}, a link of this machine, and not the daemon: something here drops it that cannot be seen`,
    proof: [
      arrivals.proof,
      'the daemon counted none of them, neither as taken nor as dropped',
      calls,
    ],
    commands: [`tc filter show dev ${arrivals.link} ingress`, 'nft list ruleset'],
    undecided: [
      ...unseen.map(
        (because) =>
          `a rule of the packet filter, of which this cannot be looked at: ${printable(because)}`,
      ),
      'rp_filter, tc, XDP or a policy of IPsec drops it: their counters rise with each message that comes',
    ],
  };
}

function saysLast({ run }: Evidence, { lastHandshakeMs }: OwnPeer): string {
  const seconds = Math.round((run.startedMs - lastHandshakeMs) / MS_PER_S);
  return `the last handshake with it was ${counted(seconds, 'second')} ago: the keys were right then`;
}

function leaving(evidence: Evidence, peer: OwnPeer): string[] {
  const out = wireOf(evidence, peer, 'out');
  if (out.length === 0) return [];
  const packets = out.reduce((sum, flow) => sum + flow.packets, 0);
  const [{ link, source, sourcePort }] = out;
  return [
    `over the run, ${counted(packets, 'handshake message')} left by ${link}, from ${source} port ${sourcePort}`,
  ];
}

/** Whoever rejects it may have said so. */
function unheard({ icmp, probes }: Evidence): string[] {
  if (icmp.ok || probes.ok) return [];
  return [`somebody rejects it and says so by ICMP, which cannot be looked at: ${icmp.because}`];
}

/** What was looked at and found well: the reader need not look again. */
function excluded(evidence: Evidence, peer: OwnPeer): string[] {
  const asked = endpointRoute(evidence, peer);
  const route = asked?.answer.kind === 'route' ? asked.answer.route : null;
  const way =
    route === null
      ? []
      : [
          `the way there is ${route.prefix}${route.gateway === null ? '' : ` via ${route.gateway}`} over ${route.link}`,
        ];
  const icmp = known(evidence.icmp);
  return [...way, ...(icmp === null ? [] : ['no ICMP error came back'])];
}

function ourAddress(evidence: Evidence, peer: OwnPeer): string {
  const [flow] = wireOf(evidence, peer, 'out');
  const asked = endpointRoute(evidence, peer);
  const route = asked?.answer.kind === 'route' ? asked.answer.route : null;
  return flow?.source ?? route?.source ?? '0.0.0.0';
}
