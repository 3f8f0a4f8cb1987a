import { describe, expect, it } from 'vitest';
import type { DeviceChange, PeerChange } from '../../src/device/configuration.ts';
import { type NearStanding, nearMistake } from '../../src/device/nearmistake.ts';
import type { Near, Way } from '../../src/device/ways.ts';

const eth0: Near = { kind: 'interface', name: 'eth0' };
const eth1: Near = { kind: 'interface', name: 'eth1' };
const own: Near = { kind: 'interface', name: 'wg0' };

const keyOf = (number: number) =>
  new Uint8Array(32).fill(number & 0xff, 0, 31).fill(number >> 8, 31);
const via = (near: Near | null): Way[] => [{ host: '192.0.2.1', port: 51_820, near }];
const changed = (number: number, rest: Partial<PeerChange> = {}): PeerChange => ({
  ...{ publicKey: keyOf(number), allowedIps: [] },
  ...rest,
});
const standing = (peers: NearStanding['peers'], bind: Near | null = null): NearStanding => ({
  ...{ bind, peers },
  isOwnInterface: (name) => name === 'wg0',
  isOwnAddress: () => false,
});
const peer = (number: number, near: Near | null) => ({ publicKey: keyOf(number), ways: via(near) });

describe('a near end that cannot be meant', () => {
  const contradiction = /^via: eth0: the whole tunnel is fixed to eth1 \(wgbind\)/;

  it.each<[string, DeviceChange, NearStanding, RegExp | null]>([
    [
      'the tunnel itself',
      { bind: own, peers: [] },
      standing([]),
      /^wgbind: wg0: this is the tunnel/,
    ],
    [
      'a way over the tunnel itself',
      { peers: [changed(1, { ways: via(own) })] },
      standing([]),
      /^via: wg0: this is the tunnel/,
    ],
    [
      'a peer that stays as it is',
      { bind: eth1, peers: [] },
      standing([peer(1, eth0)]),
      contradiction,
    ],
    [
      'a peer of which something else is said',
      { bind: eth1, peers: [changed(1, { persistentKeepalive: 25 })] },
      standing([peer(1, eth0)]),
      contradiction,
    ],
    [
      'a peer whose ways are replaced',
      { bind: eth1, peers: [changed(1, { ways: via(null) })] },
      standing([peer(1, eth0)]),
      null,
    ],
    [
      'a peer that is removed',
      { bind: eth1, peers: [changed(1, { remove: true })] },
      standing([peer(1, eth0)]),
      null,
    ],
    [
      'a peer beside one that is removed',
      { bind: eth1, peers: [changed(1, { remove: true })] },
      standing([peer(1, eth0), peer(2, eth0)]),
      contradiction,
    ],
    [
      'peers that are all replaced',
      { bind: eth1, replacePeers: true, peers: [] },
      standing([peer(1, eth0)]),
      null,
    ],
    [
      'another way under a binding of before',
      { peers: [changed(1, { ways: via(eth0) })] },
      standing([], eth1),
      contradiction,
    ],
  ])('%s', (_, change, before, line) => {
    const told = nearMistake(change, before);
    if (line === null) expect(told).toBeNull();
    else expect(told).toMatch(line);
  });

  it('of very many peers is found by looking at each once', () => {
    const count = 2_000;
    let looks = 0;
    const counting = (number: number) => ({
      get publicKey() {
        looks++;
        return keyOf(number);
      },
      ways: via(null),
    });
    const peers = Array.from({ length: count }, (_, number) => counting(number));
    const change = {
      bind: eth1,
      peers: peers.map((one) => Object.assign(one, { allowedIps: [] })),
    };
    expect(nearMistake(change, standing(peers))).toBeNull();
    expect(looks).toBeLessThanOrEqual(2 * count);
  });
});
