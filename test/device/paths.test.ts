import { describe, expect, it } from 'vitest';
import { Endpoint } from '../../src/device/endpoint.ts';
import { A_TO_B, B_TO_A, ipv4, pair, World } from './world.ts';

const INITIATION = 1;
const RESPONSE = 2;
const DATA = 4;

type Sites = ReturnType<typeof pair>;
const looped = ({ a, b }: Sites) => a.record(b).drops.get('routingLoop');
const kinds = ({ a }: Sites) =>
  a.events.map(({ kind }) => kind).filter((kind) => kind.startsWith('routingLoop'));
const codesOf = ({ world, a }: Sites) =>
  a.device.stats(world.now).peers[0].troubles.map(({ code }) => code);

/** Routes on the machine of `a` change; every endpoint of its peers leads into the tunnel or not. */
function reroute({ world, a }: Sites, leadsInside: boolean): void {
  a.leadsInside = () => leadsInside;
  a.turn(() => a.device.pathsChanged(world.now));
}

function connected(): Sites {
  const sites = pair();
  sites.a.send(A_TO_B());
  sites.world.run(10);
  return sites;
}

describe('an endpoint that is routed into the tunnel', () => {
  it('gets no data of a live session, and all of it again at once when the route is right', () => {
    const sites = connected();
    const { world, a, b } = sites;
    reroute(sites, true);
    const before = a.sent(DATA).length;
    for (let i = 0; i < 3; i++) a.send(A_TO_B());
    world.run(60_000);
    expect(a.sent(DATA).length).toBe(before);
    expect(a.sent(INITIATION).length).toBe(1);
    expect(looped(sites)).toBeGreaterThanOrEqual(3);
    // Whoever sends into the tunnel is told.
    expect([...a.delivered[0].subarray(20, 22)]).toEqual([3, 1]);
    expect(codesOf(sites)).toEqual(['routingLoop']);

    reroute(sites, false);
    a.send(A_TO_B());
    world.run(10);
    expect(a.sent(DATA).length).toBe(before + 1);
    expect(b.delivered.length).toBe(2);
    expect(kinds(sites)).toEqual(['routingLoop', 'routingLoopEnded']);
    expect(codesOf(sites)).not.toContain('routingLoop');
  });

  it('is not called, what waits for it is given up, and calls begin again by themselves', () => {
    const sites = pair();
    const { world, a, b } = sites;
    world.filter = () => false;
    a.peer(b, [], { persistentKeepalive: 25 });
    expect(a.sent(INITIATION).length).toBe(1);
    a.send(A_TO_B());
    reroute(sites, true);
    world.run(120_000);
    expect(a.sent(INITIATION).length).toBe(1);
    expect(a.record(b).staged.length).toBe(0);
    // The keepalive, the packet, and the calls that were not repeated.
    expect(looped(sites)).toBeGreaterThanOrEqual(3);

    world.filter = () => true;
    reroute(sites, false);
    world.run(10);
    expect(a.record(b).counts.handshakesCompleted).toBe(1);
  });

  it('gets no answer to a call, and no keepalive', () => {
    const sites = pair();
    const { world, a, b } = sites;
    a.leadsInside = () => true;
    b.peer(a, []);
    b.send(B_TO_A());
    world.run(100);
    expect(a.sent(RESPONSE)).toEqual([]);
    expect(looped(sites)).toBe(1);

    const other = connected();
    other.b.send(B_TO_A());
    other.world.run(10);
    const since = other.world.now;
    reroute(other, true);
    other.world.run(60_000);
    expect(other.world.wire.filter(({ from, at }) => from === other.a && at >= since)).toEqual([]);
  });

  it('is seen where the operator sets it, before anything is sent', () => {
    const sites = pair();
    const { a, b } = sites;
    a.leadsInside = ({ port }) => port === 99;
    a.peer(b, [], { endpoint: new Endpoint(b.endpoint.address, 99) });
    expect(codesOf(sites)).toContain('routingLoop');
    a.peer(b, []);
    expect(codesOf(sites)).not.toContain('routingLoop');
    a.peer(b, [], { endpoint: new Endpoint(b.endpoint.address, 99) });
    a.peer(b, [], { endpoint: null });
    expect(codesOf(sites)).not.toContain('routingLoop');
  });

  it('is seen when the peer roams there, and left when it roams away', () => {
    const sites = connected();
    const { world, a, b } = sites;
    a.leadsInside = ({ port }) => port === 99;
    const home = b.endpoint;
    b.endpoint = new Endpoint(home.address, 99);
    b.send(B_TO_A());
    world.run(10);
    a.send(A_TO_B());
    expect(looped(sites)).toBe(1);
    b.endpoint = home;
    b.send(B_TO_A());
    world.run(10);
    a.send(A_TO_B());
    expect(looped(sites)).toBe(1);
    expect(kinds(sites)).toEqual(['routingLoop', 'routingLoopEnded']);
  });

  it('is seen when only its source address kept the way out of the tunnel', () => {
    const sites = connected();
    const { world, a, b } = sites;
    const { endpoint } = a.record(b);
    endpoint!.source = Uint8Array.of(192, 0, 2, 1);
    a.leadsInside = ({ source }) => source === null;
    world.filter = () => false;
    a.send(A_TO_B());
    // The peer seems to be gone, so that another source is tried.
    world.run(60_000);
    expect(endpoint!.source).toBeNull();
    expect(kinds(sites)).toEqual(['routingLoop']);
  });

  it.each(['fwmark', 'listenPort'] as const)('is seen when %s changes', (name) => {
    const sites = connected();
    const { a } = sites;
    a.leadsInside = () => true;
    a.configure({ [name]: 7 });
    a.send(A_TO_B());
    expect(looped(sites)).toBe(1);
  });

  it('stops no other peer', () => {
    const sites = connected();
    const { world, a, b } = sites;
    const c = world.site('192.0.2.3');
    a.peer(c, ['10.30.0.0/24']);
    c.peer(a, ['10.0.0.0/24']);
    a.leadsInside = (endpoint) => endpoint.sameRemote(b.endpoint);
    a.turn(() => a.device.pathsChanged(world.now));
    a.send(ipv4('10.0.0.5', '10.30.0.5'));
    a.send(A_TO_B());
    world.run(10);
    expect(c.delivered.length).toBe(1);
    expect(looped(sites)).toBe(1);
  });
});

describe('the question where a path leads', () => {
  it('is put when a peer has something to send, once for each change', () => {
    const sites = connected();
    const { world, a } = sites;
    let questions = 0;
    a.leadsInside = () => {
      questions++;
      return false;
    };
    a.turn(() => a.device.pathsChanged(world.now));
    expect(questions).toBe(0);
    for (let i = 0; i < 100; i++) a.send(A_TO_B());
    expect(questions).toBe(1);
  });

  it('is put a thousand times a second at most, whatever changes', () => {
    const world = new World();
    const a = world.site('192.0.2.1');
    const b = world.site('192.0.2.2');
    a.peer(b, ['10.20.0.0/24']);
    let questions = 0;
    a.leadsInside = () => {
      questions++;
      return false;
    };
    const start = world.now;
    while (world.now < start + 3_000) {
      world.now += 1 / 8;
      a.turn(() => a.device.pathsChanged(world.now));
      a.send(A_TO_B());
    }
    expect(questions).toBeGreaterThan(2_900);
    expect(questions).toBeLessThanOrEqual(4_001);
  });
});
