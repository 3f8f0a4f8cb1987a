/** Records of causes 14 to 17: clocks, load, capacity, and who else is at the interface. */

import { type Evidence, looked, type Manager, type OwnPeer, type WireFlow, type Wishes } from '../../../src/doctor/evidence.ts';
import { healthy, healthyWith, NOW_MS, PEER, PEER_KEY, SERVING } from '../healthy.ts';
import { type Recorded, recorded, well } from './record.ts';
import { OTHER } from './ways.ts';

const SILENCE: Partial<OwnPeer> = {
  lastHandshakeMs: 0,
  troubles: [{ code: 'noAnswer', values: { initiations: 6, silentMs: 31_000 } }],
};
const NO_PINGS = { pings: looked([]) };
const BASE = healthy();
const LOAD = BASE.load.ok ? BASE.load.value : null;
const SOCKET = BASE.sockets.ok ? BASE.sockets.value[0] : null;

const busy = (changes: Record<string, number | boolean>) => looked({ ...LOAD!, ...changes });

const event = (kind: string, values: Record<string, number>) =>
  looked([{ seq: 1, timeMs: NOW_MS - 9_000, kind, peer: null, values }]);

const cookieAt = (timeMs: number) =>
  looked([{ seq: 1, timeMs, kind: 'cookieReceived', peer: PEER_KEY, values: {} }]);

const calls = (source: string, sourcePort: number, packets: number): WireFlow => ({
  direction: 'in',
  link: 'eth0',
  ...{ source, sourcePort, destination: '198.51.100.10', destinationPort: 51_820 },
  ...{ message: 'initiation', packets, hasOurMac1: true },
});
/** A few of a flood from everywhere. */
const STRAYS = [calls('192.0.2.90', 1_000, 1), calls('192.0.2.91', 1_000, 2)];

const stale = { code: 'staleTimestamps', values: { initiations: 3 } };
const OTHER_REFUSES = looked({
  ...OTHER,
  peers: [{ ...OTHER.peers[0], troubles: [stale] }],
});

function served(...programs: readonly string[]): Evidence {
  return healthy({
    processes: looked(
      programs.map((program, at) => ({
        ...SERVING,
        pid: 400 + at,
        program,
        descriptors: null,
      })),
    ),
  });
}

/** A second daemon of wg0, with these interfaces. */
function holding(interfaces: readonly string[], state = 'S'): Evidence {
  const descriptors = { open: 50, max: 1_024, interfaces };
  return healthy({
    processes: looked([{ ...SERVING, pid: 900, state, descriptors }, SERVING]),
  });
}

function managed(...managers: readonly Manager[]): Evidence {
  return healthy({ files: looked({ hostname: null, managers }) });
}

const TSWG: Manager = {
  kind: 'tswg',
  path: '/etc/systemd/system/multi-user.target.wants/tswg@wg0.service',
  isActive: true,
  line: '',
};
const WG_QUICK: Manager = {
  kind: 'wg-quick',
  path: '/etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service',
  isActive: true,
  line: '',
};
const NETWORK_MANAGER: Manager = {
  kind: 'NetworkManager',
  path: '/run/NetworkManager/devices/3',
  isActive: true,
  line: 'managed=true',
};
const NETWORKD: Manager = {
  kind: 'systemd-networkd',
  path: '/run/systemd/netif/links/3',
  isActive: true,
  line: 'ADMIN_STATE=configured',
};

const wishesFor = (host: string): Wishes => ({
  ...{ path: '/etc/hostname.wg0', mistakes: [], listenPort: null, fwmark: null, mtu: null },
  ...{ isUp: true, addresses: [], commands: [] },
  peers: [
    {
      publicKey: PEER_KEY,
      ways: [{ host, port: 51_820 }],
      ...{ persistentKeepalive: null, hasPresharedKey: false, allowedIps: [] },
    },
  ],
});

