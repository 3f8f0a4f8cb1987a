/**
 * Allowed IPs that lack what is sent: the peer's inner address, a network that is routed here, what
 * another peer took, or at the other end what is ours. Pure.
 */

import type { Cause } from '../cause.ts';
import type { Evidence, OwnPeer, TunnelPeer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { allowCommand, daemonOf, dataOf, gainedDataOf, nameOf, peersOf } from '../peer.ts';
import { addressOf, covers, familyOf, hostPrefix, isCovered, overlap } from '../prefix.ts';
import { type Refused, refusedDestinations, refusedSource } from '../refused.ts';
import { connectedNetworks, innerAddresses, tunnelRoutes } from '../tunnelroutes.ts';

/** Without an answer, more than a network loses. */
const PACKETS_UNANSWERED_MIN = 5;

export const ALLOWED_IPS: readonly Cause[] = [
  {
    code: 'allowedIpsTaken',
    weight: 'traffic',
    find: findTaken,
    explains: ['noAllowedIps', 'allowedIpsLackAddress', 'allowedIpsLackNetwork'],
  },
  {
    code: 'otherLacksAllowedIps',
    weight: 'traffic',
    find: findOtherLacks,
    explains: ['nothingComesBack'],
  },
  {
    code: 'allowedIpsLackAddress',
    weight: 'traffic',
    find: (evidence) => findLacks(evidence, true),
    explains: ['noAllowedIps', 'nothingComesBack'],
  },
  {
    code: 'allowedIpsLackNetwork',
    weight: 'traffic',
    find: (evidence) => [...findLacks(evidence, false), ...findUnownedRoutes(evidence)],
    explains: ['noAllowedIps'],
  },
  { code: 'noAllowedIps', weight: 'traffic', find: findNone },
  { code: 'nothingComesBack', weight: 'traffic', find: findNothingBack, isLastResort: true },
];

function findNone(evidence: Evidence): Finding[] {
  return peersOf(evidence)
    .filter(({ allowedIps }) => allowedIps.length === 0)
    .map((peer) => {
      const wished = wishedIps(evidence, peer);
      const { name } = evidence.run;
      return {
        code: 'noAllowedIps',
        peer: peer.publicKey,
        sentence: `${nameOf(peer)} has no wgaip: nothing is sent to it, and nothing that it sends is taken`,
        proof: [`the daemon lists no wgaip of it${saysFile(evidence, wished)}`],
        commands: wished.length === 0 ? [] : [allowCommand(name, peer, wished)],
      };
    });
}

function saysFile(evidence: Evidence, wished: readonly string[]): string {
  const file = known(evidence.files)?.hostname;
  return file && wished.length > 0 ? `, but ${file.path} has ${wished.join(' and ')}` : '';
}

function wishedIps(evidence: Evidence, { publicKey }: TunnelPeer): readonly string[] {
  const wishes = known(evidence.files)?.hostname?.peers ?? [];
  return wishes.find((wish) => wish.publicKey === publicKey)?.allowedIps ?? [];
}

/** What one peer sends, or is to have by the hostname file, is another's. */
function findTaken(evidence: Evidence): Finding[] {
  const peers = peersOf(evidence);
  return peers.flatMap((peer): Finding[] => {
    const refused = refusedSource(evidence, peer);
    const lost = [
      ...(refused === null ? [] : [hostPrefix(refused.address)]),
      ...wishedIps(evidence, peer).filter((wish) => !isCovered(wish, peer.allowedIps)),
    ];
    for (const prefix of lost) {
      const taker = takerOf(peers, peer, prefix);
      if (taker === null) continue;
      const { owner, theirs } = taker;
      const isSent = refused !== null && covers(prefix, refused.address);
      const shown = isSent ? addressOf(prefix) : prefix;
      return [
        {
          code: 'allowedIpsTaken',
          peer: peer.publicKey,
          sentence: `${nameOf(owner)} has wgaip ${theirs}, which takes ${shown} from ${nameOf(peer)}: an address is one peer's only, and a longer prefix goes before a shorter one`,
          proof: [
            ...(isSent ? [saysRefused(peer, refused)] : []),
            `wgaip of ${nameOf(owner)}: ${owner.allowedIps.join(' ')}`,
            `wgaip of ${nameOf(peer)}: ${peer.allowedIps.join(' ') || 'none'}`,
          ],
          commands: returnCommands(evidence, owner, theirs, peer, prefix),
        },
      ];
    }
    return [];
  });
}

function takerOf(peers: readonly OwnPeer[], peer: OwnPeer, prefix: string) {
  for (const owner of peers) {
    if (owner === peer) continue;
    const theirs = owner.allowedIps.find((one) => covers(one, prefix));
    if (theirs !== undefined) return { owner, theirs };
  }
  return null;
}

function returnCommands(
  evidence: Evidence,
  owner: OwnPeer,
  theirs: string,
  peer: OwnPeer,
  prefix: string,
): string[] {
  const { name } = evidence.run;
  const rest = owner.allowedIps.filter((one) => one !== theirs);
  const isRepeated = peer.allowedIps.some((one) => covers(one, prefix));
  const mine = isRepeated ? peer.allowedIps : [...peer.allowedIps, prefix];
  const give = allowCommand(name, peer, mine);
  return rest.length === 0 ? [give] : [allowCommand(name, owner, rest), give];
}

function saysRefused(peer: OwnPeer, { address, packets }: Refused): string {
  return `${packets} packets of ${nameOf(peer)} were dropped since it was configured because of their source, the last from ${address}`;
}

/**
 * What a peer sends from, or what is sent to it, is nobody's.
 *
 * @param isInner whether the address is of the network that the tunnel itself has
 */
function findLacks(evidence: Evidence, isInner: boolean): Finding[] {
  const peers = peersOf(evidence);
  const all = peers.flatMap(({ allowedIps }) => allowedIps);
  const networks = connectedNetworks(evidence);
  const isMeant = (address: string): boolean =>
    !isCovered(address, all) && networks.some((one) => covers(one, address)) === isInner;
  const found = new Map<string, Finding>();
  for (const peer of peers) {
    const refused = refusedSource(evidence, peer);
    if (refused === null || !isMeant(refused.address)) continue;
    found.set(
      peer.publicKey,
      lackFinding(evidence, peer, refused.address, isInner, [saysRefused(peer, refused)]),
    );
  }
  for (const { address, proof } of refusedDestinations(evidence)) {
    const owner = isMeant(address) ? ownerOf(evidence, address) : null;
    if (owner === null || found.has(owner.publicKey)) continue;
    found.set(owner.publicKey, lackFinding(evidence, owner, address, isInner, [proof]));
  }
  return [...found.values()];
}

/** Whose an address without an owner is to be: null where several peers could be meant. */
function ownerOf(evidence: Evidence, address: string): OwnPeer | null {
  const peers = peersOf(evidence);
  const other = known(evidence.other);
  const isOthers = other?.addresses.some((one) => addressOf(one) === address) === true;
  const named = peers.find(({ publicKey }) => isOthers && publicKey === other.publicKey);
  if (named !== undefined) return named;
  const wished = peers.find((peer) => isCovered(address, wishedIps(evidence, peer)));
  if (wished !== undefined) return wished;
  const [network] = connectedNetworks(evidence).filter((one) => covers(one, address));
  // Where a peer has an address of this network already, the other may be nobody's at all.
  const bare =
    network === undefined
      ? peers
      : peers.filter(({ allowedIps }) => !allowedIps.some((one) => overlap(one, network)));
  return bare.length === 1 ? bare[0] : null;
}

function lackFinding(
  evidence: Evidence,
  peer: OwnPeer,
  address: string,
  isInner: boolean,
  proof: readonly string[],
): Finding {
  const route = tunnelRoutes(evidence).find(({ prefix }) => covers(prefix, address));
  const isNetwork = !isInner && route !== undefined && route.prefix !== '0.0.0.0/0';
  const lacking = isNetwork && route.prefix !== '::/0' ? route.prefix : hostPrefix(address);
  const code = isInner ? 'allowedIpsLackAddress' : 'allowedIpsLackNetwork';
  const what = isInner ? `its inner address ${address}` : lacking;
  return {
    code,
    peer: peer.publicKey,
    sentence: `the wgaip of ${nameOf(peer)} lack ${what}: packets from and to there are dropped here`,
    proof: [...proof, `its wgaip: ${peer.allowedIps.join(' ') || 'none'}`],
    commands: [allowCommand(evidence.run.name, peer, [...peer.allowedIps, lacking])],
  };
}

/** A route into the tunnel for what no peer has: packets go in, and nothing comes back. */
function findUnownedRoutes(evidence: Evidence): Finding[] {
  const peers = peersOf(evidence);
  if (peers.length === 0) return [];
  const all = peers.flatMap(({ allowedIps }) => allowedIps);
  const unowned = tunnelRoutes(evidence).filter(
    ({ prefix }) => !all.some((one) => overlap(one, prefix)),
  );
  return unowned.map(({ prefix }) => {
    const { name } = evidence.run;
    const [only] = peers;
    const isKnown = peers.length === 1;
    const seen = refusedDestinations(evidence).filter(({ address }) => covers(prefix, address));
    return {
      code: 'allowedIpsLackNetwork',
      peer: isKnown ? only.publicKey : null,
      sentence: `${prefix} is routed into ${name}, but is no peer's: what is sent there is dropped`,
      proof: [
        ...seen.map(({ proof }) => proof),
        `the route ${prefix} leads over ${name}; of ${all.length} wgaip of ${peers.length} peers none is in it`,
      ],
      commands: isKnown ? [allowCommand(name, only, [...only.allowedIps, prefix])] : [],
      ...(isKnown
        ? {}
        : { undecided: [`whose ${prefix} is: the peer that has it needs \`wgaip ${prefix}\``] }),
    };
  });
}

/** Certain, since the other end itself says so. */
function findOtherLacks(evidence: Evidence): Finding[] {
  const other = known(evidence.other);
  const daemon = daemonOf(evidence);
  if (other === null || daemon === null) return [];
  const peer = daemon.peers.find(({ publicKey }) => publicKey === other.publicKey);
  const us = other.peers.find(({ publicKey }) => publicKey === daemon.publicKey);
  if (peer === undefined || us === undefined) return [];
  const families = new Set(peer.allowedIps.map(familyOf));
  const flows = known(evidence.inner) ?? [];
  const sent = flows
    .filter(({ direction, destination }) => {
      return direction === 'out' && isCovered(destination, peer.allowedIps);
    })
    .map(({ source }) => source);
  const ours = innerAddresses(evidence).filter((address) => families.has(familyOf(address)));
  const lacking = [...new Set([...ours, ...sent])].filter(
    (address) => !isCovered(address, us.allowedIps),
  );
  if (lacking.length === 0) return [];
  const fix = allowCommand(other.name, us, [...us.allowedIps, ...lacking.map(hostPrefix)]);
  return [
    {
      code: 'otherLacksAllowedIps',
      peer: peer.publicKey,
      sentence: `the wgaip that ${nameOf(peer)} has for us lack ${lacking.join(' and ')}: it drops what we send from there`,
      proof: [
        `over there, the wgaip of our key are ${us.allowedIps.join(' ') || 'none'}`,
        ...saysDrops(us),
      ],
      commands: [`${fix} # at the other end`],
    },
  ];
}

function saysDrops({ counters }: TunnelPeer): string[] {
  const dropped = counters.drop_disallowedSource ?? 0;
  return dropped === 0 ? [] : [`it has dropped ${dropped} packets of ours because of their source`];
}

/** What is sent arrives, since keepalives say so; but nobody there answers. */
function findNothingBack(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const pings = (known(evidence.pings) ?? []).filter((ping) => ping.peer === peer.publicKey);
    if (pings.some(({ echoes }) => echoes.some(({ received }) => received > 0))) return [];
    const total = dataOf(peer);
    const gained = gainedDataOf(peer);
    const probing = pings.flatMap(({ echoes }) => echoes).reduce((sum, { sent }) => sum + sent, 0);
    // What doctor itself asks may be filtered over there.
    const sent = total.sent - Math.min(gained.sent, probing);
    const isSilent = total.received === 0 && sent >= PACKETS_UNANSWERED_MIN;
    if (!isSilent || total.keepalivesReceived === 0) return [];
    const ours = innerAddresses(evidence).join(' and ') || 'what we send from';
    return [
      {
        code: 'nothingComesBack',
        peer: peer.publicKey,
        sentence: `${nameOf(peer)} gets what we send and sends nothing back but keepalives`,
        proof: [
          `${sent} packets sent, 0 received, but ${total.keepalivesReceived} keepalives, which only an arrived packet calls for`,
          ...pings.map(({ destination }) => `${destination} does not answer to a ping, either`),
        ],
        commands: [],
        undecided: [
          `the wgaip that it has for us lack ${ours}: \`--other FILE\` with its \`tswg IF --json\` decides`,
          'it has no route back, an address of its own is missing, or its firewall drops what comes out of the tunnel: doctor at that end decides',
        ],
      },
    ];
  });
}
