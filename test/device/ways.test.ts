import { describe, expect, it } from 'vitest';
import type { Near, Way } from '../../src/device/ways.ts';
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { handOver } from './successors.ts';
import { A_TO_B, B_TO_A, type Datagram, pair, type Site, type World } from './world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const INITIATION = 1;
const DATA = 4;
/** The most that REKEY_TIMEOUT is with its jitter. */
const RETRY = 5.4 * SECOND;
/** KEEPALIVE_TIMEOUT and REKEY_TIMEOUT with its jitter: when silence is noticed. */
const SILENCE = 15.4 * SECOND;

const via = (host: string, near: Near | null = null, port = 51820): Way => ({ host, port, near });
const text = ({ address }: { address: Uint8Array }) => formatAddress(address);

/** A with the ways to B, which has the addresses 192.0.2.2 and so on, each on a link of its own. */
function manyways(ways: Way[], addresses: string[] = []) {
  const sites = pair();
  for (const address of addresses) sites.b.another(address);
  setWays(sites.a, sites.b, ways);
  return sites;
}

function setWays(a: Site, b: Site, ways: Way[]): void {
  a.configure({ peers: [{ publicKey: b.publicKey, ways, allowedIps: [] }] });
}

const twoWays = () => manyways([via('192.0.2.2'), via('198.51.100.2')], ['198.51.100.2']);

/** Datagrams to and from the address are lost. */
function kill(world: World, ...addresses: string[]): void {
  world.filter = ({ endpoint, source }) =>
    ![endpoint, source].some((end) => addresses.includes(text(end)));
}

const targets = (datagrams: Datagram[]) => datagrams.map(({ endpoint }) => text(endpoint));
const inUse = (site: Site) => site.device.state().peers[0].ways.findIndex((way) => way.isInUse);
const liveOf = (site: Site) => text(site.device.state().peers[0].endpoint!);

/** A packet each way every 100 ms for so long; how many of A's came, and how many of B's. */
function talk({ world, a, b }: { world: World; a: Site; b: Site }, ms: number) {
  const before = [b.delivered.length, a.delivered.length];
  let sent = 0;
  for (const end = world.now + ms; world.now < end; sent++) {
    a.send(A_TO_B());
    world.run(40);
    // Not at the same time, or calls would cross each other for ever.
    b.send(B_TO_A());
    world.run(60);
  }
  return {
    sent,
    arrived: b.delivered.length - before[0],
    returned: a.delivered.length - before[1],
  };
}

