/** Connected, idle, lost: what each is, and that none flaps; on a virtual clock. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REJECT_AFTER_TIME_MS } from '../../src/noise/constants.ts';
import { handOver, inAnotherProcess, only, replace, SECOND } from './successors.ts';
import { A_TO_B, B_TO_A, pair, type Site, type World } from './world.ts';

const JITTER = 334;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const stateOf = (site: Site) => only(site).condition.state;

/** What was told of the peer's condition, a word each. */
function told(site: Site): string[] {
  return site.events.flatMap((event) => {
    if (event.kind === 'connected') return ['connected'];
    return event.kind === 'disconnected' ? [`${event.cause} ${event.trouble}`] : [];
  });
}

function connected(keepalives: { a?: number; b?: number } = {}) {
  const sites = pair();
  const { world, a, b } = sites;
  a.send(A_TO_B());
  world.run(10);
  if (keepalives.a) a.peer(b, [], { persistentKeepalive: keepalives.a });
  if (keepalives.b) b.peer(a, [], { persistentKeepalive: keepalives.b });
  expect([stateOf(a), stateOf(b)]).toEqual(['connected', 'connected']);
  return sites;
}

/** Says something from A every so often, for so long. */
function talk(world: World, site: Site, packet: () => Uint8Array, ms: number, every = SECOND) {
  for (const end = world.now + ms; world.now < end; ) {
    site.send(packet());
    world.run(every);
  }
}

describe('idle', () => {
  it('is a peer that nobody has spoken to, from when it was added', () => {
    const { world, a } = pair();
    const { sinceMs } = only(a).condition;
    world.run(HOUR);
    expect(stateOf(a)).toBe('idle');
    expect([sinceMs, only(a).condition.sinceMs]).toEqual([world.wallStart, world.wallStart]);
    expect(told(a)).toEqual([]);
  });

  it('begins when the session ends, and nobody is told', () => {
    const { world, a, b } = connected();
    const { createdAt } = only(a).current!;
    world.run(REJECT_AFTER_TIME_MS - 10 - 1);
    expect(stateOf(a)).toBe('connected');
    world.run(20);
    expect([stateOf(a), stateOf(b)]).toEqual(['idle', 'idle']);
    const since = Math.floor(createdAt + REJECT_AFTER_TIME_MS);
    expect(only(a).condition.sinceMs).toBe(world.wallStart + since);
    expect([told(a), told(b)]).toEqual([['connected'], ['connected']]);
  });

  it('stays so for a month without a word, and costs no timeout', () => {
    const { world, a, b } = connected();
    world.run(HOUR);
    const count = world.wire.length;
    expect([a.device.nextTimeout(), b.device.nextTimeout()]).toEqual([Infinity, Infinity]);
    world.run(30 * 24 * HOUR);
    expect([stateOf(a), stateOf(b)]).toEqual(['idle', 'idle']);
    expect(world.wire.length).toBe(count);
    expect([...told(a), ...told(b)]).toEqual(['connected', 'connected']);
  });

  it('of a tunnel that is used now and then, told as connected once in a day', () => {
    const { world, a, b } = connected();
    talk(world, a, A_TO_B, 24 * HOUR, 17 * MINUTE);
    expect([...told(a), ...told(b)]).toEqual(['connected', 'connected']);
    expect(only(a).counts.handshakesCompleted).toBeGreaterThan(80);
  });
});

describe('connected', () => {
  it('is since its first session, whatever follows', () => {
    const { world, a, b } = connected();
    const since = [only(a).condition.sinceMs, only(b).condition.sinceMs];
    talk(world, a, A_TO_B, HOUR);
    expect(only(a).counts.handshakesCompleted).toBeGreaterThan(20);
    expect([only(a).condition.sinceMs, only(b).condition.sinceMs]).toEqual(since);
    expect([...told(a), ...told(b)]).toEqual(['connected', 'connected']);
  });

  it('is told again after the operator has taken the interface down', () => {
    const { world, a } = connected();
    a.turn(() => a.device.down());
    expect(stateOf(a)).toBe('idle');
    a.turn(() => a.device.up(world.now));
    a.send(A_TO_B());
    world.run(16 * SECOND);
    expect(told(a)).toEqual(['connected', 'connected']);
  });

  it('ends with the private key, and is not told again', () => {
    const { world, a, b } = connected();
    const privateKey = new Uint8Array(32).fill(7);
    b.configure({ privateKey });
    expect(stateOf(b)).toBe('idle');
    b.configure({ privateKey: b.privateKey });
    b.send(B_TO_A());
    world.run(SECOND);
    expect([stateOf(a), stateOf(b), told(b)]).toEqual(['connected', 'connected', ['connected']]);
  });
});

