/**
 * A turn in which the arena has no room left: what needed some is counted under `arenaExhausted`,
 * nothing throws, and the next turn goes on as if nothing had been.
 */

import { describe, expect, it } from 'vitest';
import { A_TO_B, B_TO_A, type Datagram, pair, type Site } from './world.ts';

const SECOND = 1_000;
const [INITIATION, RESPONSE, DATA] = [1, 2, 4];

/** Takes all but `left` bytes of the turn's room; `work` is done in what remains. */
function inNarrowTurn(site: Site, left: number, work: () => void): void {
  site.turn(() => {
    site.arena.allocate(site.arena.available - left);
    work();
  });
}

/** Keeps the next datagram of this type from arriving, for the caller to hand over. */
function intercept(site: Site, type: number): () => Datagram {
  let held: Datagram | undefined;
  const { world } = site;
  world.filter = (datagram) => {
    if (held !== undefined || datagram.from !== site || datagram.bytes[0] !== type) return true;
    held = datagram;
    return false;
  };
  return () => held!;
}

const exhausted = (site: Site) => site.device.core.drops.get('arenaExhausted');

describe('with no packet memory left in a turn', () => {
  it.each([
    ['an initiation', INITIATION, 'b'],
    ['a response', RESPONSE, 'a'],
  ] as const)('%s that asks for an answer is counted, and the next one answered', (_, type, to) => {
    const { world, a, b } = pair();
    const receiver = to === 'a' ? a : b;
    const held = intercept(to === 'a' ? b : a, type);
    a.send(A_TO_B(5));
    world.run(100);
    const datagram = held();
    const room = (datagram.bytes.length + 15) & -16;
    inNarrowTurn(receiver, room, () => {
      const offset = receiver.arena.allocate(datagram.bytes.length);
      receiver.arena.bytes.set(datagram.bytes, offset);
      const { length } = datagram.bytes;
      const { device } = receiver;
      device.receiveDatagram(world.now, offset, length, datagram.from.endpoint, 0);
      device.handleTimeout(world.now);
    });
    // The answer, or the packet that waited and was on its way.
    expect(exhausted(receiver)).toBe(1);
    expect(b.delivered).toEqual([]);
    a.send(A_TO_B(6));
    world.run(20 * SECOND);
    expect(b.delivered.at(-1)![23]).toBe(6);
    expect(exhausted(receiver)).toBe(1);
  });

  it('a handshake that is due is counted, and repeated after its timeout', () => {
    const { world, a, b } = pair();
    inNarrowTurn(a, 64 + 16, () => {
      const offset = a.arena.allocate(64 + 16) + 16;
      a.arena.bytes.set(A_TO_B(5), offset);
      a.device.sendPacket(world.now, offset, A_TO_B().length);
    });
    expect(exhausted(a)).toBe(1);
    expect(a.sent(INITIATION)).toEqual([]);
    world.run(6 * SECOND);
    expect(a.sent(INITIATION)).toHaveLength(1);
    expect(b.delivered.map((packet) => packet[23])).toEqual([5]);
  });

  it('a keepalive that is due is counted, and the session goes on', () => {
    const { world, a, b } = pair();
    a.send(A_TO_B());
    world.run(SECOND);
    // B's passive keepalive is due in ten seconds.
    const { device } = b;
    for (let turn = 0; turn < 5 && exhausted(b) === 0; turn++) {
      const due = device.nextTimeout();
      world.run(due - world.now - 1);
      inNarrowTurn(b, 0, () => device.handleTimeout(due));
    }
    expect(exhausted(b)).toBe(1);
    expect(b.sent(DATA)).toEqual([]);
    b.send(B_TO_A(4));
    world.run(SECOND);
    expect(a.delivered.map((packet) => packet[23])).toEqual([4]);
  });
});