describe('two ways', () => {
  it('are one at a time: packets take the first, and nothing is sent to the other', () => {
    const sites = twoWays();
    const { sent, arrived } = talk(sites, 10 * MINUTE);
    expect(arrived).toBe(sent);
    expect(new Set(targets(sites.a.sent(INITIATION)))).toEqual(new Set(['192.0.2.2']));
    expect(inUse(sites.a)).toBe(0);
    expect(sites.a.events.map(({ kind }) => kind)).not.toContain('wayChanged');
  });

  it('of which the first is dead at the start cost one retry', () => {
    const sites = twoWays();
    const { world, a, b } = sites;
    kill(world, '192.0.2.2');
    a.send(A_TO_B());
    world.run(RETRY);
    expect(b.delivered).toHaveLength(1);
    expect(targets(a.sent(INITIATION))).toEqual(['192.0.2.2', '198.51.100.2']);
    expect(inUse(a)).toBe(1);
    expect(a.events.find(({ kind }) => kind === 'wayChanged')).toMatchObject({
      host: '198.51.100.2',
      port: 51820,
    });
    expect(a.record(b).counts.roams).toBe(0);
  });

  it('of which the one in use dies cost the time in which silence is noticed and one retry', () => {
    const sites = twoWays();
    talk(sites, 10 * SECOND);
    kill(sites.world, '192.0.2.2');
    talk(sites, SILENCE + RETRY);
    expect(inUse(sites.a)).toBe(1);
    const { sent, arrived, returned } = talk(sites, 10 * SECOND);
    expect([arrived, returned]).toEqual([sent, sent]);
  });

  it('are left for the first again by the handshake that is due, and nothing is lost', () => {
    const sites = twoWays();
    const { world, a } = sites;
    kill(world, '192.0.2.2');
    a.send(A_TO_B());
    world.run(RETRY);
    kill(world);
    const { sent, arrived, returned } = talk(sites, 3 * MINUTE);
    expect([arrived, returned]).toEqual([sent, sent]);
    expect(inUse(a)).toBe(0);
    // Not before a handshake was due.
    expect(targets(a.sent(INITIATION))).toEqual(['192.0.2.2', '198.51.100.2', '192.0.2.2']);
    expect(a.sent(INITIATION).at(-1)!.at).toBeGreaterThan(2 * MINUTE);
    expect(liveOf(a)).toBe('192.0.2.2');
  });

  it('stay with the second as long as the first is dead, with one vain initiation a handshake', () => {
    const sites = twoWays();
    const { world, a } = sites;
    kill(world, '192.0.2.2');
    a.send(A_TO_B());
    world.run(RETRY);
    const since = world.now;
    const { sent, arrived, returned } = talk(sites, 10 * MINUTE);
    expect([arrived, returned]).toEqual([sent, sent]);
    expect(inUse(a)).toBe(1);
    const vain = targets(a.sent(INITIATION, since)).filter((one) => one === '192.0.2.2');
    expect(vain.length).toBeGreaterThanOrEqual(3);
    expect(vain.length).toBeLessThanOrEqual(5);
  });

  it('are left for the first again, too, when the other end renews the session', () => {
    const sites = twoWays();
    const { world, a, b } = sites;
    // B has no way but where it has heard A, and A has not sent before.
    kill(world, '192.0.2.2');
    b.send(B_TO_A());
    world.run(RETRY);
    b.endpoint = b.others[0];
    b.others.splice(0);
    b.send(B_TO_A());
    world.run(RETRY);
    expect(inUse(a)).toBe(1);
    b.another('192.0.2.2');
    kill(world);
    let last = 0;
    for (let i = 0; i < 4 * 60; i++) {
      b.send(B_TO_A());
      world.run(SECOND);
      if (inUse(a) === 1) last = world.now;
    }
    expect(inUse(a)).toBe(0);
    expect(last).toBeLessThan(2.5 * MINUTE);
    expect(a.sent(INITIATION)).toHaveLength(1);
  });

  it('of which the first works in one direction only lose no more than a retry takes', () => {
    const sites = twoWays();
    const { world, a } = sites;
    kill(world, '192.0.2.2');
    a.send(A_TO_B());
    world.run(RETRY);
    // What A sends over the first way arrives, and nothing comes back.
    world.filter = ({ source }) => text(source) !== '192.0.2.2';
    let longest = 0;
    let before = a.delivered.length;
    let silent = 0;
    for (let i = 0; i < 3 * 60 * 10; i++) {
      sites.b.send(B_TO_A());
      world.run(100);
      silent = a.delivered.length > before ? 0 : silent + 100;
      before = a.delivered.length;
      longest = Math.max(longest, silent);
    }
    expect(longest).toBeGreaterThan(0);
    expect(longest).toBeLessThanOrEqual(RETRY + 100);
  });

  it('are not left by one lost initiation while data still come over them', () => {
    const sites = twoWays();
    const { world, a } = sites;
    talk(sites, 110 * SECOND);
    let lost = 0;
    world.filter = ({ bytes, from }) => from !== a || bytes[0] !== INITIATION || lost++ > 0;
    talk(sites, 30 * SECOND);
    expect(lost).toBe(2);
    expect(inUse(a)).toBe(0);
    expect(targets(a.sent(INITIATION))).not.toContain('198.51.100.2');
  });

  it('are left when data come but no initiation is ever answered', () => {
    const sites = twoWays();
    const { world, a } = sites;
    talk(sites, 110 * SECOND);
    world.filter = ({ bytes, endpoint }) =>
      bytes[0] !== INITIATION || text(endpoint) !== '192.0.2.2';
    const { sent, arrived } = talk(sites, MINUTE);
    expect(arrived).toBe(sent);
    expect(inUse(a)).toBe(1);
  });

  it('are not both tried while nobody sends: an idle tunnel is silent', () => {
    const sites = twoWays();
    const { world, a } = sites;
    kill(world, '192.0.2.2');
    a.send(A_TO_B());
    world.run(RETRY);
    kill(world);
    world.run(20 * SECOND);
    const before = world.wire.length;
    world.run(60 * MINUTE);
    expect(world.wire.length).toBe(before);
    // What answered last is tried first.
    a.send(A_TO_B());
    world.run(10);
    expect(targets(a.sent(INITIATION)).at(-1)).toBe('198.51.100.2');
  });

  it('have taken turns when a handshake is given up, and continue with the next', () => {
    const { world, a } = twoWays();
    kill(world, '192.0.2.2', '198.51.100.2');
    a.send(A_TO_B());
    world.run(3 * MINUTE);
    const first = targets(a.sent(INITIATION));
    expect(first).toHaveLength(20);
    for (const [i, one] of first.entries()) expect(one).toBe(['192.0.2.2', '198.51.100.2'][i % 2]);
    a.send(A_TO_B());
    expect(targets(a.sent(INITIATION)).at(-1)).toBe('192.0.2.2');
  });

  it('say how they stand', () => {
    const { world, a } = twoWays();
    kill(world, '192.0.2.2');
    a.send(A_TO_B());
    world.run(RETRY);
    const shown = a.device.state().peers[0].ways;
    expect(shown).toMatchObject([
      { host: '192.0.2.2', isInUse: false, unanswered: 1 },
      { host: '198.51.100.2', isInUse: true, unanswered: 0 },
    ]);
    expect(shown[1].addresses.map(formatAddress)).toEqual(['198.51.100.2']);
  });
});

