/**
 * Wall clocks that are set, on a virtual clock: the timestamps of handshakes never go back, so that
 * nobody refuses us for it, and the observer is told why one might.
 */

import { describe, expect, it } from 'vitest';
import { describe as describeEvent } from '../../src/log.ts';
import { REKEY_AFTER_TIME_MS } from '../../src/noise/constants.ts';
import { A_TO_B, B_TO_A, pair, type Site, type World } from './world.ts';

const SECOND = 1_000;
const YEAR = 365 * 86_400_000;
const INITIATION = 1;

/** Both have called the other and were answered. */
function acquainted() {
  const sites = pair();
  const { world, a, b } = sites;
  b.send(B_TO_A());
  world.run(SECOND);
  renew(world, a, b);
  expect(a.record(b).counts.handshakesCompleted).toBe(2);
  return sites;
}

/** Lets the session grow old enough that the next packet of `from` asks for a new one. */
function renew(world: World, from: Site, to: Site): void {
  world.run(REKEY_AFTER_TIME_MS + 61 * SECOND);
  const before = to.delivered.length;
  from.send(from.endpoint.sameRemote(world.sites[0].endpoint) ? A_TO_B() : B_TO_A());
  world.run(SECOND);
  expect(to.delivered.length, 'the packet arrives').toBe(before + 1);
}

const told = (site: Site, kind: string) => site.events.filter((event) => event.kind === kind);

function expectNoRefusal(...sites: Site[]): void {
  for (const site of sites) {
    expect(site.device.core.drops.entries()).toEqual([]);
    expect(told(site, 'initiationsStale')).toEqual([]);
  }
}

describe('a wall clock that is set', () => {
  it('back by a year: the peer goes on answering, and it is told once', () => {
    const { world, a, b } = acquainted();
    a.wallOffset -= YEAR;
    for (let round = 0; round < 3; round++) renew(world, a, b);
    expectNoRefusal(a, b);
    expect(told(a, 'clockSetBack')).toEqual([{ kind: 'clockSetBack', ms: YEAR }]);
    expect(told(b, 'clockSetBack')).toEqual([]);
    a.wallOffset -= 60 * SECOND;
    renew(world, a, b);
    expect(told(a, 'clockSetBack').slice(1)).toEqual([{ kind: 'clockSetBack', ms: 60 * SECOND }]);
  });

  it('forward by a year, and back again: both sides go on answering', () => {
    const { world, a, b } = acquainted();
    for (const offset of [YEAR, 0, YEAR, 0]) {
      a.wallOffset = offset;
      renew(world, a, b);
      renew(world, b, a);
    }
    expectNoRefusal(a, b);
    expect(told(a, 'clockSetBack')).toEqual(Array(2).fill({ kind: 'clockSetBack', ms: YEAR }));
  });

  it('on both sides, by different amounts: both go on answering', () => {
    const { world, a, b } = acquainted();
    a.wallOffset -= YEAR;
    b.wallOffset += YEAR;
    renew(world, a, b);
    renew(world, b, a);
    a.wallOffset += 2 * YEAR;
    b.wallOffset -= 3 * YEAR;
    renew(world, b, a);
    renew(world, a, b);
    expectNoRefusal(a, b);
    expect(told(a, 'clockSetBack')).toHaveLength(1);
    expect(told(b, 'clockSetBack')).toHaveLength(1);
  });

  it('back by a leap second is not worth a line', () => {
    const { world, a, b } = acquainted();
    a.wallOffset -= SECOND;
    renew(world, a, b);
    expectNoRefusal(a, b);
    expect(told(a, 'clockSetBack')).toEqual([]);
  });
});

describe('a peer that forgot its timestamps and whose clock was set back by a year', () => {
  /** As when its machine was restarted: a new Device, which knows nothing of before. */
  function forgetful() {
    const { world, a, b } = acquainted();
    // Nothing is left to be said before it.
    world.run(60 * SECOND);
    world.sites.splice(world.sites.indexOf(b), 1);
    const again = world.site('192.0.2.2');
    again.wallOffset = -YEAR;
    again.configure({ privateKey: b.privateKey });
    again.peer(a, ['10.0.0.0/24']);
    return { world, a, again };
  }

  it('is refused, and it is told why, once', () => {
    const { world, a, again } = forgetful();
    again.send(B_TO_A());
    world.run(30 * SECOND);
    const initiations = again.sent(INITIATION);
    expect(initiations.length).toBeGreaterThan(4);
    expect(a.device.core.drops.get('replayedInitiation')).toBe(initiations.length);
    const lines = told(a, 'initiationsStale').map(describeEvent);
    expect(lines).toEqual([
      expect.stringMatching(/Refused its initiations from 192\.0\.2\.2:51820.*clock set back\?$/),
    ]);
    expect(a.device.stats(world.now).peers[0].troubles).toEqual([
      { code: 'staleTimestamps', initiations: initiations.length },
    ]);
  });

  it('is reached as soon as we have something to send, and then answers', () => {
    const { world, a, again } = forgetful();
    again.send(B_TO_A(7));
    world.run(200 * SECOND);
    again.send(B_TO_A(8));
    a.send(A_TO_B(9));
    world.run(SECOND);
    expect(again.delivered).toHaveLength(1);
    expect(a.delivered.at(-1)![23]).toBe(8);
    expect(a.device.stats(world.now).peers[0].troubles).toEqual([]);
    // One that was doubled by the network is not worth a line.
    world.inject(again, a, again.sent(INITIATION).at(-1)!.bytes);
    world.run(SECOND);
    expect(told(a, 'initiationsStale')).toHaveLength(1);
  });
});
