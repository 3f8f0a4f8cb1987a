/** What is due, and what waits, when one Device takes the place of another. */

import { describe, expect, it } from 'vitest';
import {
  KEEPALIVE_TIMEOUT_MS,
  REJECT_AFTER_TIME_MS,
  REKEY_AFTER_TIME_MS,
  REKEY_TIMEOUT_MS,
} from '../../src/noise/constants.ts';
import {
  connected,
  DATA,
  handOver,
  INITIATION,
  inAnotherProcess,
  only,
  replace,
  SECOND,
  setPeer,
} from './successors.ts';
import { A_TO_B, B_TO_A, pair, type Site } from './world.ts';

describe('timers', () => {
  it.each([
    ['renewed', REKEY_AFTER_TIME_MS, (site: Site) => site.sent(INITIATION).length],
    // When nobody answers the call for a new one.
    ['used no more', REJECT_AFTER_TIME_MS, (site: Site) => 1 - Math.sign(site.sent(DATA).length)],
  ])('a session is %s at its true age', (_, ageMs, happened) => {
    for (const [at, expected] of [
      [ageMs - SECOND, 0],
      [ageMs + SECOND, 1],
    ] as const) {
      const { world, a } = connected();
      world.run(60 * SECOND - world.now);
      const successor = handOver(world, a);
      world.filter = () => false;
      world.run(at - world.now);
      successor.send(A_TO_B());
      expect(happened(successor), `after ${at} ms`).toBe(expected);
    }
  });

  it('keys are erased at their true age', () => {
    const { world, a } = connected();
    world.run(400 * SECOND);
    const successor = handOver(world, a);
    world.run(3 * REJECT_AFTER_TIME_MS - SECOND - world.now);
    const { current } = only(successor);
    expect(current!.isWiped).toBe(false);
    world.run(2 * SECOND);
    expect(current!.isWiped).toBe(true);
    expect(only(successor).current).toBe(null);
    expect(successor.device.core.indices.size).toBe(0);
  });

  it('a persistent keepalive keeps its beat', () => {
    const { world, a, b } = connected();
    setPeer(a, b, { persistentKeepalive: 25 });
    world.run(40 * SECOND);
    const before = a.sent(DATA).at(-1)!;
    const successor = handOver(world, a);
    expect(successor.sent(DATA)).toEqual([]);
    world.run(50 * SECOND);
    expect(successor.sent(DATA).map(({ at }) => at - before.at)).toEqual([25_000, 50_000]);
  });

  it('what was received is acknowledged in time', () => {
    const { world, a, b } = connected();
    world.run(20 * SECOND);
    b.send(B_TO_A());
    world.run(4 * SECOND);
    b.send(B_TO_A());
    world.run(SECOND);
    const successor = handOver(world, a);
    world.run(60 * SECOND);
    const received = b.sent(DATA).slice(-2)[0].at + world.latencyMs;
    // The second packet came while the first acknowledgement was due.
    expect(successor.sent(DATA).map(({ at }) => at - received)).toEqual([
      KEEPALIVE_TIMEOUT_MS,
      2 * KEEPALIVE_TIMEOUT_MS,
    ]);
  });

  it('a peer that does not answer is called again in time', () => {
    const { world, a } = connected();
    world.run(20 * SECOND);
    world.filter = () => false;
    a.send(A_TO_B());
    const sentAt = world.now;
    world.run(8 * SECOND);
    const successor = handOver(world, a);
    world.run(10 * SECOND);
    const [call] = successor.sent(INITIATION);
    const waited = call!.at - sentAt - KEEPALIVE_TIMEOUT_MS - REKEY_TIMEOUT_MS;
    expect(waited).toBeGreaterThanOrEqual(0);
    expect(waited).toBeLessThan(334);
  });

  it('what was overdue is done at once', () => {
    const { world, a, b } = connected();
    b.send(B_TO_A());
    world.run(20);
    const handover = a.device.handOver(world.now);
    const saved = inAnotherProcess(a, handover);
    const successor = replace(world, a);
    world.now += 30 * SECOND;
    successor.configure(saved.change);
    successor.device.takeOver(saved.received, saved.memories);
    expect(successor.sent(DATA)).toEqual([]);
    expect(successor.device.nextTimeout()).toBeLessThanOrEqual(world.now);
    world.run(0);
    expect(successor.sent(DATA)).toHaveLength(1);
  });
});

describe('what waits for a session', () => {
  it('goes out, in its order, once a call that was under way is made anew', () => {
    const { world, a, b } = pair();
    world.latencyMs = 100;
    for (let tag = 1; tag < 4; tag++) a.send(A_TO_B(tag));
    world.run(150);
    expect(b.sent(2)).toHaveLength(1);
    const successor = handOver(world, a);
    expect(only(successor).staged.length).toBe(3);
    world.run(0);
    expect(successor.sent(INITIATION)).toHaveLength(1);
    world.run(SECOND);
    expect(b.delivered).toEqual([A_TO_B(1), A_TO_B(2), A_TO_B(3)]);
    // The answer to its predecessor, which nobody can read.
    expect(successor.device.core.drops.get('unknownIndex')).toBe(1);
    expect(successor.device.core.indices.size).toBe(1);
  });

  it('is given up when the peer had been called for so long by both', () => {
    const { world, a } = pair();
    world.filter = () => false;
    a.send(A_TO_B());
    world.run(50 * SECOND);
    const successor = handOver(world, a);
    world.run(60 * SECOND);
    expect(successor.device.core.drops.get('handshakeTimeout')).toBe(1);
    expect(only(successor).staged.length).toBe(0);
    const calls = [...a.sent(INITIATION), ...successor.sent(INITIATION)];
    expect(calls.length).toBeLessThanOrEqual(20);
    expect(calls.length).toBeGreaterThan(17);
  });

  it('does not come back after it was given up', () => {
    const { world, a } = pair();
    world.filter = () => false;
    a.send(A_TO_B());
    world.run(200 * SECOND);
    const successor = handOver(world, a);
    world.run(200 * SECOND);
    expect(successor.sent(INITIATION)).toEqual([]);
  });
});
