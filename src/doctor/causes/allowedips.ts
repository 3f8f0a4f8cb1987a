/**
 * Allowed IPs that lack what is sent: the peer's inner address, a network that is routed here, what
 * another peer took, or at the other end what is ours. Pure.
 */

import { counted } from '../../counted.ts';
import type { Cause } from '../cause.ts';
import { hasSession } from '../contact.ts';
import type { Evidence, OwnPeer, Ping, TunnelPeer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { allowCommand, daemonOf, dataOf, gainedDataOf, nameOf, peersOf } from '../peer.ts';
import { addressOf, covers, familyOf, hostPrefix, isCovered, overlap } from '../prefix.ts';
import { type Refused, refusedDestinations, refusedSource } from '../refused.ts';
import { connectedNetworks, innerAddresses, tunnelRoutes } from '../tunnelroutes.ts';

/** Without an answer, more than a network loses. */
const PACKETS_UNANSWERED_MIN = 5;
const FLOW_UNANSWERED_MIN = 3;

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
    explains: ['nothingComesBack'],
  },
  {
    code: 'allowedIpsLackNetwork',
    weight: 'traffic',
    find: (evidence) => [...findLacks(evidence, false), ...findUnownedRoutes(evidence)],
  },
  {
    code: 'noAllowedIps',
    weight: 'traffic',
    find: findNone,
    explains: ['nothingComesBack'],
  },
  { code: 'nothingComesBack', weight: 'traffic', find: findNothingBack, isLastResort: true },
];

