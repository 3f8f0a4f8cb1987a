import { expect, it } from 'vitest';
import { Capture } from '../lab/capture.ts';
import { sleep } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { createKeyPair, TunnelEnd } from '../lab/tunnel.ts';

/** Longer than the kernel waits between its first router solicitations, and its reports. */
const IDLE_MS = 5_000;

describeInLab('a tunnel in which nobody speaks', ['wg', 'tcpdump'], () => {
  it.each([
    ['a host', 0],
    ['a router', 1],
  ])('is silent on %s', (_, forwards) =>
    withLab({}, async (lab) => {
      const [host, other] = await lab.hosts('host', 'other');
      for (const key of ['default', 'all'])
        await host.sysctl(`net.ipv6.conf.${key}.forwarding`, forwards);
      await host.connect('wan', other, 'wan');
      await host.configure('wan', '192.0.2.1/24');
      await other.configure('wan', '192.0.2.2/24');
      const wire = await Capture.start(host, 'wan', 'udp');
      const end = await TunnelEnd.start(host, []);
      await end.addPeer({
        publicKey: createKeyPair().publicKey,
        endpoint: '192.0.2.2:51820',
        allowedIps: ['0.0.0.0/0', '::/0'],
      });
      await host.ip('link set wg0 down');
      await host.configure('wg0', '10.9.0.1/24', 'fd00:9::1/64');

      await sleep(IDLE_MS);

      expect(await entered(host)).toBe(0);
      expect(await wire.stop()).toEqual([]);
      expect(await host.ip('address show dev wg0')).not.toContain('fe80');
      expect(await host.run('tswg', ['wg0', 'stats'])).not.toContain('dropped packets');
    }),
  );

  it('leaves it to who wants an address there', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await TunnelEnd.start(host, []);
      await host.ip('link set wg0 down');
      await host.ip('link set wg0 addrgenmode random');
      await host.ip('link set wg0 up');
      expect(await host.ip('address show dev wg0')).toContain('fe80');
    }));

  it('leaves an interface that somebody else made as it is', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await host.ip('tuntap add wg0 mode tun');
      await TunnelEnd.start(host, []);
      expect(await host.ip('-d link show dev wg0')).not.toContain('addrgenmode none');
      expect(await host.run('cat', ['/proc/sys/net/ipv4/conf/wg0/accept_local'])).toBe('0\n');
    }));
});

describeInLab('a hub between its peers', ['wg', 'tswg', 'tcpdump'], () => {
  it('sends no ICMP redirects, and says so where the machine sends them all the same', () =>
    withLab({}, async (lab) => {
      const [host, a, b] = await lab.hosts('hub', 'a', 'b');
      await host.sysctl('net.ipv4.conf.all.send_redirects', 0);
      await host.forward();
      const hub = await TunnelEnd.start(host, ['10.9.0.1/24']);
      for (const [i, site] of [a, b].entries()) {
        await host.connect(`wan${i}`, site, 'wan');
        await host.configure(`wan${i}`, `192.0.2.${i * 4 + 1}/30`);
        await site.configure('wan', `192.0.2.${i * 4 + 2}/30`);
        const end = await TunnelEnd.start(site, [`10.9.0.${i + 2}/24`]);
        await end.addPeer({
          publicKey: hub.keys.publicKey,
          endpoint: `192.0.2.${i * 4 + 1}:51820`,
          allowedIps: ['10.9.0.0/24'],
          keepalive: 25,
        });
        await hub.addPeer({ publicKey: end.keys.publicKey, allowedIps: [`10.9.0.${i + 2}/32`] });
        await firstPing(site, '10.9.0.1');
      }
      const redirects = await Capture.start(a, 'wg0', 'icmp[icmptype] == 5');
      await firstPing(a, '10.9.0.3');
      expect(await host.run('tswg', ['wg0'])).not.toContain('redirects:');

      await host.sysctl('net.ipv4.conf.all.send_redirects', 1);
      expect(await host.run('tswg', ['wg0'])).toContain('redirects:');
      expect(redirects.packets).toEqual([]);
      // The warning is true.
      await ping(a, '10.9.0.3', { count: 3 });
      expect((await redirects.stop()).length).toBeGreaterThan(0);
    }));
});

/** Packets that the kernel has put into the interface. */
async function entered(host: Host): Promise<number> {
  const script = 'cd /sys/class/net/wg0/statistics; cat tx_packets tx_dropped';
  const { stdout } = await host.sh(script);
  return stdout
    .trim()
    .split('\n')
    .reduce((sum, count) => sum + Number(count), 0);
}
