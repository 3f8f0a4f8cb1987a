/** Records of causes 12 and 13: what forwards, filters, translates and cuts packets. */

import {
  type Chain,
  type Evidence,
  type FirewallRule,
  type InnerFlow,
  looked,
  type Probe,
  type Route,
} from '../../../src/doctor/evidence.ts';
import { healthy, healthyWith, INNER, INNER_ROUTE, OUTER_ROUTE, PEER, PEER_KEY } from '../healthy.ts';
import { type Recorded, recorded, well } from './record.ts';
import { OTHER } from './ways.ts';

const LAN = {
  index: 4,
  name: 'eth1',
  flags: ['UP', 'BROADCAST', 'RUNNING', 'MULTICAST'],
  isUp: true,
  mtu: 1500,
  kind: '',
  isPersistent: false,
  addresses: [{ address: '10.0.0.1', length: 24, destination: null, isLinkLocal: false }],
};
const BASE = healthy();
const LINKS = BASE.links.ok ? looked([...BASE.links.value, LAN]) : BASE.links;
const SYSCTLS = BASE.sysctls.ok ? BASE.sysctls.value : {};
const ROUTES = BASE.routes.ok ? BASE.routes.value : [];

/** From a host beyond the peer to one of our LAN, and, unless it is lost, back. */
function passing(isAnswered: boolean): readonly InnerFlow[] {
  const [there, back] = ['10.20.0.5', '10.0.0.5'];
  const flow = { packets: 4, largest: 84 };
  const out = { direction: 'out' as const, source: back, destination: there, ...flow };
  return [
    { direction: 'in' as const, source: there, destination: back, ...flow },
    ...(isAnswered ? [out] : []),
  ];
}

function gateway(changes: Partial<Evidence>): Evidence {
  return healthy({ links: LINKS, inner: looked(passing(true)), ...changes });
}

const sysctls = (changes: Record<string, string>) => looked({ ...SYSCTLS, ...changes });
const OFF = sysctls({ 'ipv4/ip_forward': '0', 'ipv4/conf/wg0/forwarding': '0' });
const counted = (name: string, gained: number, all = gained) =>
  looked({ counters: { [name]: all }, gained: gained === 0 ? {} : { [name]: gained } });

const RPF = 'TcpExt.IPReversePathFilter';
const TUNNEL_DEFAULT: Route = { ...INNER_ROUTE, prefix: '0.0.0.0/0', table: 51_820 };
const DEFAULT_ROUTE: Route = { ...OUTER_ROUTE, prefix: '0.0.0.0/0', gateway: '198.51.100.1' };
/** The way back to the endpoint, which without the mark leads into the tunnel. */
const BACK = looked(
  ROUTES.map((one) =>
    one.purpose === 'back'
      ? { ...one, answer: { kind: 'route' as const, route: TUNNEL_DEFAULT } }
      : one,
  ),
);

const FORWARD: Chain = {
  tool: 'nft',
  family: 'inet',
  table: 'filter',
  name: 'forward',
  hook: 'forward',
  priority: 0,
  kind: 'filter',
  policy: 'accept',
  policyPackets: null,
  gainedPolicyPackets: null,
};
const POSTROUTING: Chain = {
  ...FORWARD,
  table: 'nat',
  name: 'postrouting',
  hook: 'postrouting',
  priority: 100,
  kind: 'nat',
};
const IPTABLES_FORWARD: Chain = {
  ...FORWARD,
  tool: 'iptables',
  family: 'ip',
  name: 'FORWARD',
  policy: 'drop',
  policyPackets: 40,
  gainedPolicyPackets: 4,
};

function rule(text: string, verdict: string, gained: number | null, of: Chain = FORWARD) {
  const { tool, family, table, name: chain } = of;
  const handle = tool === 'nft' ? 7 : null;
  const packets = gained === null ? null : gained + 30;
  const made: FirewallRule = {
    ...{ tool, family, table, chain, handle, position: 2, text, verdict, target: null },
    ...{ packets, gainedPackets: gained },
  };
  return made;
}

const filter = (chains: readonly Chain[], ...rules: FirewallRule[]) =>
  looked({ chains, rules, unseen: [] });

