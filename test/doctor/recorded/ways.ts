/** Records of causes 10 and 11: allowed IPs, routes and inner addresses. */

import {
  type Evidence,
  looked,
  type OtherEnd,
  type OwnPeer,
  type Route,
  type RouteAnswer,
} from '../../../src/doctor/evidence.ts';
import {
  healthy,
  healthyWith,
  INNER,
  INNER_ROUTE,
  OUR_KEY,
  OUTER_ROUTE,
  PEER,
  PEER_KEY,
} from '../healthy.ts';
import { type Recorded, recorded, well } from './record.ts';

const THIRD_KEY = 'HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=';
const LAN_ROUTE: Route = { ...INNER_ROUTE, prefix: '10.20.0.0/24' };
const DEFAULT_ROUTE: Route = {
  ...OUTER_ROUTE,
  prefix: '0.0.0.0/0',
  gateway: '198.51.100.1',
};

export const OTHER: OtherEnd = {
  name: 'wg0',
  flags: ['UP', 'POINTOPOINT', 'RUNNING', 'NOARP'],
  mtu: 1420,
  addresses: ['10.99.0.2/30'],
  version: '0.1.0',
  publicKey: PEER_KEY,
  listenPort: 51_820,
  fwmark: 0,
  facts: {},
  counters: {},
  troubles: [],
  peers: [
    {
      ...PEER,
      publicKey: OUR_KEY,
      description: 'amsterdam',
      endpoint: { address: '198.51.100.10', port: 51_820, scope: 0 },
      allowedIps: ['10.99.0.1/32', '10.0.0.0/24'],
      counters: {},
    },
  ],
};

/** The other end allows us these. */
function otherAllowing(...allowedIps: string[]): OtherEnd {
  return { ...OTHER, peers: [{ ...OTHER.peers[0], allowedIps }] };
}

function peer(changes: Partial<OwnPeer>): OwnPeer {
  return { ...PEER, ...changes };
}

/** Data goes, keepalives come. */
const UNANSWERED: Partial<OwnPeer> = {
  counters: {
    ...PEER.counters,
    packets_sent: 60,
    keepalives_sent: 2,
    packets_received: 5,
    keepalives_received: 5,
  },
  gained: { packets_sent: 6 },
};

const SILENT_PING = looked([
  {
    peer: PEER_KEY,
    destination: '10.99.0.2',
    known: 'allowedIp' as const,
    source: '10.99.0.1',
    echoes: [{ bytes: 84, sent: 3, received: 0, rttMs: null, error: null }],
    errors: [],
  },
]);

function answer(about: string, destination: string, route: Route): RouteAnswer {
  const purpose = 'allowedIp';
  return { purpose, peer: PEER_KEY, about, destination, mark: 0, answer: { kind: 'route', route } };
}

const INNER_ANSWER = answer('10.99.0.2/32', '10.99.0.2', INNER_ROUTE);

function shadowed(route: Route, ...others: Route[]): Evidence {
  return healthy({
    table: looked([INNER_ROUTE, LAN_ROUTE, route, ...others]),
    routes: looked([INNER_ANSWER, answer('10.20.0.0/24', '10.20.0.1', route)]),
  });
}

const withAddress = (address: string, length: number) =>
  looked({ ...INNER, addresses: [{ address, length, destination: null, isLinkLocal: false }] });

const refused = (code: string, address: string) => ({ code, values: { address, agoMs: 400 } });

