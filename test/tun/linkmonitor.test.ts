import { afterEach, beforeAll, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import {
  type LinkState,
  type Monitor,
  type Place,
  watchLink,
  watchRoutes,
} from '../../src/tun/linkmonitor.ts';
import { openTun, type Tun } from '../../src/tun/tun.ts';
import { openUdp } from '../../src/udp/udp.ts';
import {
  describeInNamespace,
  enterNamespace,
  eventually,
  ip,
  OtherNamespace,
  openDescriptors,
  sysctl,
} from '../lab/namespace.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function openTestTun(name = 'wg9'): Tun {
  const tun = openTun({
    name,
    mtu: 1420,
    offload: true,
    arena: new Arena(1 << 20),
    onDrop: () => {},
    onNote: () => {},
    onGone: () => {},
  });
  cleanups.push(() => tun.close());
  return tun;
}

function follow(tun: Tun): { states: LinkState[]; notes: string[]; monitor: Monitor } {
  const states: LinkState[] = [];
  const notes: string[] = [];
  const monitor = watchLink(tun.fd, tun.name, (state) => states.push(state), {
    onNote: (note) => notes.push(note),
  });
  cleanups.push(() => monitor.close());
  return { states, notes, monitor };
}

/** Whatever waits on a descriptor now has been told of then, and no timer of some ms has run out. */
async function turnOfTheLoop(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}

describeInNamespace('link monitor', () => {
  beforeAll(enterNamespace);

  it('tells the state at once, and each change of it once', async () => {
    const { states } = follow(openTestTun());
    const down = { exists: true, isUp: false, mtu: 1420, name: 'wg9' };
    expect(states).toEqual([down]);
    ip('link', 'set', 'wg9', 'up');
    await eventually(() => states.length === 2, 'up');
    ip('addr', 'add', '10.9.0.1/24', 'dev', 'wg9'); // Nobody asked for this.
    ip('link', 'set', 'wg9', 'mtu', '1280');
    await eventually(() => states.length === 3, 'mtu');
    ip('link', 'set', 'wg9', 'down');
    await eventually(() => states.length === 4, 'down');
    ip('link', 'set', 'wg9', 'name', 'office');
    await eventually(() => states.length === 5, 'name');
    expect(states.slice(1)).toEqual([
      { ...down, isUp: true },
      { ...down, isUp: true, mtu: 1280 },
      { ...down, mtu: 1280 },
      { ...down, mtu: 1280, name: 'office' },
    ]);
  });

  it('tells of the deletion, last', async () => {
    const { states } = follow(openTestTun());
    ip('link', 'del', 'wg9');
    await eventually(() => states.length === 2, 'deleted');
    expect(states[1]).toMatchObject({ exists: false, isUp: false });
  });

  it('follows the interface to another namespace and back, and to its deletion there', async () => {
    const { states, notes } = follow(openTestTun());
    const home = new OtherNamespace('here');
    const other = new OtherNamespace();
    cleanups.push(
      () => home.close(),
      () => other.close(),
    );
    ip('link', 'set', 'wg9', 'up');
    await eventually(() => states.at(-1)!.isUp, 'up');
    ip('link', 'set', 'wg9', 'netns', other.path);
    await eventually(() => !states.at(-1)!.isUp, 'down by the move');
    // One of the same name takes its place: it is not ours.
    ip('link', 'add', 'wg9', 'type', 'veth', 'peer', 'name', 'other9');
    ip('link', 'set', 'wg9', 'mtu', '999', 'up');
    other.run(() => ip('link', 'set', 'wg9', 'mtu', '1300', 'up'));
    await eventually(() => states.at(-1)!.isUp && states.at(-1)!.mtu === 1300, 'up there');
    expect(states.some(({ mtu }) => mtu === 999)).toBe(false);
    ip('link', 'del', 'wg9');
    other.run(() => ip('link', 'set', 'wg9', 'netns', home.path));
    await eventually(() => !states.at(-1)!.isUp, 'down by the way back');
    ip('link', 'set', 'wg9', 'mtu', '1310');
    await eventually(() => states.at(-1)!.mtu === 1310, 'mtu here');
    ip('link', 'set', 'wg9', 'netns', other.path);
    other.run(() => ip('link', 'set', 'wg9', 'mtu', '1320'));
    await eventually(() => states.at(-1)!.mtu === 1320, 'mtu there');
    other.run(() => ip('link', 'del', 'wg9'));
    await eventually(() => !states.at(-1)!.exists, 'deleted there');
    expect(notes).toEqual([]);
    // And we are where we were.
    expect(ip('-o', 'link')).not.toContain('wg9');
  });

  it('tells its place, and that one in another namespace is not at home, whatever its index', async () => {
    const tun = openTestTun();
    const other = new OtherNamespace();
    const home = new OtherNamespace('here');
    cleanups.push(
      () => other.close(),
      () => home.close(),
    );
    const index = () => Number(ip('-o', 'link', 'show', 'wg9').split(':')[0]);
    const first = index();
    const places: Place[] = [];
    const monitor = watchLink(tun.fd, tun.name, () => {}, {
      onPlace: (place) => places.push(place),
    });
    cleanups.push(() => monitor.close());
    expect(places).toEqual([{ index: first, isHome: true }]);
    ip('link', 'set', 'wg9', 'netns', other.path);
    await eventually(() => places.length === 2, 'the other place');
    expect(places[1]).toEqual({ index: other.run(index), isHome: false });
    other.run(() => ip('link', 'set', 'wg9', 'netns', home.path));
    await eventually(() => places.length === 3, 'home again');
    expect(places[2]).toEqual({ index: index(), isHome: true });
  });

  it('follows an interface that was moved before it began', async () => {
    const tun = openTestTun();
    const other = new OtherNamespace();
    cleanups.push(() => other.close());
    ip('link', 'set', 'wg9', 'netns', other.path);
    other.run(() => ip('link', 'set', 'wg9', 'up'));
    const { states } = follow(tun);
    expect(states).toEqual([{ exists: true, isUp: true, mtu: 1420, name: 'wg9' }]);
    other.run(() => ip('link', 'set', 'wg9', 'down'));
    await eventually(() => states.length === 2, 'down');
  });

  it('keeps nothing open', async () => {
    const tun = openTestTun();
    const other = new OtherNamespace();
    cleanups.push(() => other.close());
    const before = openDescriptors();
    const { states, monitor } = follow(tun);
    ip('link', 'set', 'wg9', 'up');
    ip('link', 'set', 'wg9', 'netns', other.path);
    await eventually(() => states.at(-1)!.isUp === false, 'moved');
    monitor.close();
    monitor.close();
    expect(openDescriptors()).toBe(before);
  });
});

