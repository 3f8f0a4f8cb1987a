/** Changes that are made aside in steps, and swapped in: as if they had been made at once. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeviceChange, PeerChange } from '../../src/device/configuration.ts';
import type { Draft } from '../../src/device/draft.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import {
  formatAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
} from '../../src/packet/address.ts';
import { A_TO_B, B_TO_A, GuestList, pair, type Site, World } from './world.ts';

const KEYS = Array.from({ length: 4 }, (_, i) => new Uint8Array(32).fill(i + 1));
const PREFIXES = ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3/32', '::/0', 'fd00::/64'];
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

interface Known {
  keepalive: number;
  description: string;
  psk: string;
  endpoint: string;
}

/** What a configuration is, by the words of wg(8), as slow and plain as can be. */
class Model {
  peers = new Map<string, Known>();
  /** The owner of each prefix. */
  prefixes = new Map<string, string>();
  readonly #self: string;

  constructor(self: string) {
    this.#self = self;
  }

  apply({ replacePeers, peers }: Partial<DeviceChange>): void {
    if (replacePeers) for (const key of [...this.peers.keys()]) this.#remove(key);
    for (const change of peers ?? []) this.#applyPeer(hex(change.publicKey), change);
  }

  #applyPeer(key: string, change: PeerChange): void {
    if (key === this.#self) return;
    if (change.remove) {
      this.#remove(key);
      return;
    }
    if (!this.peers.has(key)) {
      if (change.updateOnly) return;
      this.peers.set(key, { keepalive: 0, description: '', psk: '00'.repeat(32), endpoint: '' });
    }
    const peer = this.peers.get(key)!;
    peer.keepalive = change.persistentKeepalive ?? peer.keepalive;
    peer.description = change.description ?? peer.description;
    if (change.presharedKey !== undefined) peer.psk = hex(change.presharedKey);
    if (change.endpoint) peer.endpoint = formatAddress(change.endpoint.address);
    if (change.replaceAllowedIps) this.#takeAll(key);
    for (const { prefix, remove } of change.allowedIps) {
      const text = formatPrefix(prefix);
      if (!remove) this.prefixes.set(text, key);
      else if (this.prefixes.get(text) === key) this.prefixes.delete(text);
    }
  }

  #remove(key: string): void {
    this.peers.delete(key);
    this.#takeAll(key);
  }

  #takeAll(key: string): void {
    for (const [prefix, owner] of this.prefixes) if (owner === key) this.prefixes.delete(prefix);
  }

  get state(): unknown {
    return [...this.peers].map(([key, peer]) => ({
      key,
      ...peer,
      prefixes: [...this.prefixes].flatMap(([text, owner]) => (owner === key ? [text] : [])).sort(),
    }));
  }
}

function stateOf({ device }: Site): unknown {
  return device.state().peers.map((peer) => ({
    key: hex(peer.publicKey),
    keepalive: peer.persistentKeepalive,
    description: peer.description,
    psk: peer.presharedKey === null ? '00'.repeat(32) : hex(peer.presharedKey),
    endpoint: peer.endpoint === null ? '' : formatAddress(peer.endpoint.address),
    prefixes: peer.allowedIps.map(formatPrefix).sort(),
  }));
}

/** Makes the change aside; `between` is called between its steps. */
function draw(site: Site, change: Partial<DeviceChange>, between = (): void => {}): Draft {
  const { peers = [], ...own } = change;
  const draft = site.device.draft(own);
  for (const peer of peers) {
    for (const _ of draft.add(peer)) between();
    between();
  }
  for (const _ of draft.finish()) between();
  return draft;
}

function swapIn(site: Site, draft: Draft): void {
  site.turn(() => site.device.swapIn(site.world.now, draft));
}

const allowedIpChange = fc.record({
  prefix: fc.constantFrom(...PREFIXES).map((text) => parsePrefix(text)!),
  remove: fc.boolean(),
});

/** `self`: a key that is our own. */
const changeOf = (self: Uint8Array): fc.Arbitrary<Partial<DeviceChange>> =>
  fc.record(
    {
      replacePeers: fc.boolean(),
      peers: fc.array(
        fc.record(
          {
            publicKey: fc.constantFrom(...KEYS, self),
            remove: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.boolean()),
            updateOnly: fc.boolean(),
            presharedKey: fc.constantFrom(new Uint8Array(32), new Uint8Array(32).fill(7)),
            endpoint: fc
              .constantFrom('192.0.2.8', '2001:db8::8')
              .map((text) => new Endpoint(parseAddress(text)!, 51820)),
            persistentKeepalive: fc.constantFrom(0, 25),
            replaceAllowedIps: fc.boolean(),
            allowedIps: fc.array(allowedIpChange, { maxLength: 4 }),
            description: fc.constantFrom('', 'laptop'),
          },
          { requiredKeys: ['publicKey', 'allowedIps'] },
        ),
        { maxLength: 6 },
      ),
    },
    { requiredKeys: [] },
  );

