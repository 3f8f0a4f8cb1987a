/** Records of causes 1 to 9 that no lab shows, and of what only looks like one of them. */

import {
  cannotLook,
  type EndpointWay,
  type Evidence,
  type IcmpError,
  known,
  looked,
  type OwnPeer,
  type RingEvent,
  type Route,
  type RouteAnswer,
  type ServingProcess,
  type Trouble,
  type Wishes,
} from '../../../src/doctor/evidence.ts';
import {
  healthy,
  healthyWith,
  INNER,
  NOW_MS,
  OUR_KEY,
  OUTER,
  OUTER_ROUTE,
  PEER,
  PEER_KEY,
  SERVING,
} from '../healthy.ts';
import { type Recorded, recorded, well } from './record.ts';

const OTHER_KEY = 'VKyJkNJ2vMTAy6bIFkuR4mG4jkP1aAY8U2pcDdVJ9Hc=';
const NO_ANSWER: Trouble = { code: 'noAnswer', values: { initiations: 6, silentMs: 26_000 } };
/** It was there an hour ago, and does not answer now. */
const LOST: Partial<OwnPeer> = {
  lastHandshakeMs: NOW_MS - 3_600_000,
  troubles: [NO_ANSWER],
  gained: { initiations_sent: 1 },
};
const NEVER: Partial<OwnPeer> = { ...LOST, lastHandshakeMs: 0, counters: { initiations_sent: 6 } };
const BASE = healthy();

const WAY: EndpointWay = {
  ...{ host: '198.51.100.20', port: 51_820, near: null, isInUse: true },
  ...{ addresses: [], error: null, unanswered: 0 },
};

const PORT_UNREACHABLE: IcmpError = {
  ...{ from: '198.51.100.20', meaning: 'portUnreachable', type: 3, code: 3, mtu: 0 },
  ...{ source: '198.51.100.10', sourcePort: 51_820 },
  ...{ destination: '198.51.100.20', destinationPort: 51_820, about: 'daemon', count: 2 },
};

const UNANSWERED_PINGS: Evidence['pings'] = looked([
  {
    ...{ peer: PEER_KEY, destination: '10.99.0.2', known: 'allowedIp', source: '10.99.0.1' },
    echoes: [{ bytes: 84, sent: 3, received: 0, rttMs: null, error: null }],
    errors: [],
  },
]);
/** Its session is good, and it has become silent. */
const UNHEARD: Partial<OwnPeer> = { gained: { packets_sent: 6 }, gainedRxBytes: 0 };
/** What the network says of it then. */
const IN_SESSION: readonly (readonly [string, Partial<IcmpError>, RegExp])[] = [
  ['nothingListens', {}, /nothing listens[\s\S]*none of 3 pings was answered/],
  ['prohibited', { from: '192.0.2.1' }, /192\.0\.2\.1, a router or firewall/],
  ['hostUnreachable', { from: '192.0.2.1', meaning: 'hostUnreachable', code: 1 }, /cannot reach/],
  [
    'networkUnreachable',
    { from: '192.0.2.1', meaning: 'networkUnreachable', code: 0 },
    /knows no way/,
  ],
];

const WISHES: Wishes = {
  ...{ path: '/etc/hostname.wg0', mistakes: [], listenPort: 51_820, fwmark: null, mtu: null },
  ...{ isUp: true, addresses: ['10.99.0.1/30'], peers: [], commands: [] },
};

function fileWith(publicKey: string, host: string, port: number): Pick<Evidence, 'files'> {
  const wish = { publicKey, ways: [{ host, port, near: null }], persistentKeepalive: null };
  const peers = [{ ...wish, hasPresharedKey: false, allowedIps: ['10.99.0.2/32'] }];
  return { files: looked({ hostname: { ...WISHES, peers }, managers: [] }) };
}

function eventsOf(...bodies: readonly Omit<RingEvent, 'seq' | 'timeMs'>[]): Evidence['events'] {
  return looked(
    bodies.map((body, index) => ({
      seq: index + 1,
      timeMs: NOW_MS - (bodies.length - index) * 2_000,
      ...body,
    })),
  );
}