describe('lost', () => {
  it('is a peer that leaves data unanswered, 16 s after the first of it', () => {
    const { world, a } = connected();
    world.run(20 * SECOND);
    world.filter = () => false;
    a.send(A_TO_B());
    const sentAt = world.now;
    world.run(15 * SECOND);
    expect(stateOf(a)).toBe('connected');
    while (stateOf(a) === 'connected') world.run(1);
    expect(world.now - sentAt).toBeLessThanOrEqual(16 * SECOND + JITTER + 1);
    expect(told(a)).toEqual(['connected', 'dataUnanswered null']);
  });

  it('is one that leaves initiations unanswered, 15 s after the first', () => {
    const { world, a } = pair();
    world.filter = () => false;
    a.send(A_TO_B());
    world.run(15 * SECOND - 1);
    expect([stateOf(a), told(a)]).toEqual(['idle', []]);
    world.run(1);
    expect([stateOf(a), told(a)]).toEqual(['lost', ['initiationUnanswered noAnswer']]);
  });

  it('is not one of whom the network loses an answer', () => {
    const { world, a, b } = connected();
    world.run(20 * SECOND);
    // One packet a minute, of which the answer, a keepalive, is always lost.
    world.filter = ({ from, bytes }) => from !== b || bytes[0] !== 4;
    talk(world, a, A_TO_B, HOUR, MINUTE);
    expect(told(a)).toEqual(['connected']);
    world.filter = () => true;
    talk(world, a, A_TO_B, MINUTE);
    expect([...told(a), ...told(b)]).toEqual(['connected', 'connected']);
  });

  it('is not one that takes no new handshake but answers under the old session', () => {
    const { world, a, b } = connected();
    world.filter = ({ bytes }) => bytes[0] !== 1 && bytes[0] !== 2;
    for (let i = 0; i < 170; i++) {
      a.send(A_TO_B());
      b.send(B_TO_A());
      world.run(SECOND);
    }
    expect(a.sent(1).length).toBeGreaterThan(5);
    expect([told(a), told(b)]).toEqual([['connected'], ['connected']]);
    // The session ends, and with it what is heard.
    talk(world, a, A_TO_B, 45 * SECOND);
    expect(stateOf(a)).toBe('lost');
  });

  it('stays so, and is told once, however long it is called', () => {
    const { world, a } = connected();
    world.filter = () => false;
    talk(world, a, A_TO_B, HOUR, 20 * SECOND);
    expect(told(a)).toEqual(['connected', 'dataUnanswered null']);
    const since = only(a).condition.sinceMs;
    world.run(24 * HOUR);
    expect([stateOf(a), only(a).condition.sinceMs]).toEqual(['lost', since]);
    expect(a.device.nextTimeout()).toBe(Infinity);
  });

  it('ends with the first session after it, and is told', () => {
    const { world, a, b } = connected();
    world.filter = () => false;
    talk(world, a, A_TO_B, 5 * MINUTE);
    world.filter = () => true;
    const backAt = world.now;
    talk(world, a, A_TO_B, 6 * SECOND, 100);
    expect([stateOf(a), stateOf(b)]).toEqual(['connected', 'connected']);
    expect(only(a).condition.sinceMs - world.wallStart - backAt).toBeLessThan(6 * SECOND);
    expect(told(a)).toEqual(['connected', 'dataUnanswered null', 'connected']);
  });

  it('ends with data under the last session, when nobody calls', () => {
    const { world, a, b } = connected();
    // A gives up calling while the session is still good.
    world.filter = ({ from, bytes }) => from !== a && bytes[0] !== 1;
    world.run(11 * SECOND);
    a.send(A_TO_B());
    world.run(115 * SECOND);
    expect(stateOf(a)).toBe('lost');
    b.send(B_TO_A());
    world.run(6 * SECOND);
    expect(a.delivered.length).toBe(1);
    expect([stateOf(a), told(a).at(-1)]).toEqual(['connected', 'connected']);
  });
});