describe('a change', () => {
  it('made aside or at once is what its words say', () => {
    const { publicKey } = new World().site('192.0.2.1');
    fc.assert(
      fc.property(fc.array(changeOf(publicKey), { maxLength: 4 }), (changes) => {
        const [once, aside] = [new World(), new World()].map((world) => world.site('192.0.2.1'));
        const model = new Model(hex(publicKey));
        for (const change of changes) {
          once.configure(change);
          swapIn(aside, draw(aside, change));
          model.apply(change);
          expect(stateOf(once)).toEqual(model.state);
          expect(stateOf(aside)).toEqual(model.state);
          for (const text of PREFIXES) {
            const { address } = parsePrefix(text)!;
            const { allowedIps } = aside.device.core;
            const found =
              address.length === 4
                ? allowedIps.lookup4(address, 0)
                : allowedIps.lookup6(address, 0);
            const { allowedIps: other } = once.device.core;
            const same =
              address.length === 4 ? other.lookup4(address, 0) : other.lookup6(address, 0);
            expect(found?.name.publicKey).toBe(same?.name.publicKey);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it.each([true, false])(
    'is seen by nobody before, nor when it was discarded; in place of others: %s',
    (replacePeers) => {
      const { world, a, b } = pair();
      a.send(A_TO_B());
      world.run(10);
      const before = [stateOf(a), a.device.nextTimeout(), a.device.core.indices.size];
      const allowedIps = [{ prefix: parsePrefix('10.20.0.0/24')!, remove: true }];
      const peers = [{ publicKey: b.publicKey, allowedIps }, ...KEYS.map((key) => crowded(key))];
      const draft = draw(a, { replacePeers, peers }, () => expect(stateOf(a)).toEqual(before[0]));
      draft.discard();
      a.turn(() => a.device.handleTimeout(world.now));
      expect([stateOf(a), a.device.nextTimeout(), a.device.core.indices.size]).toEqual(before);
      // Their rows are free for others.
      const { rows } = a.device.core;
      a.configure({ peers: KEYS.map((key) => crowded(key)) });
      expect(rows.length).toBeLessThanOrEqual(2 + KEYS.length);
      expect(b.delivered.length).toBe(1);
    },
  );

  it('lets packets, handshakes and roaming go on between its steps, and keeps what came of them', () => {
    const { world, a, b } = pair();
    a.send(A_TO_B());
    world.run(10);
    let sent = 1;
    b.endpoint = b.another('203.0.113.2');
    // 300 peers, and the one that is there is spoken of as well.
    const crowd = Array.from({ length: 300 }, (_, i) => crowded(keyOf(i)));
    const draft = draw(a, { peers: [...crowd, { publicKey: b.publicKey, allowedIps: [] }] }, () => {
      b.send(B_TO_A());
      world.run(10);
      a.send(A_TO_B());
      sent++;
      world.run(1_000);
    });
    expect(world.now).toBeGreaterThan(300_000);
    swapIn(a, draft);
    b.send(B_TO_A());
    world.run(10);
    expect([b.delivered.length, a.delivered.length]).toEqual([sent, sent]);
    const [known, ...others] = a.device.state().peers;
    expect(formatAddress(known.endpoint!.address)).toBe('203.0.113.2');
    expect(others.length).toBe(300);
    // More than one session was made meanwhile.
    expect(a.device.stats(world.now).peers[0].counters.handshakes_completed).toBeGreaterThan(1);
  });

  it('is void once the configuration is another one', () => {
    const { a } = pair();
    const draft = draw(a, { peers: [crowded(keyOf(1))] });
    a.configure({ fwmark: 1 });
    expect(() => swapIn(a, draft)).toThrow('an earlier configuration');
  });

  it('that ends with its first step has had all the keys that it was given', () => {
    // The interface becomes the peer, which first loses its prefixes.
    const { a, b } = pair();
    const draft = a.device.draft({ privateKey: b.privateKey });
    const presharedKey = new Uint8Array(32).fill(9);
    const adding = draft.add({ publicKey: keyOf(1), presharedKey, allowedIps: [] });
    expect(adding.next().done).toBe(false);
    adding.return();
    expect(draft.change.peers.map((peer) => peer.presharedKey)).toEqual([presharedKey]);
    draft.discard();
  });

  it('has new peers with the key that the interface has by then', () => {
    const { world, a, b } = pair();
    a.configure({ replacePeers: true });
    const other = new Uint8Array(32).fill(0x42);
    const endpoint = new Endpoint(b.endpoint.address, b.endpoint.port);
    const allowedIps = [{ prefix: parsePrefix('10.20.0.0/24')!, remove: false }];
    const peers = [{ publicKey: b.publicKey, endpoint, allowedIps }];
    swapIn(a, draw(a, { privateKey: other, peers }));
    b.configure({
      replacePeers: true,
      peers: [
        {
          publicKey: a.device.publicKey()!,
          allowedIps: [{ prefix: parsePrefix('10.0.0.0/24')!, remove: false }],
        },
      ],
    });
    a.send(A_TO_B());
    world.run(10);
    expect(b.delivered.length).toBe(1);
  });
});

it('of hundreds of peers that depart together nothing is left in the end, and nothing happens to them', () => {
  const { world, a, b } = pair();
  const secrets = countSecrets(a);
  const crowd = Array.from({ length: 500 }, (_, i) =>
    crowded(keyOf(i), { presharedKey: new Uint8Array(32).fill(9), persistentKeepalive: 25 }),
  );
  a.configure({ peers: crowd });
  expect(secrets.taken).toBe(500);
  a.send(A_TO_B());
  world.run(10);
  const placesBefore = a.door.places.length;
  const { localIndex } = a.record(b).current!;
  a.configure({ replacePeers: true });
  // It is nobody's at once, although it has yet to be forgotten; and no deadline of before counts.
  expect(a.device.core.indices.lookup(localIndex)).toBeUndefined();
  expect(a.door.indices).toContain(localIndex);
  a.turn(() => a.device.handleTimeout(world.now + 60_000));
  expect(a.device.state().peers).toEqual([]);
  expect(a.device.nextTimeout()).toBe(Number.NEGATIVE_INFINITY);
  const wire = world.wire.length;
  b.send(B_TO_A());
  world.run(10_000);
  expect(world.wire.slice(wire).filter(({ from }) => from === a)).toEqual([]);
  expect(secrets.released).toBeGreaterThanOrEqual(500);
  expect(placesBefore).toBeGreaterThan(0);
  expect([a.door.places, a.door.indices]).toEqual([[], []]);
  // All rows are free again.
  a.configure({ peers: crowd });
  expect(a.device.core.rows.length).toBe(501);
});

it.each(['the interface comes up', 'the operator says so'])(
  'hundreds of peers with a keepalive are called one after the other when %s',
  (when) => {
    const world = new World();
    const a = world.site('192.0.2.1');
    const endpoint = new Endpoint(parseAddress('203.0.113.1')!, 51820);
    const peers = Array.from({ length: 120 }, (_, i) => {
      const publicKey = keyOf(i);
      return { publicKey, endpoint, persistentKeepalive: 25, allowedIps: [] };
    });
    if (when === 'the operator says so') a.configure({ peers });
    else {
      a.device.down();
      a.configure({ peers });
      a.turn(() => a.device.up(world.now));
    }
    const counts = [world.wire.length];
    for (let i = 0; i < 3; i++) {
      world.run(20);
      counts.push(world.wire.length);
    }
    expect(counts).toEqual([50, 100, 120, 120]);
  },
);

/** Beyond those whose paths are looked at together. */
const MANY = 120;
const said = (i: number): Endpoint => new Endpoint(Uint8Array.of(198, 51, 100, i), 51820);
const manyPeers = (change: Partial<PeerChange> = {}): PeerChange[] =>
  Array.from({ length: MANY }, (_, i) => ({
    publicKey: keyOf(i),
    endpoint: said(i),
    allowedIps: [],
    ...change,
  }));

describe.each([true, false])('of many new peers; in place of others: %s', (replacePeers) => {
  it('all are as the change says, also those that are spoken of twice or removed again', () => {
    const [once, aside] = [new World(), new World()].map((world) => world.site('192.0.2.1'));
    const again = manyPeers({ description: 'again', persistentKeepalive: 25 });
    const moved = manyPeers().map((peer, i) => ({ ...peer, endpoint: said(200 - i) }));
    const removed = manyPeers({ remove: true }).filter((_, i) => i % 3 === 0);
    const left = MANY - 20;
    const peers = [...manyPeers(), ...again, ...moved, ...removed, ...manyPeers().slice(20, 80)];
    once.configure({ replacePeers, peers });
    swapIn(aside, draw(aside, { replacePeers, peers }));
    const model = new Model(hex(once.publicKey));
    model.apply({ replacePeers, peers });
    expect(stateOf(once)).toEqual(model.state);
    expect(stateOf(aside)).toEqual(model.state);
    for (const { device } of [once, aside]) {
      expect(device.core.rows.filter((peer) => peer !== undefined).length).toBe(left);
    }
    for (const site of [once, aside]) site.world.run(1);
    expect([...aside.door.places].sort()).toEqual([...once.door.places].sort());
    expect(aside.door.places.length).toBe(left);
  });

  it.each(['swapped in', 'discarded'])(
    'a doorkeeper who comes meanwhile knows of each; %s',
    (end) => {
      const world = new World();
      const a = world.site('192.0.2.1');
      const draft = draw(a, { replacePeers, peers: manyPeers() });
      const early = a.door.places.length;
      expect(early).toBeGreaterThan(0);
      const next = new GuestList();
      a.device.setDoorkeeper(next);
      expect(a.door.places).toEqual([]);
      expect(next.places.length).toBe(early);
      if (end === 'swapped in') swapIn(a, draft);
      else draft.discard();
      world.run(1);
      expect(next.places.length).toBe(end === 'swapped in' ? MANY : 0);
      a.configure({ replacePeers: true });
      world.run(1);
      expect(next.places).toEqual([]);
    },
  );
});

it('a peer that is said to be where it is stays as it is, and one that has moved since does not', () => {
  const { world, a, b } = pair();
  a.send(A_TO_B());
  world.run(10);
  const endpoint = new Endpoint(b.endpoint.address, b.endpoint.port);
  a.configure({ peers: manyPeers() });
  const before = [...a.device.endpoints()];
  const peers = [...manyPeers(), { publicKey: b.publicKey, endpoint, allowedIps: [] }];
  const draft = draw(a, { peers });
  b.endpoint = b.another('203.0.113.2');
  b.send(B_TO_A());
  world.run(10);
  expect(formatAddress(a.device.state().peers[0].endpoint!.address)).toBe('203.0.113.2');
  swapIn(a, draft);
  const [there, ...others] = a.device.endpoints();
  expect(there.sameRemote(endpoint)).toBe(true);
  expect(others.slice(-20)).toEqual(before.slice(-20));
  expect(others.at(-1)).toBe(before.at(-1));
});

it('prefixes that are said again cost no table, and those that moved in the same change do', () => {
  const { a } = pair();
  const peers = [keyOf(1), keyOf(2)].map((key) => crowded(key, { replaceAllowedIps: true }));
  a.configure({ peers });
  const table = a.device.core.allowedIps;
  const same = draw(a, { peers });
  expect(same.allowedIps).toBe(table);
  same.discard();
  // The first takes one of the second's, which says it again.
  const taken = { ...peers[0], allowedIps: peers[1].allowedIps.slice(0, 1) };
  const draft = draw(a, { peers: [taken, peers[1]] });
  expect(a.device.core.allowedIps).toBe(table);
  swapIn(a, draft);
  const [first, second] = a.device.state().peers.slice(1);
  expect([first.allowedIps.length, second.allowedIps.length]).toEqual([0, 150]);
});

/** A peer with more prefixes than one step has. */
function crowded(publicKey: Uint8Array, change: Partial<PeerChange> = {}): PeerChange {
  const allowedIps = Array.from({ length: 150 }, (_, i) => ({
    prefix: { address: Uint8Array.of(10, publicKey[0], publicKey[1], i), length: 32 },
    remove: false,
  }));
  const presharedKey = new Uint8Array(32).fill(3);
  return { publicKey, presharedKey, allowedIps, ...change };
}

const keyOf = (i: number): Uint8Array =>
  new Uint8Array(32)
    .fill(100)
    .with(0, i >> 8)
    .with(1, i & 255);

/** How many places for secrets the Device has taken and given back from now on. */
function countSecrets({ device }: Site): { taken: number; released: number } {
  const counts = { taken: 0, released: 0 };
  const { core } = device;
  const { takeSecret } = core;
  Object.assign(core, {
    takeSecret: () => {
      counts.taken++;
      const { bytes, release } = takeSecret();
      const giveBack = (): void => {
        counts.released++;
        release();
      };
      return { bytes, release: giveBack };
    },
  });
  return counts;
}