describe('a peer that follows', () => {
  it('is not taken back by what was on its way, however slow the other way is', () => {
    const sites = twoWays();
    const { world, a, b } = sites;
    kill(world, '192.0.2.2');
    a.send(A_TO_B());
    world.run(RETRY);
    kill(world);
    world.run(SECOND);
    // Both send all the time, and the second way takes sixty times as long as the first.
    const slow: Datagram[] = [];
    world.filter = (datagram) => {
      const isSlow = [datagram.endpoint, datagram.source].some(
        (end) => text(end) === '198.51.100.2',
      );
      if (isSlow) slow.push({ ...datagram, at: datagram.at + 60 });
      return !isSlow;
    };
    const changes = () => a.events.filter(({ kind }) => kind === 'wayChanged').length;
    const before = changes();
    for (let i = 0; i < 14_000; i++) {
      a.send(A_TO_B());
      b.send(B_TO_A());
      world.run(10);
      for (const datagram of slow.splice(0, slow.findIndex(({ at }) => at > world.now) >>> 0)) {
        const to = datagram.from === a ? b : a;
        to.receive(datagram);
      }
    }
    expect(inUse(a)).toBe(0);
    expect(changes()).toBe(before + 1);
    expect(targets(a.sent(DATA)).at(-1)).toBe('192.0.2.2');
    expect(liveOf(b)).toBe('192.0.2.1');
  });

  it('is followed to another of its ways when it sends from there', () => {
    const sites = twoWays();
    const { world, a, b } = sites;
    talk(sites, 10 * SECOND);
    b.endpoint = b.others[0];
    b.others.splice(0);
    b.send(B_TO_A());
    world.run(10);
    expect(liveOf(a)).toBe('198.51.100.2');
    expect(inUse(a)).toBe(1);
  });
});