function findNone(evidence: Evidence): Finding[] {
  const bare = peersOf(evidence).filter(({ allowedIps }) => allowedIps.length === 0);
  return bare.map((peer) => {
    const { name } = evidence.run;
    const wished = wishedIps(evidence, peer);
    const refused = refusedSource(evidence, peer);
    const seen = refused === null ? [] : [hostPrefix(refused.address)];
    // Only one can be meant by what is routed here and is nobody's.
    const routed = bare.length === 1 ? unownedRoutes(evidence) : [];
    const prefixes = wished.length > 0 ? wished : [...new Set([...seen, ...routed])];
    return {
      code: 'noAllowedIps',
      peer: peer.publicKey,
      sentence: `${nameOf(peer)} has no wgaip: nothing is sent to it, and nothing that it sends is taken`,
      proof: [
        `the daemon lists no wgaip of it${saysFile(evidence, wished)}`,
        ...(refused === null ? [] : [saysRefused(peer, refused)]),
        ...routed.map((one) => `the route ${one} leads into ${name}, and is nobody's`),
      ],
      commands: prefixes.length === 0 ? [] : [allowCommand(name, peer, prefixes)],
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
  const take = `tswg ${name} wgpeer ${owner.publicKey} -wgaip ${theirs}`;
  // A shorter prefix is the peer's already, and has only to be left alone.
  if (peer.allowedIps.some((one) => covers(one, prefix))) return [take];
  return [take, allowCommand(name, peer, [...peer.allowedIps, prefix])];
}

function saysRefused(peer: OwnPeer, { address, packets }: Refused): string {
  return `since it was configured, ${counted(packets, 'packet')} of ${nameOf(peer)} ${packets === 1 ? 'was' : 'were'} dropped for the source, the last from ${address}`;
}

/**
 * What a peer sends from, or what is sent to it, is nobody's.
 *
 * @param isInner whether the address is of the network that the tunnel itself has
 */
function findLacks(evidence: Evidence, isInner: boolean): Finding[] {
  if (!evidence.link.ok) return [];
  const peers = peersOf(evidence);
  const all = peers.flatMap(({ allowedIps }) => allowedIps);
  const networks = connectedNetworks(evidence);
  const isMeant = (address: string): boolean =>
    !isCovered(address, all) && networks.some((one) => covers(one, address)) === isInner;
  const found = new Map<string, Finding>();
  for (const peer of peers) {
    const refused = refusedSource(evidence, peer);
    if (refused === null || peer.allowedIps.length === 0 || !isMeant(refused.address)) continue;
    found.set(
      peer.publicKey,
      lackFinding(evidence, peer, refused.address, isInner, [saysRefused(peer, refused)]),
    );
  }
  // Of a route that is nobody's at all that is told, with those that were dropped on it.
  const unowned = isInner ? [] : unownedRoutes(evidence);
  for (const { address, proof } of refusedDestinations(evidence)) {
    if (unowned.some((route) => covers(route, address))) continue;
    const owner = isMeant(address) ? ownerOf(evidence, address) : null;
    const isOther = owner === null || owner.allowedIps.length === 0;
    if (isOther || found.has(owner.publicKey)) continue;
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

/** Routes into the tunnel for what no peer has any part of. */
function unownedRoutes(evidence: Evidence): readonly string[] {
  const all = peersOf(evidence).flatMap(({ allowedIps }) => allowedIps);
  if (peersOf(evidence).length === 0) return [];
  return tunnelRoutes(evidence)
    .map(({ prefix }) => prefix)
    .filter((prefix) => !all.some((one) => overlap(one, prefix)));
}

/** Packets go in there, and nothing comes back. */
function findUnownedRoutes(evidence: Evidence): Finding[] {
  const peers = peersOf(evidence);
  const [only] = peers;
  // Of a peer without any it is told as that.
  if (peers.some(({ allowedIps }) => allowedIps.length === 0)) return [];
  const sources = peers.map((peer) => refusedSource(evidence, peer)?.address ?? '');
  const count = peers.reduce((sum, { allowedIps }) => sum + allowedIps.length, 0);
  // Whose it is is known where its packets arrive: then it is told of that peer.
  const unowned = unownedRoutes(evidence).filter(
    (prefix) => !sources.some((address) => covers(prefix, address)),
  );
  return unowned.map((prefix) => {
    const { name } = evidence.run;
    const seen = refusedDestinations(evidence).filter(({ address }) => covers(prefix, address));
    const finding = {
      code: 'allowedIpsLackNetwork',
      sentence: `${prefix} is routed into ${name}, but is no peer's: what is sent there is dropped`,
      proof: [
        ...seen.map(({ proof }) => proof),
        `the route ${prefix} leads over ${name}; of ${count} wgaip of ${counted(peers.length, 'peer')} none is in it`,
      ],
    };
    if (peers.length === 1) {
      const commands = [allowCommand(name, only, [...only.allowedIps, prefix])];
      return { ...finding, peer: only.publicKey, commands };
    }
    const undecided = [`whose ${prefix} is: the peer that has it needs \`wgaip ${prefix}\``];
    return { ...finding, peer: null, commands: [], undecided };
  });
}

/** Certain, since the other end itself says so. */
function findOtherLacks(evidence: Evidence): Finding[] {
  const other = known(evidence.other);
  const daemon = daemonOf(evidence);
  if (other === null || daemon === null || !evidence.link.ok) return [];
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
  return dropped === 0
    ? []
    : [`it has dropped ${counted(dropped, 'packet')} of ours for the source`];
}

/** What is sent arrives, but nobody there answers. */
function findNothingBack(evidence: Evidence): Finding[] {
  if (!evidence.link.ok || !evidence.pings.ok) return [];
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const proof = silenceOf(evidence, peer) ?? silenceOfFamily(evidence, peer);
    if (proof === null) return [];
    const ours = innerAddresses(evidence).join(' and ') || 'what we send from';
    return [
      {
        code: 'nothingComesBack',
        peer: peer.publicKey,
        sentence: `${nameOf(peer)} gets what we send, and sends nothing back for it`,
        proof,
        commands: [],
        undecided: [
          `the wgaip that it has for us lack ${ours}: \`--other FILE\` with its \`tswg IF --json\` decides`,
          'it has no route back, an address of its own is missing, or its firewall drops what comes out of the tunnel: doctor at that end decides',
        ],
      },
    ];
  });
}

/** All that ever came from it are keepalives, which only an arrived packet calls for. */
function silenceOf(evidence: Evidence, peer: OwnPeer): readonly string[] | null {
  const pings = pingsOf(evidence, peer);
  const total = dataOf(peer);
  const gained = gainedDataOf(peer);
  // What doctor itself asks may be filtered over there.
  const sent = total.sent - Math.min(gained.sent, countEchoes(pings));
  const told = peer.troubles.find(({ code }) => code === 'onlyKeepalives');
  if (told !== undefined && !pings.some(isAnswered)) {
    return [
      `the daemon sent it ${counted(Number(told.values.packets), 'packet')} in ${counted(Math.round(Number(told.values.lastedMs) / 1_000), 'second')}, and nothing came back but keepalives`,
      ...pings.map(saysUnanswered),
    ];
  }
  const isSilent = total.received === 0 && total.keepalivesReceived > 0;
  if (!isSilent || pings.some(isAnswered) || sent < PACKETS_UNANSWERED_MIN) return null;
  return [
    `${counted(sent, 'packet')} sent, 0 received, but ${counted(total.keepalivesReceived, 'keepalive')}, which only an arrived packet calls for`,
    ...pings.map(saysUnanswered),
  ];
}

/** The other family is well, or it was before. */
function silenceOfFamily(evidence: Evidence, peer: OwnPeer): readonly string[] | null {
  if (!hasSession(evidence, peer)) return null;
  const flows = (known(evidence.inner) ?? []).filter(({ direction, source, destination }) =>
    isCovered(direction === 'out' ? destination : source, peer.allowedIps),
  );
  for (const family of [4, 6] as const) {
    const own = flows.filter(({ destination }) => familyOf(destination) === family);
    const pings = pingsOf(evidence, peer).filter(({ destination }) => {
      return familyOf(destination) === family;
    });
    const isHeard = own.some(({ direction }) => direction === 'in') || pings.some(isAnswered);
    const sent = own.reduce((sum, { packets }) => sum + packets, 0) - countEchoes(pings);
    const isAsked = pings.some((ping) => ping.known !== 'guess');
    if (isHeard || !isAsked || sent < FLOW_UNANSWERED_MIN) continue;
    const to = [...new Set(own.map(({ destination }) => destination))].join(' and ');
    return [
      `over the run, ${counted(sent, 'packet')} of others than doctor went to ${to}, and nothing came from there`,
      ...pings.map(saysUnanswered),
    ];
  }
  return null;
}

function pingsOf(evidence: Evidence, { publicKey }: OwnPeer): readonly Ping[] {
  return (known(evidence.pings) ?? []).filter(({ peer }) => peer === publicKey);
}

function isAnswered({ echoes }: Ping): boolean {
  return echoes.some(({ received }) => received > 0);
}

function countEchoes(pings: readonly Ping[]): number {
  return pings.flatMap(({ echoes }) => echoes).reduce((sum, { sent }) => sum + sent, 0);
}

function saysUnanswered({ destination }: Ping): string {
  return `${destination} does not answer to a ping`;
}
