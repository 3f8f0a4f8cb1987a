import { describe, expect, it } from 'vitest';
import { DROP_REASON_NAMES } from '../../src/device/drops.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { counter, gauge, info, type Metric, measure, ofGet } from '../../src/device/metric.ts';
import { DEVICE_METRICS, PEER_METRICS } from '../../src/device/metrics.ts';
import { A_TO_B, B_TO_A, ipv4, pair, type Site } from './world.ts';

const SECOND = 1_000;
const DROP_NAMES = DROP_REASON_NAMES.map((reason) => `drop_${reason}`);

/** Names of a table, as they are where no label has a value. */
function namesOf<Subject>(table: readonly Metric<Subject>[]): string[] {
  return table.filter((metric) => !('label' in metric)).map(({ name }) => name);
}

describe('a table', () => {
  const subject = { count: 7, errors: new Map([['EPERM', 2]]) };

  it('is read in its order, labels and all, and what has nothing to tell is left out', () => {
    const table: Metric<typeof subject>[] = [
      counter('count', 'things', 'how many', ({ count }) => count),
      info('name', 'its name', () => 'x'),
      info('none', 'nothing', () => null),
      {
        ...{ kind: 'counter', name: 'error', unit: 'errors', label: 'error', help: 'errors' },
        readEach: ({ errors }) => errors,
      },
      {
        ...{ kind: 'state', name: 'step', states: ['yes', 'no'], label: 'step', help: 'steps' },
        readEach: () => [
          ['', { word: 'no', text: 'no (it is off)' }],
          ['one', { word: 'yes' }],
        ],
      },
      gauge('unknown', 'things', 'a number that is not there', () => null),
    ];
    const { facts, counters } = measure(table, subject);
    expect(Object.entries(counters)).toEqual([
      ['count', 7],
      ['error_EPERM', 2],
    ]);
    expect(Object.entries(facts)).toEqual([
      ['name', 'x'],
      ['step', 'no'],
      ['step_text', 'no (it is off)'],
      ['step_one', 'yes'],
    ]);
  });

  it('is not changed by what it says of a row', () => {
    const row = info('name', 'its name', () => 'x');
    expect(ofGet(row)).toEqual({ ...row, isOfGet: true });
    expect(row).not.toHaveProperty('isOfGet');
  });
});

describe('what a Device tells', () => {
  it('is all that its tables hold, and nothing else', () => {
    const { world, a, b } = pair();
    a.peer(b, [], { description: 'site B' });
    a.send(A_TO_B());
    world.run(SECOND);
    const { facts, counters, peers } = a.device.stats(world.now);
    expect(Object.keys({ ...facts, ...counters })).toEqual(namesOf(DEVICE_METRICS));
    const [peer] = peers;
    const results = ['completed', 'given_up', 'undecipherable', 'stale'];
    expect(new Set(Object.keys({ ...peer!.facts, ...peer!.counters }))).toEqual(
      new Set([...namesOf(PEER_METRICS), ...results.map((result) => `handshakes_${result}`)]),
    );
  });

  it('is how the private key was given, which is told clamped in any case', () => {
    const { world, a, b } = pair();
    const given = () => a.device.stats(world.now).facts.key_form;
    const unclamped = new Uint8Array(32).fill(0xff);
    a.configure({ privateKey: unclamped });
    expect(given()).toBe('unclamped');
    // As `get` tells it, and a state or a successor has it.
    a.configure({ privateKey: a.device.core.copyPrivateKey()! });
    expect(given()).toBe('unclamped');
    a.configure({ privateKey: b.device.core.copyPrivateKey()! });
    expect(given()).toBe('clamped');
    a.configure({ privateKey: new Uint8Array(32) });
    expect(given()).toBeUndefined();
  });

  it('is what happened', () => {
    const { world, a, b } = pair();
    a.peer(b, [], { description: 'site B' });
    a.send(A_TO_B());
    world.run(SECOND);
    b.send(B_TO_A());
    world.run(20 * SECOND);
    const { counters, peers } = a.device.stats(world.now);
    const prefixes = ['10.20.0.0/24', 'fd20::/64'];
    expect(counters).toMatchObject({ peers: 1, allowed_ips: prefixes.length, cookies_sent: 0 });
    expect(peers[0].facts).toEqual({
      ...{ description: 'site B', endpoint: '192.0.2.2:51820', condition: 'connected' },
    });
    expect(peers[0].counters).toMatchObject({
      // An initiation, a packet, and the answer to data that none follows: none of ours did.
      bytes_sent: 148 + (32 + 48) + 32,
      bytes_received: 92 + (32 + 48),
      last_handshake_seconds: Math.floor(world.wallStart / SECOND),
      condition_since_seconds: Math.floor(world.wallStart / SECOND),
      initiations_sent: 1,
      responses_received: 1,
      handshakes_completed: 1,
      keepalives_sent: 1,
      packets_sent: 2,
      packets_received: 1,
      packets_waiting: 0,
    });
  });

  it.each(DROP_REASON_NAMES)('counts a drop as %s for the device and the peer', (reason) => {
    const { world, a, b } = pair();
    a.device.core.drop(reason, a.record(b), null, 3);
    const { counters, peers } = a.device.stats(world.now);
    for (const part of [counters, peers[0].counters]) {
      const dropped = Object.entries(part).filter(([name]) => name.startsWith('drop_'));
      expect(dropped).toEqual([[`drop_${reason}`, 3]]);
    }
  });
});

describe('whether a peer is up', () => {
  const told = (site: Site) => {
    const { facts, counters } = site.device.stats(site.world.now).peers[0]!;
    return [facts.condition, counters.up];
  };

  it('is so unless it is lost', () => {
    const { world, a } = pair();
    expect(told(a)).toEqual(['idle', 1]);
    a.send(A_TO_B());
    world.run(SECOND);
    expect(told(a)).toEqual(['connected', 1]);
    world.filter = () => false;
    a.send(A_TO_B());
    world.run(40 * SECOND);
    expect(told(a)).toEqual(['lost', 0]);
  });
});