describe('ways to one address over two lines here', () => {
  const near = (name: string): Near => ({ kind: 'interface', name });

  function twoLines(nears: (Near | null)[] = [near('eth0'), near('eth1')]) {
    const sites = pair();
    sites.a.interfaces.set('eth0', 1);
    sites.a.interfaces.set('eth1', 2);
    sites.a.another('203.0.113.1');
    setWays(
      sites.a,
      sites.b,
      nears.map((one) => via('192.0.2.2', one)),
    );
    return sites;
  }

  const sources = (site: Site, type: number, since = 0) =>
    site.sent(type, since).map(({ source }) => text(source));

  it.each([
    ['interfaces', undefined],
    [
      'addresses',
      ['192.0.2.1', '203.0.113.1'].map(
        (one): Near => ({ kind: 'address', address: parseAddress(one)! }),
      ),
    ],
  ])('said as %s take turns, and packets leave from the one in use alone', (_, nears) => {
    const sites = twoLines(nears);
    const { world, a } = sites;
    talk(sites, 10 * SECOND);
    kill(world, '192.0.2.1');
    talk(sites, SILENCE + RETRY);
    expect(inUse(a)).toBe(1);
    const since = world.now;
    const { sent, arrived, returned } = talk(sites, 10 * SECOND);
    expect([arrived, returned]).toEqual([sent, sent]);
    expect(new Set(sources(a, DATA, since))).toEqual(new Set(['203.0.113.1']));
    kill(world);
    const back = talk(sites, 3 * MINUTE);
    expect([back.arrived, back.returned]).toEqual([back.sent, back.sent]);
    expect(inUse(a)).toBe(0);
    expect(sources(a, DATA).at(-1)).toBe('192.0.2.1');
  });

  it('are not changed by where the answers arrive', () => {
    const sites = twoLines();
    const { world, a, b } = sites;
    talk(sites, 5 * SECOND);
    // B sends to the other line.
    const other = a.others[0];
    const datagrams: Datagram[] = [];
    world.filter = (datagram) => {
      if (datagram.from !== b || datagram.bytes[0] !== DATA) return true;
      datagrams.push({ ...datagram, endpoint: other });
      return false;
    };
    for (let i = 0; i < 100; i++) {
      b.send(B_TO_A());
      a.send(A_TO_B());
      for (const datagram of datagrams.splice(0)) a.receive(datagram);
      world.run(100);
    }
    expect(a.delivered.length).toBeGreaterThan(100);
    expect(inUse(a)).toBe(0);
    expect(new Set(sources(a, DATA))).toEqual(new Set(['192.0.2.1']));
  });

  it('whose interface is missing are shown so, left out, and used when it comes', () => {
    const sites = pair();
    const { world, a, b } = sites;
    setWays(a, b, [via('192.0.2.2', near('eth9'))]);
    expect(a.device.state().peers[0].ways).toMatchObject([{ addresses: [], error: 'ENODEV' }]);
    expect(a.device.state().peers[0].endpoint).toBeNull();
    a.interfaces.set('eth9', 1);
    a.turn(() => a.device.pathsChanged(world.now));
    expect(a.device.state().peers[0].ways).toMatchObject([{ error: null, isInUse: true }]);
    a.send(A_TO_B());
    world.run(10);
    expect(b.delivered).toHaveLength(1);
  });

  it('have no address of the other family, and say so when there is none else', () => {
    const answered = (...addresses: string[]) => {
      const near: Near = { kind: 'address', address: parseAddress('192.0.2.1')! };
      const { a } = manyways([via('gw.example', near)]);
      a.answer('gw.example', ...addresses);
      const { error, addresses: known } = a.device.state().peers[0].ways[0];
      return [error, ...known.map(formatAddress)];
    };
    expect(answered('2001:db8::2', '192.0.2.2')).toEqual([null, '192.0.2.2']);
    expect(answered('2001:db8::2')).toEqual(['EAI_ADDRFAMILY']);
  });

  it('keep their near end although a source is to be forgotten', () => {
    const sites = twoLines();
    const { world, a } = sites;
    kill(world, '192.0.2.2');
    a.send(A_TO_B());
    world.run(MINUTE);
    const lines = sources(a, INITIATION);
    for (const [i, one] of lines.entries()) expect(one).toBe(['192.0.2.1', '203.0.113.1'][i % 2]);
  });
});