export const WAYS: readonly Recorded[] = [
  recorded(
    'noAllowedIps',
    '',
    healthyWith({}, { allowedIps: [] }, { pings: looked([]) }),
    /wgaip 10\.20\.0\.0\/24$/m,
  ),
  recorded(
    'noAllowedIps',
    'the hostname file has them',
    healthyWith(
      {},
      { allowedIps: [] },
      {
        pings: looked([]),
        files: looked({
          managers: [],
          hostname: {
            path: '/etc/hostname.wg0',
            mistakes: [],
            listenPort: 51_820,
            fwmark: null,
            mtu: null,
            isUp: true,
            addresses: ['10.99.0.1/30'],
            peers: [
              {
                publicKey: PEER_KEY,
                ways: [],
                persistentKeepalive: null,
                hasPresharedKey: false,
                allowedIps: ['10.99.0.2/32'],
              },
            ],
            commands: [],
          },
        }),
      },
    ),
    /wgaip 10\.99\.0\.2\/32$/m,
  ),
  recorded(
    'allowedIpsTaken',
    'the same prefix, typed for a second peer',
    healthyWith({
      peers: [
        peer({
          allowedIps: [],
          counters: { ...PEER.counters, drop_disallowedSource: 17 },
          troubles: [refused('foreignSource', '10.99.0.2')],
        }),
        peer({ publicKey: THIRD_KEY, description: 'paris', allowedIps: ['10.99.0.2/32'] }),
      ],
    }),
    /peer paris has wgaip 10\.99\.0\.2\/32, which takes 10\.99\.0\.2 from peer berlin/,
  ),
  recorded(
    'allowedIpsTaken',
    'a longer prefix of another peer',
    healthyWith({
      peers: [
        peer({
          counters: { ...PEER.counters, drop_disallowedSource: 17 },
          troubles: [refused('foreignSource', '10.20.0.7')],
        }),
        peer({ publicKey: THIRD_KEY, description: 'paris', allowedIps: ['10.20.0.7/32'] }),
      ],
    }),
    /paris has wgaip 10\.20\.0\.7\/32/,
  ),
  recorded(
    'allowedIpsTaken',
    'one of several that the other peer has',
    healthyWith({
      peers: [
        peer({ troubles: [refused('foreignSource', '10.20.0.7')] }),
        peer({
          publicKey: THIRD_KEY,
          description: 'paris',
          allowedIps: ['10.20.0.128/25', '10.20.0.7/32'],
        }),
      ],
    }),
    /^tswg wg0 wgpeer HIgo\S+ -wgaip 10\.20\.0\.7\/32$/m,
  ),
  recorded(
    'allowedIpsLackAddress',
    'the peer sends from it',
    healthyWith(
      {},
      {
        allowedIps: ['10.20.0.0/24'],
        counters: { ...PEER.counters, drop_disallowedSource: 20 },
        troubles: [refused('foreignSource', '10.99.0.2')],
      },
      { pings: looked([]) },
    ),
    new RegExp(`tswg wg0 wgpeer ${PEER_KEY.replace('+', '\\+')} wgaip 10.20.0.0/24 wgaip 10.99.0.2/32$`, 'm'),
  ),
  recorded(
    'allowedIpsLackAddress',
    'we send to it',
    healthyWith(
      {},
      { allowedIps: ['10.20.0.0/24'] },
      {
        pings: looked([]),
        inner: looked([
          {
            direction: 'out' as const,
            source: '10.99.0.1',
            destination: '10.99.0.2',
            packets: 7,
            largest: 84,
          },
        ]),
      },
    ),
    /7 packets from 10\.99\.0\.1 to 10\.99\.0\.2 went into wg0/,
  ),
  recorded(
    'allowedIpsLackNetwork',
    'which is routed here',
    healthyWith({}, { allowedIps: ['10.99.0.2/32'] }),
    /10\.20\.0\.0\/24 is routed into wg0, but is no peer's/,
  ),
  recorded(
    'allowedIpsLackNetwork',
    'which is routed here, and is sent to',
    healthyWith(
      {},
      { allowedIps: ['10.99.0.2/32'] },
      {
        inner: looked([
          {
            direction: 'out' as const,
            source: '10.0.0.5',
            destination: '10.20.0.5',
            packets: 4,
            largest: 84,
          },
        ]),
      },
    ),
    /4 packets from 10\.0\.0\.5 to 10\.20\.0\.5 went into wg0/,
  ),
  recorded(
    'allowedIpsLackNetwork',
    'which is routed here, and arrives',
    healthyWith(
      {},
      {
        allowedIps: ['10.99.0.2/32'],
        troubles: [refused('foreignSource', '10.20.0.7')],
      },
    ),
    /the last from 10\.20\.0\.7/,
  ),
  recorded(
    'allowedIpsLackNetwork',
    'which is routed here, and one of two peers has',
    healthyWith({
      peers: [
        peer({ allowedIps: ['10.99.0.2/32'] }),
        peer({ publicKey: THIRD_KEY, allowedIps: ['10.99.0.3/32'] }),
      ],
    }),
    /whose 10\.20\.0\.0\/24 is/,
  ),
  recorded(
    'allowedIpsLackNetwork',
    'the peer sends from it',
    healthyWith(
      {},
      {
        allowedIps: ['10.99.0.2/32', '10.20.0.0/25'],
        counters: { ...PEER.counters, drop_disallowedSource: 3 },
        troubles: [refused('foreignSource', '10.20.0.200')],
      },
    ),
    /lack 10\.20\.0\.0\/24/,
  ),
  recorded(
    'otherLacksAllowedIps',
    '',
    healthyWith({}, UNANSWERED, {
      pings: SILENT_PING,
      other: looked({
        ...otherAllowing('10.0.0.0/24'),
        peers: [
          { ...otherAllowing('10.0.0.0/24').peers[0], counters: { drop_disallowedSource: 58 } },
        ],
      }),
    }),
    /lack 10\.99\.0\.1[\s\S]*dropped 58 packets[\s\S]*# at the other end/,
  ),
  recorded(
    'nothingComesBack',
    '',
    healthyWith({}, UNANSWERED, { pings: SILENT_PING }),
    /55 packets sent, 0 received, but 5 keepalives[\s\S]*--other FILE/,
  ),
  recorded(
    'nothingComesBack',
    'of a peer that has answered before',
    healthyWith(
      {},
      {
        troubles: [
          { code: 'onlyKeepalives', values: { packets: 134, lastedMs: 140_000, agoMs: 17_000 } },
        ],
      },
      { pings: SILENT_PING },
    ),
    /134 packets in 140 seconds, and nothing came back but keepalives/,
  ),
  recorded(
    'nothingComesBack',
    'of one family',
    healthyWith(
      {},
      { allowedIps: [...PEER.allowedIps, 'fd00:99::2/128'] },
      {
        link: looked({
          ...INNER,
          addresses: [
            ...INNER.addresses,
            { address: 'fd00:99::1', length: 64, destination: null, isLinkLocal: false },
          ],
        }),
        table: looked([
          INNER_ROUTE,
          LAN_ROUTE,
          { ...INNER_ROUTE, family: 6, prefix: 'fd00:99::/64', source: null },
        ]),
        pings: SILENT_PING,
        inner: looked([
          {
            direction: 'out' as const,
            source: '10.99.0.1',
            destination: '10.99.0.2',
            packets: 9,
            largest: 84,
          },
        ]),
      },
    ),
    /6 packets of others than doctor went to 10\.99\.0\.2/,
  ),
  recorded(
    'noRoute',
    'of a LAN',
    healthy({
      table: looked([INNER_ROUTE]),
      routes: looked([INNER_ANSWER, answer('10.20.0.0/24', '10.20.0.1', DEFAULT_ROUTE)]),
    }),
    /via 198\.51\.100\.1 over eth0 of the main table[\s\S]*ip route replace 10\.20\.0\.0\/24 dev wg0/,
  ),
  recorded(
    'noRoute',
    'which the network of another interface has: to replace it would cut that off',
    healthy({
      table: looked([INNER_ROUTE, { ...OUTER_ROUTE, prefix: '10.20.0.0/24', metric: 100 }]),
      routes: looked([
        INNER_ANSWER,
        answer('10.20.0.0/24', '10.20.0.1', { ...OUTER_ROUTE, prefix: '10.20.0.0/24' }),
      ]),
    }),
    /^(?![\s\S]*ip route replace)[\s\S]*eth0 and wg0 are both for 10\.20\.0\.0\/24: of two/,
  ),
  recorded(
    'noRoute',
    'and no default route either',
    healthy({
      table: looked([INNER_ROUTE]),
      routes: looked([
        INNER_ANSWER,
        {
          purpose: 'allowedIp',
          peer: PEER_KEY,
          about: '10.20.0.0/24',
          destination: '10.20.0.1',
          mark: 0,
          answer: { kind: 'none', error: 'ENETUNREACH' },
        },
      ]),
    }),
    /ENETUNREACH/,
  ),
  recorded(
    'routeShadowed',
    'by a more specific one',
    shadowed({ ...DEFAULT_ROUTE, prefix: '10.20.0.0/25' }),
    /ip route delete 10\.20\.0\.0\/25 via 198\.51\.100\.1 dev eth0/,
  ),
  recorded(
    'routeShadowed',
    'in a part that was not asked about',
    healthy({
      table: looked([INNER_ROUTE, LAN_ROUTE, { ...DEFAULT_ROUTE, prefix: '10.20.0.128/25' }]),
    }),
    /10\.20\.0\.128\/25 is for a part|for a part of 10\.20\.0\.0\/24/,
  ),
  recorded(
    'routeShadowed',
    'by another table',
    shadowed({ ...DEFAULT_ROUTE, table: 100 }),
    /table 100[\s\S]*ip route delete 0\.0\.0\.0\/0 via 198\.51\.100\.1 dev eth0 table 100/,
  ),
  recorded(
    'routeShadowed',
    'by the LAN that has the same network',
    shadowed({ ...OUTER_ROUTE, prefix: '10.20.0.0/24', link: 'eth1', source: '10.20.0.9' }),
    /over eth1/,
  ),
  recorded(
    'routeShadowed',
    'by one that refuses',
    shadowed({ ...DEFAULT_ROUTE, type: 'blackhole', prefix: '10.20.0.0/26', link: null, gateway: null }),
    /ip route delete blackhole 10\.20\.0\.0\/26/,
  ),
  recorded(
    'addressMissing',
    '',
    healthy({
      link: looked({ ...INNER, addresses: [] }),
      table: looked([]),
      routes: looked([]),
      pings: looked([]),
      other: looked(OTHER),
    }),
    /tswg wg0 inet 10\.99\.0\.1\/30/,
  ),
  recorded(
    'addressMissing',
    'of one family',
    healthyWith({}, { allowedIps: [...PEER.allowedIps, 'fd00:99::2/128'] }),
    /no IPv6 address[\s\S]*tswg wg0 inet6 ADDRESS\/LENGTH # /,
  ),
  recorded(
    'addressMissing',
    'to which the other end sends',
    healthyWith(
      {},
      { allowedIps: [...PEER.allowedIps, 'fd00:99::2/128'] },
      {
        inner: looked(
          ['fd00:b::1', 'fd00:99::1'].map((destination) => ({
            ...{ direction: 'in' as const, source: 'fd00:99::2', destination },
            ...{ packets: destination === 'fd00:99::1' ? 3 : 9, largest: 104 },
          })),
        ),
      },
    ),
    /3 packets came out of the tunnel for fd00:99::1[\s\S]*tswg wg0 inet6 fd00:99::1\/64/,
  ),
  recorded(
    'wrongPrefixLength',
    'a single host',
    healthyWith(
      {},
      { allowedIps: ['10.99.0.2/32'] },
      { link: withAddress('10.99.0.1', 32), table: looked([]), routes: looked([]) },
    ),
    /tswg wg0 inet 10\.99\.0\.1\/24/,
  ),
  recorded(
    'wrongPrefixLength',
    'the peer is in the next network',
    healthyWith(
      {},
      { allowedIps: ['10.99.0.5/32', '10.20.0.0/24'] },
      { pings: looked([]), inner: looked([]) },
    ),
    /10\.99\.0\.1\/30 of wg0 is a network without 10\.99\.0\.5/,
  ),
  recorded(
    'sameInnerAddress',
    'as we allow it',
    healthyWith(
      {},
      { allowedIps: ['10.99.0.1/32'], counters: { ...PEER.counters, drop_ownSource: 30 } },
      { table: looked([INNER_ROUTE]) },
    ),
    /30 packets of it were dropped[\s\S]*tswg wg0 inet 10\.99\.0\.2\/30/,
  ),
  recorded(
    'sameInnerAddress',
    'as the other end says',
    healthyWith({}, UNANSWERED, {
      pings: SILENT_PING,
      other: looked({ ...OTHER, addresses: ['10.99.0.1/30'] }),
    }),
    /tswg wg0 inet 10\.99\.0\.2\/30 # at the other end/,
  ),
  recorded(
    'sameInnerAddress',
    'or it sends ours back',
    healthyWith({}, { counters: { ...PEER.counters, drop_ownSource: 30 } }),
    /sends our own packets back/,
  ),

  well(
    'a peer that is only sent to, and answers to pings',
    healthyWith({}, { counters: UNANSWERED.counters!, gained: { packets_sent: 8, packets_received: 2 } }),
  ),
  well(
    'a peer that filters pings, and was only pinged by doctor',
    healthyWith(
      {},
      { counters: { packets_sent: 3, packets_received: 1, keepalives_received: 1 }, gained: { packets_sent: 3 } },
      { pings: SILENT_PING },
    ),
  ),
  well(
    'groups and link-local addresses of a routing daemon',
    healthyWith(
      {},
      { allowedIps: ['10.99.0.2/32', 'fe80::/64', '224.0.0.0/24', 'ff02::/16'] },
      {
        table: looked([INNER_ROUTE]),
        routes: looked([
          INNER_ANSWER,
          answer('224.0.0.0/24', '224.0.0.1', DEFAULT_ROUTE),
          answer('fe80::/64', 'fe80::2', { ...DEFAULT_ROUTE, prefix: 'fe80::/64', gateway: null }),
          answer('ff02::/16', 'ff02::1', { ...DEFAULT_ROUTE, prefix: 'ff00::/8', gateway: null }),
        ]),
      },
    ),
  ),
  well(
    'a hub whose route is wider than what its spokes have',
    healthyWith(
      {},
      {},
      { table: looked([INNER_ROUTE, { ...INNER_ROUTE, prefix: '10.0.0.0/8' }]) },
    ),
  ),
  well(
    'a spoke with its own LAN within what the hub has',
    healthyWith(
      {},
      { allowedIps: ['10.99.0.2/32', '10.0.0.0/8'] },
      {
        table: looked([
          INNER_ROUTE,
          { ...INNER_ROUTE, prefix: '10.0.0.0/8' },
          { ...OUTER_ROUTE, prefix: '10.0.5.0/24', link: 'eth1' },
          { ...OUTER_ROUTE, prefix: '10.0.6.0/24', link: 'eth1', gateway: '10.0.5.254' },
        ]),
        routes: looked([
          INNER_ANSWER,
          answer('10.0.0.0/8', '10.0.5.2', {
            ...OUTER_ROUTE,
            prefix: '10.0.5.0/24',
            link: 'eth1',
          }),
        ]),
      },
    ),
  ),
  well(
    'a default route into the tunnel by policy, for others',
    healthyWith(
      {},
      { allowedIps: ['0.0.0.0/0'] },
      {
        table: looked([INNER_ROUTE, { ...INNER_ROUTE, prefix: '0.0.0.0/0', table: 100 }]),
        routes: looked([answer('0.0.0.0/0', '1.1.1.1', DEFAULT_ROUTE)]),
      },
    ),
  ),
  well(
    'a default route into the tunnel for when the other fails',
    healthyWith(
      {},
      { allowedIps: ['0.0.0.0/0'] },
      {
        table: looked([INNER_ROUTE, { ...INNER_ROUTE, prefix: '0.0.0.0/0', metric: 900 }]),
        routes: looked([answer('0.0.0.0/0', '1.1.1.1', DEFAULT_ROUTE)]),
      },
    ),
  ),
  well(
    'a tunnel of IPv4 whose peer has ::/0 as well',
    healthyWith({}, { allowedIps: ['0.0.0.0/0', '::/0'] }),
  ),
  well(
    'single addresses with a route for each peer',
    healthyWith(
      {},
      {},
      {
        link: withAddress('10.99.0.1', 32),
        table: looked([{ ...INNER_ROUTE, prefix: '10.99.0.2/32' }, LAN_ROUTE]),
      },
    ),
  ),
  well(
    'an unnumbered tunnel with routes',
    healthy({ link: looked({ ...INNER, addresses: [] }), table: looked([LAN_ROUTE, { ...INNER_ROUTE, prefix: '10.99.0.2/32' }]) }),
  ),
  well(
    'packets to an unused address of a hub',
    healthyWith({
      peers: [peer({}), peer({ publicKey: THIRD_KEY, allowedIps: ['10.99.0.3/32'] })],
      troubles: [refused('unroutable', '10.99.0.9')],
      counters: { drop_noPeer: 9 },
    }),
  ),
  well('router solicitations', healthyWith({ troubles: [refused('unroutable', 'ff02::2')], counters: { drop_noPeer: 5 } })),
  well(
    'a single address of IPv6, which has a route of its own',
    healthyWith(
      {},
      { allowedIps: [...PEER.allowedIps, 'fd00:99::2/128'] },
      {
        link: looked({
          ...INNER,
          addresses: [
            ...INNER.addresses,
            { address: 'fd00:99::1', length: 128, destination: null, isLinkLocal: false },
          ],
        }),
        table: looked([
          INNER_ROUTE,
          LAN_ROUTE,
          { ...INNER_ROUTE, family: 6, prefix: 'fd00:99::1/128', source: null },
          { ...INNER_ROUTE, family: 6, prefix: 'fd00:99::2/128', source: null },
        ]),
      },
    ),
  ),
  well('the other end agrees', healthy({ other: looked(OTHER) })),
  well(
    'the other end has no IPv6 for us, and we none for it',
    healthyWith({}, {}, {
      link: looked({
        ...INNER,
        addresses: [
          ...INNER.addresses,
          { address: 'fd00:99::1', length: 64, destination: null, isLinkLocal: false },
        ],
      }),
      other: looked(OTHER),
    }),
  ),
];

