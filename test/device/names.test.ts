import { describe, expect, it } from 'vitest';
import { Names } from '../../src/device/names.ts';
import type { NameAnswer, Way } from '../../src/device/ways.ts';
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { A_TO_B, pair, type Site, type World } from './world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOST = 'gw.example.net';
const NEVER = Number.POSITIVE_INFINITY;

const found = (...texts: string[]): NameAnswer => ({
  addresses: texts.map((t) => parseAddress(t)!),
});

/** When something is due, as it is known once the time has come that was told before. */
function dueAfter(now: number, names: Names<string>): number {
  names.expire(now);
  return names.next;
}

describe('a name', () => {
  function table() {
    const asked: string[] = [];
    const names = new Names<string>({ lookUp: (host) => asked.push(host) });
    names.activate();
    return { asked, names };
  }

  it('is one entry for all that use it, however they spell it, and nothing is left when none does', () => {
    const { asked, names } = table();
    const one = names.use('GW.example.net', 'a');
    expect(names.use(HOST, 'b')).toBe(one);
    names.wantSoon(0, one);
    names.wantSoon(0, one);
    expect(asked).toEqual([HOST]);
    names.release(one, 'a');
    expect([...names.all()]).toEqual([one]);
    names.release(one, 'b');
    expect([...names.all()]).toEqual([]);
    expect(names.answered(1, HOST, found('192.0.2.9'))).toBeNull();
  });

  it('that nobody wants anything of is not asked for, and no time is due', () => {
    const { asked, names } = table();
    names.use(HOST, 'a');
    expect(names.next).toBe(NEVER);
    names.expire(MINUTE);
    expect(asked).toEqual([]);
  });

  it('that is not found is asked for again after 1, 2, 4 ... 60 s', () => {
    const { asked, names } = table();
    names.wantSoon(0, names.use(HOST, 'a'));
    const times: number[] = [];
    let now = 0;
    for (let i = 0; i < 9; i++) {
      names.answered(now, HOST, { error: 'EAI_AGAIN' });
      times.push((names.next - now) / SECOND);
      now = names.next;
      names.expire(now);
      expect(asked).toHaveLength(i + 2);
    }
    expect(times).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  it('whose network has changed begins with the shortest time again', () => {
    const { names } = table();
    const name = names.use(HOST, 'a');
    names.wantSoon(0, name);
    for (let i = 0; i < 6; i++) names.answered(i, HOST, { error: 'EAI_AGAIN' });
    names.wantSoon(100 * SECOND, name);
    names.answered(100 * SECOND, HOST, { error: 'EAI_AGAIN' });
    expect(dueAfter(100 * SECOND, names)).toBe(101 * SECOND);
  });

  it('that is known is asked for every 10 s at most, and not by itself', () => {
    const { asked, names } = table();
    const name = names.use(HOST, 'a');
    names.wantSoon(0, name);
    names.answered(0, HOST, found('192.0.2.9'));
    expect(dueAfter(MINUTE, names)).toBe(NEVER);
    for (let now = 0; now < 30 * SECOND; now += 500) {
      names.want(now, name);
      names.expire(now);
      if (name.isAsked) names.answered(now, HOST, found('192.0.2.9'));
    }
    expect(asked).toHaveLength(3);
  });

  it('keeps what it was when a later lookup fails, which is tried a few times after news', () => {
    const { asked, names } = table();
    const name = names.use(HOST, 'a');
    names.wantSoon(0, name);
    names.answered(0, HOST, found('192.0.2.9'));
    names.wantSoon(MINUTE, name);
    for (let now = MINUTE; now <= 10 * MINUTE; now += SECOND) {
      names.expire(now);
      if (name.isAsked) names.answered(now, HOST, { error: 'EAI_AGAIN' });
    }
    expect(name.addresses.map(formatAddress)).toEqual(['192.0.2.9']);
    expect(name.error).toBe('EAI_AGAIN');
    expect(asked).toHaveLength(2 + 4);
    expect(dueAfter(20 * MINUTE, names)).toBe(NEVER);
  });

  it('is asked for beside a lookup under way when the network has changed since', () => {
    const { asked, names } = table();
    const name = names.use(HOST, 'a');
    names.wantSoon(0, name);
    names.wantSoon(SECOND, name);
    names.wantSoon(2 * SECOND, name);
    expect(dueAfter(2 * SECOND, names)).toBe(3 * SECOND);
    names.expire(3 * SECOND);
    expect(asked).toEqual([HOST, HOST]);
    // And not again without news.
    expect(dueAfter(4 * SECOND, names)).toBe(63 * SECOND);
    names.answered(5 * SECOND, HOST, found('192.0.2.9'));
    names.wantSoon(MINUTE, name);
    names.wantSoon(MINUTE + 20 * SECOND, name);
    names.expire(MINUTE + 20 * SECOND);
    expect(asked).toHaveLength(4);
  });

  it('whose question is lost is asked for again', () => {
    const { asked, names } = table();
    names.wantSoon(0, names.use(HOST, 'a'));
    names.expire(59 * SECOND);
    expect(asked).toHaveLength(1);
    expect(names.next).toBe(MINUTE);
    names.expire(MINUTE);
    expect(asked).toHaveLength(2);
  });

  it('is refreshed when it was answered minutes ago', () => {
    const { asked, names } = table();
    const name = names.use(HOST, 'a');
    names.wantSoon(0, name);
    names.answered(0, HOST, found('192.0.2.9'));
    names.refresh(5 * MINUTE, name);
    expect(asked).toHaveLength(1);
    names.refresh(5 * MINUTE + 1, name);
    expect(asked).toHaveLength(2);
  });

  it('is not asked for while the interface is down', () => {
    const { asked, names } = table();
    const name = names.use(HOST, 'a');
    names.wantSoon(0, name);
    names.answered(0, HOST, { error: 'EAI_AGAIN' });
    names.deactivate();
    names.wantSoon(MINUTE, name);
    names.want(MINUTE, name);
    names.expire(MINUTE);
    expect(names.next).toBe(NEVER);
    expect(asked).toHaveLength(1);
  });

  it.each([
    [
      'each once, in their order',
      ['192.0.2.9', '2001:db8::9', '192.0.2.9'],
      '192.0.2.9 2001:db8::9',
    ],
    ['a mapped one as what it stands for', ['::ffff:192.0.2.9'], '192.0.2.9'],
    ['none that is no host', ['0.0.0.0', '::', '224.0.0.1', '255.255.255.255', 'ff02::1'], ''],
    ['none that means nothing without its link', ['fe80::1', '2001:db8::9'], '2001:db8::9'],
  ])('has of the answer %s', (_, said, expected) => {
    const { names } = table();
    const name = names.use(HOST, 'a');
    names.answered(0, HOST, found(...said));
    expect(name.addresses.map(formatAddress).join(' ')).toBe(expected);
    expect(name.error).toBe(expected === '' ? 'EAI_NODATA' : null);
  });

  it('has 16 addresses at most, and none of a length that there is not', () => {
    const { names } = table();
    const name = names.use(HOST, 'a');
    const many = Array.from({ length: 40 }, (_, i) => Uint8Array.of(192, 0, 2, i + 1));
    names.answered(0, HOST, { addresses: [new Uint8Array(5).fill(7), new Uint8Array(0), ...many] });
    expect(name.addresses).toEqual(many.slice(0, 16));
  });

  it('tells only of addresses that are others, and of an error that is another', () => {
    const { names } = table();
    names.use(HOST, 'a');
    const tell = (answer: NameAnswer) => {
      const { hasMoved, hasFailed } = names.answered(0, HOST, answer)!;
      return `${hasMoved ? 'moved' : ''}${hasFailed ? 'failed' : ''}`;
    };
    expect([
      tell({ error: 'EAI_AGAIN' }),
      tell({ error: 'EAI_AGAIN' }),
      tell({ error: 'EAI_NONAME' }),
      tell(found('192.0.2.9', '192.0.2.8')),
      tell(found('192.0.2.8', '192.0.2.9')),
      tell(found('192.0.2.8')),
      tell({ error: 'EAI_NONAME' }),
    ]).toEqual(['failed', '', 'failed', 'moved', '', 'moved', 'failed']);
  });
});

const way = (host: string, port = 51820): Way => ({ host, port, near: null });

/** A knows B by name, B knows A by address. */
function named(...ways: Way[]): { world: World; a: Site; b: Site } {
  const sites = pair();
  sites.a.configure({ peers: [{ publicKey: sites.b.publicKey, remove: true, allowedIps: [] }] });
  const publicKey = sites.b.publicKey;
  const prefix = { address: Uint8Array.of(10, 20, 0, 0), length: 24 };
  sites.a.configure({ peers: [{ publicKey, ways, allowedIps: [{ prefix, remove: false }] }] });
  return sites;
}

const INITIATION = 1;
const kinds = (site: Site) =>
  site.events.map(({ kind }) => kind).filter((kind) => kind.startsWith('name'));

describe('a peer with a name', () => {
  it('is asked for when it is configured, and called when the answer comes if something waits', () => {
    const { world, a, b } = named(way(HOST));
    expect(a.asked).toEqual([HOST]);
    a.send(A_TO_B());
    world.run(100);
    expect(a.sent(INITIATION)).toEqual([]);
    a.answer(HOST, '192.0.2.2');
    world.run(10);
    expect(b.delivered).toHaveLength(1);
    expect(kinds(a)).toEqual(['nameResolved']);
  });

  it('is not called when nothing waits', () => {
    const { world, a } = named(way(HOST));
    a.answer(HOST, '192.0.2.2');
    world.run(10 * MINUTE);
    expect(world.wire).toEqual([]);
    expect(a.asked).toEqual([]);
  });

  it('is called with a keepalive as soon as the answer comes', () => {
    const { world, a, b } = named(way(HOST));
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 25, allowedIps: [] }] });
    a.answer(HOST, '192.0.2.2');
    world.run(10);
    expect(a.record(b).counts.handshakesCompleted).toBe(1);
  });

  it('that is not found refuses what waited, says so, and is found later without being told', () => {
    const { world, a, b } = named(way(HOST));
    a.send(A_TO_B());
    a.answer(HOST, 'EAI_AGAIN');
    const { drops } = a.record(b);
    expect(drops.get('noEndpoint')).toBe(1);
    expect(kinds(a)).toEqual(['nameFailed']);
    expect(a.device.stats(world.now).peers[0].troubles).toEqual([
      { code: 'unresolved', host: HOST, error: 'EAI_AGAIN', isOnly: true },
    ]);
    // A packet has the name asked for again, and waits for the answer.
    world.run(5 * SECOND);
    a.asked.splice(0);
    a.send(A_TO_B());
    world.run(61 * SECOND);
    a.answer(HOST, '192.0.2.2');
    world.run(10);
    expect(b.delivered).toHaveLength(1);
    expect(a.device.stats(world.now).peers[0].troubles).toEqual([]);
  });

  it('is one question for two peers of one name, and both have the answer', () => {
    const { world, a, b } = named(way(HOST));
    const c = world.site('192.0.2.3');
    const allowedIps = [
      { prefix: { address: Uint8Array.of(10, 30, 0, 0), length: 24 }, remove: false },
    ];
    a.configure({
      peers: [{ publicKey: c.publicKey, ways: [way('GW.example.NET', 7)], allowedIps }],
    });
    expect(a.asked).toEqual([HOST]);
    a.answer(HOST, '192.0.2.2');
    expect([a.record(b), a.record(c)].map(({ endpoint }) => endpoint?.port)).toEqual([51820, 7]);
  });

  it('of which a live session stands stays where it is, whatever the answer', () => {
    const { world, a, b } = named(way(HOST));
    a.answer(HOST, '192.0.2.2');
    a.send(A_TO_B());
    world.run(10);
    a.turn(() => a.device.nameAnswered(world.now, HOST, found('203.0.113.7')));
    for (let i = 0; i < 20; i++) {
      a.send(A_TO_B());
      world.run(10 * SECOND);
    }
    expect(b.delivered).toHaveLength(21);
    expect(a.sent(INITIATION).every(({ endpoint }) => endpoint.sameRemote(b.endpoint))).toBe(true);
  });

  it('without a session is where the new answer says', () => {
    const { a, b, world } = named(way(HOST));
    a.answer(HOST, '203.0.113.7');
    a.turn(() => a.device.nameAnswered(world.now, HOST, found('192.0.2.2')));
    a.send(A_TO_B());
    world.run(10);
    expect(b.delivered).toHaveLength(1);
  });

  it('is asked for again from the third initiation on that nobody answers', () => {
    const { world, a } = named(way(HOST));
    a.answer(HOST, '192.0.2.2');
    world.filter = () => false;
    world.run(MINUTE);
    const start = world.now;
    a.send(A_TO_B());
    world.run(10 * SECOND);
    expect(a.sent(INITIATION)).toHaveLength(2);
    expect(a.asked).toEqual([]);
    world.run(SECOND);
    expect(a.sent(INITIATION, start)).toHaveLength(3);
    expect(a.asked).toEqual([HOST]);
  });

  it('that moved is found at its new address within the tries of one handshake', () => {
    const { world, a, b } = named(way(HOST));
    a.answer(HOST, '203.0.113.7');
    a.send(A_TO_B());
    world.run(11 * SECOND);
    a.answer(HOST, '192.0.2.2');
    world.run(5.4 * SECOND);
    expect(b.delivered).toHaveLength(1);
    expect(a.sent(INITIATION)).toHaveLength(4);
  });

  it('is asked for again after minutes, when a session is to begin', () => {
    const { world, a } = named(way(HOST));
    a.answer(HOST, '192.0.2.2');
    world.run(4 * MINUTE);
    a.send(A_TO_B());
    world.run(10);
    expect(a.asked).toEqual([]);
    world.run(4 * MINUTE);
    a.send(A_TO_B());
    expect(a.asked).toEqual([HOST]);
  });

  it('is not asked for while a session stands, however old the answer', () => {
    const { world, a } = named(way(HOST));
    a.answer(HOST, '192.0.2.2');
    for (let i = 0; i < 120; i++) {
      a.send(A_TO_B());
      world.run(10 * SECOND);
    }
    expect(a.sent(INITIATION).length).toBeGreaterThan(5);
    expect(a.asked).toEqual([]);
  });

  it('is asked for when routes or addresses change, and when the interface comes up again', () => {
    const { world, a } = named(way(HOST));
    a.answer(HOST, '192.0.2.2');
    world.run(10 * SECOND);
    a.turn(() => a.device.pathsChanged(world.now));
    a.answer(HOST, '192.0.2.2');
    world.run(10 * SECOND);
    a.turn(() => a.device.down());
    a.turn(() => a.device.pathsChanged(world.now));
    expect(a.asked).toEqual([]);
    a.turn(() => a.device.up(world.now));
    expect(a.asked).toEqual([HOST]);
  });

  it('is configured while the interface is down, and asked for when it comes up', () => {
    const { a, b, world } = pair();
    a.turn(() => a.device.down());
    a.configure({ peers: [{ publicKey: b.publicKey, ways: [way(HOST)], allowedIps: [] }] });
    expect(a.asked).toEqual([]);
    a.turn(() => a.device.up(world.now));
    expect(a.asked).toEqual([HOST]);
  });

  it('roams like any other, and keeps its name and its new place', () => {
    const { world, a, b } = named(way(HOST));
    a.answer(HOST, '192.0.2.2');
    a.send(A_TO_B());
    world.run(10);
    b.endpoint = b.another('198.51.100.7');
    b.others.splice(0);
    b.send(
      Uint8Array.from([
        ...A_TO_B().subarray(0, 12),
        10,
        20,
        0,
        5,
        10,
        0,
        0,
        5,
        ...A_TO_B().subarray(20),
      ]),
    );
    world.run(10);
    const [state] = a.device.state().peers;
    expect(formatAddress(state.endpoint!.address)).toBe('198.51.100.7');
    expect(state.ways).toMatchObject([{ host: HOST, isInUse: false }]);
    expect(a.events.map(({ kind }) => kind)).toContain('roamed');
    // An answer that is the same as before takes nobody back, with a session or without.
    a.turn(() => a.device.nameAnswered(world.now, HOST, found('192.0.2.2')));
    world.run(10 * MINUTE);
    a.turn(() => a.device.nameAnswered(world.now, HOST, found('192.0.2.2')));
    expect(formatAddress(a.record(b).endpoint!.address)).toBe('198.51.100.7');
    // And the same words of the operator's neither.
    a.configure({ peers: [{ publicKey: b.publicKey, ways: [way(HOST)], allowedIps: [] }] });
    expect(formatAddress(a.record(b).endpoint!.address)).toBe('198.51.100.7');
  });

  it('is forgotten with the peer, with an endpoint, and with no ways', () => {
    for (const change of [
      { remove: true },
      { endpoint: null },
      { ways: [] },
      { ways: [way('other.example')] },
    ]) {
      const { a, b, world } = named(way(HOST));
      a.configure({ peers: [{ publicKey: b.publicKey, allowedIps: [], ...change }] });
      a.answer(HOST, '192.0.2.2');
      expect([...a.device.core.names.all()].map(({ host }) => host)).not.toContain(HOST);
      expect(a.device.state().peers[0]?.endpoint ?? null).toBeNull();
      world.run(MINUTE);
      expect(world.wire).toEqual([]);
    }
  });

  it('that stays in use is not asked for again when the ways are said anew', () => {
    const { a, b, world } = named(way(HOST));
    a.answer(HOST, '192.0.2.2');
    const ways = [way('other.example'), way(HOST, 7)];
    a.configure({ peers: [{ publicKey: b.publicKey, allowedIps: [], ways }] });
    expect(a.asked).toEqual(['other.example']);
    world.run(SECOND);
    expect(a.record(b).endpoint?.port).toBe(7);
  });
});

describe('without names', () => {
  it('nothing is asked, and nothing is due', () => {
    const { world, a } = pair();
    a.turn(() => a.device.pathsChanged(world.now));
    a.turn(() => a.device.nameAnswered(world.now, HOST, found('192.0.2.9')));
    expect(a.asked).toEqual([]);
    expect(a.device.core.names.next).toBe(NEVER);
    expect(a.device.nextTimeout()).toBe(NEVER);
  });
});