const WAY = {
  host: '198.51.100.20',
  port: 51_820,
  near: null,
  isInUse: true,
  addresses: ['198.51.100.20'],
  error: null,
  unanswered: 0,
};

export const WORKING: readonly Recorded[] = [
  recorded(
    'timestampsRefused',
    '',
    healthyWith({}, { lastHandshakeMs: 0, troubles: [stale] }, NO_PINGS),
    /3 initiations of it[\s\S]*tswg wg0 -wgpeer \S+ && tswg wg0 wgpeer \S+ wgdescr 'berlin' wgendpoint 198\.51\.100\.20 51820 wgpka 25 wgaip 10\.99\.0\.2\/32 wgaip 10\.20\.0\.0\/24/,
  ),
  recorded(
    'timestampsRefused',
    'until a ping of the run had us begin',
    healthyWith({}, { troublesBefore: [stale] }),
    /only those that it begins are refused/,
  ),
  recorded(
    'clockSetBack',
    'as the other end says',
    healthyWith({}, SILENCE, { ...NO_PINGS, other: OTHER_REFUSES }),
    /refused 3 initiations of ours/,
  ),
  recorded(
    'clockSetBack',
    'as the daemon noticed',
    healthyWith({}, SILENCE, { ...NO_PINGS, events: event('clockSetBack', { ms: 3_600_000 }) }),
    /set back by 3600 seconds[\s\S]*--other FILE/,
  ),
  recorded(
    'clockSetBack',
    'as a handshake of the future shows',
    healthyWith({}, { ...SILENCE, lastHandshakeMs: NOW_MS + 86_400_000 }, NO_PINGS),
    /86400 seconds in the future/,
  ),
  recorded(
    'peerUnderLoad',
    '',
    healthyWith(
      {},
      { lastHandshakeMs: 0, troubles: [{ code: 'peerUnderLoad', values: { cookies: 4 } }] },
      NO_PINGS,
    ),
    /4 cookies of it/,
  ),
  recorded(
    'peerUnderLoad',
    'of which the first call has just had a cookie',
    healthyWith(
      {},
      {
        lastHandshakeMs: 0,
        counters: { cookies_received: 1 },
        gained: { initiations_sent: 1, cookies_received: 1 },
      },
      { ...NO_PINGS, events: cookieAt(NOW_MS - 900) },
    ),
    /1 cookie of it[\s\S]*sleep 10; tswg wg0 doctor/,
  ),
  recorded(
    'gateShut',
    '',
    healthyWith({
      facts: { gate: "shut (4 % of strangers' calls pass)" },
      troubles: [{ code: 'underLoad', values: {} }],
      counters: { drop_turnedAway: 90_000 },
      gained: { drop_turnedAway: 40_000, drop_cookieRequired: 200 },
    }),
    /4 % of strangers' calls pass[\s\S]*40000 datagrams were turned away over the run, 90000 in all/,
  ),
  recorded(
    'gateShut',
    'while every peer has its place',
    healthyWith(
      { facts: { gate: "shut (4 % of strangers' calls pass)" } },
      { ways: [WAY] },
    ),
    /ip saddr != '\{ 198\.51\.100\.20 \}' drop/,
  ),
  recorded(
    'gateShut',
    'while the hostname file says where every peer is',
    healthyWith(
      { facts: { gate: "shut (4 % of strangers' calls pass)" } },
      { ways: [] },
      { files: looked({ hostname: wishesFor('198.51.100.20'), managers: [] }) },
    ),
    /ip saddr != '\{ 198\.51\.100\.20 \}' drop/,
  ),
  recorded(
    'gateShut',
    'while a peer has moved from where the hostname file has it',
    healthyWith(
      { facts: { gate: "shut (4 % of strangers' calls pass)" } },
      { ways: [] },
      { files: looked({ hostname: wishesFor('198.51.100.21'), managers: [] }) },
    ),
    /^(?![\s\S]*nft add)/,
  ),
  recorded(
    'underLoad',
    '',
    healthyWith({
      troubles: [{ code: 'underLoad', values: {} }],
      gained: { drop_cookieRequired: 200, cookies_sent: 200, drop_rateLimited: 3 },
    }),
    /200 handshakes without a cookie/,
  ),
  recorded('rateLimited', '', healthyWith({ gained: { drop_rateLimited: 30 } }), /30 handshakes/),
  recorded(
    'rateLimited',
    'by an address that is seen, and makes the load',
    healthyWith(
      {
        troubles: [{ code: 'underLoad', values: {} }],
        gained: { drop_rateLimited: 900, drop_cookieRequired: 3 },
      },
      {},
      { wire: looked([...STRAYS, calls('192.0.2.7', 40_000, 900)]) },
    ),
    /^192\.0\.2\.7 sends more[\s\S]*900 initiations came from 192\.0\.2\.7 port 40000, over eth0[\s\S]*ip saddr 192\.0\.2\.7 udp dport 51820 drop$/m,
  ),
  recorded(
    'rateLimited',
    'by an address that the peer is at as well',
    healthyWith(
      { gained: { drop_rateLimited: 900 } },
      {},
      { wire: looked([calls('198.51.100.20', 40_000, 900)]) },
    ),
    /ip saddr 198\.51\.100\.20 udp sport 40000 udp dport 51820 drop$/m,
  ),
  recorded(
    'rateLimited',
    'by nobody who is seen',
    healthyWith({ gained: { drop_rateLimited: 900 } }, {}, { wire: looked(STRAYS) }),
    /^one address sends more[\s\S]*tcpdump -ni any udp port 51820/m,
  ),
  recorded(
    'rateLimited',
    'of one peer',
    healthyWith(
      {},
      {
        counters: { ...PEER.counters, drop_initiationFlood: 90 },
        gained: { drop_initiationFlood: 40, initiations_received: 30 },
        troubles: [{ code: 'unconfirmed', values: { responses: 30 } }],
      },
    ),
    /40 initiations of it were dropped over the run, 90 in all \(initiationFlood\), and 30 were answered/,
  ),
  recorded(
    'processorSaturated',
    '',
    healthyWith({ gained: { drop_receiveOverflow: 500 } }, {}, { load: busy({ daemon: 0.99 }) }),
    /99 % of one processor[\s\S]*2 processors[\s\S]*dropped 500 packets/,
  ),
  recorded(
    'processorSaturated',
    'others use it',
    healthyWith(
      {},
      { gained: { packets_sent: 80_000, packets_received: 600 } },
      { load: busy({ busy: 1, daemon: 0.22, ran: 0.19, waited: 0.62 }) },
    ),
    /19 % of the time, and for 62 %[\s\S]*renice -n -10 -p 400[\s\S]*autogroup/,
  ),
  recorded(
    'processorSaturated',
    'others use some of it, and packets are lost',
    healthyWith(
      { gained: { drop_receiveOverflow: 500 } },
      { gained: { packets_received: 8_000 } },
      { load: busy({ busy: 1, ran: 0.4, waited: 0.3, hasAutogroups: false }) },
    ),
    /packets wait for it and are lost[\s\S]*for 30 % it was ready[\s\S]*lasts$/,
  ),
  recorded(
    'receiveOverflow',
    '',
    healthyWith({ gained: { drop_receiveOverflow: 500 } }),
    /dropped 500 packets over the run, beside 6 that passed/,
  ),
  recorded(
    'receiveOverflow',
    'of the IPv4 socket, beside those of others',
    healthyWith(
      { gained: { drop_receiveOverflow: 500 } },
      {},
      {
        kernel: looked({ counters: {}, gained: { 'Udp.RcvbufErrors': 5_700 } }),
        sockets: looked([{ ...SOCKET!, drops: 2_000, gainedDrops: 500 }]),
      },
    ),
    /holds 4194304 bytes, dropped 500, and 2000 in all\n.*worked for 1 % of the time/,
  ),
  recorded(
    'queueOverflow',
    '',
    healthy({
      linkCounters: looked([
        { link: 'wg0', counters: {}, gained: { tx_packets: 8_000, tx_dropped: 900 } },
      ]),
    }),
    /ip link set wg0 txqueuelen/,
  ),
  recorded('twoDaemons', 'another program', served('tswgd', 'wireguard-go'), /kill 401$/m),
  recorded('twoDaemons', 'twice the same', served('tswgd', 'tswgd'), /kill 401\n?[\s\S]*renamed or moved/),
  recorded(
    'twoDaemons',
    'whose interface was deleted while it was stopped',
    holding([], 'T'),
    /process 900 is `tswgd wg0`, and has no interface[\s\S]*^kill -KILL 900$/m,
  ),
  recorded('twoManagers', '', managed(TSWG, WG_QUICK), /systemctl disable wg-quick@wg0/),
  recorded('managerTook', 'NetworkManager', managed(NETWORK_MANAGER), /nmcli device set wg0/),
  recorded('managerTook', 'systemd-networkd', managed(TSWG, NETWORKD), /Unmanaged=yes/),

  well('an old step back of the clock', healthy({ events: event('clockSetBack', { ms: 400_000 }) })),
  well(
    'a clock a second apart',
    healthyWith({}, { ...SILENCE, troubles: [], lastHandshakeMs: NOW_MS + 900 }),
  ),
  well(
    'a flood that is over',
    healthyWith({
      facts: { gate: 'open' },
      counters: { drop_turnedAway: 90_000, drop_cookieRequired: 4_000, drop_rateLimited: 9 },
    }),
  ),
  well(
    'a busy tunnel that lost a few',
    healthyWith(
      { gained: { drop_receiveOverflow: 9 } },
      { gained: { packets_received: 90_000 } },
      { load: busy({ daemon: 0.7, busy: 1 }) },
    ),
  ),
  well(
    'a peer that answered the call after the one to which it sent a cookie',
    healthyWith({}, { lastHandshakeMs: NOW_MS - 400 }, { events: cookieAt(NOW_MS + 100) }),
  ),
  well(
    'a peer that was under load a while ago, and is not called any more',
    healthyWith(
      {},
      { lastHandshakeMs: 0, gained: {}, troubles: [] },
      { ...NO_PINGS, events: cookieAt(NOW_MS - 60_000) },
    ),
  ),
  well(
    'a machine whose processors others use, while the daemon has little to carry',
    healthyWith({}, {}, { load: busy({ busy: 1, daemon: 0.26, ran: 0.18, waited: 0.57 }) }),
  ),
  well(
    'a busy tunnel on a busy machine that loses nothing',
    healthyWith(
      {},
      { gained: { packets_sent: 80_000 } },
      { load: busy({ busy: 1, daemon: 0.6, ran: 0.6, waited: 0.35 }) },
    ),
  ),
  well(
    'a queue that lost packets before there was a daemon',
    healthy({
      linkCounters: looked([{ link: 'wg0', counters: { tx_dropped: 4_000 }, gained: {} }]),
    }),
  ),
  well(
    'a daemon of the same name in another namespace',
    healthy({
      processes: looked([
        SERVING,
        { ...SERVING, pid: 900, namespace: 'net:[4026532000]' },
      ]),
    }),
  ),
  ...['home', 'wg0'].map((interfaceName) =>
    well(
      `a daemon that was started for wg0 and serves ${interfaceName}, elsewhere or by that name`,
      holding([interfaceName]),
    ),
  ),
  well('a unit of ours', managed(TSWG)),
  well('a file of wg-quick that nothing starts', managed(TSWG, { ...WG_QUICK, isActive: false })),
  well(
    'a NetworkManager that leaves it alone',
    managed(TSWG, { ...NETWORK_MANAGER, isActive: false, line: 'managed=false' }),
  ),
];

