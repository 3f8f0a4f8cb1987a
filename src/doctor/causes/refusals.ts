/**
 * The network says why: nothing listens there, the machine or its network cannot be reached, or
 * somebody on the way forbids it. Pure.
 */

import type { Cause } from '../cause.ts';
import { placeOf, unansweredBy, unconfirmedBy, unheardBy } from '../contact.ts';
import type { Evidence, OwnPeer } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { errorsInEarnest, type NetworkError } from '../icmperrors.ts';
import { counterpartOf } from '../otherend.ts';
import { nameOf, peersOf } from '../peer.ts';

const CONSEQUENCES = ['answersUnconfirmed', 'answersLost'];

export const REFUSALS: readonly Cause[] = [
  {
    code: 'prohibited',
    weight: 'handshake',
    find: (evidence) => findOf(evidence, prohibitedFinding),
    explains: ['nothingListens', 'hostUnreachable', 'networkUnreachable', ...CONSEQUENCES],
  },
  {
    code: 'nothingListens',
    weight: 'handshake',
    find: (evidence) => findOf(evidence, nothingListensFinding),
    explains: CONSEQUENCES,
  },
  {
    code: 'hostUnreachable',
    weight: 'handshake',
    find: (evidence) => findOf(evidence, hostFinding),
    explains: CONSEQUENCES,
  },
  {
    code: 'networkUnreachable',
    weight: 'handshake',
    find: (evidence) => findOf(evidence, networkFinding),
    explains: CONSEQUENCES,
  },
];

type Told = (evidence: Evidence, peer: OwnPeer, errors: readonly NetworkError[]) => Finding | null;

function findOf(evidence: Evidence, tell: Told): Finding[] {
  return peersOf(evidence)
    .filter(({ endpoint }) => endpoint !== null)
    .map((peer) => tell(evidence, peer, errorsInEarnest(evidence, peer)))
    .filter((finding) => finding !== null);
}

function proofOf(
  evidence: Evidence,
  peer: OwnPeer,
  errors: readonly NetworkError[],
): readonly string[] {
  const calls = unansweredBy(evidence, peer) ?? unconfirmedBy(peer);
  const silence = calls?.proof ?? unheardBy(evidence, peer);
  const told = errors.map(({ proof }) => proof);
  return [...new Set([...told, ...(silence === null ? [] : [silence])])];
}

/** A firewall that rejects says `prohibited`, or what a closed port says, but is not the endpoint. */
function prohibitedFinding(
  evidence: Evidence,
  peer: OwnPeer,
  errors: readonly NetworkError[],
): Finding | null {
  const said = errors.filter(
    ({ meaning, from }) =>
      from !== null &&
      (meaning === 'prohibited' ||
        (meaning === 'portUnreachable' && from !== peer.endpoint?.address)),
  );
  const [first] = said;
  if (first === undefined) return null;
  const isThere = first.from === peer.endpoint?.address;
  const { name } = evidence.run;
  const port = peer.endpoint?.port;
  return {
    code: 'prohibited',
    peer: peer.publicKey,
    sentence: isThere
      ? `the firewall of ${nameOf(peer)} at ${first.from} rejects our datagrams to port ${port}`
      : `${first.from}, a router or firewall on the way, rejects our datagrams to ${nameOf(peer)} at ${placeOf(peer)}`,
    proof: proofOf(evidence, peer, said),
    commands: isThere
      ? [`nft insert rule inet filter input udp dport ${port} accept # at the other end`]
      : [
          `tswg ${name} wgpeer ${peer.publicKey} wgendpoint ${peer.endpoint?.address} 443 # if ${first.from} lets only known ports pass; the other end needs wgport 443 then`,
        ],
  };
}

function nothingListensFinding(
  evidence: Evidence,
  peer: OwnPeer,
  errors: readonly NetworkError[],
): Finding | null {
  const said = errors.filter(
    ({ meaning, from }) => meaning === 'portUnreachable' && from === peer.endpoint?.address,
  );
  if (said.length === 0) return null;
  const { name } = evidence.run;
  const isSurelyRight = counterpartOf(evidence, peer)?.other.listenPort === peer.endpoint?.port;
  return {
    code: 'nothingListens',
    peer: peer.publicKey,
    sentence: `nothing listens at ${placeOf(peer)}, where ${nameOf(peer)} is to be: its daemon does not run there, or has another port`,
    proof: proofOf(evidence, peer, said),
    commands: [
      `tswg ${name} doctor # at the other end, whose interface is taken to have the same name`,
      ...(isSurelyRight
        ? []
        : [
            `tswg ${name} wgpeer ${peer.publicKey} wgendpoint ${peer.endpoint?.address} 51820 # if its wgport is 51820`,
          ]),
    ],
    undecided: [
      'a firewall of that machine rejects with the same ICMP message: `nft list ruleset` there shows it',
    ],
  };
}

function hostFinding(
  evidence: Evidence,
  peer: OwnPeer,
  errors: readonly NetworkError[],
): Finding | null {
  const said = errors.filter(({ meaning }) => meaning === 'hostUnreachable');
  const [first] = said;
  if (first === undefined) return null;
  const address = peer.endpoint?.address;
  return {
    code: 'hostUnreachable',
    peer: peer.publicKey,
    sentence:
      first.from === null
        ? `nobody answers for the next hop to ${address}, where ${nameOf(peer)} is to be: the kernel of this machine gave up`
        : `${first.from} cannot reach ${address}, where ${nameOf(peer)} is to be: that machine is off, or has another address`,
    proof: proofOf(evidence, peer, said),
    commands: [
      first.from === null ? `ip route get ${address}` : `ping -c 3 ${address}`,
      ...(first.from === null ? ['ip neighbour show'] : []),
    ],
  };
}

function networkFinding(
  evidence: Evidence,
  peer: OwnPeer,
  errors: readonly NetworkError[],
): Finding | null {
  const said = errors.filter(({ meaning }) => meaning === 'networkUnreachable');
  const from = said.find((one) => one.from !== null)?.from;
  if (said.length === 0 || from === undefined) return null;
  const address = peer.endpoint?.address;
  return {
    code: 'networkUnreachable',
    peer: peer.publicKey,
    sentence: `${from}, a router on the way, knows no way to ${address}, where ${nameOf(peer)} is to be`,
    proof: proofOf(evidence, peer, said),
    commands: [`traceroute -n -U -p ${peer.endpoint?.port} ${address}`],
  };
}
