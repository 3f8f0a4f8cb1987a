/** Who is told of events: in which order, how often, of what, and what an error of theirs does. */

import { describe, expect, it } from 'vitest';
import { Endpoint } from '../../src/device/endpoint.ts';
import type { DeviceEvent } from '../../src/device/events.ts';
import { Peer } from '../../src/device/peer.ts';
import { A_TO_B, B_TO_A, ipv4, pair, type Site, type World } from './world.ts';

const SECOND = 1_000;

/** A sees and drops much: sessions, roaming, a routing loop, strangers, replays, silence. */
function eventfulLife({ world, a, b }: { world: World; a: Site; b: Site }): void {
  a.configure({ debug: true });
  a.send(A_TO_B());
  world.run(SECOND);
  b.send(B_TO_A());
  world.run(200 * SECOND);
  b.endpoint = new Endpoint(b.endpoint.address, 777);
  b.send(B_TO_A());
  world.run(SECOND);
  world.inject(b, a, b.sent(4).at(-1)!.bytes);
  a.send(ipv4('10.0.0.5', '10.66.0.1'));
  const stranger = world.site('192.0.2.66');
  stranger.peer(a, ['10.0.0.0/24']);
  stranger.send(ipv4('10.66.0.1', '10.0.0.5'));
  world.run(SECOND);
  a.leadsInside = () => true;
  a.device.pathsChanged(world.now);
  a.send(A_TO_B());
  a.leadsInside = () => false;
  a.device.pathsChanged(world.now);
  a.send(A_TO_B());
  world.filter = () => false;
  for (let i = 0; i < 4; i++) {
    a.send(A_TO_B());
    world.run(200 * SECOND);
  }
}

/** Whether something in the value, however deep, is a live part of the Device. */
function holdsLivePart(value: unknown): boolean {
  if (typeof value === 'function' || value instanceof Peer) return true;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  return Object.values(value).some(holdsLivePart);
}

describe('an event', () => {
  it('is a plain value that can be cloned, of a peer only its name', () => {
    const sites = pair();
    eventfulLife(sites);
    const { events } = sites.a;
    const kinds = new Set(events.map(({ kind }) => kind));
    for (const kind of ['initiationSent', 'sessionConfirmed', 'roamed', 'stranger', 'dropped']) {
      expect(kinds).toContain(kind);
    }
    expect(kinds.size).toBeGreaterThan(10);
    for (const event of events) {
      expect(holdsLivePart(event), event.kind).toBe(false);
      expect(structuredClone(event), event.kind).toMatchObject({ kind: event.kind });
      if ('peer' in event && event.peer !== null) expect(Object.isFrozen(event.peer)).toBe(true);
    }
  });

  it('says who the peer was then, in one object as long as that did not change', () => {
    const { world, a, b } = pair();
    a.peer(b, [], { description: 'site B' });
    a.send(A_TO_B());
    world.run(SECOND);
    b.endpoint = new Endpoint(b.endpoint.address, 777);
    b.send(B_TO_A());
    world.run(SECOND);
    a.peer(b, [], { description: 'site C' });
    const names = a.events.flatMap((event) => ('peer' in event && event.peer ? [event.peer] : []));
    const publicKey = Buffer.from(b.publicKey).toString('base64');
    expect(names[0]).toMatchObject({ publicKey, description: 'site B' });
    expect(names.map(({ endpoint }) => endpoint?.port)).toEqual([51_820, 51_820, 51_820, 777]);
    expect(names[1]).toBe(names[0]);
    expect(names[3]).not.toBe(names[0]);
    expect(a.record(b).name.description).toBe('site C');
    expect(new Set(names.map(({ description }) => description))).toEqual(new Set(['site B']));
  });

  it('of a session says the how-manieth it is, on either side', () => {
    const { world, a, b } = pair();
    for (let i = 0; i < 3; i++) {
      a.send(A_TO_B());
      world.run(200 * SECOND);
    }
    const sessions = ({ events }: Site, kind: DeviceEvent['kind']) =>
      events.flatMap((event) => (event.kind === kind && 'session' in event ? [event.session] : []));
    expect(sessions(a, 'responseReceived')).toEqual([1, 2, 3]);
    expect(sessions(b, 'sessionConfirmed')).toEqual([1, 2, 3]);
  });
});

