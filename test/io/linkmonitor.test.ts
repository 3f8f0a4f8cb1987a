import { afterEach, beforeAll, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { type LinkState, type Monitor, watchLink, watchRoutes } from '../../src/io/linkmonitor.ts';
import { openTun, type Tun } from '../../src/io/tun.ts';
import { openUdp } from '../../src/io/udp.ts';
import {
  describeInNamespace,
  enterNamespace,
  eventually,
  ip,
  OtherNamespace,
  openDescriptors,
} from './namespace.ts';

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
    udp.forgetPaths();
    expect(send()).toEqual(source);
    ip('route', 'replace', '192.0.2.0/24', 'dev', 'b0');
    expect(send()).toEqual(source);
    udp.forgetPaths();
    expect(send()).toBeNull();
    expect([...udp.errors]).toEqual([]);
  });
});
