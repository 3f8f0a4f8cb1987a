import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeviceChange, PeerChange } from '../../src/device/configuration.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { parseAddress, parsePrefix } from '../../src/packet/address.ts';
import { RequestReader } from '../../src/uapi/request.ts';
import { parseSet, writeSet } from '../../src/uapi/set.ts';
import { description, endpoint, key, lines, prefix, way } from './arbitraries.ts';

const HEX = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i);
const BASE64 = 'yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=';
const PEER = `public_key=${HEX}`;

const linesOf = (request: string) => new RequestReader().push(request)[0].lines;
const peerOf = (...peerLines: string[]) => {
  const { ok, error } = parseSet([PEER, ...peerLines]);
  expect(error).toBeUndefined();
  const { publicKey, ...rest } = ok!.peers[0];
  expect(publicKey).toEqual(KEY);
  return rest;
};

describe('device keys', () => {
  it.each<[line: string, change: Partial<DeviceChange>]>([
    [`private_key=${HEX}`, { privateKey: KEY }],
    [`private_key=${HEX.toUpperCase()}`, { privateKey: KEY }],
    [`private_key=${'0'.repeat(64)}`, { privateKey: new Uint8Array(32) }],
    ['listen_port=0', { listenPort: 0 }],
    ['listen_port=65535', { listenPort: 65535 }],
    ['fwmark=0', { fwmark: 0 }],
    ['fwmark=51820', { fwmark: 51820 }],
    ['fwmark=4294967295', { fwmark: 0xffff_ffff }],
    ['fwmark=0xCA6c', { fwmark: 0xca6c }],
    ['replace_peers=true', { replacePeers: true }],
    ['debug=true', { debug: true }],
    ['debug=false', { debug: false }],
  ])('%s', (line, change) => {
    expect(parseSet([line])).toEqual({ ok: { peers: [], ...change } });
  });

  it('of one name: the last holds', () => {
    expect(parseSet(['listen_port=1', 'listen_port=2']).ok!.listenPort).toBe(2);
  });

  it('nothing at all is a change of nothing', () => {
    expect(parseSet([])).toEqual({ ok: { peers: [] } });
  });
});

describe('peer keys', () => {
  it.each<[line: string, change: Partial<PeerChange>]>([
    ['remove=true', { remove: true }],
    ['update_only=true', { updateOnly: true }],
    [`preshared_key=${HEX}`, { presharedKey: KEY }],
    [
      'endpoint=203.0.113.10:51820',
      { endpoint: new Endpoint(parseAddress('203.0.113.10')!, 51820) },
    ],
    ['endpoint=[2001:db8::1]:1', { endpoint: new Endpoint(parseAddress('2001:db8::1')!, 1) }],
    ['endpoint=[fe80::1%7]:65535', { endpoint: new Endpoint(parseAddress('fe80::1')!, 65535, 7) }],
    ['endpoint=[::ffff:192.0.2.1]:9', { endpoint: new Endpoint(parseAddress('192.0.2.1')!, 9) }],
    ['endpoint=', { endpoint: null }],
    ['persistent_keepalive_interval=0', { persistentKeepalive: 0 }],
    ['persistent_keepalive_interval=65535', { persistentKeepalive: 65535 }],
    ['replace_allowed_ips=true', { replaceAllowedIps: true }],
    ['protocol_version=1', {}],
    ['description=Site B, 2nd floor = café', { description: 'Site B, 2nd floor = café' }],
    ['description=', { description: '' }],
    [`description=${'ü'.repeat(127)}x`, { description: `${'ü'.repeat(127)}x` }],
  ])('%s', (line, change) => {
    expect(peerOf(line)).toEqual({ allowedIps: [], ...change });
  });

  it('allowed IPs are kept in order, with what is to be taken away', () => {
    const { allowedIps } = peerOf(
      ...[
        'allowed_ip=10.1.2.3/8',
        'allowed_ip=-10.0.0.1',
        'allowed_ip=::/0',
        'allowed_ip=-fd00::/8',
      ],
    );
    expect(allowedIps).toEqual([
      { prefix: parsePrefix('10.0.0.0/8'), remove: false },
      { prefix: parsePrefix('10.0.0.1/32'), remove: true },
      { prefix: parsePrefix('::/0'), remove: false },
      { prefix: parsePrefix('fd00::/8'), remove: true },
    ]);
  });

  it('belong to the public_key before them, and a repeated one continues in order', () => {
    const other = `public_key=${HEX.replaceAll('0', 'f')}`;
    const { ok } = parseSet([
      ...['listen_port=1', PEER, 'allowed_ip=1.1.1.1/32', other, 'remove=true', PEER],
      ...['allowed_ip=-1.1.1.1/32', 'persistent_keepalive_interval=5'],
    ]);
    expect(
      ok!.peers.map((peer) => [peer.publicKey[0], peer.remove, peer.allowedIps.length]),
    ).toEqual([
      [0x00, undefined, 1],
      [0xff, true, 0],
      [0x00, undefined, 1],
    ]);
    expect(ok!.peers[2].persistentKeepalive).toBe(5);
  });

  it('scopes go by their names where the interfaces are known', () => {
    const index = (name: string) => (name === 'eth0' ? 3 : 0);
    const named = [PEER, 'endpoint=[fe80::1%eth0]:5'];
    expect(parseSet(named, index).ok!.peers[0].endpoint!.scope).toBe(3);
    expect(parseSet([PEER, 'endpoint=[fe80::1%eth1]:5'], index).error!.errno).toBe(22);
    expect(parseSet(named).error!.errno).toBe(22);
  });
});

