/**
 * A full tunnel by two words and a default route into it: the endpoint stays reachable while the
 * default route outside changes, without a mark, and with one as wg-quick has it. The daemon is
 * confined as always.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain, ping } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { createKeyPair, formatEndpoint, INNER, TUNNEL_PORT, TunnelEnd } from '../lab/tunnel.ts';

/** Of two lines: our end and the other one. */
const LINES = {
  4: { one: ['192.0.2.1', '192.0.2.2'], two: ['198.51.100.1', '198.51.100.2'] },
  6: { one: ['2001:db8:1::1', '2001:db8:1::2'], two: ['2001:db8:2::1', '2001:db8:2::2'] },
} as const;
const LENGTH = { 4: 24, 6: 64 } as const;
/** The server's address, behind both lines. */
const SERVER = { 4: '203.0.113.7', 6: '2001:db8:7::7' } as const;
/** What is on the internet, of either family, reached through the tunnel only. */
const INTERNET = { 4: '198.18.0.1', 6: '2001:db8:99::1' } as const;
const LOOP = 'route: wgendpoint is routed into this interface';
/** Packets that a test sends, and what else there may be; a loop makes thousands. */
const FEW_PACKETS = 100;

type Family = 4 | 6;

interface Site {
  readonly left: TunnelEnd;
  readonly right: TunnelEnd;
  /** `ip`, or `ip -6`, on the left. */
  readonly route: (words: string) => Promise<string>;
}

/** @param mark the tunnel's default route is in a table of its own for what has no such mark */
async function build(lab: Lab, outer: Family, mark = 0): Promise<Site> {
  const [leftHost, rightHost] = await lab.hosts('left', 'right');
  for (const ifname of ['one', 'two'] as const) {
    await leftHost.connect(ifname, rightHost, ifname);
    for (const family of [4, 6] as const) {
      const [near, far] = LINES[family][ifname];
      await leftHost.configure(ifname, `${near}/${LENGTH[family]}`);
      await rightHost.configure(ifname, `${far}/${LENGTH[family]}`);
    }
  }
  for (const address of [SERVER[4], INTERNET[4]]) {
    await rightHost.ip(`address add ${address}/32 dev lo`);
  }
  for (const address of [SERVER[6], INTERNET[6]]) {
    await rightHost.ip(`address add ${address}/128 dev lo`);
  }
  const route = (words: string): Promise<string> =>
    leftHost.ip(outer === 6 ? `-6 ${words}` : words);
  await addLine(route, outer, 'one', 100);
  await addLine(route, outer, 'two', 200);
  const inner = (side: 0 | 1): string[] => [`${INNER[4][side]}/24`, `${INNER[6][side]}/64`];
  const left = await TunnelEnd.start(leftHost, inner(0));
  const right = await TunnelEnd.start(rightHost, inner(1));
  const allowed = [`${INNER[4][0]}/32`, `${INNER[6][0]}/128`];
  await right.addPeer({ publicKey: left.keys.publicKey, allowedIps: allowed });
  await leftHost.run('tswg', [
    ...['wg0', 'wgpeer', right.keys.publicKey, 'wgendpoint', SERVER[outer], `${TUNNEL_PORT}`],
    ...['wgaip', '0.0.0.0/0', 'wgaip', '::/0'],
  ]);
  const table = mark === 0 ? '' : ` table ${mark}`;
  await leftHost.ip(`route add default dev wg0${table}`);
  await leftHost.ip(`-6 route add default dev wg0 metric 1${table}`);
  if (mark !== 0) {
    await leftHost.run('tswg', ['wg0', 'wgfwmark', `${mark}`]);
    for (const family of ['-4', '-6']) {
      await leftHost.ip(`${family} rule add not fwmark ${mark} table ${mark}`);
      await leftHost.ip(`${family} rule add table main suppress_prefixlength 0`);
    }
  }
  return { left, right, route };
}

/** A default route over a line, as DHCP brings it. */
async function addLine(
  route: Site['route'],
  family: Family,
  ifname: 'one' | 'two',
  metric: number,
): Promise<void> {
  await route(
    `route replace default via ${LINES[family][ifname][1]} dev ${ifname} metric ${metric}`,
  );
}