const [HERE, THERE, BEYOND] = ['192.0.2.1:51820', '192.0.2.2:51820', '192.0.2.3:51820'];
const moved = (from: string, to: string) => ({
  kind: 'roamed',
  peer: PEER_KEY,
  values: { from, to },
});

/** The endpoint's routes lead this way. */
function routed(route: Partial<Route>): Evidence['routes'] {
  const answers = BASE.routes.ok ? BASE.routes.value : [];
  return looked(
    answers.map(
      (one): RouteAnswer =>
        one.purpose === 'allowedIp'
          ? one
          : { ...one, answer: { kind: 'route', route: { ...OUTER_ROUTE, ...route } } },
    ),
  );
}

const DEFAULT_ROUTE: Route = { ...OUTER_ROUTE, prefix: '0.0.0.0/0', gateway: '198.51.100.1' };
const TABLE = looked([...(BASE.table.ok ? BASE.table.value : []), DEFAULT_ROUTE]);

const NO_LINK: Partial<Evidence> = {
  link: looked(null),
  links: looked([OUTER]),
  daemon: looked({ kind: 'none', hasSocket: false, hasState: false, hasLink: false }),
  table: looked([]),
};

const SILENT = { daemon: looked({ kind: 'silent' as const, why: 'no answer within 3 seconds' }) };

function silentWith(serving: Partial<ServingProcess>): Evidence {
  return healthy({ ...SILENT, processes: looked([{ ...SERVING, ...serving }]) });
}

function noSocket(call: string, error: string, descriptors = SERVING.descriptors): Evidence {
  const values = { why: 'in plain words', call, error };
  return healthyWith({ troubles: [{ code: 'noSocket', values }] }, {}, {
    processes: looked([{ ...SERVING, descriptors }]),
  });
}

const ESSENTIALS: readonly Recorded[] = [
  recorded(
    'noInterface',
    'in another namespace',
    healthy({
      ...NO_LINK,
      processes: looked([
        { ...SERVING, namespace: 'net:[4026532001]' },
      ]),
    }),
    /tswgd \(process 400\)[\s\S]*nsenter --net=\/proc\/400\/ns\/net tswg wg0 doctor/,
  ),
  recorded(
    'noInterface',
    'started by a unit',
    healthy({
      ...NO_LINK,
      processes: looked([]),
      files: looked({
        hostname: null,
        managers: [{ kind: 'tswg', path: '/etc/systemd/system/tswg@wg0.service', isActive: true, line: '' }],
      }),
    }),
    /systemctl restart tswg@wg0\.service/,
  ),
  well(
    "another's link without a daemon",
    healthy({
      link: looked({ ...INNER, kind: 'veth' }),
      daemon: looked({ kind: 'none', hasSocket: false, hasState: false, hasLink: true }),
    }),
  ),
  recorded(
    'daemonSilent',
    '',
    silentWith({}),
    /tswgd \(process 400\) runs and says nothing[\s\S]*no answer within 3 s[\s\S]*kill -KILL 400\ntswg wg0 create$/,
  ),
  recorded('daemonSilent', 'stopped', silentWith({ state: 'T' }), /is stopped[\s\S]*^kill -CONT 400$/m),
  recorded('daemonSilent', 'traced', silentWith({ state: 't' }), /held by a debugger[\s\S]*TracerPid/),
  recorded(
    'daemonSilent',
    'without a descriptor to answer by',
    silentWith({ descriptors: { open: 64, max: 64, interfaces: ['wg0'] } }),
    /process 400 has 64 of at most 64 files open/,
  ),
  recorded(
    'daemonSilent',
    'of somebody who is not seen',
    healthy({ ...SILENT, processes: looked([]) }),
    /no process[\s\S]*ss -xlp/,
  ),
  recorded(
    'noSocket',
    'by the limit of the process',
    noSocket('socket', 'EMFILE', { open: 64, max: 64, interfaces: ['wg0'] }),
    /64 of at most 64 files open[\s\S]*^prlimit --pid 400 .*\ntswg wg0 wgport 51820$/m,
  ),
  recorded('noSocket', 'by the limit of the machine', noSocket('socket', 'ENFILE'), /fs\.file-max/),
  recorded('noSocket', 'for another reason', noSocket('socket', 'ENOMEM'), /in plain words/),
  recorded(
    'interfaceDown',
    'without its address',
    healthy({
      link: looked({ ...INNER, flags: ['POINTOPOINT'], isUp: false, addresses: [] }),
      table: looked([]),
      files: looked({ hostname: WISHES, managers: [] }),
    }),
    /tswg wg0 inet 10\.99\.0\.1\/30/,
  ),
];

