/** Records of causes 14 to 17: clocks, load, capacity, and who else is at the interface. */

import { type Evidence, looked, type Manager, type OwnPeer } from '../../../src/doctor/evidence.ts';
import { healthy, healthyWith, NOW_MS, PEER, SERVING } from '../healthy.ts';
import { type Recorded, recorded, well } from './record.ts';
import { OTHER } from './ways.ts';

const SILENCE: Partial<OwnPeer> = {
  lastHandshakeMs: 0,
  troubles: [{ code: 'noAnswer', values: { initiations: 6, silentMs: 31_000 } }],
};
const NO_PINGS = { pings: looked([]) };
const BASE = healthy();
const LOAD = BASE.load.ok ? BASE.load.value : null;

const busy = (changes: Record<string, number>) => looked({ ...LOAD!, ...changes });

const event = (kind: string, values: Record<string, number>) =>
  looked([{ seq: 1, timeMs: NOW_MS - 9_000, kind, peer: null, values }]);

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
    'of one peer',
    healthyWith(
      {},
      {
        counters: { ...PEER.counters, drop_initiationFlood: 90 },
        gained: { drop_initiationFlood: 40 },
      },
    ),
    /40 initiations of it were dropped over the run, 90 in all/,
  ),
  recorded(
    'processorSaturated',
    '',
    healthyWith({ gained: { drop_receiveOverflow: 500 } }, {}, { load: busy({ daemon: 0.99 }) }),
    /99 % of one of 2 processors[\s\S]*dropped 500 packets/,
  ),
  recorded(
    'receiveOverflow',
    '',
    healthyWith({ gained: { drop_receiveOverflow: 500 } }),
    /dropped 500 packets over the run, beside 6 that passed/,
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

