import { expect, it } from 'vitest';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { ping } from '../lab/probes.ts';
import { withLab } from '../lab/suite.ts';
import { readTally, startTally } from '../lab/tally.ts';
import { createPresharedKey, TUNNEL_PORT } from '../lab/tunnel.ts';
import { describeExample, type Example } from './example.ts';
import { addLan, Internet } from './internet.ts';

/** Of site A's machine. */
const CLIENT = { 4: '10.0.0.5', 6: '2001:db8:a::5' } as const;
/** Of site B's machine, which is a server and, by other addresses, one of the rest. */
const SERVER = { 4: '10.20.0.5', 6: '2001:db8:b:1::5' } as const;
const REST = { 4: '10.20.0.105', 6: '2001:db8:b:2::5' } as const;

interface Sites {
  readonly internet: Internet;
  readonly siteA: Host;
  readonly siteB: Host;
  readonly client: Host;
  readonly server: Host;
}

async function build(lab: Lab, example: Example): Promise<Sites> {
  const names = ['site-a', 'site-b', 'client', 'server'] as const;
  const [siteA, siteB, client, server] = await lab.hosts(...names);
  const internet = await Internet.open(lab);
  await internet.connect(siteA, 'wan', '198.51.100.10/24');
  await internet.connect(siteB, 'wan', '203.0.113.10/24');
  await addLan(siteA, client, [
    { gateway: '10.0.0.1/24', machine: `${CLIENT[4]}/24` },
    { gateway: '2001:db8:a::1/64', machine: `${CLIENT[6]}/64` },
  ]);
  await addLan(siteB, server, [
    { gateway: '10.20.0.1/24', machine: `${SERVER[4]}/24` },
    { gateway: '2001:db8:b:1::1/64', machine: `${SERVER[6]}/64` },
  ]);
  await siteB.configure('lan', '2001:db8:b:2::1/64');
  await server.configure('lan', `${REST[4]}/24`, `${REST[6]}/64`);
  await example.install(siteA, siteB);
  return { internet, siteA, siteB, client, server };
}

async function drops(host: Host, reason: string): Promise<number> {
  const stats = await host.run('tswg', ['wg0', 'stats']);
  return Number(new RegExp(`(\\d+) +${reason}\\b`).exec(stats)?.[1] ?? 0);
}

describeExample('two-lans', ['nft', 'wg'], (example) => {
  it('joins both families of two LANs, and nothing else is on the wire', () =>
    withLab({}, async (lab) => {
      const { internet, siteA, siteB, client, server } = await build(lab, example);
      await startTally(internet.router, internet.interfaces, TUNNEL_PORT);
      await example.boot(siteA);
      await example.boot(siteB);
      for (const family of [4, 6] as const) {
        const there = await ping(client, SERVER[family], { count: 3 });
        expect(there.received, there.text).toBe(3);
        const back = await ping(server, CLIENT[family], { count: 3, from: SERVER[family] });
        expect(back.received, back.text).toBe(3);
      }
      const tally = await readTally(internet.router);
      expect(tally.others.packets).toBe(0);
      expect(tally.tunnel.packets).toBeGreaterThan(0);
      await example.expectHealthy(siteA, siteB);
    }));

  it('lets only the servers pass: the rest is refused before the tunnel and after it', () =>
    withLab({}, async (lab) => {
      const { internet, siteA, siteB, client, server } = await build(lab, example);
      await startTally(internet.router, internet.interfaces, TUNNEL_PORT);
      await example.boot(siteA);
      await example.boot(siteB);
      expect((await ping(client, SERVER[4])).received).toBe(1);
      let dropped = 0;
      for (const family of [4, 6] as const) {
        const there = await ping(client, REST[family], { deadlineMs: 2000 });
        expect(there.text).toMatch(/Destination Host Unreachable|No route|Unreachable/);
        const back = await ping(server, CLIENT[family], { from: REST[family], deadlineMs: 500 });
        expect(back.received).toBe(0);
        const before = dropped;
        dropped = await drops(siteA, 'disallowedSource');
        expect(dropped).toBeGreaterThan(before);
      }
      expect((await readTally(internet.router)).others.packets).toBe(0);
    }));

  it('needs the preshared key, and tswg says so of one that differs', () =>
    withLab({}, async (lab) => {
      const { siteA, siteB, client } = await build(lab, example);
      await siteB.writeFile('/etc/wg/sites.psk', createPresharedKey());
      await example.boot(siteA);
      await example.boot(siteB);
      expect((await ping(client, SERVER[4], { deadlineMs: 1000 })).received).toBe(0);
      expect(await siteA.run('tswg', ['wg0'])).toContain('preshared key');
    }));

  it('is set up but for the peer while its key is missing, and whole when it comes', () =>
    withLab({}, async (lab) => {
      const { siteA, siteB, client } = await build(lab, example);
      const key = await siteA.run('cat', ['/etc/wg/site-b.pub']);
      await siteA.run('rm', ['/etc/wg/site-b.pub']);
      await example.boot(siteB);
      const netstart = siteA.spawn('tswg', ['netstart', '--keep', 'wg0']);
      await netstart.waitForOutput(/site-b\.pub: No such file/);
      const bare = await siteA.run('tswg', ['wg0']);
      expect(bare).toContain('\n\twgport 51820\n');
      expect(bare).not.toContain('wgpeer');
      expect(await siteA.ip('route show 10.20.0.0/28')).toContain('dev wg0');
      await siteA.writeFile('/etc/wg/site-b.pub', key);
      expect(await netstart.exited).toBe(0);
      expect((await ping(client, SERVER[4])).received).toBe(1);
    }));

  it('sends nothing of the LANs in the clear without its daemon', () =>
    withLab({}, async (lab) => {
      const { internet, siteA, siteB, client } = await build(lab, example);
      await example.boot(siteA);
      await example.boot(siteB);
      expect((await ping(client, SERVER[6])).received).toBe(1);
      await siteA.run('tswg', ['wg0', 'destroy']);
      await startTally(internet.router, internet.interfaces, TUNNEL_PORT);
      for (const family of [4, 6] as const) {
        const { text } = await ping(client, SERVER[family], { deadlineMs: 2000 });
        expect(text).toMatch(/Unreachable|No route/i);
      }
      expect((await readTally(internet.router)).others.packets).toBe(0);
    }));
});
