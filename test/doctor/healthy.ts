/**
 * Evidence of a tunnel with one peer that works, as the tables of causes start from: a case changes
 * what is wrong with it. All that stands in it fits together.
 */

import {
  type AnsweringDaemon,
  type Evidence,
  type Link,
  looked,
  type OwnPeer,
  type Route,
  type ServingProcess,
} from '../../src/doctor/evidence.ts';

/** 32 bytes whose last bit is clear, as of every public key; ours and the peer's. */
export const OUR_KEY = 'fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=';
export const PEER_KEY = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
export const NOW_MS = 1_800_000_000_000;

const LOOPBACK: Link = {
  index: 1,
  name: 'lo',
  flags: ['UP', 'LOOPBACK', 'RUNNING'],
  isUp: true,
  mtu: 65_536,
  kind: '',
  isPersistent: false,
  addresses: [{ address: '127.0.0.1', length: 8, destination: null, isLinkLocal: false }],
};

export const OUTER: Link = {
  index: 2,
  name: 'eth0',
  flags: ['UP', 'BROADCAST', 'RUNNING', 'MULTICAST'],
  isUp: true,
  mtu: 1500,
  kind: '',
  isPersistent: false,
  addresses: [{ address: '198.51.100.10', length: 24, destination: null, isLinkLocal: false }],
};

export const INNER: Link = {
  index: 3,
  name: 'wg0',
  flags: ['UP', 'POINTOPOINT', 'RUNNING', 'NOARP'],
  isUp: true,
  mtu: 1420,
  kind: 'tun',
  isPersistent: false,
  addresses: [{ address: '10.99.0.1', length: 30, destination: null, isLinkLocal: false }],
};

export const PEER: OwnPeer = {
  publicKey: PEER_KEY,
  description: 'berlin',
  hasPresharedKey: false,
  endpoint: { address: '198.51.100.20', port: 51_820, scope: 0 },
  ways: [],
  lastHandshakeMs: NOW_MS - 40_000,
  rxBytes: 48_000,
  txBytes: 52_000,
  persistentKeepalive: 25,
  allowedIps: ['10.99.0.2/32', '10.20.0.0/24'],
  facts: { endpoint: '198.51.100.20:51820' },
  counters: {
    handshakes_completed: 4,
    initiations_sent: 2,
    responses_received: 2,
    initiations_received: 2,
    responses_sent: 2,
    packets_sent: 200,
    packets_received: 190,
    keepalives_sent: 20,
    keepalives_received: 20,
  },
  troubles: [],
  troublesBefore: [],
  gained: { packets_sent: 6, packets_received: 6 },
  gainedRxBytes: 2_000,
  gainedTxBytes: 2_000,
};

const DAEMON: AnsweringDaemon = {
  kind: 'answers',
  version: '0.1.0',
  publicKey: OUR_KEY,
  key: 'clamped',
  listenPort: 51_820,
  fwmark: 0,
  facts: { version: '0.1.0' },
  counters: { peers: 1, allowed_ips: 2 },
  troubles: [],
  gained: {},
  peers: [PEER],
};

export const OUTER_ROUTE: Route = {
  family: 4,
  type: 'unicast',
  table: 254,
  prefix: '198.51.100.0/24',
  link: 'eth0',
  gateway: null,
  source: '198.51.100.10',
  metric: 0,
};

export const INNER_ROUTE: Route = {
  family: 4,
  type: 'unicast',
  table: 254,
  prefix: '10.99.0.0/30',
  link: 'wg0',
  gateway: null,
  source: '10.99.0.1',
  metric: 0,
};

const LAN_ROUTE: Route = { ...INNER_ROUTE, prefix: '10.20.0.0/24' };

/** A copy of its own for each call; `changes` take the place of whole sections. */
export function healthy(changes: Partial<Evidence> = {}): Evidence {
  return structuredClone({ ...HEALTHY, ...changes });
}

/** The same with other properties of the daemon or of its only peer. */
export function healthyWith(
  daemon: Partial<AnsweringDaemon>,
  peer: Partial<OwnPeer> = {},
  changes: Partial<Evidence> = {},
): Evidence {
  const changed = { ...DAEMON, peers: [{ ...PEER, ...peer }], ...daemon };
  return healthy({ daemon: looked(changed), ...changes });
}

export const SERVING: ServingProcess = {
  pid: 400,
  program: 'tswgd',
  arguments: ['wg0'],
  namespace: 'net:[4026531840]',
  state: 'S',
  descriptors: { open: 50, max: 1_024, interfaces: ['wg0'] },
};

