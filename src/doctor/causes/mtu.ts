/** Packets that are too large for the way: lost without a word, in fragments, or beyond a limit. Pure. */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import { endpointRoute } from '../contact.ts';
import type { Evidence, FirewallRule, OwnPeer, Ping, Probe } from '../evidence.ts';
import { known } from '../evidence.ts';
import { deleteCommand, isDropping, isOfOtherLinks, nameRule } from '../filterpath.ts';
import type { Finding } from '../finding.ts';
import { nameOf, peersOf } from '../peer.ts';
import { familyOf } from '../prefix.ts';

/** Of the outer headers: IP, UDP, and WireGuard's 16 in front and 16 at the end. */
const OVERHEAD = { 4: 60, 6: 80 } as const;
/** Of IP and TCP without options. */
const TCP_HEADERS = { 4: 40, 6: 60 } as const;
/** The kernel keeps no IPv6 on a link of less (RFC 8200 5). */
const IPV6_MTU_MIN = 1280;

export const MTU: readonly Cause[] = [
  { code: 'fragmentsDropped', weight: 'some', find: findFragments, explains: ['mtuTooLarge'] },
  { code: 'mtuBlackHole', weight: 'some', find: findBlackHole },
  { code: 'tooBigFiltered', weight: 'some', find: findFiltered },
  { code: 'mssTooLarge', weight: 'some', find: findMss },
  { code: 'mtuTooLarge', weight: 'quality', find: findTooLarge },
];

/** What passed and what did not, of one peer; bytes of inner IP packets. */
interface Sizes {
  readonly ping: Ping;
  readonly passed: number;
  readonly lost: number;
}

/** null unless small ones pass and large ones, which left this machine, do not. */
function sizesOf(evidence: Evidence, peer: OwnPeer): Sizes | null {
  for (const ping of known(evidence.pings) ?? []) {
    if (ping.peer !== peer.publicKey) continue;
    const passed = ping.echoes.filter(({ received }) => received > 0).map(({ bytes }) => bytes);
    const largest = Math.max(0, ...passed);
    const lost = ping.echoes
      .filter((one) => one.received === 0 && one.sent > 0 && one.error === null)
      .map(({ bytes }) => bytes)
      .filter((bytes) => bytes > largest);
    // A router beyond the tunnel that says so is how it has to be.
    const isTold = ping.errors.some(({ meaning }) => meaning === 'tooBig');
    if (passed.length > 0 && lost.length > 0 && !isTold) {
      return { ping, passed: largest, lost: Math.min(...lost) };
    }
  }
  return null;
}

/** The way's own limit for whole datagrams, when a full packet of the tunnel is beyond it. */
interface Narrow {
  readonly probe: Probe;
  readonly pathMtu: number;
  readonly neededMtu: number;
  /** What the interface's MTU would have to be. */
  readonly fitting: number;
}

function narrowOf(evidence: Evidence, peer: OwnPeer): Narrow | null {
  // Where the daemon goes around its own routes, a probe goes into the tunnel.
  const way = endpointRoute(evidence, peer)?.answer;
  if (!evidence.routes.ok) return null;
  if (way?.kind === 'route' && way.route.link === evidence.run.name) return null;
  for (const probe of known(evidence.probes) ?? []) {
    const { pathMtu, neededMtu, address } = probe;
    const isInUse = probe.peer === peer.publicKey && address === peer.endpoint?.address;
    if (!isInUse || pathMtu === null || neededMtu === null || pathMtu >= neededMtu) continue;
    return { probe, pathMtu, neededMtu, fitting: pathMtu - OVERHEAD[familyOf(address)] };
  }
  return null;
}

function saysNarrow({ probe, pathMtu, neededMtu }: Narrow): string {
  const told = probe.errors.find(({ meaning }) => meaning === 'tooBig');
  const who = told?.from ?? null;
  const source = who === null ? 'by the kernel here' : `as ${who} says`;
  return `the way to ${probe.address} takes IP packets of ${pathMtu} bytes, ${source}; a full packet of the tunnel has ${neededMtu}`;
}

function saysSizes({ ping, passed, lost }: Sizes): string {
  return `through the tunnel, ${ping.destination} answers to packets of ${passed} bytes, and to none of ${lost}`;
}

function setCommands(evidence: Evidence, mtu: number): readonly string[] {
  const warning = mtu < IPV6_MTU_MIN ? ' # IPv6 needs 1280: it leaves the interface' : '';
  return [`tswg ${evidence.run.name} mtu ${mtu}${warning}`];
}

