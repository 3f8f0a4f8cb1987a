/** Whom a Device expects to hear from, and at which places: what a guard before its socket is told. */

import { describe, expect, it } from 'vitest';
import { NO_DOORKEEPER } from '../../src/device/doorkeeper.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { PLACES_MAX } from '../../src/device/whereabouts.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { A_TO_B, B_TO_A, GuestList, pair, type Site, type World } from './world.ts';

const [INITIATION, RESPONSE, COOKIE] = [1, 2, 3];
const SECOND = 1_000;

const at = (address: string, port = 51820): Endpoint => new Endpoint(parseAddress(address)!, port);

function connected(): { world: World; a: Site; b: Site } {
  const { world, a, b } = pair();
  a.send(A_TO_B());
  world.run(10);
  expect(b.delivered).toHaveLength(1);
  return { world, a, b };
}

/** `from` sends a packet of its session from elsewhere. */
function roam(world: World, from: Site, endpoint: Endpoint): void {
  from.endpoint = endpoint;
  from.send(A_TO_B());
  world.run(10);
}

describe('indices', () => {
  it('are expected before the call goes out, and as long as the session lasts', () => {
    const { world, a, b } = pair();
    world.filter = ({ from }) => from !== b;
    a.send(A_TO_B());
    world.run(10);
    const called = new DataView(a.sent(INITIATION)[0].bytes.buffer).getUint32(4, true);
    expect(a.door.indices).toEqual([called]);
    world.filter = () => true;
    world.run(10 * SECOND);
    expect(b.delivered).toHaveLength(1);
    expect(a.door.indices).toEqual([a.record(b).current!.localIndex]);
    // One call was lost: the responder has the session of the next beside the first answer's.
    expect(b.door.indices).toContain(b.record(a).current!.localIndex);
    world.run(600 * SECOND);
    expect(a.door.indices.length).toBeLessThanOrEqual(1);
    a.device.down();
    b.device.down();
    expect([a.door.indices, b.door.indices]).toEqual([[], []]);
  });
});

describe('the windows of sessions', () => {
  it('are told with the index and the greatest counter taken', () => {
    const { world, a, b } = connected();
    for (let i = 0; i < 5; i++) {
      a.send(A_TO_B());
      world.run(10);
    }
    const told: number[][] = [];
    b.device.eachWindow((index, greatest) => told.push([index, greatest]));
    expect(told).toEqual([[b.door.indices[0], 5]]);
    b.device.down();
    b.device.eachWindow(() => told.push([]));
    expect(told).toHaveLength(1);
  });
});

describe('places', () => {
  it('are where the operator says, before anything is heard from there', () => {
    const { a, b } = pair();
    expect(a.door.places).toEqual(['192.0.2.2:51820']);
    a.peer(b, [], { endpoint: at('192.0.2.77') });
    expect(a.door.places).toEqual(['192.0.2.77:51820']);
    a.peer(b, [], { endpoint: null });
    expect(a.door.places).toEqual([]);
  });

  it('are kept when the operator says again what holds', () => {
    const { world, a, b } = connected();
    roam(world, a, at('198.51.100.7'));
    b.peer(a, [], { endpoint: at('192.0.2.1') });
    expect(b.door.places.sort()).toEqual(['192.0.2.1:51820', '198.51.100.7:51820']);
  });

  it('are where a peer was heard, the last few of them', () => {
    const { world, a, b } = connected();
    for (let i = 1; i <= 3 * PLACES_MAX; i++) roam(world, a, at('198.51.100.7', i));
    const last = Array.from({ length: PLACES_MAX }, (_, i) => 3 * PLACES_MAX - i);
    expect(b.record(a).places.map(({ port }) => port)).toEqual(last);
    expect(b.door.places).toHaveLength(PLACES_MAX);
    roam(world, a, at('198.51.100.7', last.at(-1)!));
    expect(b.door.places).toHaveLength(PLACES_MAX);
    expect(b.record(a).places[0].port).toBe(last.at(-1));
  });

  it('are each peer’s own: two behind one address, of whom one moves and is removed', () => {
    const { world, a, b } = connected();
    const other = world.site('192.0.2.1', 4_000);
    const shared = at('203.0.113.5');
    other.peer(b, ['10.20.0.0/24']);
    b.peer(other, ['10.30.0.0/24']);
    roam(world, a, shared);
    roam(world, other, shared);
    const times = (): number => b.door.places.filter((p) => p === '203.0.113.5:51820').length;
    expect(times()).toBe(2);
    roam(world, other, at('203.0.113.6'));
    expect(b.record(a).endpoint!.sameRemote(shared)).toBe(true);
    b.configure({ peers: [{ publicKey: other.publicKey, remove: true, allowedIps: [] }] });
    expect(times()).toBe(1);
    b.configure({ replacePeers: true });
    expect(b.door.places).toEqual([]);
    expect(b.door.indices).toEqual([]);
  });

  it('that are earlier ones end with the sessions', () => {
    const { world, a, b } = connected();
    roam(world, a, at('198.51.100.7'));
    expect(b.door.places).toHaveLength(2);
    b.device.down();
    expect(b.door.places).toEqual(['198.51.100.7:51820']);
  });
});

describe('a doorkeeper who comes later', () => {
  it('is told of all there is, and the one before forgets it', () => {
    const { world, a, b } = connected();
    roam(world, a, at('198.51.100.7'));
    const { indices, places } = b.door;
    const before = [[...indices], [...places].sort()];
    expect(before.map((each) => each.length)).toEqual([1, 2]);
    const next = new GuestList();
    b.device.setDoorkeeper(next);
    expect([next.indices, next.places.sort()]).toEqual(before);
    expect([b.door.indices, b.door.places]).toEqual([[], []]);
    b.device.down();
    expect([next.indices, next.places]).toEqual([[], ['198.51.100.7:51820']]);
    b.device.setDoorkeeper(NO_DOORKEEPER);
    expect(next.places).toEqual([]);
  });
});

describe('under load', () => {
  it('the answer to our call needs no cookie, unless many of them came to nothing', () => {
    const { world, a, b } = pair();
    a.device.core.handshakeQueue.isUnderLoad = () => true;
    a.send(A_TO_B());
    world.run(SECOND);
    expect(a.sent(COOKIE)).toEqual([]);
    expect(b.delivered).toHaveLength(1);

    a.device.down();
    b.device.down();
    a.device.up(world.now);
    b.device.up(world.now);
    // Who is on the path holds the answers back and forges others.
    world.filter = ({ bytes }) => bytes[0] !== RESPONSE;
    a.send(A_TO_B());
    world.run(100);
    const forged = b.sent(RESPONSE).at(-1)!.bytes.slice();
    forged[20] ^= 1;
    a.device.core.cookieChecker.verifyMac1 = () => true;
    for (let i = 0; i < 20; i++) world.inject(b, a, forged);
    world.run(100);
    expect(a.device.core.drops.get('badHandshake')).toBe(8);
    expect(a.device.core.drops.get('cookieRequired')).toBe(12);
  });

  it('a stranger’s response needs one', () => {
    const { world, a, b } = connected();
    b.device.core.handshakeQueue.isUnderLoad = () => true;
    world.inject(a, b, b.sent(RESPONSE)[0].bytes);
    b.device.core.cookieChecker.verifyMac1 = () => true;
    world.run(100);
    expect(b.device.core.drops.get('cookieRequired')).toBe(1);
    expect(a.delivered).toEqual([]);
    b.send(B_TO_A());
    world.run(10);
    expect(a.delivered).toHaveLength(1);
  });
});