const KEYS: readonly Recorded[] = [
  recorded(
    'keyNotPrivate',
    '',
    healthyWith({ key: 'unclamped' }, NEVER),
    /looks like a public key[\s\S]*tswg genkey/,
  ),
  well('a private key that another program made', healthyWith({ key: 'unclamped' })),
  recorded(
    'peerIsOurself',
    'a key file was copied',
    healthyWith({ peers: [] }, {}, {
      events: eventsOf({ kind: 'peerConfigured', peer: OUR_KEY, values: {} }),
    }),
    /when the key became its own/,
  ),
  well(
    'handshakes for another key, and a session with every peer',
    healthyWith({ troubles: [{ code: 'badMac1', values: { messages: 5 } }] }),
  ),
  recorded(
    'wrongKeyOfOurs',
    'of nobody knows whom',
    healthyWith({ troubles: [{ code: 'badMac1', values: { messages: 5 } }] }, { lastHandshakeMs: 0 }),
    /somebody calls/,
  ),
  recorded(
    'unknownKeyCalls',
    'whom the file knows',
    healthyWith(
      {
        troubles: [
          {
            code: 'stranger',
            values: { publicKey: OTHER_KEY, address: '192.0.2.9', port: 4_000, agoMs: 3_000 },
          },
        ],
      },
      {},
      fileWith(OTHER_KEY, '192.0.2.9', 4_000),
    ),
    /tswg netstart wg0/,
  ),
];

const ANSWERS: readonly Recorded[] = [
  recorded(
    'answersUnconfirmed',
    '',
    healthyWith({}, {
      lastHandshakeMs: 0,
      troubles: [{ code: 'unconfirmed', values: { responses: 5 } }],
      counters: { responses_sent: 5, initiations_received: 5 },
      gained: { responses_sent: 1, initiations_received: 1 },
    }),
    /they do not arrive there, or the preshared keys differ/,
  ),
  well('a forged ICMP error', healthy({ icmp: looked([PORT_UNREACHABLE]) })),
  well(
    'a forged ICMP error about a peer that answers no ping',
    healthy({ icmp: looked([PORT_UNREACHABLE]), pings: UNANSWERED_PINGS }),
  ),
  well(
    'a probe is rejected, but no datagram of the daemon',
    healthyWith({}, UNHEARD, {
      icmp: looked([{ ...PORT_UNREACHABLE, sourcePort: 40_000, about: 'probe' }]),
      pings: UNANSWERED_PINGS,
    }),
  ),
  ...IN_SESSION.map(([code, error, says]) =>
    recorded(
      code,
      'while the session lives',
      healthyWith({}, UNHEARD, {
        icmp: looked([{ ...PORT_UNREACHABLE, ...error }]),
        pings: UNANSWERED_PINGS,
      }),
      says,
    ),
  ),
  well('a peer that has not called yet', healthyWith({}, { ...NEVER, endpoint: null, troubles: [], gained: {}, counters: {} }, { pings: looked([]) })),
  recorded(
    'silence',
    'of one that was there',
    healthyWith({}, { ...LOST, ways: [WAY], counters: { ...PEER.counters, responses_received: 0 } }),
    /the last handshake with it was 3600 seconds ago[\s\S]*off or has moved/,
  ),
  recorded(
    'silence',
    'and nobody could listen to ICMP',
    healthyWith({}, { ...NEVER, ways: [WAY] }, {
      icmp: cannotLook('only root may'),
      probes: cannotLook('only root may'),
    }),
    /why cannot be seen[\s\S]*only root may/,
  ),
];