const HIDDEN = looked([
  {
    original: {
      source: '10.0.0.5',
      sourcePort: 40_000,
      destination: '10.20.0.5',
      destinationPort: 22,
    },
    reply: { source: '10.20.0.5', sourcePort: 22, destination: '10.99.0.1', destinationPort: 40_000 },
    mark: 0,
    isUnreplied: false,
    isAssured: true,
    originalPackets: null,
    replyPackets: null,
  },
]);

const PROBE: Probe = (BASE.probes.ok ? BASE.probes.value : [])[0];

function echoes(...received: readonly (readonly [bytes: number, received: number])[]) {
  const ping = (BASE.pings.ok ? BASE.pings.value : [])[0];
  return looked([
    {
      ...ping,
      echoes: received.map(([bytes, count]) => ({
        bytes,
        sent: 2,
        received: count,
        rttMs: count === 0 ? null : 1,
        error: null,
      })),
    },
  ]);
}

const LARGE_LOST = echoes([84, 2], [1_300, 2], [1_380, 0], [1_420, 0]);
/** PPPoE on the way. */
const NARROW = looked([
  {
    ...PROBE,
    pathMtu: 1_472,
    errors: [
      {
        error: 'EMSGSIZE',
        origin: 'icmp' as const,
        meaning: 'tooBig' as const,
        from: '198.51.100.1',
        mtu: 1_472,
      },
    ],
  },
]);

const DROP_ALL = rule('iifname "wg0" counter drop', 'drop', 0);
const OPEN = rule('ip daddr 10.0.0.0/24 accept', 'accept', null);
const ESTABLISHED = rule('ct state established,related accept', 'accept', null);
const STRICT_OFF = sysctls({
  ...{ 'ipv4/ip_forward': '0', 'ipv4/conf/wg0/forwarding': '0' },
  'ipv4/conf/wg0/rp_filter': '1',
});

/** Where nothing is forwarded: what else would keep packets from their way, and counts none of them. */
const UNMET: readonly Recorded[] = (
  [
    ['a rule', filter([FORWARD], ESTABLISHED, DROP_ALL), ['firewallForward']],
    [
      'a rule of iptables',
      filter(
        [{ ...IPTABLES_FORWARD, policy: 'accept' }],
        rule('-A FORWARD -i wg0 -j REJECT --reject-with x', 'reject', 0, IPTABLES_FORWARD),
      ),
      ['firewallForward'],
    ],
    ['a policy', filter([{ ...FORWARD, policy: 'drop' }], ESTABLISHED), ['firewallForward']],
    ['a rule after one that accepts', filter([FORWARD], OPEN, DROP_ALL), []],
    [
      'a rule for others',
      filter([FORWARD], rule('iifname "wg1" counter drop', 'drop', 0)),
      [],
    ],
    [
      'a rule with a condition',
      filter([FORWARD], rule('iifname "wg0" tcp dport 25 counter drop', 'drop', 0)),
      [],
    ],
    [
      'a rule with a condition that counts nothing',
      filter([FORWARD], rule('iifname "wg0" tcp dport 25 drop', 'drop', null)),
      [],
    ],
    ['a rule of the other family', filter([{ ...FORWARD, family: 'ip6' }], DROP_ALL), []],
  ] as const
).map(([variant, firewall, others]) => ({
  id: `forwardingOff, and ${variant}`,
  codes: ['forwardingOff', ...others],
  evidence: gateway({ sysctls: OFF, inner: looked(passing(false)), firewall }),
}));

