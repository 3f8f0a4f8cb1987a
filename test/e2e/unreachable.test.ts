import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { buildPair, INNER, TunnelEnd } from '../lab/tunnel.ts';

/** Routed into the tunnel, but no peer's. */
const NOBODY = { 4: '10.50.0.7', 6: 'fd50::7' } as const;
/** RFC 7600. */
const DUMMY = '192.0.0.8';

interface Site {
  readonly gateway: Host;
  /** In the LAN of the gateway. */
  readonly lan: Host;
}

describeInLab('a packet into the tunnel that is for nobody', ['wg', 'tswg'], () => {
  it.each([0, 1, 2])('is answered from our address on the interface: rp_filter %i', (mode) =>
    withLab({}, async (lab) => {
      const { gateway, lan } = await buildSite(lab, mode, ['10.9.0.1/24', 'fd00:9::1/64']);
      for (const host of [gateway, lan]) {
        expect(await answerers(host, NOBODY[4])).toEqual(['10.9.0.1']);
        expect(await answerers(host, NOBODY[6])).toEqual(['fd00:9::1']);
      }
    }),
  );

  it.each([
    [0, DUMMY],
    // The kernel takes nothing here but what it would send into the interface.
    [1, NOBODY[4]],
    [2, NOBODY[4]],
  ])('is answered without an address on the interface, too: rp_filter %i', (mode, expected) =>
    withLab({}, async (lab) => {
      const { gateway, lan } = await buildSite(lab, mode, []);
      for (const host of [gateway, lan]) {
        expect(await answerers(host, NOBODY[4])).toEqual([expected]);
        expect(await answerers(host, NOBODY[6])).toEqual(['fd01::1']);
      }
    }),
  );

  it('is answered as addresses and rp_filter are at that moment', () =>
    withLab({}, async (lab) => {
      const { gateway } = await buildSite(lab, 0, ['10.9.0.1/24']);
      const becomes = (address: string) =>
        waitFor(async () => (await answerers(gateway, NOBODY[4]))[0] === address, address);
      await becomes('10.9.0.1');
      await gateway.ip('address add 10.8.0.1/24 dev wg0');
      await gateway.ip('address delete 10.9.0.1/24 dev wg0');
      await becomes('10.8.0.1');
      // With its last address an interface loses its routes.
      await gateway.ip('address delete 10.8.0.1/24 dev wg0');
      await gateway.ip('route add 10.50.0.0/16 dev wg0');
      await becomes(DUMMY);
      await gateway.sysctl('net.ipv4.conf.wg0.rp_filter', 1);
      await becomes(NOBODY[4]);
    }));
});

describeInLab('a packet out of the tunnel with an address of ours as its source', ['wg'], () => {
  it('is dropped, although the kernel is told to take our answers', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab);
      await right.set(`peer ${left.keys.publicKey} allowed-ips 0.0.0.0/0,::/0`);
      const ours = { 4: '203.0.113.9', 6: '2001:db8:9::9' } as const;
      const target = { 4: INNER[4][1], 6: INNER[6][1] } as const;
      for (const family of [4, 6] as const) {
        const width = family === 4 ? 32 : 128;
        const nodad = family === 4 ? '' : ' nodad';
        for (const { host } of [left, right])
          await host.ip(`address add ${ours[family]}/${width} dev lo${nodad}`);
        await firstPing(left.host, target[family]);
        const before = await dropped(right);
        const report = await ping(left.host, target[family], {
          count: 3,
          from: ours[family],
          deadlineMs: 1_000,
        });
        expect(report.received, report.text).toBe(0);
        await waitFor(async () => (await dropped(right)) - before === 3, 'three drops');
      }
    }));
});

describeInLab('a packet out of the tunnel from what is ours by a route only', ['wg'], () => {
  it('is dropped, as soon as the route is there and as long as it is', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab);
      await right.set(`peer ${left.keys.publicKey} allowed-ips 0.0.0.0/0,::/0`);
      const ours = { 4: '203.0.113.9', 6: '2001:db8:9::9' } as const;
      const prefix = { 4: '203.0.113.0/28', 6: '2001:db8:9::/64' } as const;
      const target = { 4: INNER[4][1], 6: INNER[6][1] } as const;
      for (const family of [4, 6] as const) {
        const width = family === 4 ? 32 : 128;
        const nodad = family === 4 ? '' : ' nodad';
        await left.host.ip(`address add ${ours[family]}/${width} dev lo${nodad}`);
        await firstPing(left.host, target[family]);
        const ask = async () => {
          const before = await dropped(right);
          await ping(left.host, target[family], {
            count: 1,
            from: ours[family],
            deadlineMs: 1_000,
          });
          return (await dropped(right)) - before;
        };
        expect(await ask()).toBe(0);
        await right.host.ip(`-${family} route add local ${prefix[family]} dev lo`);
        await waitFor(async () => (await ask()) === 1, 'a drop');
        await right.host.ip(`-${family} route delete local ${prefix[family]} dev lo`);
        await waitFor(async () => (await ask()) === 0, 'no drop');
      }
    }));
});

/** `addresses`: the tunnel's. What is for nobody is routed there. */
async function buildSite(lab: Lab, rpFilter: number, addresses: string[]): Promise<Site> {
  const [gateway, lan] = await lab.hosts('gateway', 'lan');
  await gateway.connect('lan', lan, 'eth0');
  await gateway.configure('lan', '10.1.0.1/24', 'fd01::1/64');
  await lan.configure('eth0', '10.1.0.5/24', 'fd01::5/64');
  for (const [family, via] of Object.entries({ 4: '10.1.0.1', 6: 'fd01::1' }))
    await lan.ip(`-${family} route add default via ${via}`);
  await gateway.forward();
  for (const name of ['all', 'default'])
    await gateway.sysctl(`net.ipv4.conf.${name}.rp_filter`, rpFilter);
  await TunnelEnd.start(gateway, addresses);
  await gateway.ip('route add 10.50.0.0/16 dev wg0');
  await gateway.ip('-6 route add fd50::/64 dev wg0');
  return { gateway, lan };
}

/** Whence it is said that the address is unreachable. */
async function answerers(host: Host, address: string): Promise<string[]> {
  const { text } = await ping(host, address, { count: 2, deadlineMs: 1_000 });
  const found = text.matchAll(/^From (\S+?):? icmp_seq=\d+ Destination .*[Uu]nreachable/gm);
  return [...new Set([...found].map(([, from]) => from))];
}

async function dropped({ host }: TunnelEnd): Promise<number> {
  const stats = await host.run('tswg', ['wg0', 'stats']);
  return Number(/(\d+) {2}ownSource/.exec(stats)?.[1] ?? 0);
}