const HEALTHY: Evidence = {
  run: {
    name: 'wg0',
    peer: null,
    version: '0.1.0',
    isRoot: true,
    startedMs: NOW_MS,
    tookMs: 1_200,
    namespace: 'net:[4026531840]',
  },
  link: looked(INNER),
  daemon: looked(DAEMON),
  events: looked([]),
  processes: looked([SERVING]),
  files: looked({ hostname: null, managers: [] }),
  links: looked([LOOPBACK, OUTER, INNER]),
  routes: looked([
    {
      purpose: 'endpoint',
      peer: PEER_KEY,
      about: '198.51.100.20',
      destination: '198.51.100.20',
      mark: 0,
      answer: { kind: 'route', route: OUTER_ROUTE },
    },
    {
      purpose: 'back',
      peer: PEER_KEY,
      about: '198.51.100.20',
      destination: '198.51.100.20',
      mark: 0,
      answer: { kind: 'route', route: OUTER_ROUTE },
    },
    {
      purpose: 'allowedIp',
      peer: PEER_KEY,
      about: '10.99.0.2/32',
      destination: '10.99.0.2',
      mark: 0,
      answer: { kind: 'route', route: INNER_ROUTE },
    },
    {
      purpose: 'allowedIp',
      peer: PEER_KEY,
      about: '10.20.0.0/24',
      destination: '10.20.0.1',
      mark: 0,
      answer: { kind: 'route', route: LAN_ROUTE },
    },
  ]),
  table: looked([INNER_ROUTE, LAN_ROUTE]),
  rules: looked([]),
  sockets: looked([
    {
      family: 4,
      address: '0.0.0.0',
      port: 51_820,
      uid: 0,
      inode: 9_000,
      process: { pid: 400, name: 'tswgd' },
      mark: 0,
      receiveQueue: 0,
      receiveBuffer: 4_194_304,
      drops: 0,
      gainedDrops: 0,
    },
  ]),
  sysctls: looked({
    'ipv4/ip_forward': '1',
    'ipv6/conf/all/forwarding': '1',
    'ipv4/conf/all/rp_filter': '0',
    'ipv4/conf/all/src_valid_mark': '0',
    'ipv4/conf/wg0/forwarding': '1',
    'ipv4/conf/wg0/rp_filter': '0',
    'ipv4/conf/eth0/forwarding': '1',
    'ipv4/conf/eth0/rp_filter': '0',
  }),
  firewall: looked({ chains: [], rules: [], unseen: [] }),
  conntrack: looked([]),
  kernel: looked({ counters: { 'Ip.InReceives': 4_000 }, gained: { 'Ip.InReceives': 20 } }),
  linkCounters: looked([
    { link: 'wg0', counters: { tx_packets: 200, rx_packets: 190 }, gained: { tx_packets: 6 } },
  ]),
  load: looked({
    processors: 2,
    average: 0.2,
    busy: 0.05,
    stolen: 0,
    daemon: 0.01,
    pid: 400,
    ran: 0.01,
    waited: 0.002,
    hasAutogroups: true,
    pressure: 0,
  }),
  clock: looked({
    nowMs: NOW_MS,
    bootedMs: NOW_MS - 86_400_000,
    isSynchronized: true,
    errorMs: 4,
    jumpedMs: 0,
  }),
  names: looked([]),
  icmp: looked([]),
  probes: looked([
    {
      peer: PEER_KEY,
      address: '198.51.100.20',
      port: 51_820,
      source: '198.51.100.10',
      mark: 0,
      connectError: null,
      sent: [
        { bytes: 29, error: null },
        { bytes: 1_480, error: null },
      ],
      errors: [],
      pathMtu: 1_500,
      neededMtu: 1_480,
    },
  ]),
  wire: looked([]),
  inner: looked([
    { direction: 'out', source: '10.99.0.1', destination: '10.99.0.2', packets: 4, largest: 1_420 },
    { direction: 'in', source: '10.99.0.2', destination: '10.99.0.1', packets: 4, largest: 1_420 },
  ]),
  pings: looked([
    {
      peer: PEER_KEY,
      destination: '10.99.0.2',
      known: 'allowedIp',
      source: '10.99.0.1',
      echoes: [
        { bytes: 84, sent: 2, received: 2, rttMs: 0.8, error: null },
        { bytes: 1_420, sent: 2, received: 2, rttMs: 0.9, error: null },
      ],
      errors: [],
    },
  ]),
  other: null,
};
