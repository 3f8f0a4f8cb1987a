import { expect, it } from 'vitest';
import type { Host } from '../lab/host.ts';
import { describeInLab, withLab } from '../lab/suite.ts';

const CONFIGURE = `
  tswg wg0 inet 10.99.0.1/30 inet6 fd00:99::1/64 wgport 0
  ip address add fd00:98::1/64 dev wg0
  ip route add 10.20.0.0/24 dev wg0
  ip route add 10.21.0.0/24 via 10.99.0.2 dev wg0 metric 77 src 10.99.0.1
  ip route add 10.22.0.0/24 dev wg0 table 7 mtu 1300
  ip route add unreachable 10.23.0.0/24
  ip route add fd00:20::/48 via fd00:99::2 dev wg0
  ip route add fd00:21::/48 dev wg0 metric 12`;

/** Addresses and routes, but for the link-local address, which the kernel makes each time. */
async function held(host: Host): Promise<string> {
  const { stdout } = await host.sh(`
    ip -o address show dev wg0 scope global
    ip route show table all; ip -6 route show table all`);
  const lines = stdout.split('\n').filter((line) => !/fe80|ff00|multicast/.test(line));
  return lines.map((line) => line.replace(/ (linkdown|pref medium)/g, '').trim()).join('\n');
}

describeInLab('an interface that is taken down and up again', [], () => {
  it.each([
    ['', 'true'],
    [
      ', where /proc/sys is read-only',
      'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys',
    ],
  ])('has the addresses and the routes it had%s', (_, prepare) =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await host.run('sh', ['-c', prepare]);
      await host.run('sh', ['-euc', CONFIGURE]);
      const before = await held(host);
      expect(before.match(/10\.2[0-3]|fd00:2[01]|fd00:9[89]::1/g)?.length).toBeGreaterThan(7);
      await host.run('tswg', ['wg0', 'down']);
      expect(await host.run('ip', ['route', 'show', 'dev', 'wg0'])).toBe('');
      // Once more, as nothing is lost by that.
      await host.run('tswg', ['wg0', 'down']);
      await host.run('tswg', ['wg0', 'up']);
      expect(await held(host)).toBe(before);
      // What has come back by itself meanwhile is no trouble, and an address brings it up, too.
      await host.run('tswg', ['wg0', 'down']);
      await host.ip('link set wg0 up');
      await host.ip('route add 10.20.0.0/24 dev wg0');
      await host.ip('link set wg0 down');
      await host.run('tswg', ['wg0', 'inet', '10.99.0.1/30']);
      expect(await held(host)).toBe(before);
      expect(await host.sh('ls /run/tswg | grep -v observe || :')).toMatchObject({ stdout: '' });
    }),
  );

  it('by ip(8) keeps its IPv6 addresses, and no routes, as the help says', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await host.run('sh', ['-euc', CONFIGURE]);
      await host.ip('link set wg0 down');
      await host.run('tswg', ['wg0', 'up']);
      const after = await held(host);
      expect(after).toContain('fd00:98::1/64');
      expect(after).toContain('fd00:99::1/64');
      expect(after).not.toContain('10.20.0.0/24');
    }));

  it('has none of the routes of another interface that had its name', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await host.run('sh', ['-euc', CONFIGURE]);
      await host.run('tswg', ['wg0', 'down']);
      await host.run('tswg', ['wg0', 'destroy']);
      await host.run('tswg', ['wg0', 'inet', '10.99.0.1/30']);
      expect(await held(host)).not.toContain('10.20.0.0/24');
    }));
});