describe('a name with several addresses', () => {
  const HOST = 'gw.example';

  it('is tried address by address, and what answered stays', () => {
    const sites = manyways([via(HOST)]);
    const { world, a, b } = sites;
    a.answer(HOST, '2001:db8::2', '198.51.100.9', '192.0.2.2');
    a.send(A_TO_B());
    world.run(2 * RETRY);
    expect(targets(a.sent(INITIATION))).toEqual(['2001:db8::2', '198.51.100.9', '192.0.2.2']);
    expect(b.delivered).toHaveLength(1);
    a.turn(() =>
      a.device.nameAnswered(world.now, HOST, {
        addresses: ['2001:db8::2', '192.0.2.2'].map((one) => parseAddress(one)!),
      }),
    );
    const since = world.now;
    world.run(10 * MINUTE);
    talk(sites, 10 * MINUTE);
    expect(new Set(targets(a.sent(INITIATION, since)))).toEqual(new Set(['192.0.2.2']));
  });

  it('is tried last where the machine has no route to, and costs nothing then', () => {
    const { world, a, b } = manyways([via(HOST)]);
    a.isReachable = ({ family }) => family === 4;
    a.answer(HOST, '2001:db8::2', '192.0.2.2');
    a.send(A_TO_B());
    world.run(10);
    expect(b.delivered).toHaveLength(1);
    expect(targets(a.sent(INITIATION))).toEqual(['192.0.2.2']);
  });

  it('is tried nevertheless when nothing else is left', () => {
    const { world, a } = manyways([via(HOST)]);
    a.isReachable = ({ family }) => family === 4;
    a.answer(HOST, '2001:db8::2', '203.0.113.9');
    a.send(A_TO_B());
    world.run(RETRY);
    expect(targets(a.sent(INITIATION))).toEqual(['203.0.113.9', '2001:db8::2']);
  });

  it('gives the best address of each way its turn before the second best of any', () => {
    const { world, a } = manyways([via(HOST), via('192.0.2.77')]);
    a.answer(HOST, '203.0.113.8', '203.0.113.9');
    a.send(A_TO_B());
    world.run(2 * RETRY);
    expect(targets(a.sent(INITIATION))).toEqual(['203.0.113.8', '192.0.2.77', '203.0.113.9']);
  });

  it('is tried to the end although it is answered again and again meanwhile', () => {
    const { world, a } = manyways([via(HOST), via('198.51.100.3'), via('198.51.100.4')]);
    a.answer(HOST, '203.0.113.8', '203.0.113.9');
    world.filter = () => false;
    a.send(A_TO_B());
    for (let i = 0; i < 16; i++) {
      world.run(2 * RETRY);
      const pool = [1, 2].map((n) => Uint8Array.of(203, 0, 113, 10 + 2 * i + n));
      a.turn(() => a.device.nameAnswered(world.now, HOST, { addresses: pool }));
    }
    const all = targets(a.sent(INITIATION));
    expect(all).toContain('198.51.100.3');
    expect(all).toContain('198.51.100.4');
  });
});

describe('routes that change', () => {
  it('have a peer called over another way at once, if its session is cut off', () => {
    const sites = twoWays();
    const { world, a } = sites;
    talk(sites, 10 * SECOND);
    kill(world, '192.0.2.2');
    a.isReachable = (endpoint) => text(endpoint) !== '192.0.2.2';
    a.turn(() => a.device.pathsChanged(world.now));
    world.run(10);
    expect(inUse(a)).toBe(1);
    const { sent, arrived, returned } = talk(sites, 10 * SECOND);
    expect([arrived, returned]).toEqual([sent, sent]);
  });

  it('do so as soon as an initiation may be sent again', () => {
    const sites = twoWays();
    const { world, a } = sites;
    talk(sites, SECOND);
    kill(world, '192.0.2.2');
    a.isReachable = (endpoint) => text(endpoint) !== '192.0.2.2';
    a.turn(() => a.device.pathsChanged(world.now));
    world.run(4 * SECOND + 10);
    expect(inUse(a)).toBe(1);
  });

  it('send nothing where no session stands, nor where no way has a route', () => {
    const sites = twoWays();
    const { world, a } = sites;
    a.isReachable = (endpoint) => text(endpoint) !== '192.0.2.2';
    a.turn(() => a.device.pathsChanged(world.now));
    expect(world.wire).toEqual([]);
    a.isReachable = () => true;
    talk(sites, 10 * SECOND);
    a.isReachable = () => false;
    const before = world.wire.length;
    a.turn(() => a.device.pathsChanged(world.now));
    expect(world.wire.length).toBe(before);
  });

  it('into the tunnel have a way taken that stays outside', () => {
    const sites = twoWays();
    const { world, a, b } = sites;
    talk(sites, 10 * SECOND);
    a.leadsInside = (endpoint) => text(endpoint) === '192.0.2.2';
    a.turn(() => a.device.pathsChanged(world.now));
    const { sent, arrived } = talk(sites, SECOND);
    expect(arrived).toBe(sent);
    expect(inUse(a)).toBe(1);
    expect(a.record(b).drops.get('routingLoop')).toBe(0);
  });

  it('all into the tunnel have nothing sent, and say so', () => {
    const sites = twoWays();
    const { world, a, b } = sites;
    a.leadsInside = () => true;
    a.turn(() => a.device.pathsChanged(world.now));
    a.send(A_TO_B());
    world.run(MINUTE);
    expect(world.wire).toEqual([]);
    expect(a.record(b).drops.get('routingLoop')).toBeGreaterThan(0);
    expect(a.device.stats(world.now).peers[0].troubles).toEqual([{ code: 'routingLoop' }]);
  });
});

