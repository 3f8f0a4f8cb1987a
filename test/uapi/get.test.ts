import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeviceState } from '../../src/device/configuration.ts';
import { Endpoint, formatEndpoint } from '../../src/device/endpoint.ts';
import { formatPrefix, parseAddress, parsePrefix } from '../../src/packet/address.ts';
import { formatObservedState, formatState, parseState } from '../../src/uapi/get.ts';
import { answer, refuseGet } from '../../src/uapi/response.ts';
import { deviceState, keyOrNone, lines } from './arbitraries.ts';

const HEX = '01'.repeat(32);
const KEY = new Uint8Array(32).fill(1);
const ZEROS = '0'.repeat(64);

const peer: DeviceState['peers'][number] = {
  publicKey: KEY,
  presharedKey: null,
  endpoint: null,
  ways: [],
  lastHandshakeMs: 0,
  txBytes: 0,
  rxBytes: 0,
  persistentKeepalive: 0,
  allowedIps: [],
  description: '',
};
const empty: DeviceState = {
  ...{ privateKey: null, listenPort: 0, fwmark: 0, bind: null, debug: false, peers: [] },
};

describe('an observer', () => {
  it('is told all but the keys', () => {
    fc.assert(
      fc.property(deviceState, keyOrNone, (state, publicKey) => {
        const text = formatObservedState(state, publicKey, '1.2.3');
        const whole = parseState(answer(formatState(state, '1.2.3')));
        expect(parseState(answer(text))).toEqual({
          ...whole,
          privateKey: null,
          peers: whole.peers.map((one) => ({ ...one, presharedKey: null })),
          ...(publicKey === null ? {} : { publicKey }),
          keysAreHidden: true,
        });
        expect(text).not.toMatch(/^(private|preshared)_key/m);
        const secrets = [state.privateKey, ...state.peers.map((one) => one.presharedKey)];
        for (const secret of secrets) {
          if (secret !== null) expect(text).not.toContain(Buffer.from(secret).toString('hex'));
        }
      }),
    );
  });

  it('is told nothing of a public key that there is not', () => {
    const text = formatObservedState(empty, null, '1.2.3');
    expect(text).toBe('tswg_keys_hidden=true\nlisten_port=0\ntswg_version=1.2.3\ntswg_ways=true\n');
    expect(parseState(answer(text))).not.toHaveProperty('publicKey');
  });
});

