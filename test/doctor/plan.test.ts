/** Whom doctor asks in the network: out of the configuration alone. */

import { describe, expect, it } from 'vitest';
import type { Link } from '../../src/doctor/evidence.ts';
import { innerPlaces, sampleOf } from '../../src/doctor/gather/innerplaces.ts';
import { planOf } from '../../src/doctor/gather/plan.ts';
import { parseKey } from '../../src/keytext.ts';
import { parseState } from '../../src/uapi/get.ts';
import { INNER, OUR_KEY, OUTER, PEER_KEY } from './healthy.ts';

const link = (...addresses: [string, number, string?][]): Link => ({
  ...INNER,
  addresses: addresses.map(([address, length, destination]) => ({
    ...{ address, length, destination: destination ?? null, isLinkLocal: false },
  })),
});
const peer = (...allowedIps: string[]) => ({ publicKey: PEER_KEY, allowedIps });

describe('whom to ping', () => {
  it.each([
    [
      'the host that is allowed',
      peer('10.99.0.2/32'),
      link(['10.99.0.1', 30]),
      '10.99.0.2 allowedIp',
    ],
    [
      'the end of the link',
      peer('0.0.0.0/0'),
      link(['10.0.0.1', 32, '10.0.0.9']),
      '10.0.0.9 destination',
    ],
    ['the only neighbour', peer('10.99.0.0/30'), link(['10.99.0.1', 30]), '10.99.0.2 guess'],
    ['the other of two', peer('10.99.0.0/31'), link(['10.99.0.0', 31]), '10.99.0.1 guess'],
    ['the first host', peer('10.99.0.0/24'), link(['10.99.0.7', 24]), '10.99.0.1 guess'],
    ['nobody: it is ourselves', peer('10.99.0.0/24'), link(['10.99.0.1', 24]), ''],
    ['nobody: not allowed', peer('10.20.0.0/24'), link(['10.99.0.7', 24]), ''],
    ['nobody: no address', peer('10.20.0.0/24'), link(), ''],
    ['nobody: link-local', peer('fe80::/64'), link(['fe80::2', 64]), ''],
    [
      'both families',
      peer('10.99.0.2/32', 'fd00::2/128'),
      link(['10.99.0.1', 30]),
      '10.99.0.2 allowedIp fd00::2 allowedIp',
    ],
  ])('%s', (_, one, interfaceLink, places) => {
    const found = innerPlaces(one, interfaceLink, null);
    expect(found.map(({ destination, known }) => `${destination} ${known}`).join(' ')).toBe(places);
  });
});

describe('an address within a prefix', () => {
  it.each([
    ['10.20.0.0/24', [], '10.20.0.1'],
    ['10.20.0.0/24', ['10.20.0.1'], '10.20.0.2'],
    ['10.20.0.5/32', ['10.20.0.5'], '10.20.0.5'],
    ['10.20.0.0/31', ['10.20.0.0'], '10.20.0.1'],
    ['0.0.0.0/0', [], '1.0.0.1'],
    ['::/0', [], '2001:470::1'],
    ['fd00::/64', [], 'fd00::1'],
    ['nothing', [], null],
  ])('%s, ours %j: %s', (prefix, own, address) => {
    expect(sampleOf(prefix, new Set(own))).toBe(address);
  });
});

describe('the plan', () => {
  const key = (text: string) => Buffer.from(parseKey(text)!).toString('hex');
  const state = parseState(
    [
      ...['listen_port=51820', 'fwmark=7', `public_key=${key(PEER_KEY)}`],
      ...['tswg_way=vpn.example.net:51820', 'tswg_way_in_use=true'],
      ...['endpoint=198.51.100.20:51820', 'allowed_ip=10.99.0.2/32', 'errno=0', '', ''],
    ].join('\n'),
  );
  const sample = { state, publicKey: OUR_KEY, key: 'clamped', stats: null } as const;
  const facts = {
    ...{ name: 'wg0', peer: null, isQuiet: false, other: null, links: [OUTER, INNER], link: INNER },
    ...{ sample, wishes: null },
  };

  it('asks for the way of datagrams as they are sent, and of an answer back', () => {
    const { routes } = planOf(facts);
    expect(
      routes.map(({ purpose, destination, mark, ports }) => [purpose, destination, mark, ports]),
    ).toEqual([
      ['endpoint', '198.51.100.20', 7, { source: 51_820, destination: 51_820 }],
      ['back', '198.51.100.20', 0, null],
      ['allowedIp', '10.99.0.2', 0, null],
    ]);
  });

  it('leaves from where the way says, else from where the whole tunnel is bound', () => {
    const bind = { kind: 'interface', name: 'eth0' } as const;
    const nearOf = (changes: object): unknown =>
      planOf({ ...facts, sample: { ...sample, state: { ...state, ...changes } } }).probes[0].near;
    expect(nearOf({})).toBeNull();
    expect(nearOf({ bind })).toEqual(bind);
    const near = { kind: 'address', address: Uint8Array.of(198, 51, 100, 10) } as const;
    const ways = state.peers[0].ways.map((way) => ({ ...way, near }));
    expect(nearOf({ bind, peers: [{ ...state.peers[0], ways }] })).toEqual(near);
  });

  it('probes with what a full packet takes, and pings in that size', () => {
    const { probes, pings } = planOf(facts);
    expect(probes).toMatchObject([{ address: '198.51.100.20', mark: 7, neededMtu: 1_480 }]);
    expect(pings).toMatchObject([{ destination: '10.99.0.2', sizes: [84, 1_420] }]);
  });

  it('asks for the names that are configured', () => {
    expect(planOf(facts).names).toEqual([
      { of: 'daemon', peer: PEER_KEY, host: 'vpn.example.net', port: 51_820 },
    ]);
  });

  it('is about one peer if it was asked for one', () => {
    const { routes, probes, pings, names } = planOf({ ...facts, peer: OUR_KEY });
    expect([routes, probes, pings, names]).toEqual([[], [], [], []]);
  });

  it('pings nobody while the interface is down, and takes the file where no daemon answers', () => {
    expect(planOf({ ...facts, link: { ...INNER, isUp: false } }).pings).toEqual([]);
    const wishes = {
      ...{ path: '/etc/hostname.wg0', mistakes: [], listenPort: 4_500, fwmark: null, mtu: null },
      ...{ isUp: true, addresses: [], commands: [] },
      peers: [
        {
          ...{ publicKey: PEER_KEY, persistentKeepalive: null, hasPresharedKey: false },
          ...{ ways: [{ host: '198.51.100.9', port: 1 }], allowedIps: ['10.99.0.2/32'] },
        },
      ],
    };
    const plan = planOf({ ...facts, sample: null, wishes });
    expect(plan.port).toBe(4_500);
    expect(plan.probes).toMatchObject([{ address: '198.51.100.9', port: 1, mark: 0 }]);
    expect(plan.pings).toEqual([]);
  });
});