describeInNamespace('routes monitor', () => {
  beforeAll(enterNamespace);

  it('tells of a change at once, before anything else is done', async () => {
    let changes = 0;
    const monitor = watchRoutes(() => changes++);
    cleanups.push(() => monitor.close());
    // As a flip does: the first that is heard of it is not yet the last.
    for (let change = 1; change <= 4; change++) {
      ip('route', 'replace', '10.80.0.0/16', 'dev', 'lo', 'metric', `${change}`);
      await turnOfTheLoop();
      expect(changes).toBe(change);
    }
  });

  it('tells of a flood of changes now and then, and of the last one', async () => {
    let changes = 0;
    const monitor = watchRoutes(() => changes++);
    cleanups.push(() => monitor.close());
    const start = performance.now();
    let beforeTheLast = 0;
    for (let change = 1; change <= 100; change++) {
      beforeTheLast = changes;
      ip('route', 'replace', '10.81.0.0/16', 'dev', 'lo', 'mtu', `${1_000 + change}`);
      await turnOfTheLoop();
    }
    expect(changes).toBeLessThanOrEqual(8 + (performance.now() - start) / 100);
    await eventually(() => changes > beforeTheLast, 'the last change');
  });

  it('tells of links and of rp_filter, on which routes and answers depend', async () => {
    ip('link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'c1');
    let changes = 0;
    const monitor = watchRoutes(() => changes++);
    cleanups.push(() => monitor.close());
    for (const change of [
      () => ip('link', 'set', 'c0', 'up'),
      () => ip('link', 'set', 'c0', 'down'),
      () => sysctl('net/ipv4/conf/c0/rp_filter', '1'),
    ]) {
      await turnOfTheLoop();
      const before = changes;
      change();
      await eventually(() => changes > before, String(change));
    }
  });

  it('lets the link be told over which datagrams leave, by mark, ports and source', () => {
    ip('link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'd1');
    const index = (name: string) => Number(ip('-o', 'link', 'show', name).split(':')[0]);
    const udp = openUdp({
      arena: new Arena(1 << 20),
      port: 0,
      fwmark: 0,
      offload: true,
      onDrop: () => {},
      onNote: () => {},
    });
    cleanups.push(() => udp.close());
    for (const [i, name] of ['d0', 'd1'].entries()) {
      ip('addr', 'add', `10.7.${i}.1/32`, 'dev', name);
      ip('link', 'set', name, 'up');
    }
    ip('route', 'add', '10.70.0.0/16', 'dev', 'd0');
    ip('route', 'add', '10.70.0.0/16', 'dev', 'd1', 'table', '70');
    const peer = (port: number, source: number[] | null = null, link = 0) =>
      new Endpoint(
        Uint8Array.of(10, 70, 0, 1),
        port,
        0,
        source === null ? null : Uint8Array.from(source),
        link,
      );
    const [d0, d1] = [index('d0'), index('d1')];
    // What leads into the tunnel is told, or got around.
    const leadsInto = (endpoint: Endpoint, link: number) =>
      udp.lead(endpoint, link) === 'inside' || endpoint.exit !== null;
    const way = (endpoint: Endpoint) => [d0, d1].find((link) => leadsInto(endpoint, link));

    expect(way(peer(9))).toBe(d0);
    ip('rule', 'add', 'ipproto', 'udp', 'dport', '10', 'table', '70');
    expect([way(peer(9)), way(peer(10))]).toEqual([d0, d1]);
    ip('rule', 'add', 'ipproto', 'udp', 'sport', `${udp.port}`, 'dport', '11', 'table', '70');
    expect(way(peer(11))).toBe(d1);
    ip('rule', 'add', 'from', '10.7.1.1', 'table', '70');
    expect(way(peer(9, [10, 7, 1, 1], d1))).toBe(d1);
    // The source that does not hold is not the one it would be sent from.
    expect(way(peer(9, [10, 7, 1, 1], d0))).toBe(d0);
    expect(way(peer(9, [10, 7, 9, 9], d1))).toBe(d0);
    ip('rule', 'add', 'fwmark', '70', 'table', '70');
    udp.setFwmark(70);
    expect(way(peer(9))).toBe(d1);
    ip('route', 'del', '10.70.0.0/16', 'table', '70');
    ip('route', 'del', '10.70.0.0/16', 'dev', 'd0');
    expect(udp.lead(peer(9), d0)).toBe('nowhere');
  });

  it('tells of a burst of changes once', async () => {
    let changes = 0;
    const monitor = watchRoutes(() => changes++);
    cleanups.push(() => monitor.close());
    ip('addr', 'add', '192.0.2.1/32', 'dev', 'lo');
    ip('addr', 'del', '192.0.2.1/32', 'dev', 'lo');
    await eventually(() => changes === 1, 'a change');
    for (const words of [
      ['addr', 'add', 'fd00::9/128', 'dev', 'lo'],
      ['route', 'add', '198.51.100.0/24', 'dev', 'lo'],
      ['rule', 'add', 'fwmark', '9', 'table', '9'],
      ['-6', 'rule', 'add', 'fwmark', '9', 'table', '9'],
    ]) {
      const before = changes;
      ip(...words);
      await eventually(() => changes > before, words.join(' '));
    }
  });

  it('lets a source address be forgotten whose way to the peer leads elsewhere now', () => {
    ip('link', 'add', 'a0', 'type', 'veth', 'peer', 'name', 'b0');
    ip('addr', 'add', '203.0.113.1/24', 'dev', 'a0');
    ip('addr', 'add', '203.0.113.129/24', 'dev', 'b0');
    ip('link', 'set', 'a0', 'up');
    ip('link', 'set', 'b0', 'up');
    const index = (name: string) => Number(ip('-o', 'link', 'show', name).split(':')[0]);
    const arena = new Arena(1 << 20);
    const udp = openUdp({
      arena,
      port: 0,
      fwmark: 0,
      offload: true,
      onDrop: () => {},
      onNote: () => {},
    });
    cleanups.push(() => udp.close());
    const source = Uint8Array.of(203, 0, 113, 1);
    const peer = new Endpoint(Uint8Array.of(192, 0, 2, 7), 9, 0, source, index('a0'));
    const send = () => {
      udp.transmit(arena.allocate(32), 32, peer, 0);
      udp.flush();
      arena.reset();
      return peer.source;
    };
    ip('route', 'add', '192.0.2.0/24', 'dev', 'a0');
    expect(send()).toEqual(source);
    udp.forgetPaths([peer]);
    expect(send()).toEqual(source);
    ip('route', 'replace', '192.0.2.0/24', 'dev', 'b0');
    expect(send()).toEqual(source);
    udp.forgetPaths([peer]);
    expect(send()).toBeNull();
    expect([...udp.errors]).toEqual([]);
  });
});
