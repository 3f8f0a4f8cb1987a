/** What a Device knows again after a restart, by way of what its predecessor left behind. */

import { describe, expect, it } from 'vitest';
import type { PeerMemory } from '../../src/device/configuration.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { A_TO_B, B_TO_A, pair, type Site, type World } from './world.ts';

/** A successor of `site` with the same keys and peers, which takes its place in the world. */
function succeed(world: World, site: Site, other: Site, memories: readonly PeerMemory[]) {
  world.sites.splice(world.sites.indexOf(site), 1);
  const successor = world.site('192.0.2.1');
  successor.turn(() => successor.device.down());
  successor.wallOffset = site.wallOffset;
  successor.configure({ privateKey: site.privateKey, replacePeers: true });
  successor.peer(other, ['10.20.0.0/24']);
  const isClockBehind = successor.device.recall(memories);
  successor.device.up(world.now);
  return { successor, isClockBehind };
}

function pairWithSession() {
  const { world, a, b } = pair();
  a.send(A_TO_B());
  world.run(1_000);
  expect(b.delivered).toHaveLength(1);
  return { world, a, b };
}

describe('a restarted Device', () => {
  it('calls at once the peers that had a session, which then send under a new one', () => {
    const { world, a, b } = pairWithSession();
    const { successor } = succeed(world, a, b, a.device.memories());
    successor.turn(() => expect(successor.device.resume(world.now)).toBe(1));
    world.run(10);
    b.send(B_TO_A(7));
    world.run(10);
    expect(successor.delivered).toHaveLength(1);
  });

  it('does not hear from the peer for 15 seconds when it does not call', () => {
    const { world, a, b } = pairWithSession();
    const { successor } = succeed(world, a, b, a.device.memories());
    world.run(10);
    b.send(B_TO_A(7));
    world.run(10_000);
    expect(successor.delivered).toHaveLength(0);
  });

  it('calls nobody whose last session has long ended, nobody it cannot reach, and no stranger', () => {
    const { world, a, b } = pairWithSession();
    const memories = a.device.memories();
    world.run(400_000);
    const { successor } = succeed(world, a, b, memories);
    successor.turn(() => expect(successor.device.resume(world.now)).toBe(0));
    const [memory] = memories;
    const recent = { ...memory!, lastHandshakeMs: world.wallStart + world.now };
    successor.device.recall([{ ...recent, publicKey: new Uint8Array(32) }, recent]);
    successor.turn(() => expect(successor.device.resume(world.now)).toBe(1));
    successor.configure({
      peers: [{ publicKey: b.publicKey, endpoint: null, allowedIps: [] }],
    });
    successor.turn(() => expect(successor.device.resume(world.now)).toBe(0));
  });

  it('calls many peers by and by', () => {
    const { world, a } = pair();
    const keys = Array.from({ length: 120 }, (_, i) => new Uint8Array(32).fill(i + 1).with(31, 9));
    a.configure({
      replacePeers: true,
      peers: keys.map((publicKey, i) => ({
        publicKey,
        endpoint: new Endpoint(Uint8Array.of(203, 0, 113, i), 1),
        allowedIps: [],
      })),
    });
    const stamp = new Uint8Array(12);
    const lastHandshakeMs = world.wallStart;
    a.device.recall(
      keys.map((publicKey) => ({
        publicKey,
        lastHandshakeMs,
        sentTimestamp: stamp,
        receivedTimestamp: stamp,
      })),
    );
    a.turn(() => expect(a.device.resume(world.now)).toBe(120));
    expect(a.sent(1)).toHaveLength(50);
    world.run(20);
    expect(a.sent(1)).toHaveLength(100);
    world.run(20);
    expect(a.sent(1)).toHaveLength(120);
  });

  it.each([
    ['an hour', 3_600_000],
    ['three seconds', 3_000],
  ])('is believed though its clock was set back by %s meanwhile', (_, ms) => {
    const { world, a, b } = pairWithSession();
    const memories = a.device.memories();
    // The memory is older than the last handshake.
    world.run(1_000);
    a.record(b).lastInitiationAt = Number.NEGATIVE_INFINITY;
    a.configure({ privateKey: new Uint8Array(32).fill(1) });
    a.configure({ privateKey: a.privateKey });
    a.send(A_TO_B());
    world.run(100);
    a.wallOffset -= ms;
    const { successor, isClockBehind } = succeed(world, a, b, memories);
    expect(isClockBehind).toBe(true);
    successor.turn(() => successor.device.resume(world.now));
    world.run(100);
    expect(successor.sent(1)).toHaveLength(1);
    expect(b.record(a).trouble.staleTimestamps).toBe(0);
    expect(b.sent(2, world.now - 100)).toHaveLength(1);
  });

  it('refuses the initiations that its predecessor took', () => {
    const { world, a, b } = pair();
    b.send(B_TO_A());
    world.run(1_000);
    expect(a.delivered).toHaveLength(1);
    const [initiation] = b.sent(1);
    for (const memories of [a.device.memories(), []]) {
      const { successor } = succeed(
        world,
        world.sites.at(-1) === b ? a : world.sites[1],
        b,
        memories,
      );
      const before = successor.device.core.drops.get('replayedInitiation');
      world.inject(b, successor, initiation!.bytes);
      world.run(100);
      const replayed = successor.device.core.drops.get('replayedInitiation') - before;
      expect(replayed).toBe(memories.length);
    }
  });

  it('has nothing to remember of a peer that it never spoke to', () => {
    expect(pair().a.device.memories()).toEqual([]);
  });
});
