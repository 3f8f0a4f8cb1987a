/** Packets for others that the kernel does not forward, or does not believe the source of. Pure. */

import { counted } from '../../counted.ts';
import type { Cause } from '../cause.ts';
import type { Evidence, OwnPeer, RouteAnswer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { having } from '../having.ts';
import { flowsForOthers } from '../innerflows.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';
import { covers, familyOf, isHost, lengthOf } from '../prefix.ts';
import { innerAddresses } from '../tunnelroutes.ts';
import { flowForUs } from './addresses.ts';

const FAMILIES = [4, 6] as const;
/** rp_filter's modes (ip-sysctl): what is left of the source's way back. */
const STRICT = 1;

export const FORWARDING: readonly Cause[] = [
  {
    code: 'reversePathEndpoint',
    weight: 'handshake',
    find: findEndpoint,
    explains: ['answersLost', 'answersUnconfirmed', 'filteredBeyond', 'inboundFirewall', 'silence'],
  },
  { code: 'forwardingOff', weight: 'traffic', find: findOff },
  { code: 'reversePathTunnel', weight: 'traffic', find: findTunnel },
];

const FORWARDING_PARAMETERS = {
  4: { all: 'ipv4/ip_forward', name: 'net.ipv4.ip_forward' },
  6: { all: 'ipv6/conf/all/forwarding', name: 'net.ipv6.conf.all.forwarding' },
} as const;
/** What the kernel counts when it gets a packet for others and does not forward. */
const REFUSED_COUNTER = { 4: 'Ip.InAddrErrors', 6: 'Ip6.InAddrErrors' } as const;

/**
 * Families of which packets for others end here, since nothing is forwarded: whatever else would keep
 * them from their way meets none, and counts nothing.
 */
export function unforwarded(evidence: Evidence): readonly (4 | 6)[] {
  return FAMILIES.filter((family) => proofOfOff(evidence, family).length > 0);
}

function proofOfOff(evidence: Evidence, family: 4 | 6): string[] {
  const sysctls = known(evidence.sysctls) ?? {};
  const { all } = FORWARDING_PARAMETERS[family];
  const own = family === 4 ? `ipv4/conf/${evidence.run.name}/forwarding` : all;
  if ((sysctls[own] ?? sysctls[all]) !== '0') return [];
  // Meant for this machine, which only lacks the address.
  const ours = flowForUs(evidence, family)?.destination;
  const flows = flowsForOthers(evidence, family).filter(({ destination }) => destination !== ours);
  return [
    ...flows.map(
      ({ packets, source, destination }) =>
        `over the run, ${counted(packets, 'packet')} from ${source} came out of the tunnel for ${destination}, which is no address of this machine`,
    ),
    ...(ours === undefined ? refusals(evidence, family) : []),
    ...expectations(evidence, family),
  ];
}

function findOff(evidence: Evidence): Finding[] {
  const sysctls = known(evidence.sysctls) ?? {};
  return FAMILIES.flatMap((family): Finding[] => {
    const { all, name } = FORWARDING_PARAMETERS[family];
    const proof = proofOfOff(evidence, family);
    if (proof.length === 0) return [];
    return [
      {
        code: 'forwardingOff',
        peer: null,
        sentence: `packets arrive here for others, but this machine does not forward IPv${family}: ${name} is 0`,
        proof: [...proof, `${name} is ${sysctls[all] ?? 'not known'}`],
        commands: [
          `sysctl -w ${name}=1`,
          `echo ${name}=1 >/etc/sysctl.d/99-${evidence.run.name}-forwarding.conf`,
        ],
      },
    ];
  });
}

/** Counted of the whole machine: it is about us if there are networks beyond the tunnel. */
function refusals(evidence: Evidence, family: 4 | 6): string[] {
  const gained = known(evidence.kernel)?.gained[REFUSED_COUNTER[family]] ?? 0;
  const networks = peersOf(evidence)
    .flatMap(({ allowedIps }) => allowedIps)
    .filter((one) => familyOf(one) === family && lengthOf(one) > 0 && !isHost(one));
  const isBetween = networks.length > 0 || peersOf(evidence).length > 1;
  if (gained === 0 || !isBetween) return [];
  return [
    `the kernel refused ${counted(gained, 'packet')} over the run as meant for others (${REFUSED_COUNTER[family]})`,
  ];
}

/** The other end allows us networks in which other links of ours are. */
function expectations(evidence: Evidence, family: 4 | 6): string[] {
  const own = daemonOf(evidence)?.publicKey;
  const us = known(evidence.other)?.peers.find(({ publicKey }) => publicKey === own);
  const inner = innerAddresses(evidence);
  const links = (known(evidence.links) ?? []).filter(({ name }) => name !== evidence.run.name);
  return (us?.allowedIps ?? [])
    .filter((one) => familyOf(one) === family && lengthOf(one) > 0 && !isHost(one))
    .filter((one) => !inner.some((address) => covers(one, address)))
    .flatMap((network) => {
      const link = links.find(({ addresses }) =>
        addresses.some(({ address }) => covers(network, address)),
      );
      return link === undefined
        ? []
        : [`the other end sends ${network} to us, which is the network of ${link.name}`];
    });
}

/** What the kernel goes by: the greater of the two. 0 where it is not known. */
function reversePathMode(evidence: Evidence, link: string): number {
  const sysctls = known(evidence.sysctls) ?? {};
  const mode = (name: string): number => Number(sysctls[`ipv4/conf/${name}/rp_filter`] ?? 0);
  return Math.max(mode('all'), mode(link));
}

const COUNTER = 'TcpExt.IPReversePathFilter';

function reversePathDrops(evidence: Evidence): { readonly gained: number; readonly all: number } {
  const kernel = known(evidence.kernel);
  return { gained: kernel?.gained[COUNTER] ?? 0, all: kernel?.counters[COUNTER] ?? 0 };
}

/** Answers of the endpoint come by one link, and the way to it, without our mark, leads over another. */
function findEndpoint(evidence: Evidence): Finding[] {
  const { gained, all } = reversePathDrops(evidence);
  const answers = known(evidence.routes) ?? [];
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const there = linkOf(answers, 'endpoint', peer);
    const back = linkOf(answers, 'back', peer);
    if (there === null || back === null || there === back) return [];
    const isUnanswered = peer.troubles.some(({ code }) => code === 'noAnswer');
    if (reversePathMode(evidence, there) !== STRICT) return [];
    if (gained === 0 && !(isUnanswered && all > 0)) return [];
    const address = peer.endpoint?.address ?? 'its endpoint';
    return [
      {
        code: 'reversePathEndpoint',
        peer: peer.publicKey,
        sentence: `rp_filter drops what ${nameOf(peer)} sends: it arrives on ${there}, but the way back to ${address} leads over ${back}`,
        proof: [
          `the kernel dropped ${counted(gained === 0 ? all : gained, 'packet')} ${gained === 0 ? 'since the boot' : 'over the run'} for that reason (${COUNTER})`,
          `rp_filter is strict (1) on ${there}`,
          `with the mark of the daemon, ${daemonOf(evidence)?.fwmark ?? 0}, packets to ${address} leave by ${there}; without it by ${back}`,
        ],
        commands: [`sysctl -w net.ipv4.conf.${there}.rp_filter=2`],
      },
    ];
  });
}

