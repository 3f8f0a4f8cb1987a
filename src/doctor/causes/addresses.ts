/** The interface's own addresses: none of a family, too small a network, or the peer's own. Pure. */

import { counted } from '../../counted.ts';
import { formatAddress, parsePrefix } from '../../packet/address.ts';
import type { Cause } from '../cause.ts';
import type { Evidence, InnerFlow, LinkAddress, OwnPeer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { flowsForOthers } from '../innerflows.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';
import {
  addressOf,
  commonLength,
  covers,
  familyOf,
  isCovered,
  isHost,
  isScoped,
  lengthOf,
  overlap,
} from '../prefix.ts';
import { connectedNetworks, innerAddresses, routesInto } from '../tunnelroutes.ts';

const FAMILIES = [4, 6] as const;
/** What a tunnel's network usually has: two addresses that differ after it are meant to share it. */
const USUAL_LENGTH = { 4: 24, 6: 64 } as const;
const WORD = { 4: 'inet', 6: 'inet6' } as const;
const FAMILY_NAME = { 4: 'IPv4', 6: 'IPv6' } as const;
/** The network may bring some back; nobody else sends from our address. */
const OWN_SOURCE_MIN = 3;

export const ADDRESSES: readonly Cause[] = [
  {
    code: 'sameInnerAddress',
    weight: 'traffic',
    find: findSame,
    explains: ['nothingComesBack', 'otherLacksAllowedIps'],
  },
  {
    code: 'addressMissing',
    weight: 'traffic',
    find: findMissing,
    explains: ['nothingComesBack', 'otherLacksAllowedIps'],
  },
  { code: 'wrongPrefixLength', weight: 'traffic', find: findWrongLength },
];

/** Families in which peers have single addresses or networks, and the interface nothing at all. */
export function missingFamilies(evidence: Evidence): readonly (4 | 6)[] {
  if (known(evidence.link)?.isUp !== true || !evidence.table.ok) return [];
  const ways = routesInto(evidence);
  const isOf = (family: 4 | 6) => (one: string) => familyOf(one) === family;
  return FAMILIES.filter((family) => {
    const allowed = peersOf(evidence)
      .flatMap(({ allowedIps }) => allowedIps)
      .filter((one) => familyOf(one) === family && lengthOf(one) > 0 && !isScoped(one));
    const isBare = !innerAddresses(evidence).some(isOf(family));
    return allowed.length > 0 && isBare && !ways.some(({ prefix }) => familyOf(prefix) === family);
  });
}

function findMissing(evidence: Evidence): Finding[] {
  return missingFamilies(evidence).map((family) => {
    const { name } = evidence.run;
    const allowed = peersOf(evidence)
      .flatMap(({ allowedIps }) => allowedIps)
      .filter((one) => familyOf(one) === family);
    const wanted = wantedAddress(evidence, family);
    return {
      code: 'addressMissing',
      peer: null,
      sentence: `${name} has no ${FAMILY_NAME[family]} address, and no such route leads into it: nothing can be sent to ${some(allowed)}`,
      proof: [
        `${name} has ${innerAddresses(evidence).join(' and ') || 'no address'}`,
        `${counted(allowed.length, 'wgaip is', 'wgaip are')} of ${FAMILY_NAME[family]}`,
        ...(wanted === null ? [] : [wanted.proof]),
      ],
      commands: [
        wanted === null
          ? `tswg ${name} ${WORD[family]} ADDRESS/LENGTH # the address that the other end has as the wgaip of our key`
          : `tswg ${name} ${WORD[family]} ${wanted.address}`,
      ],
    };
  });
}

function some(prefixes: readonly string[]): string {
  const [first, second] = prefixes;
  if (prefixes.length <= 2) return [first, second].filter(Boolean).join(' and ');
  return `${first} and ${prefixes.length - 1} others`;
}

/** What the interface is to have by the hostname file, the other end's allowed IPs, or its packets. */
function wantedAddress(
  evidence: Evidence,
  family: 4 | 6,
): { readonly address: string; readonly proof: string } | null {
  const file = known(evidence.files)?.hostname;
  const wished = file?.addresses.find((one) => familyOf(one) === family);
  if (file && wished !== undefined) {
    return { address: wished, proof: `${file.path} has ${WORD[family]} ${wished}` };
  }
  const own = daemonOf(evidence)?.publicKey;
  const other = known(evidence.other);
  const us = other?.peers.find(({ publicKey }) => publicKey === own);
  const allowed = us?.allowedIps.find((one) => familyOf(one) === family && isHost(one));
  if (allowed === undefined) return expectedAddress(evidence, family);
  const theirs = other?.addresses.find((one) => familyOf(one) === family) ?? allowed;
  const address = `${addressOf(allowed)}/${lengthOf(theirs)}`;
  return { address, proof: `at the other end, the wgaip of our key has ${allowed}` };
}

/** What the other end sends to an address that the interface is to have: one in a network of its own. */
export function flowForUs(evidence: Evidence, family: 4 | 6): InnerFlow | null {
  if (innerAddresses(evidence).some((one) => familyOf(one) === family)) return null;
  const length = USUAL_LENGTH[family];
  const hosts = peersOf(evidence)
    .flatMap(({ allowedIps }) => allowedIps)
    .filter((one) => familyOf(one) === family && isHost(one));
  const flows = flowsForOthers(evidence, family);
  // Without the wgaip it can be any of them.
  if (daemonOf(evidence) === null) return flows[0] ?? null;
  const found = flows.find(({ destination }) =>
    hosts.some((one) => addressOf(one) !== destination && commonLength(destination, one) >= length),
  );
  return found ?? null;
}

function expectedAddress(
  evidence: Evidence,
  family: 4 | 6,
): { readonly address: string; readonly proof: string } | null {
  const flow = flowForUs(evidence, family);
  if (flow === null) return null;
  const { packets, destination } = flow;
  return {
    address: `${destination}/${USUAL_LENGTH[family]}`,
    proof: `over the run, ${counted(packets, 'packet')} came out of the tunnel for ${destination}, which this machine has not`,
  };
}

/** A peer's address that our own would share a network with, if that were not so small. */
export interface Outsider {
  readonly prefix: string;
  readonly own: LinkAddress;
}

export function outsiders(evidence: Evidence, peer: OwnPeer): readonly Outsider[] {
  if (!evidence.table.ok) return [];
  const own = (known(evidence.link)?.addresses ?? []).filter((one) => !one.isLinkLocal);
  const ways = routesInto(evidence);
  return peer.allowedIps.filter(isHost).flatMap((prefix): Outsider[] => {
    const isReached = ways.some((route) => overlap(route.prefix, prefix));
    if (isReached || isCovered(prefix, connectedNetworks(evidence))) return [];
    const near = own.find(
      ({ address, length, destination }) =>
        destination === null &&
        address !== addressOf(prefix) &&
        length > USUAL_LENGTH[familyOf(prefix)] &&
        commonLength(address, prefix) >= USUAL_LENGTH[familyOf(prefix)],
    );
    return near === undefined ? [] : [{ prefix, own: near }];
  });
}

function findWrongLength(evidence: Evidence): Finding[] {
  const { name } = evidence.run;
  return peersOf(evidence).flatMap((peer) => {
    const byOwn = new Map<LinkAddress, string[]>();
    for (const { prefix, own } of outsiders(evidence, peer)) {
      byOwn.set(own, [...(byOwn.get(own) ?? []), prefix]);
    }
    return [...byOwn].map(([own, prefixes]) => {
      const family = familyOf(own.address);
      const inner = prefixes.map(addressOf).join(' and ');
      return {
        code: 'wrongPrefixLength',
        peer: peer.publicKey,
        sentence: `${own.address}/${own.length} of ${name} is a network without ${inner} of ${nameOf(peer)}: its prefix is too long, and there is no route`,
        proof: [
          `${own.address} and ${inner} share their first ${Math.min(...prefixes.map((one) => commonLength(own.address, one)))} bits, the network has ${own.length}`,
          `of ${counted(routesInto(evidence).length, 'route')} over ${name} none is for ${prefixes.join(' or ')}`,
        ],
        commands: [
          `tswg ${name} ${WORD[family]} ${own.address}/${fittingLength(own.address, prefixes)}`,
        ],
      };
    });
  });
}

/** The usual one, unless a shorter one is needed. */
function fittingLength(own: string, prefixes: readonly string[]): number {
  const common = prefixes.map((one) => commonLength(own, one));
  return Math.min(USUAL_LENGTH[familyOf(own)], ...common);
}

function findSame(evidence: Evidence): Finding[] {
  const own = innerAddresses(evidence);
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const allowed = peer.allowedIps.find((one) => isHost(one) && own.includes(addressOf(one)));
    const theirs = addressesOver(evidence, peer).find((one) => own.includes(one));
    const dropped = peer.counters.drop_ownSource ?? 0;
    const isSeen = dropped >= OWN_SOURCE_MIN && own.length > 0;
    const proof = [
      ...(theirs === undefined ? [] : [`the other end says that it has ${theirs}, as we have`]),
      ...(allowed === undefined
        ? []
        : [`its wgaip ${allowed} is the address of ${evidence.run.name} itself`]),
      ...(isSeen
        ? [
            `${counted(dropped, 'packet of it was', 'packets of it were')} dropped for a source that is an address of ours`,
          ]
        : []),
    ];
    if (proof.length === 0) return [];
    const shared = theirs ?? (allowed === undefined ? null : addressOf(allowed));
    const finding = {
      code: 'sameInnerAddress',
      peer: peer.publicKey,
      sentence: `${nameOf(peer)} has the same inner address as we have, ${shared ?? own.join(' or ')}: neither end can answer the other`,
      proof,
      commands: shared === null ? [] : renumberCommands(evidence, peer, shared),
    };
    return [shared === null ? { ...finding, undecided: [SENT_BACK] } : finding];
  });
}