describe('what the operator says', () => {
  it('an endpoint takes the place of all ways', () => {
    const { a, b } = twoWays();
    a.configure({
      peers: [{ publicKey: b.publicKey, endpoint: b.endpoint, allowedIps: [] }],
    });
    expect(a.device.state().peers[0].ways).toEqual([]);
    expect(a.device.core.wayHolders.size).toBe(0);
    expect(liveOf(a)).toBe('192.0.2.2');
  });

  it('beside ways is where the peer was last', () => {
    const { a, b } = twoWays();
    const ways = [via('192.0.2.2'), via('198.51.100.2')];
    a.configure({
      peers: [{ publicKey: b.publicKey, ways, endpoint: b.others[0], allowedIps: [] }],
    });
    expect([liveOf(a), inUse(a)]).toEqual(['198.51.100.2', 1]);
  });

  it('other ways keep a live session that one of them leads to', () => {
    const sites = twoWays();
    talk(sites, 10 * SECOND);
    setWays(sites.a, sites.b, [via('203.0.113.5'), via('192.0.2.2')]);
    expect([liveOf(sites.a), inUse(sites.a)]).toEqual(['192.0.2.2', 1]);
    const { sent, arrived } = talk(sites, SECOND);
    expect(arrived).toBe(sent);
  });
});

describe('an upgrade in place', () => {
  it('continues with the ways, the one in use, and what is known of names', () => {
    const sites = manyways([via('192.0.2.2'), via('gw.example')], ['198.51.100.2']);
    const { world, a, b } = sites;
    a.answer('gw.example', '198.51.100.2');
    kill(world, '192.0.2.2');
    a.send(A_TO_B());
    world.run(RETRY);
    expect(inUse(a)).toBe(1);
    const successor = handOver(world, a);
    expect(successor.device.state().peers[0].ways).toEqual(
      a.device.state().peers[0].ways.map((way) => ({
        ...way,
        unanswered: 0,
      })),
    );
    expect(successor.asked).toEqual([]);
    const { sent, arrived, returned } = talk({ world, a: successor, b }, 10 * SECOND);
    expect([arrived, returned]).toEqual([sent, sent]);
    expect(successor.asked).toEqual([]);
  });

  it('begins a lookup again that was under way', () => {
    const { world, a, b } = manyways([via('gw.example')]);
    const successor = handOver(world, a);
    expect(successor.asked).toEqual([]);
    world.run(1);
    expect(successor.asked).toEqual(['gw.example']);
    successor.answer('gw.example', '192.0.2.2');
    successor.send(A_TO_B());
    world.run(10);
    expect(b.delivered).toHaveLength(1);
  });

  it('stays with a way whose name has another address since', () => {
    const sites = manyways([via('192.0.2.77'), via('gw.example')]);
    const { world, a } = sites;
    a.answer('gw.example', '192.0.2.2');
    a.send(A_TO_B());
    world.run(RETRY);
    a.turn(() =>
      a.device.nameAnswered(world.now, 'gw.example', { addresses: [parseAddress('203.0.113.4')!] }),
    );
    const successor = handOver(world, a);
    expect([liveOf(successor), inUse(successor)]).toEqual(['192.0.2.2', 1]);
  });

  it('keeps a near end', () => {
    const { world, a, b } = pair();
    a.another('203.0.113.1');
    setWays(a, b, [via('192.0.2.2', { kind: 'address', address: parseAddress('203.0.113.1')! })]);
    a.send(A_TO_B());
    world.run(10);
    const successor = handOver(world, a);
    successor.another('203.0.113.1');
    const since = world.now;
    successor.send(A_TO_B());
    world.run(10);
    expect(successor.sent(DATA, since).map(({ source }) => text(source))).toEqual(['203.0.113.1']);
    expect(b.delivered).toHaveLength(2);
  });

  it('of a daemon that knows no ways is a peer with an endpoint', () => {
    const { world, a } = twoWays();
    a.send(A_TO_B());
    world.run(10);
    const successor = handOver(world, a, (handover) => ({
      ...handover,
      names: [],
      peers: handover.peers.map((peer) => ({ ...peer, ways: [], wayInUse: -1 })),
    }));
    expect(successor.device.state().peers[0].ways).toEqual([]);
    expect(liveOf(successor)).toBe('192.0.2.2');
  });
});