function linkOf(
  answers: readonly RouteAnswer[],
  purpose: 'endpoint' | 'back',
  peer: OwnPeer,
): string | null {
  const found = having(answers, 'peer', peer.publicKey).find((one) => one.purpose === purpose);
  return found?.answer.kind === 'route' ? found.answer.route.link : null;
}

/** What comes out of the tunnel from where nothing leads into it. */
function findTunnel(evidence: Evidence): Finding[] {
  const { name } = evidence.run;
  const { gained } = reversePathDrops(evidence);
  if (reversePathMode(evidence, name) !== STRICT) return [];
  const answers = known(evidence.routes) ?? [];
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const isAway = ({ purpose, peer: of, about, answer }: RouteAnswer): boolean =>
      purpose === 'allowedIp' &&
      of === peer.publicKey &&
      familyOf(about) === 4 &&
      (answer.kind === 'none' || answer.route.link !== name);
    const away = answers.find((one) => isAway(one) && (gained > 0 || isHidden(evidence, one)));
    if (away === undefined) return [];
    const way = away.answer.kind === 'none' ? 'nowhere' : `over ${away.answer.route.link}`;
    return [
      {
        code: 'reversePathTunnel',
        peer: peer.publicKey,
        sentence: `rp_filter drops what comes out of ${name} from ${away.about} of ${nameOf(peer)}, since the way back leads ${way}`,
        proof: [
          gained > 0
            ? `the kernel dropped ${counted(gained, 'packet')} over the run for that reason (${COUNTER})`
            : 'packets from there come for others, and none counts as dropped only since they are not forwarded at all',
          `rp_filter is strict (1) on ${name}`,
          `a packet to ${away.destination} goes ${way}`,
        ],
        commands: [`sysctl -w net.ipv4.conf.${name}.rp_filter=2`],
      },
    ];
  });
}

/** Packets from there are seen, and end before the kernel looks at where they come from. */
function isHidden(evidence: Evidence, { about }: RouteAnswer): boolean {
  return (
    unforwarded(evidence).includes(4) &&
    flowsForOthers(evidence, 4).some(({ source }) => covers(about, source))
  );
}