/** Large ones leave in two, and one of the two does not arrive. */
function findFragments(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const sizes = sizesOf(evidence, peer);
    const narrow = narrowOf(evidence, peer);
    if (sizes === null || narrow === null) return [];
    const created = fragmentsCreated(evidence, narrow.probe.address);
    return [
      {
        code: 'fragmentsDropped',
        peer: peer.publicKey,
        sentence: `large packets to ${nameOf(peer)} leave as fragments, which do not arrive: a firewall or a NAT on the way drops them, and mtu ${mtuOf(evidence)} of ${evidence.run.name} is too large`,
        proof: [
          saysSizes(sizes),
          saysNarrow(narrow),
          ...(created === 0
            ? []
            : [`the kernel made ${counted(created, 'fragment')} over the run`]),
        ],
        commands: setCommands(evidence, narrow.fitting),
      },
    ];
  });
}

function fragmentsCreated(evidence: Evidence, address: string): number {
  const gained = known(evidence.kernel)?.gained ?? {};
  return gained[familyOf(address) === 4 ? 'Ip.FragCreates' : 'Ip6.FragCreates'] ?? 0;
}

function mtuOf(evidence: Evidence): number {
  return known(evidence.link)?.mtu ?? 0;
}

/** Nobody says that they are too large: they vanish. */
function findBlackHole(evidence: Evidence): Finding[] {
  if (!evidence.probes.ok || !evidence.routes.ok) return [];
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const sizes = sizesOf(evidence, peer);
    if (sizes === null || narrowOf(evidence, peer) !== null) return [];
    const overhead = OVERHEAD[familyOf(peer.endpoint?.address ?? '')];
    return [
      {
        code: 'mtuBlackHole',
        peer: peer.publicKey,
        sentence: `large packets to ${nameOf(peer)}, or its answers, vanish on the way without a word: it takes IP packets of at most ${sizes.passed + overhead} to ${sizes.lost + overhead - 1} bytes, and mtu ${mtuOf(evidence)} of ${evidence.run.name} is too large`,
        proof: [
          saysSizes(sizes),
          'nobody on the way says that a packet is too large (no ICMP error came)',
        ],
        commands: setCommands(evidence, sizes.passed),
      },
    ];
  });
}

function findTooLarge(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const narrow = narrowOf(evidence, peer);
    if (narrow === null) return [];
    return [
      {
        code: 'mtuTooLarge',
        peer: peer.publicKey,
        sentence: `mtu ${mtuOf(evidence)} of ${evidence.run.name} is larger than the way to ${nameOf(peer)} takes: each full packet goes as two fragments`,
        proof: [saysNarrow(narrow)],
        commands: setCommands(evidence, narrow.fitting),
      },
    ];
  });
}

function rulesIn(evidence: Evidence): readonly FirewallRule[] {
  return known(evidence.firewall)?.rules ?? [];
}

/** In nft's words, and in those of iptables-save, which knows them by number. */
const TOO_BIG =
  /\bfrag-needed\b|\bpacket-too-big\b|\bdestination-unreachable\b|--icmp-type 3(?:\/4)?(?= )|--icmpv6-type 2(?= )/;

/** Without these a TCP that is not told its limit at the start hangs on its first full packet. */
function findFiltered(evidence: Evidence): Finding[] {
  return rulesIn(evidence)
    .filter((rule) => isDropping(rule) && TOO_BIG.test(rule.text) && (rule.packets ?? 0) > 0)
    .map((rule) => ({
      code: 'tooBigFiltered',
      peer: null,
      sentence: `the firewall of this machine drops the ICMP errors that say that a packet is too large: ${nameRule(rule)}, \`${printable(rule.text)}\``,
      proof: [
        `this rule dropped ${counted(rule.packets ?? 0, 'packet')}, ${rule.gainedPackets ?? 0} over the run`,
      ],
      commands: [deleteCommand(rule)],
    }));
}

const MAXIMUM_SEGMENT = /\bmaxseg size set (\d+)\b|--set-mss (\d+)\b|\bTCPMSS set (\d+)\b/;

function findMss(evidence: Evidence): Finding[] {
  const { name } = evidence.run;
  const mtu = mtuOf(evidence);
  return rulesIn(evidence).flatMap((rule): Finding[] => {
    const found = MAXIMUM_SEGMENT.exec(rule.text);
    if (found === null || mtu === 0 || isOfOtherLinks(rule, name)) return [];
    const set = Number(found[1] ?? found[2] ?? found[3]);
    const most = mtu - TCP_HEADERS[rule.family === 'ip6' ? 6 : 4];
    if (set <= most || rule.packets === 0) return [];
    return [
      {
        code: 'mssTooLarge',
        peer: null,
        sentence: `${nameRule(rule)} gives TCP through ${name} a maximum segment size of ${set}, but mtu ${mtu} leaves ${most}`,
        proof: [
          `the rule is \`${printable(rule.text)}\``,
          ...(rule.packets === null ? [] : [`it counted ${counted(rule.packets, 'packet')}`]),
        ],
        commands:
          rule.tool === 'nft'
            ? [
                `nft replace rule ${rule.family} ${rule.table} ${rule.chain} handle ${rule.handle} ${rule.text.replace(MAXIMUM_SEGMENT, 'maxseg size set rt mtu')}`,
              ]
            : [deleteCommand(rule)],
      },
    ];
  });
}