const SENT_BACK =
  'it sends our own packets back to us, as a router without a route of its own does: its `tswg IF --json` as `--other FILE` decides';

/** What the other end has, if it is this peer. */
function addressesOver(evidence: Evidence, { publicKey }: OwnPeer): readonly string[] {
  const other = known(evidence.other);
  return other?.publicKey === publicKey ? other.addresses.map(addressOf) : [];
}

/** At the other end what we have allowed it; where that is our own address, a free one here. */
function renumberCommands(evidence: Evidence, peer: OwnPeer, shared: string): readonly string[] {
  const { name } = evidence.run;
  const family = familyOf(shared);
  const own = (known(evidence.link)?.addresses ?? []).find(({ address }) => address === shared);
  if (own === undefined) return [];
  const meant = peer.allowedIps.find(
    (one) => isHost(one) && familyOf(one) === family && addressOf(one) !== shared,
  );
  if (meant !== undefined) {
    return [`tswg ${name} ${WORD[family]} ${addressOf(meant)}/${own.length} # at the other end`];
  }
  const taken = peersOf(evidence).flatMap(({ allowedIps }) => allowedIps);
  const free = freeAddress(`${shared}/${own.length}`, [...taken, shared]);
  return free === null ? [] : [`tswg ${name} ${WORD[family]} ${free}/${own.length}`];
}

/** The first address of a network that none of these prefixes has. */
function freeAddress(network: string, taken: readonly string[]): string | null {
  const prefix = parsePrefix(network);
  if (prefix === null) return null;
  const last = prefix.address.length - 1;
  for (let host = 1; host < 255; host++) {
    const address = prefix.address.slice();
    address[last] |= host;
    const text = formatAddress(address);
    if (covers(network, text) && !isCovered(text, taken)) return text;
  }
  return null;
}