describe('observers', () => {
  it('are told of the same, in the order in which they came, until they leave', () => {
    const { world, a } = pair();
    const told: string[] = [];
    const leave = ['x', 'y'].map((name) =>
      a.device.observe(({ kind }) => told.push(`${name} ${kind}`)),
    );
    a.send(A_TO_B());
    expect(told).toEqual(['x initiationSent', 'y initiationSent']);
    leave[0]!();
    leave[0]!();
    world.run(SECOND);
    expect(told.slice(2)).toEqual(['y responseReceived', 'y connected']);
    leave[1]!();
    world.run(200 * SECOND);
    a.send(A_TO_B());
    expect(told).toHaveLength(4);
  });

  it('may be the same one twice, of which one leaves', () => {
    const { a } = pair();
    let told = 0;
    const count = (): void => {
      told++;
    };
    const leave = [a.device.observe(count), a.device.observe(count)];
    leave[1]!();
    a.send(A_TO_B());
    expect(told).toBe(1);
  });

  it('may come and go while one is told, which counts from the next event on', () => {
    const { world, a } = pair();
    const told: string[] = [];
    let leaveSecond = (): void => {};
    const leave = a.device.observe(() => {
      leave();
      leaveSecond();
      a.device.observe(({ kind }) => told.push(`new ${kind}`));
    });
    leaveSecond = a.device.observe(({ kind }) => told.push(`second ${kind}`));
    a.send(A_TO_B());
    expect(told).toEqual(['second initiationSent']);
    world.run(SECOND);
    expect(told.slice(1)).toEqual(['new responseReceived', 'new connected']);
  });
});

it('who comes while an observer is told is not told of that event', () => {
  const { a } = pair();
  const told: string[] = [];
  const late = ({ kind }: DeviceEvent): void => void told.push(kind);
  a.device.observe(() => void a.device.observe(late));
  a.send(A_TO_B());
  expect(told).toEqual([]);
});

describe('an observer that throws', () => {
  /** The same life with and without it: what A sent, delivered, and knows in the end. */
  function lifeOf(observe?: (event: DeviceEvent) => void) {
    const { world, a, b } = pair(7);
    if (observe !== undefined) a.device.observe(observe);
    const errors: unknown[] = [];
    const handleTimeout = a.device.handleTimeout.bind(a.device);
    a.device.handleTimeout = (now) => {
      try {
        handleTimeout(now);
      } catch (error) {
        errors.push(error);
      }
    };
    eventfulLife({ world, a, b });
    const sent = world.wire.filter(({ from }) => from === a);
    const wire = sent.map(({ bytes, at }) => `${at} ${Buffer.from(bytes).toString('hex')}`);
    const [peer] = a.device.stats(world.now).peers;
    const kinds = a.events.map(({ kind }) => kind);
    return { life: { wire, delivered: a.delivered, peer, kinds }, errors };
  }

  it('changes nothing of what the Device does, and is heard of', () => {
    const bug = new Error('a bug');
    const plain = lifeOf();
    const troubled = lifeOf(() => {
      throw bug;
    });
    expect(plain.errors).toEqual([]);
    expect(troubled.life).toEqual(plain.life);
    expect(troubled.errors.length).toBeGreaterThan(5);
    expect(new Set(troubled.errors)).toEqual(new Set([bug]));
  });

  it('is heard of at once, once, in handleTimeout, after the others were told and all was done', () => {
    const { world, a, b } = pair();
    const told: string[] = [];
    const leave = ['first', 'second'].map((name) =>
      a.device.observe(() => {
        throw new Error(name);
      }),
    );
    a.device.observe(({ kind }) => told.push(kind));
    expect(a.device.nextTimeout()).toBeGreaterThan(world.now);
    a.send(A_TO_B());
    expect(told).toEqual(['initiationSent']);
    expect(a.sent(1)).toHaveLength(1);
    expect(a.device.nextTimeout()).toBe(Number.NEGATIVE_INFINITY);
    expect(() => a.device.handleTimeout(world.now)).toThrow('first');
    for (const go of leave) go();
    expect(a.device.nextTimeout()).toBeGreaterThan(world.now);
    a.device.handleTimeout(world.now);
    world.run(SECOND);
    expect(b.delivered).toHaveLength(1);
  });
});