/** Waits until the server hears the left side at the end of that line. */
async function waitForLine({ right }: Site, family: Family, ifname: 'one' | 'two'): Promise<void> {
  const expected = formatEndpoint(LINES[family][ifname][0], TUNNEL_PORT);
  await waitFor(async () => (await right.peerDump()).endpoint === expected, `peer at ${expected}`);
}

/** Packets that the kernel has put into the tunnel. */
async function entered(host: Host): Promise<number> {
  return Number(await host.run('cat', ['/sys/class/net/wg0/statistics/tx_packets']));
}

describeInLab('a full tunnel by two words', ['wg', 'tswg', 'stdbuf'], () => {
  it.each([
    [4, 0],
    [6, 0],
    [4, 51_820],
    [6, 51_820],
  ] as const)('stays up while the default route changes: IPv%i, mark %i', (outer, mark) =>
    withLab({}, async (lab) => {
      const site = await build(lab, outer, mark);
      const { left, route } = site;
      const { host } = left;
      await firstPing(host, INTERNET[4]);
      await firstPing(host, INTERNET[6]);
      await waitForLine(site, outer, 'one');
      expect(await host.run('tswg', ['wg0'])).not.toContain(LOOP);
      expect(await host.run('tswg', ['wg0', 'stats'])).toMatch(/sandbox seccomp: all threads/);

      const changes: readonly [
        what: string,
        line: 'one' | 'two',
        change: () => Promise<unknown>,
      ][] = [
        ['the line goes down', 'two', () => host.ip('link set one down')],
        [
          'and comes back',
          'one',
          async () => {
            await host.ip('link set one up');
            if (outer === 6) await host.configure('one', `${LINES[6].one[0]}/64`);
            await addLine(route, outer, 'one', 100);
          },
        ],
        ['another route is better', 'two', () => addLine(route, outer, 'two', 50)],
        ['and gone', 'one', () => route('route delete default dev two metric 50')],
        ['the better one is gone', 'two', () => route('route delete default dev one')],
        ['and comes back', 'one', () => addLine(route, outer, 'one', 100)],
      ];
      for (const [what, line, change] of changes) {
        const train = new PingTrain(host, INTERNET[4], 10);
        await waitFor(async () => train.received > 10, 'answers');
        await change();
        // With a mark the kernel chooses alone. IPv6 stays with a gateway that is known to be there
        // (RFC 4191 3.2) until it has found the better one, of which nobody is told; and what was on its
        // way over the line before has us answer from that one, as long as it leads there.
        const isChosenByKernel = mark !== 0;
        if (!isChosenByKernel) await waitForLine(site, outer, line);
        const before = train.received;
        await waitFor(async () => train.received > before + 10, `answers after: ${what}`);
        const { lost } = await train.stop();
        console.info(`full tunnel, IPv${outer}, mark ${mark}: ${what}: ${lost * 10} ms lost`);
      }
      expect(left.daemon.stderr).not.toContain('is routed into the tunnel itself');
    }),
  );

  it.each([4, 6] as const)(
    'says that there is no way around, and continues when there is: IPv%i',
    (outer) =>
      withLab({}, async (lab) => {
        const site = await build(lab, outer);
        const { left, route } = site;
        const { host } = left;
        await firstPing(host, INTERNET[outer]);
        await route('route delete default dev two');
        await route('route delete default dev one');
        const before = await entered(host);
        expect((await ping(host, INTERNET[4], { count: 3, deadlineMs: 1_000 })).received).toBe(0);
        expect((await entered(host)) - before).toBeLessThan(FEW_PACKETS);
        expect(await host.run('tswg', ['wg0'])).toContain(LOOP);
        await addLine(route, outer, 'two', 100);
        // Until the daemon has read of the line a ping ends with the error that says there is none.
        await waitFor(
          async () => (await ping(host, INTERNET[4], { deadlineMs: 200 })).received > 0,
          'an answer over the line that is back',
        );
        expect(await host.run('tswg', ['wg0'])).not.toContain(LOOP);
        await waitForLine(site, outer, 'two');
      }),
  );

  it('takes the line that is plugged in, whatever the routes say', () =>
    withLab({}, async (lab) => {
      const site = await build(lab, 4);
      await firstPing(site.left.host, INTERNET[4]);
      await waitForLine(site, 4, 'one');
      // The other end of the cable: the route over it stays.
      await site.right.host.ip('link set one down');
      await firstPing(site.left.host, INTERNET[4]);
      await waitForLine(site, 4, 'two');
      expect(await site.left.host.ip('route show default')).toContain('dev one');
      await site.right.host.ip('link set one up');
      await waitForLine(site, 4, 'one');
    }));

  it('says that the kernel drops the answers, as long as rp_filter is strict', () =>
    withLab({}, async (lab) => {
      const site = await build(lab, 4);
      const { host } = site.left;
      const line = 'rp_filter: answers over one are dropped by the kernel';
      await firstPing(host, INTERNET[4]);
      expect(await host.run('tswg', ['wg0'])).not.toContain(line);
      await host.sysctl('net.ipv4.conf.one.rp_filter', 1);
      expect((await ping(host, INTERNET[4], { deadlineMs: 1_000 })).received).toBe(0);
      expect(await host.run('tswg', ['wg0'])).toContain(line);
      await host.sysctl('net.ipv4.conf.all.rp_filter', 2);
      await firstPing(host, INTERNET[4]);
      expect(await host.run('tswg', ['wg0'])).not.toContain(line);
    }));

  it('is not got around over another tunnel, which would lead back', () =>
    withLab({}, async (lab) => {
      const site = await build(lab, 4);
      const { host } = site.left;
      await firstPing(host, INTERNET[4]);
      await host.ip('tuntap add dev tun9 mode tun');
      await host.configure('tun9', '10.99.99.1/32');
      await host.ip('route add default dev tun9 metric 7');
      await sleep(500);
      await firstPing(host, INTERNET[4]);
      await waitForLine(site, 4, 'one');
    }));

  it('is what the example says, word for word, and leaves the default routes as they are', () =>
    withLab({}, async (lab) => {
      const [leftHost, rightHost] = await lab.hosts('left', 'right');
      await leftHost.connect('eth0', rightHost, 'eth0');
      for (const [host, own] of [
        [leftHost, 1],
        [rightHost, 2],
      ] as const) {
        await host.configure('eth0', `192.0.2.${own}/24`);
        await host.configure('eth0', `2001:db8:1::${own}/64`);
      }
      for (const address of ['203.0.113.10/32', `${INTERNET[4]}/32`, `${INTERNET[6]}/128`]) {
        await rightHost.ip(`address add ${address} dev lo`);
      }
      // Without a metric, as an administrator may have made it by hand.
      await leftHost.ip('route add default via 192.0.2.2');
      await leftHost.ip('-6 route add default via 2001:db8:1::2');
      const before = await leftHost.ip('route show default');
      await leftHost.sysctl('net.ipv4.conf.eth0.rp_filter', 1);
      const server = await TunnelEnd.start(rightHost, ['10.99.0.1/24', 'fd00:99::1/64']);
      const keys = createKeyPair();
      await server.addPeer({
        publicKey: keys.publicKey,
        allowedIps: ['10.99.0.2/32', 'fd00:99::2/128'],
      });
      await leftHost.writeFile('/etc/wg/private.key', `${keys.privateKey}\n`);
      const example = readFileSync(
        path.join(REPOSITORY, 'examples', 'hostname.full-tunnel'),
        'utf8',
      );
      const key = server.keys.publicKey;
      const file = example.replace('#wgpeer PUBLIC_KEY_OF_SERVER', `wgpeer ${key}`);
      await leftHost.writeFile('/etc/hostname.wg0', file);
      const { status, stderr } = await leftHost.exec('tswg', ['netstart', 'wg0']);
      expect([status, stderr]).toEqual([0, '']);
      await firstPing(leftHost, INTERNET[4]);
      await firstPing(leftHost, INTERNET[6]);
      expect(await leftHost.ip('route show default')).toBe(before);
      expect(await leftHost.run('tswg', ['wg0'])).not.toMatch(/route:|rp_filter:/);
      // Nothing of ours is on the wire in the clear.
      expect(await leftHost.ip(`route get ${INTERNET[4]}`)).toContain('dev wg0');
      await leftHost.run('tswg', ['wg0', 'destroy']);
    }));
});
