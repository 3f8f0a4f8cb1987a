import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain, ping } from '../lab/probes.ts';
import { withLab } from '../lab/suite.ts';
import { transfer } from '../lab/transfer.ts';
import { describeExample, type Example } from './example.ts';
import { addLan, Internet } from './internet.ts';

type Family = 4 | 6;
const FAMILIES = [4, 6] as const;
/** Machines of the LANs. */
const CLIENT = { 4: '10.0.0.5', 6: '2001:db8:a::5' } as const;
const SERVER = { 4: '10.20.0.5', 6: '2001:db8:b::5' } as const;
const TUNNEL_B = { 4: '10.99.0.2', 6: 'fd00:99::2' } as const;
/** Of the payload of a ping that fills the tunnel's 1420 bytes. */
const FULL = { 4: 1392, 6: 1372 } as const;
const FILE_BYTES = 4_000_000;
const OTHER = { 4: 6, 6: 4 } as const;

interface Sites {
  readonly internet: Internet;
  readonly siteA: Host;
  readonly siteB: Host;
  readonly client: Host;
  readonly server: Host;
}

async function build(lab: Lab, example: Example): Promise<Sites> {
  const [siteA, siteB, client, server] = await lab.hosts('site-a', 'site-b', 'client', 'server');
  const internet = await Internet.open(lab);
  await internet.connect(siteA, 'wan', '198.51.100.10/24', '2001:db8:1::10/64');
  await internet.connect(siteB, 'wan', '203.0.113.10/24', '2001:db8:2::10/64');
  await addLan(siteA, client, [
    { gateway: '10.0.0.1/24', machine: `${CLIENT[4]}/24` },
    { gateway: '2001:db8:a::1/64', machine: `${CLIENT[6]}/64` },
  ]);
  await addLan(siteB, server, [
    { gateway: '10.20.0.1/24', machine: `${SERVER[4]}/24` },
    { gateway: '2001:db8:b::1/64', machine: `${SERVER[6]}/64` },
  ]);
  await example.install(siteA, siteB);
  return { internet, siteA, siteB, client, server };
}

/** Has the internet pass on only the families that are named, and counts what it passes on. */
async function letPass({ internet }: Sites, ...families: readonly Family[]): Promise<void> {
  const rules = families.flatMap((family) => {
    const header = family === 4 ? 'ip' : 'ip6';
    return [
      // A datagram in two pieces would be slow, and many a firewall drops the second.
      family === 4
        ? 'ip frag-off & 0x3fff != 0 counter name fragments accept'
        : 'exthdr frag exists counter name fragments accept',
      `meta protocol ${header} udp sport 51820 udp dport 51820 counter name over${family} accept`,
    ];
  });
  await internet.router.nft(`table inet passing {
    counter over4 { }
    counter over6 { }
    counter fragments { }
    counter others { }
    chain came {
      type filter hook prerouting priority raw;
      udp sport 51820 udp dport 51820 accept
      # Of site B, until it has booted.
      icmp type destination-unreachable accept
      icmpv6 type { destination-unreachable, mld2-listener-report } accept
      icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
      counter name others
    }
    chain passed {
      type filter hook forward priority 0; policy drop;
      ${rules.join('\n')}
    }
  }`);
}

async function passed({ internet }: Sites, counter: string): Promise<number> {
  const text = await internet.router.run('nft', ['list', 'counter', 'inet', 'passing', counter]);
  return Number(/packets (\d+)/.exec(text)![1]);
}

describeExample('any-family', ['nft', 'stdbuf'], (example) => {
  it.each(FAMILIES)('carries both families over IPv%i alone, in full packets', (outer) =>
    withLab({}, async (lab) => {
      const sites = await build(lab, example);
      const { siteA, siteB, client, server } = sites;
      await letPass(sites, outer);
      await example.boot(siteA);
      await example.boot(siteB);
      for (const inner of FAMILIES) {
        await firstPing(client, SERVER[inner]);
        const before = await passed(sites, `over${outer}`);
        const there = await ping(client, SERVER[inner], { count: 3 });
        expect(there.received, `${inner} in ${outer}: ${there.text}`).toBe(3);
        const back = await ping(server, CLIENT[inner], { count: 3 });
        expect(back.received, `${inner} in ${outer}: ${back.text}`).toBe(3);
        const size = FULL[inner];
        const full = await ping(siteA, TUNNEL_B[inner], { size, dontFragment: true });
        expect(full.received, `${inner} in ${outer}: ${full.text}`).toBe(1);
        const more = await ping(siteA, TUNNEL_B[inner], {
          size: size + 1,
          dontFragment: true,
          deadlineMs: 500,
        });
        expect(more.text).toMatch(/mtu[=:] ?1420/);
        const file = await transfer(server, client, SERVER[inner], FILE_BYTES);
        expect(file.receivedDigest).toBe(file.sentDigest);
        // 14 at least were there and back; what the other line drops is not among them.
        expect(await passed(sites, `over${outer}`)).toBeGreaterThanOrEqual(before + 14);
        expect(await passed(sites, `over${OTHER[outer]}`)).toBe(0);
      }
      expect(await passed(sites, 'fragments')).toBe(0);
      // Nor does anything leave in the clear when the daemon has gone.
      await siteA.run('tswg', ['wg0', 'destroy']);
      for (const inner of FAMILIES) {
        const { received } = await ping(client, SERVER[inner], { deadlineMs: 500 });
        expect(received).toBe(0);
      }
      expect(await passed(sites, 'others')).toBe(0);
    }),
  );

  it('prefers IPv6, and moves to IPv4 when that is silent', () =>
    withLab({}, async (lab) => {
      const sites = await build(lab, example);
      const { siteA, siteB, client } = sites;
      await letPass(sites, 4, 6);
      await example.boot(siteA);
      await example.boot(siteB);
      for (const inner of FAMILIES) await firstPing(client, SERVER[inner]);
      expect(await passed(sites, 'over6')).toBeGreaterThan(0);
      expect(await passed(sites, 'over4')).toBe(0);
      await example.expectHealthy(siteA, siteB);

      const train = new PingTrain(client, SERVER[6], 100);
      await waitFor(() => train.received > 2, 'answers');
      await letPass(sites, 4);
      await waitFor(async () => (await passed(sites, 'over4')) > 20, 'packets over IPv4');
      for (const inner of FAMILIES) await firstPing(client, SERVER[inner]);
      const { lost } = await train.stop();
      console.info(`any-family: IPv6 went silent: ${lost * 100} ms lost`);
      expect(await siteA.run('tswg', ['wg0'])).toMatch(/wgendpoint 203\.0\.113\.10 51820 \(in use/);
    }));
});