export const PASSING: readonly Recorded[] = [
  {
    id: 'forwardingOff and reversePathTunnel, which counts nothing then',
    codes: ['noRoute', 'forwardingOff', 'reversePathTunnel'],
    evidence: gateway({
      sysctls: STRICT_OFF,
      inner: looked(passing(false)),
      table: looked([INNER_ROUTE]),
      routes: looked(
        ROUTES.map((one) =>
          one.about === '10.20.0.0/24'
            ? { ...one, answer: { kind: 'route' as const, route: DEFAULT_ROUTE } }
            : one,
        ),
      ),
    }),
  },
  recorded(
    'addressMissing',
    'to which the other end sends, where nothing is forwarded',
    healthyWith(
      {},
      { allowedIps: ['10.99.0.2/32'] },
      {
        ...{ link: looked({ ...INNER, addresses: [] }), table: looked([]), routes: looked([]) },
        ...{ pings: looked([]), sysctls: OFF, kernel: counted('Ip.InAddrErrors', 4) },
        inner: looked([
          {
            ...{ direction: 'in' as const, source: '10.99.0.2', destination: '10.99.0.1' },
            ...{ packets: 4, largest: 84 },
          },
        ]),
        links: looked([...(BASE.links.ok ? BASE.links.value : []).slice(0, 2)]),
      },
    ),
    /tswg wg0 inet 10\.99\.0\.1\/24/,
  ),
  recorded(
    'forwardingOff',
    'IPv4, seen coming out of the tunnel',
    gateway({ sysctls: OFF, inner: looked(passing(false)), kernel: counted('Ip.InAddrErrors', 4) }),
    /4 packets from 10\.20\.0\.5 came out of the tunnel for 10\.0\.0\.5[\s\S]*sysctl -w net\.ipv4\.ip_forward=1/,
  ),
  recorded(
    'forwardingOff',
    'IPv4, counted of what comes from the LAN',
    gateway({ sysctls: OFF, inner: looked([]), kernel: counted('Ip.InAddrErrors', 4) }),
    /refused 4 packets over the run/,
  ),
  recorded(
    'forwardingOff',
    'IPv4, as the other end expects it',
    gateway({ sysctls: OFF, inner: looked([]), other: looked(OTHER) }),
    /sends 10\.0\.0\.0\/24 to us, which is the network of eth1/,
  ),
  recorded(
    'forwardingOff',
    'IPv6',
    healthyWith(
      {},
      { allowedIps: [...PEER.allowedIps, 'fd00:b::/64'] },
      {
        links: LINKS,
        sysctls: sysctls({ 'ipv6/conf/all/forwarding': '0' }),
        table: looked([
          ...(BASE.table.ok ? BASE.table.value : []),
          { ...INNER_ROUTE, family: 6, prefix: 'fd00:b::/64', source: null },
        ]),
        inner: looked([
          {
            direction: 'in' as const,
            source: 'fd00:b::5',
            destination: 'fd00:a::5',
            packets: 3,
            largest: 104,
          },
        ]),
      },
    ),
    /net\.ipv6\.conf\.all\.forwarding=1/,
  ),
  ...UNMET,
  recorded(
    'reversePathEndpoint',
    'full tunnel with a mark',
    healthyWith(
      { fwmark: 51_820 },
      { troubles: [{ code: 'noAnswer', values: { initiations: 4, silentMs: 21_000 } }] },
      {
        routes: BACK,
        kernel: counted(RPF, 0, 12),
        pings: looked([]),
        sysctls: sysctls({ 'ipv4/conf/all/rp_filter': '1' }),
      },
    ),
    /12 packets since the boot[\s\S]*net\.ipv4\.conf\.eth0\.rp_filter=2/,
  ),
  recorded(
    'reversePathTunnel',
    'the peer sends from everywhere',
    healthyWith(
      {},
      { allowedIps: ['10.99.0.2/32', '0.0.0.0/0'] },
      {
        kernel: counted(RPF, 5),
        sysctls: sysctls({ 'ipv4/conf/wg0/rp_filter': '1' }),
        routes: looked([
          ...ROUTES,
          {
            purpose: 'allowedIp' as const,
            peer: PEER_KEY,
            about: '0.0.0.0/0',
            destination: '1.1.1.1',
            mark: 0,
            answer: { kind: 'route' as const, route: DEFAULT_ROUTE },
          },
        ]),
      },
    ),
    /5 packets over the run[\s\S]*net\.ipv4\.conf\.wg0\.rp_filter=2/,
  ),
  recorded(
    'firewallForward',
    'a rule that names the tunnel',
    gateway({
      inner: looked(passing(false)),
      firewall: filter([FORWARD], rule('iifname "wg0" counter drop', 'drop', 4)),
    }),
    /rule 2 of chain forward of table inet filter[\s\S]*dropped 4 packets, 34 since[\s\S]*nft delete rule inet filter forward handle 7/,
  ),
  recorded(
    'firewallForward',
    'a rule that names an address of the peer',
    gateway({
      inner: looked([]),
      firewall: filter([FORWARD], rule('ip daddr 10.20.0.0/16 counter reject', 'reject', 2)),
    }),
    /iifname "wg0" accept/,
  ),
  recorded(
    'firewallForward',
    'a rule at the end of a chain that the hook jumps to',
    gateway({
      inner: looked(passing(false)),
      firewall: filter(
        [FORWARD, { ...FORWARD, name: 'strict', hook: null, kind: null, policy: null }],
        { ...rule('jump strict', 'jump', null), target: 'strict' },
        { ...rule('counter drop', 'drop', 4), chain: 'strict' },
      ),
    }),
    /chain strict/,
  ),
  recorded(
    'firewallForward',
    'a policy that counts',
    gateway({ inner: looked(passing(false)), firewall: filter([IPTABLES_FORWARD]) }),
    /4 packets met this policy[\s\S]*iptables -t filter -I FORWARD -i wg0 -j ACCEPT/,
  ),
  recorded(
    'firewallForward',
    'a policy that does not count',
    gateway({
      inner: looked(passing(false)),
      firewall: filter([{ ...FORWARD, policy: 'drop' }]),
    }),
    /how many it was cannot be seen[\s\S]*tcpdump -ni any host 10\.0\.0\.5/,
  ),
  recorded(
    'masquerade',
    'a rule without a link',
    gateway({
      conntrack: HIDDEN,
      firewall: filter([POSTROUTING], rule('counter masquerade', 'masquerade', 1, POSTROUTING)),
    }),
    /sees 10\.99\.0\.1 in place of 10\.0\.0\.5[\s\S]*nft insert rule inet nat postrouting oifname "wg0" accept/,
  ),
  recorded(
    'masquerade',
    'a rule for all links but one',
    gateway({
      conntrack: HIDDEN,
      firewall: filter(
        [POSTROUTING],
        rule('oifname != "lo" masquerade', 'masquerade', null, POSTROUTING),
      ),
    }),
  ),
  recorded(
    'masquerade',
    'a rule for the tunnel, whose other end knows our LAN',
    gateway({
      conntrack: HIDDEN,
      other: looked(OTHER),
      firewall: filter(
        [POSTROUTING],
        rule('oifname "wg0" masquerade', 'masquerade', null, POSTROUTING),
      ),
    }),
    /allows us 10\.0\.0\.0\/24 as it is/,
  ),
  recorded(
    'fragmentsDropped',
    '',
    healthy({ pings: LARGE_LOST, probes: NARROW, kernel: counted('Ip.FragCreates', 8) }),
    /1472 bytes, as 198\.51\.100\.1 says[\s\S]*8 fragments[\s\S]*tswg wg0 mtu 1412/,
  ),
  recorded(
    'mtuBlackHole',
    '',
    healthy({ pings: LARGE_LOST }),
    /answers to packets of 1300 bytes, and to none of 1380[\s\S]*tswg wg0 mtu 1300/,
  ),
  recorded(
    'mtuBlackHole',
    'of less than IPv6 needs',
    healthy({ pings: echoes([84, 2], [1_200, 2], [1_420, 0]) }),
    /tswg wg0 mtu 1200 # IPv6 needs 1280/,
  ),
  recorded('mtuTooLarge', '', healthy({ probes: NARROW }), /has 1480[\s\S]*tswg wg0 mtu 1412/),
  recorded(
    'tooBigFiltered',
    '',
    healthy({
      firewall: filter(
        [{ ...FORWARD, name: 'output', hook: 'output' }],
        {
          ...rule('icmp type destination-unreachable counter drop', 'drop', 0),
          chain: 'output',
        },
      ),
    }),
    /nft delete rule inet filter output handle 7/,
  ),
  recorded(
    'tooBigFiltered',
    'by iptables',
    healthy({
      firewall: filter(
        [IPTABLES_FORWARD],
        rule('-A FORWARD -p icmp -m icmp --icmp-type 3/4 -j DROP', 'drop', 2, IPTABLES_FORWARD),
      ),
    }),
    /iptables -t filter -D FORWARD 2$/m,
  ),
  recorded(
    'mssTooLarge',
    '',
    healthy({
      firewall: filter(
        [FORWARD],
        rule('tcp flags syn / syn,rst counter tcp option maxseg size set 1460', 'none', 1),
      ),
    }),
    /leaves 1380[\s\S]*handle 7 tcp flags syn \/ syn,rst counter tcp option maxseg size set rt mtu/,
  ),

  well('a gateway between two LANs', gateway({})),
  well('a machine alone, which forwards nothing', healthy({ sysctls: OFF, links: LINKS })),
  well(
    'a machine that gets broadcasts for others, without a network of the peer',
    healthyWith(
      {},
      { allowedIps: ['10.99.0.2/32'] },
      { sysctls: OFF, table: looked([INNER_ROUTE]), kernel: counted('Ip.InAddrErrors', 2) },
    ),
  ),
  well(
    'strict reverse paths that match',
    healthy({ sysctls: sysctls({ 'ipv4/conf/all/rp_filter': '1' }) }),
  ),
  well(
    'a full tunnel with strict reverse paths and a mark that conntrack restores',
    healthyWith(
      { fwmark: 51_820 },
      {},
      { routes: BACK, sysctls: sysctls({ 'ipv4/conf/all/rp_filter': '1' }) },
    ),
  ),
  well(
    'a firewall that accepts the tunnel and drops others',
    gateway({
      firewall: filter(
        [{ ...FORWARD, policy: 'drop' }],
        rule('iifname "wg0" counter accept', 'accept', 4),
        rule('iifname "eth0" counter drop', 'drop', 9),
        rule('counter drop', 'drop', 3),
      ),
    }),
  ),
  well(
    'a host beyond us that does not answer, while the firewall drops others',
    gateway({
      inner: looked(passing(false)),
      firewall: filter([FORWARD], rule('iifname "eth0" counter packets 9 bytes 99 drop', 'drop', 9)),
    }),
  ),
  well(
    'a chain of the same name in another table, which nothing jumps to',
    gateway({
      inner: looked(passing(false)),
      firewall: filter(
        [FORWARD, { ...FORWARD, table: 'other', name: 'strict', hook: null, kind: null }],
        { ...rule('jump strict', 'jump', null), target: 'strict' },
        { ...rule('counter drop', 'drop', 4), table: 'other', chain: 'strict' },
      ),
    }),
  ),
  well(
    'a host beyond us that does not answer, without a firewall',
    gateway({ inner: looked(passing(false)) }),
  ),
  well(
    'a masquerade of what leaves to the Internet',
    gateway({
      firewall: filter(
        [POSTROUTING],
        rule('oifname "eth0" masquerade', 'masquerade', 5, POSTROUTING),
      ),
    }),
  ),
  well(
    'a LAN that is meant to be hidden in the tunnel',
    gateway({
      conntrack: HIDDEN,
      firewall: filter(
        [POSTROUTING],
        rule('oifname "wg0" masquerade', 'masquerade', 5, POSTROUTING),
      ),
    }),
  ),
  well(
    'a clamp that fits',
    healthy({
      firewall: filter(
        [FORWARD],
        rule('tcp flags syn tcp option maxseg size set 1380', 'none', 5),
        rule('oifname "eth0" tcp flags syn tcp option maxseg size set 1452', 'none', 5),
        rule('tcp flags syn tcp option maxseg size set rt mtu', 'none', 5),
      ),
    }),
  ),
  well(
    'a network beyond the peer with a smaller MTU that says so',
    healthy({
      pings: looked(
        (BASE.pings.ok ? BASE.pings.value : []).map((one) => ({
          ...one,
          echoes: [one.echoes[0], { ...one.echoes[1], received: 0, rttMs: null }],
          errors: [{ from: '10.99.0.2', meaning: 'tooBig' as const, mtu: 1_280 }],
        })),
      ),
    }),
  ),
  well(
    'a full tunnel whose daemon goes around its own routes',
    healthyWith(
      {},
      { allowedIps: ['0.0.0.0/0'] },
      {
        table: looked([
          INNER_ROUTE,
          { ...INNER_ROUTE, prefix: '0.0.0.0/1' },
          { ...INNER_ROUTE, prefix: '128.0.0.0/1' },
        ]),
        routes: looked(
          ROUTES.filter(({ purpose }) => purpose !== 'allowedIp').map((one) => ({
            ...one,
            answer: { kind: 'route' as const, route: { ...INNER_ROUTE, prefix: '128.0.0.0/1' } },
          })),
        ),
        probes: looked([{ ...PROBE, pathMtu: 1_420 }]),
      },
    ),
  ),
  well('a peer that answers to no ping', healthy({ pings: echoes([84, 0], [1_420, 0]) })),
  well(
    'a way that is narrow, to an endpoint that is not in use',
    healthy({ probes: looked([PROBE, { ...PROBE, address: '203.0.113.9', pathMtu: 1_280 }]) }),
  ),
];