describe('a keepalive of the peer', () => {
  it('that is missing for three intervals makes it lost', () => {
    const { world, a } = connected({ b: 25 });
    world.run(10 * MINUTE);
    expect([stateOf(a), only(a).condition.rhythm.intervalMs]).toEqual(['connected', 25 * SECOND]);
    world.filter = () => false;
    const cutAt = world.now;
    while (stateOf(a) === 'connected') world.run(100);
    expect(told(a)).toEqual(['connected', 'keepaliveMissing null']);
    expect(world.now - cutAt).toBeGreaterThan(50 * SECOND);
    expect(world.now - cutAt).toBeLessThanOrEqual(75 * SECOND + 100);
    world.filter = () => true;
    world.run(26 * SECOND);
    expect([stateOf(a), told(a).at(-1)]).toEqual(['connected', 'connected']);
  });

  it('is learnt between rekeys, whatever the interval', () => {
    for (const b of [1, 10, 25, 60, 110, 150, 164, 170, 179, 180, 181, 300, 600, 3_600]) {
      const { world, a } = connected({ b });
      world.run(HOUR + 5 * b * SECOND);
      expect(only(a).condition.rhythm.intervalMs / (b * SECOND), `${b}`).toBeCloseTo(1, 1);
      expect(told(a)).toEqual(['connected']);
    }
  });

  it('of an interval that no session outlives is missed, too, and nobody is told of the time between', () => {
    const { world, a } = connected({ b: 300 });
    world.run(HOUR);
    expect([stateOf(a), told(a)]).toEqual(['idle', ['connected']]);
    world.filter = () => false;
    const cutAt = world.now;
    while (stateOf(a) !== 'lost') world.run(100);
    expect(told(a)).toEqual(['connected', 'keepaliveMissing null']);
    expect(world.now - cutAt).toBeGreaterThan(10 * MINUTE);
    expect(world.now - cutAt).toBeLessThanOrEqual(15 * MINUTE + 100);
    world.filter = () => true;
    world.run(301 * SECOND);
    expect([stateOf(a), told(a).at(-1)]).toEqual(['connected', 'connected']);
  });

  it('is not taken for one when the peer only begins handshakes, now and then, to say something', () => {
    const { world, a, b } = connected();
    talk(world, b, B_TO_A, 4 * HOUR, 5 * MINUTE);
    expect(only(a).condition.rhythm.intervalMs).toBe(0);
    world.run(4 * HOUR);
    expect([...told(a), ...told(b)]).toEqual(['connected', 'connected']);
  });

  it('is not taken for one when it begins a session that our keepalives called for', () => {
    const { world, a, b } = pair();
    b.send(B_TO_A());
    world.run(10);
    a.peer(b, [], { persistentKeepalive: 25 });
    world.run(2 * HOUR);
    // An empty packet of b's, some 175 s after the last one, and nothing else.
    expect(only(b).counts.keepalivesSent).toBeGreaterThan(30);
    expect(only(a).condition.rhythm.intervalMs).toBe(0);
    a.peer(b, [], { persistentKeepalive: 0 });
    world.run(2 * HOUR);
    expect(told(a)).toEqual(['connected']);
  });

  it('is not expected of one that need not send any, since ours come first', () => {
    const { world, a, b } = connected({ a: 25, b: 25 });
    talk(world, b, B_TO_A, 10 * MINUTE, 3 * MINUTE);
    a.send(A_TO_B());
    world.run(4 * HOUR);
    expect([...told(a), ...told(b)]).toEqual(['connected', 'connected']);
  });

  it('that has been switched off is missed once', () => {
    const { world, a, b } = connected({ b: 25 });
    world.run(10 * MINUTE);
    b.peer(a, [], { persistentKeepalive: 0 });
    world.run(10 * MINUTE);
    talk(world, b, B_TO_A, 24 * HOUR, 7 * MINUTE);
    expect(told(a)).toEqual(['connected', 'keepaliveMissing null', 'connected']);
  });

  it('is not taken for one when it answers data', () => {
    const { world, a, b } = connected();
    // Two packets 5 s apart, as often as they are answered by two empty packets 10 s apart.
    for (let i = 0; i < 200; i++) {
      a.send(A_TO_B());
      world.run(5 * SECOND);
      a.send(A_TO_B());
      world.run(MINUTE);
      expect(only(a).condition.rhythm.intervalMs).toBe(0);
    }
    world.run(HOUR);
    expect([...told(a), ...told(b)]).toEqual(['connected', 'connected']);
  });
});