describe('the state is written', () => {
  it('with the lines in the order of wireguard-go', () => {
    const state: DeviceState = {
      privateKey: KEY,
      listenPort: 51820,
      fwmark: 0xca6c,
      bind: null,
      debug: true,
      peers: [
        {
          publicKey: KEY,
          presharedKey: KEY,
          endpoint: new Endpoint(parseAddress('203.0.113.10')!, 51820),
          ways: [],
          lastHandshakeMs: 1_700_000_000_123,
          txBytes: 2 ** 53 - 1,
          rxBytes: 7,
          persistentKeepalive: 25,
          allowedIps: [parsePrefix('10.0.0.0/8')!, parsePrefix('fd00::/64')!],
          description: 'site B',
        },
      ],
    };
    expect(formatState(state, '1.2.3')).toBe(
      [
        ...[`private_key=${HEX}`, 'listen_port=51820', 'fwmark=51820'],
        ...['tswg_version=1.2.3', 'tswg_ways=true', 'debug=true'],
        ...[`public_key=${HEX}`, `preshared_key=${HEX}`, 'protocol_version=1'],
        'endpoint=203.0.113.10:51820',
        ...['last_handshake_time_sec=1700000000', 'last_handshake_time_nsec=123000000'],
        ...['tx_bytes=9007199254740991', 'rx_bytes=7', 'persistent_keepalive_interval=25'],
        ...['description=site B', 'allowed_ip=10.0.0.0/8', 'allowed_ip=fd00::/64', ''],
      ].join('\n'),
    );
  });

  it('without what is not set', () => {
    expect(formatState({ ...empty, peers: [peer] }, '1')).toBe(
      [
        ...['listen_port=0', 'tswg_version=1', 'tswg_ways=true'],
        ...[`public_key=${HEX}`, `preshared_key=${ZEROS}`, 'protocol_version=1'],
        ...['last_handshake_time_sec=0', 'last_handshake_time_nsec=0', 'tx_bytes=0', 'rx_bytes=0'],
        ...['persistent_keepalive_interval=0', ''],
      ].join('\n'),
    );
  });

  it('and read back the same', () => {
    fc.assert(
      fc.property(deviceState, (state) => {
        expect(parseState(answer(formatState(state, '1.2.3')))).toEqual({
          ...state,
          errno: 0,
          version: '1.2.3',
          knowsWays: true,
          handshakesAreAges: false,
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe('the state of other implementations is read', () => {
  it("wireguard-go's, with the name of a scope", () => {
    const text = [
      ...[`private_key=${HEX}`, 'listen_port=12912', `public_key=${HEX}`],
      ...[`preshared_key=${ZEROS}`, 'protocol_version=1', 'endpoint=[fe80::2%eth0]:51821'],
      ...['last_handshake_time_sec=1700000000', 'last_handshake_time_nsec=999999999'],
      ...['tx_bytes=38333', 'rx_bytes=2224', 'persistent_keepalive_interval=111'],
      ...['allowed_ip=192.168.4.4/32', 'errno=0', '', ''],
    ].join('\n');
    const state = parseState(text, (name) => (name === 'eth0' ? 2 : 0));
    expect(state).toEqual({
      errno: 0,
      privateKey: KEY,
      listenPort: 12912,
      fwmark: 0,
      bind: null,
      debug: false,
      handshakesAreAges: false,
      peers: [
        {
          ...peer,
          endpoint: new Endpoint(parseAddress('fe80::2')!, 51821, 2),
          ways: [],
          lastHandshakeMs: 1_700_000_000_999,
          txBytes: 38333,
          rxBytes: 2224,
          persistentKeepalive: 111,
          allowedIps: [parsePrefix('192.168.4.4/32')!],
        },
      ],
    });
    expect(parseState(text).peers[0].endpoint).toBeNull();
  });

  it("boringtun's, which has no private key and tells the age of a handshake", () => {
    const state = parseState(
      [
        ...[`own_public_key=${HEX}`, 'listen_port=51820', `public_key=${HEX}`],
        ...['endpoint=192.0.2.1:1', 'allowed_ip=0.0.0.0/0', 'last_handshake_time_sec=12'],
        ...['last_handshake_time_nsec=500000000', 'rx_bytes=1', 'tx_bytes=2', 'errno=0', '', ''],
      ].join('\n'),
    );
    expect(state.handshakesAreAges).toBe(true);
    expect(state.publicKey).toEqual(KEY);
    expect(state.privateKey).toBeNull();
    expect(state.peers[0].lastHandshakeMs).toBe(12_500);
    expect([state.peers[0].txBytes, state.peers[0].rxBytes]).toEqual([2, 1]);
  });

  it('with keys unknown, missing, or of no sense', () => {
    const state = parseState(
      [
        ...['listen_port=x', 'fwmark=-1', 'new_key=1', 'no equals sign', `public_key=${HEX}`],
        ...['endpoint=', 'endpoint=here', 'tx_bytes=-5', 'rx_bytes=1e9', 'allowed_ip=10.0.0.0/40'],
        ...['preshared_key=1', 'jc=4', 'allowed_ip=10.0.0.0/8', 'errno=0', '', ''],
      ].join('\n'),
    );
    expect(state).toEqual({
      ...empty,
      errno: 0,
      handshakesAreAges: false,
      peers: [{ ...peer, allowedIps: [parsePrefix('10.0.0.0/8')!] }],
    });
  });

  it("a peer whose key makes no sense does not add to its neighbour's", () => {
    const state = parseState(
      `public_key=${HEX}\npublic_key=zz\nallowed_ip=::/0\ntx_bytes=9\nerrno=0\n\n`,
    );
    expect(state.peers).toEqual([peer]);
  });

  it.each([
    ['errno=0\n\n', 0],
    [refuseGet(5), 5],
    ['errno=-5\n\n', 5],
    ['', 71],
    [`public_key=${HEX}\nallowed`, 71],
    ['errno=x\n\n', 71],
  ])('%j ends with errno %i', (text, errno) => {
    expect(parseState(text).errno).toBe(errno);
  });

  it('whatever it is, without an exception', () => {
    fc.assert(
      fc.property(lines, (all) => {
        const state = parseState(all.join('\n'));
        // What was read can be shown again.
        for (const { endpoint, allowedIps } of state.peers) {
          if (endpoint !== null) formatEndpoint(endpoint);
          allowedIps.map(formatPrefix);
        }
        parseState(`public_key=${HEX}\n${all.join('\n')}`);
      }),
      { numRuns: 1000 },
    );
  });
});