const ARRIVING: Evidence['wire'] = looked([
  {
    ...{ direction: 'in', link: 'eth0', source: '198.51.100.20', sourcePort: 51_820 },
    ...{ destination: '198.51.100.10', destinationPort: 51_820, message: 'response' },
    ...{ packets: 2, hasOurMac1: true },
  },
]);

const LOST_HERE: readonly Recorded[] = [
  recorded(
    'silence',
    'what comes is taken by the daemon',
    healthyWith({}, { ...NEVER, ways: [WAY], gained: { initiations_sent: 1, cookies_received: 2 } }, {
      wire: looked((known(ARRIVING) ?? []).map((one) => ({ ...one, message: 'cookie' as const }))),
    }),
    /nothing comes back/,
  ),
  recorded(
    'noAnswerYet',
    'both called at once, and each answer came too late',
    healthyWith(
      { gained: { drop_unknownIndex: 2 } },
      { ...NEVER, ways: [WAY], gained: { initiations_sent: 1, initiations_received: 1 } },
      { wire: ARRIVING },
    ),
  ),
  recorded(
    'silence',
    'what comes is lost, and there is no packet filter',
    healthyWith({}, { ...NEVER, ways: [WAY] }, { wire: ARRIVING }),
    /reaches eth0, a link of this machine, and not the daemon/,
  ),
  recorded(
    'silence',
    'what comes is lost, and no packet filter can be listed',
    healthyWith({}, { ...NEVER, ways: [WAY] }, {
      wire: ARRIVING,
      firewall: cannotLook('nft is not installed'),
    }),
    /cannot be looked at: nft is not installed/,
  ),
];

const PLACES: readonly Recorded[] = [
  well(
    'another port in the file, where something listens',
    healthyWith({}, {}, fileWith(PEER_KEY, '198.51.100.20', 9)),
  ),
  well(
    'a name that means another place than where the peer is now',
    healthy({
      names: looked([
        {
          ...{ of: 'daemon', peer: PEER_KEY, host: 'vpn.example.net', port: 51_820 },
          ...{ addresses: ['192.0.2.9'], error: null, tookMs: 2 },
        },
      ]),
    }),
  ),
  recorded(
    'nameUnresolved',
    'never was',
    healthyWith({}, { ...NEVER, endpoint: null, troubles: [], gained: {} }, {
      names: looked([
        {
          ...{ of: 'daemon', peer: PEER_KEY, host: 'vpn.example.net', port: 51_820 },
          ...{ addresses: [], error: 'ENOTFOUND', tookMs: 2 },
        },
      ]),
      pings: looked([]),
    }),
    /there is no such name/,
  ),
];

const WAYS_OUT: readonly Recorded[] = [
  recorded(
    'sourceGone',
    'of the whole interface',
    healthyWith({ troubles: [{ code: 'bindGone', values: { near: '192.0.2.200', why: 'noAddress' } }] }, LOST),
    /nothing can be sent from 192\.0\.2\.200, which wgbind asks for[\s\S]*tswg wg0 -wgbind/,
  ),
  recorded(
    'sourceGone',
    'of one way',
    healthyWith({}, { ...LOST, ways: [{ ...WAY, near: '192.0.2.200' }] }),
    /which via asks for: it is no address of this machine any more/,
  ),
  well(
    'a way by a link of its own',
    healthy({ routes: routed({ prefix: '198.51.100.20/32', link: 'lo' }), table: TABLE }),
  ),
  recorded(
    'endpointRouteUnexpected',
    'another tunnel',
    healthyWith({}, { ...LOST, ways: [WAY] }, {
      links: looked([OUTER, INNER, { ...INNER, index: 9, name: 'wg1' }]),
      routes: routed({ prefix: '198.51.100.0/24', link: 'wg1' }),
      table: TABLE,
    }),
    /leaves by wg1, another tunnel/,
  ),
];