describe('the round trip of a handshake', () => {
  const roundTrip = (site: Site): number | undefined =>
    site.device.stats(site.world.now).peers[0]!.counters.handshake_round_trip_seconds;

  it('is what passed between the initiation and its answer, for the one that began it', () => {
    const { world, a, b } = pair();
    expect(roundTrip(a)).toBeUndefined();
    world.latencyMs = 21.0004;
    a.send(A_TO_B());
    world.run(SECOND);
    expect(roundTrip(a)).toBe(0.042001);
    expect(roundTrip(b)).toBeUndefined();
  });

  it('is not told of a handshake that took a second initiation, but of the next', () => {
    const { world, a } = pair();
    world.filter = ({ from, at }) => !(from === a && at < 3 * SECOND);
    a.send(A_TO_B());
    world.run(10 * SECOND);
    expect(a.device.stats(world.now).peers[0]!.counters).toMatchObject({
      ...{ initiations_sent: 2, handshakes_completed: 1 },
    });
    expect(roundTrip(a)).toBeUndefined();
    world.latencyMs = 5;
    world.run(120 * SECOND);
    a.send(A_TO_B());
    world.run(SECOND);
    expect(roundTrip(a)).toBe(0.01);
  });
});

describe('the results of handshakes', () => {
  const results = (site: Site): Record<string, number> => {
    const { counters } = site.device.stats(site.world.now).peers[0]!;
    const found = Object.entries(counters).filter(([name]) => /^handshakes_/.test(name));
    return Object.fromEntries(found.map(([name, count]) => [name.slice(11), count]));
  };
  const NONE = { completed: 0, given_up: 0, undecipherable: 0, stale: 0 };

  it('are completed, on both sides', () => {
    const { world, a, b } = pair();
    a.send(A_TO_B());
    world.run(SECOND);
    for (const site of [a, b]) expect(results(site)).toEqual({ ...NONE, completed: 1 });
  });

  it('are given up after 90 seconds', () => {
    const { world, a } = pair();
    world.filter = () => false;
    a.send(A_TO_B());
    world.run(85 * SECOND);
    expect(results(a)).toEqual(NONE);
    world.run(60 * SECOND);
    expect(results(a)).toEqual({ ...NONE, given_up: 1 });
  });

  it('are undecipherable, with another preshared key', () => {
    const { world, a, b } = pair();
    a.peer(b, [], { presharedKey: new Uint8Array(32).fill(1) });
    a.send(A_TO_B());
    world.run(SECOND);
    expect(results(a)).toEqual({ ...NONE, undecipherable: 1 });
  });

  it('are stale, when an initiation comes again', () => {
    const { world, a, b } = pair();
    a.send(A_TO_B());
    world.run(SECOND);
    world.inject(a, b, world.wire[0]!.bytes);
    world.run(SECOND);
    expect(results(b)).toEqual({ ...NONE, completed: 1, stale: 1 });
  });
});

/** Two sites that talk, roam, forget each other's sessions, and are shot at, for some time. */
function* troubledTalk(seed: number): Generator<Site[]> {
  const { world, a, b } = pair(seed);
  const dice = new Uint8Array(1);
  const below = (count: number) => {
    world.random(dice);
    return dice[0] % count;
  };
  world.filter = () => below(6) > 0;
  for (let step = 0; step < 300; step++) {
    const [from, to] = below(2) === 0 ? [a, b] : [b, a];
    const roll = below(12);
    if (roll < 6) from.send(from === a ? A_TO_B(step) : B_TO_A(step));
    else if (roll === 6) from.send(ipv4('10.0.0.5', '10.66.0.1'));
    else if (roll === 7) world.inject(from, to, world.wire.at(-1 - below(5))?.bytes ?? dice);
    else if (roll === 8) from.endpoint = new Endpoint(from.endpoint.address, 1_024 + below(200));
    else if (roll === 9) from.configure({ privateKey: from.privateKey });
    else if (roll === 10) from.device.down();
    if (!from.device.isUp) from.device.up(world.now);
    world.run(below(8) === 0 ? below(200) * SECOND : below(100));
    yield [a, b];
  }
}

describe('while time passes', () => {
  it.each([1, 2, 3, 4])('no counter falls and every value is sound (seed %i)', (seed) => {
    const gauges = [...DEVICE_METRICS, ...PEER_METRICS].filter(({ kind }) => kind === 'gauge');
    const isGauge = new Set(gauges.map(({ name }) => name));
    const before = new Map<string, number>();
    const risen = new Set<string>();
    for (const sites of troubledTalk(seed)) {
      for (const [index, site] of sites.entries()) {
        const { counters, peers } = site.device.stats(site.world.now);
        const parts = { device: counters, peer: peers[0].counters };
        for (const [scope, part] of Object.entries(parts)) {
          for (const [name, count] of Object.entries(part)) {
            const key = `${index} ${scope} ${name}`;
            expect(Number.isFinite(count) && count >= 0, `${key}: ${count}`).toBe(true);
            if (isGauge.has(name)) continue;
            expect(count, `${key}, seed ${seed}`).toBeGreaterThanOrEqual(before.get(key) ?? 0);
            if (count > 0) risen.add(name);
            before.set(key, count);
          }
        }
      }
    }
    // Or nothing was tried.
    expect(risen.size).toBeGreaterThan(15);
    for (const name of [...risen].filter((one) => one.startsWith('drop_'))) {
      expect(DROP_NAMES).toContain(name);
    }
  });
});