describe('mistakes', () => {
  const EINVAL = 22;
  const EPROTO = 71;

  it.each([
    ...['listen_port', 'x'].map((line) => [line, EPROTO, 'KEY=VALUE']),
    ...['', 'x', '-1', '65536', '1 ', ' 1', '01', '0x1', '1e3'].map((value) => [
      `listen_port=${value}`,
      EINVAL,
      'a port, 0 to 65535',
    ]),
    ...['', 'off', '4294967296', '0x', '0x100000000', '0xg', '-1', '0X1 '].map((value) => [
      `fwmark=${value}`,
      EINVAL,
      'a mark, 0 to 4294967295 or 0x0 to 0xffffffff',
    ]),
    ['replace_peers=false', EINVAL, 'true'],
    ['replace_peers=', EINVAL, 'true'],
    ['debug=1', EINVAL, 'true or false'],
    ['remove=true', EINVAL, 'remove after a public_key'],
    ['allowed_ip=::/0', EINVAL, 'allowed_ip after a public_key'],
    ['protocol_version=1', EINVAL, 'protocol_version after a public_key'],
    ['__proto__=1', EINVAL, 'a key of the configuration protocol'],
    ['Listen_port=1', EINVAL, 'a key of the configuration protocol'],
    ['=1', EINVAL, 'a key of the configuration protocol'],
  ] as [string, number, string][])('of the device: %j', (line, errno, expected) => {
    expect(parseSet(['fwmark=1', line])).toEqual({ error: { errno, line, expected } });
  });

  const endpointForm = 'IPv4:PORT, [IPv6]:PORT or nothing';
  it.each([
    ...['listen_port=1', 'fwmark=1', 'replace_peers=true', 'debug=true'].map((line) => [
      line,
      `${line.split('=')[0]} before the first public_key`,
    ]),
    ...['remove', 'update_only', 'replace_allowed_ips'].map((name) => [`${name}=false`, 'true']),
    ...[
      ...['1.2.3.4', '1.2.3.4:', ':51820', '1.2.3.4:0', '1.2.3.4:65536', '1.2.3.4:+1', 'x:1'],
      ...['site.example:51820', '::1:51820', '[::1]', '[::1]51820', '[::1]:', '[::1:5', '[]:1'],
      ...[
        '[1.2.3.4]:5',
        '[::1%]:5',
        '[::1%0]:5',
        '[::1%-1]:5',
        '[%1]:5',
        '1.2.3.4%1:5',
        '[::1 ]:5',
      ],
    ].map((value) => [`endpoint=${value}`, endpointForm]),
    ...['', '-1', '65536', 'off'].map((value) => [
      `persistent_keepalive_interval=${value}`,
      'seconds, 0 to 65535',
    ]),
    ...['', '-', '--1.1.1.1', '1.1.1.1/33', '1.1.1/24', '+1.1.1.1/32', '::/129', '1.1.1.1/'].map(
      (value) => [`allowed_ip=${value}`, '[-]ADDRESS[/LENGTH]'],
    ),
    ['protocol_version=2', '1'],
  ])('of a peer: %j', (line, expected) => {
    expect(parseSet([PEER, line])).toEqual({ error: { errno: EINVAL, line, expected } });
  });

  it('in the last of many lines leave nothing to apply', () => {
    const result = parseSet(['listen_port=1', PEER, 'allowed_ip=::/0', 'allowed_ip=nonsense']);
    expect(result.ok).toBeUndefined();
  });

  it.each([
    ['a\tb', 'a?b'],
    ['\u001b[2J', '?[2J'],
    ['a\u2028b', 'a?b'],
    ['\u0085', '?'],
    ['ü'.repeat(128), `${'ü'.repeat(57)}...`],
  ])('in a description, %j, are told without what steers a terminal', (value, shown) => {
    const expected = 'text of at most 255 bytes without control characters';
    expect(parseSet([PEER, `description=${value}`])).toEqual({
      error: { errno: EINVAL, line: `description=${shown}`, expected },
    });
  });

  it.each([
    ['private_key=c2VjcmV0', 'private_key=(hidden)'],
    [`private_key=${HEX}0`, 'private_key=(hidden)'],
    [`private_key =${HEX}`, 'private_key =(hidden)'],
    [`privatekey=${HEX}`, 'privatekey=(hidden)'],
    [`Private-Key: ${HEX}`, 'Private-Key (hidden)'],
    [`private_key ${HEX}`, 'private_key (hidden)'],
    [`private_key ${HEX.slice(0, 32)} ${HEX.slice(32)}`, 'private_key (hidden)'],
    [`public_key=${HEX}0`, 'public_key=(hidden)'],
    [`public_key=${HEX.slice(1)}`, 'public_key=(hidden)'],
    [`public_key= ${HEX}`, 'public_key=(hidden)'],
    ['public_key=', 'public_key=(hidden)'],
    ['own_public_key=1', 'own_public_key=(hidden)'],
    [`endpoint=${HEX}`, 'endpoint=(hidden)'],
    [`allowed_ip=${HEX.slice(0, 50)}`, 'allowed_ip=(hidden)'],
    [`description=${BASE64}\u0007`, 'description=(hidden)'],
    [HEX, '(hidden)'],
    [`${HEX}=1`, '(hidden)=1'],
    [`=${HEX}`, '=(hidden)'],
    [BASE64.slice(4), '(hidden)='],
    [`${BASE64.slice(4)}=`, '(hidden)=='],
    [`${BASE64.slice(4)}/32`, '(hidden)=/32'],
    [`peer=${BASE64}`, 'peer=(hidden)'],
    [`peer=${BASE64.slice(0, 20)}\r${BASE64.slice(20)}`, 'peer=(hidden)'],
  ])('%j is told without what could be a key', (line, shown) => {
    expect(parseSet([PEER, line]).error!.line).toBe(shown);
  });

  it('of any kind are an answer, not an exception', () => {
    fc.assert(
      fc.property(lines, (all) => {
        parseSet(all);
        parseSet([PEER, ...all]);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('writing', () => {
  it('spells a change as other programs do', () => {
    const change: DeviceChange = {
      privateKey: KEY,
      listenPort: 51820,
      fwmark: 0,
      replacePeers: true,
      peers: [
        {
          publicKey: KEY,
          presharedKey: KEY,
          endpoint: new Endpoint(parseAddress('fe80::1')!, 5, 2),
          persistentKeepalive: 25,
          replaceAllowedIps: true,
          allowedIps: [
            { prefix: parsePrefix('10.0.0.0/8')!, remove: false },
            { prefix: parsePrefix('::/0')!, remove: true },
          ],
        },
        { publicKey: KEY, remove: true, allowedIps: [] },
      ],
    };
    expect(writeSet(change)).toBe(
      `set=1\nprivate_key=${HEX}\nlisten_port=51820\nfwmark=0\nreplace_peers=true\n` +
        `${PEER}\npreshared_key=${HEX}\nendpoint=[fe80::1%2]:5\n` +
        'persistent_keepalive_interval=25\nreplace_allowed_ips=true\n' +
        `allowed_ip=10.0.0.0/8\nallowed_ip=-::/0\n${PEER}\nremove=true\n\n`,
    );
  });

  it('a description cannot smuggle in further lines', () => {
    const change = { peers: [{ publicKey: KEY, allowedIps: [], description: 'a\nremove=true' }] };
    expect(() => writeSet(change)).toThrow('control character');
  });

  const flag = fc.constant(true as const);
  const peerChange: fc.Arbitrary<PeerChange> = fc.record(
    {
      publicKey: key,
      remove: flag,
      updateOnly: flag,
      presharedKey: key,
      endpoint: fc.option(endpoint, { nil: null }),
      ways: fc.array(way, { maxLength: 16 }),
      persistentKeepalive: fc.nat(65_535),
      replaceAllowedIps: flag,
      allowedIps: fc.array(fc.record({ prefix, remove: fc.boolean() }), { maxLength: 5 }),
      description,
    },
    { requiredKeys: ['publicKey', 'allowedIps'] },
  );
  const deviceChange: fc.Arbitrary<DeviceChange> = fc.record(
    {
      privateKey: key,
      listenPort: fc.nat(65_535),
      fwmark: fc.nat(0xffff_ffff),
      replacePeers: flag,
      debug: fc.boolean(),
      peers: fc.array(peerChange, { maxLength: 4 }),
    },
    { requiredKeys: ['peers'] },
  );

  it('and reading gives back the same change', () => {
    fc.assert(
      fc.property(deviceChange, (change) => {
        expect(parseSet(linesOf(writeSet(change)))).toEqual({ ok: change });
      }),
      { numRuns: 500 },
    );
  });
});