/** Called, and without an answer so far; the daemon does not call that a trouble before 5 s. */
const CALLED: Partial<OwnPeer> = {
  lastHandshakeMs: 0,
  counters: { initiations_sent: 1, packets_waiting: 3 },
  gained: {},
  gainedRxBytes: 0,
};
const BEGUN = eventsOf({
  kind: 'handshakeBegun',
  peer: PEER_KEY,
  values: { by: 'us', endpoint: '198.51.100.20:51820' },
});

const EARLY: readonly Recorded[] = [
  recorded(
    'noAnswerYet',
    'the call was before the run',
    healthyWith({}, CALLED, { events: BEGUN, pings: cannotLook('left out by --quick') }),
    /too early[\s\S]*3 packets wait[\s\S]*call it 3\.2 s ago[\s\S]*without --quick/,
  ),
  recorded(
    'noAnswerYet',
    'a single call over the run is no silence',
    healthyWith({}, { ...CALLED, gained: { initiations_sent: 1, packets_waiting: 3 } }),
  ),
  recorded(
    'silence',
    'two calls over the run',
    healthyWith(
      {},
      { ...CALLED, lastHandshakeMs: NOW_MS - 3_600_000, gained: { initiations_sent: 2 } },
      { pings: UNANSWERED_PINGS },
    ),
    /over the run, no answer to 2 initiations/,
  ),
  recorded(
    'noAnswerYet',
    'it calls us as well',
    healthyWith(
      {},
      { ...NEVER, gained: { initiations_sent: 1, initiations_received: 2, responses_sent: 2 } },
    ),
    /no answer to 6 initiations[\s\S]*it called 2 times/,
  ),
  recorded(
    'endpointNoRoute',
    'nobody has to wait for it',
    healthyWith({}, { ...CALLED, lastHandshakeMs: NOW_MS - 3_600_000 }, {
      routes: looked(
        (BASE.routes.ok ? BASE.routes.value : []).map((one): RouteAnswer => {
          const answer = { kind: 'none', error: 'ENETUNREACH' } as const;
          return one.purpose === 'endpoint' ? { ...one, answer } : one;
        }),
      ),
    }),
  ),
  well('packets wait for nobody whom we call', healthyWith({}, {
    ...CALLED,
    counters: { initiations_sent: 0, packets_waiting: 3 },
  })),
  well('idle, and called in vain long ago', healthyWith({}, {
    ...CALLED,
    counters: { initiations_sent: 20, packets_waiting: 0 },
  })),
];

const MAPPINGS: readonly Recorded[] = [
  recorded(
    'silence',
    'of one that has answered us before',
    healthyWith({}, LOST),
    /the last handshake with it/,
  ),
  recorded(
    'natMappingLost',
    'or it is off',
    healthyWith({}, { ...LOST, counters: { ...PEER.counters, responses_received: 0 } }),
    /wgpka 25[\s\S]*that machine is off/,
  ),
  recorded(
    'natMappingLost',
    'while the session lives',
    healthyWith({}, { ...UNHEARD, counters: { ...PEER.counters, responses_received: 0 } }, {
      icmp: looked([PORT_UNREACHABLE]),
      pings: UNANSWERED_PINGS,
    }),
    /none of 3 pings was answered[\s\S]*wgpka 25/,
  ),
  recorded(
    'keyShared',
    '',
    healthy({
      events: eventsOf(
        moved(HERE, THERE),
        moved(THERE, HERE),
        moved(HERE, THERE),
        moved(THERE, HERE),
        moved(HERE, THERE),
      ),
    }),
    /192\.0\.2\.1:51820 and from 192\.0\.2\.2:51820[\s\S]*5 times between these two in 8 seconds/,
  ),
  well(
    'a peer that moves on',
    healthy({
      events: eventsOf(
        moved(HERE, THERE),
        moved(THERE, BEYOND),
        moved(BEYOND, HERE),
        moved(HERE, BEYOND),
        moved(BEYOND, THERE),
      ),
    }),
  ),
];

export const CONTACT: readonly Recorded[] = [
  ...ESSENTIALS,
  ...KEYS,
  ...ANSWERS,
  ...LOST_HERE,
  ...PLACES,
  ...WAYS_OUT,
  ...EARLY,
  ...MAPPINGS,
];