/** What two sites may do to each other on a wire that is whole. */
const deed = fc.record({
  by: fc.constantFrom('a' as const, 'b' as const),
  packets: fc.integer({ min: 1, max: 3 }),
  afterMs: fc.oneof(fc.nat(30_000), fc.nat(400_000)),
  upgrades: fc.boolean(),
});

it('nobody is lost on a wire that loses nothing, whoever speaks, keeps alive and is replaced', () => {
  fc.assert(
    fc.property(
      fc.array(deed, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(0, 1, 9, 25, 70, 200, 300),
      fc.constantFrom(0, 10, 25, 190),
      (deeds, keepaliveOfA, keepaliveOfB) => {
        const { world, a, b } = connected({ a: keepaliveOfA, b: keepaliveOfB });
        const sites = { a, b };
        const seen: string[] = [];
        for (const { by, packets, afterMs, upgrades } of deeds) {
          for (let i = 0; i < packets; i++) sites[by].send(by === 'a' ? A_TO_B() : B_TO_A());
          world.run(afterMs);
          if (upgrades) {
            seen.push(...told(sites[by]));
            sites[by] = handOver(world, sites[by]);
          }
          for (const site of Object.values(sites)) {
            const { condition, current } = only(site);
            const isGood = current !== null && world.now - current.createdAt < REJECT_AFTER_TIME_MS;
            expect(condition.state).toBe(isGood ? 'connected' : 'idle');
          }
        }
        seen.push(...told(sites.a), ...told(sites.b));
        expect(seen).toEqual(['connected', 'connected']);
      },
    ),
    { numRuns: 60 },
  );
});

describe('an upgrade in place', () => {
  it('keeps each condition, since when, and what was told', () => {
    const { world, a } = connected();
    world.run(MINUTE);
    let successor = handOver(world, a);
    expect(only(successor).condition).toEqual(only(a).condition);
    world.run(4 * MINUTE);
    expect([stateOf(successor), told(successor)]).toEqual(['idle', []]);
    world.filter = () => false;
    successor.send(A_TO_B());
    world.run(20 * SECOND);
    const { sinceMs } = only(successor).condition;
    successor = handOver(world, successor);
    expect([stateOf(successor), only(successor).condition.sinceMs]).toEqual(['lost', sinceMs]);
    world.filter = () => true;
    successor.send(A_TO_B());
    world.run(6 * SECOND);
    expect(told(successor)).toEqual(['connected']);
  });

  it('puts no loss off', () => {
    const { world, a } = connected();
    world.run(20 * SECOND);
    world.filter = () => false;
    a.send(A_TO_B());
    const sentAt = world.now;
    let site = a;
    for (let i = 0; i < 15; i++) {
      world.run(SECOND);
      site = handOver(world, site);
    }
    while (stateOf(site) === 'connected') world.run(1);
    expect(world.now - sentAt).toBeLessThanOrEqual(16 * SECOND + JITTER + 1);
    expect(told(site)).toEqual(['dataUnanswered null']);
  });

  it('from a version without conditions: connected with a session, and idle without', () => {
    for (const [waitMs, state] of [
      [MINUTE, 'connected'],
      [HOUR, 'idle'],
    ] as const) {
      const { world, a } = connected();
      world.run(waitMs);
      const handover = a.device.handOver(world.now);
      const peers = handover.peers.map((peer) => ({ ...peer, condition: null }));
      const saved = inAnotherProcess(a, { ...handover, peers });
      const successor = replace(world, a);
      successor.configure(saved.change);
      successor.device.takeOver(saved.received, saved.memories);
      expect([stateOf(successor), told(successor)]).toEqual([state, []]);
      world.run(HOUR);
      expect([stateOf(successor), told(successor)]).toEqual(['idle', []]);
    }
  });
});
