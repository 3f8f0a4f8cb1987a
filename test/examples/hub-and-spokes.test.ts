import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain, ping } from '../lab/probes.ts';
import { withLab } from '../lab/suite.ts';
import { parseDump } from '../lab/tunnel.ts';
import { describeExample, type Example } from './example.ts';
import { addLan, Internet } from './internet.ts';

const HUB_WAN = '203.0.113.10';
/** The first address of each network inside is that of the hub, and so on. */
const SITES = ['hub', 'north', 'south', 'west'] as const;
const WANS = [HUB_WAN, '192.0.2.10', '198.51.100.10', '192.0.2.130'] as const;
const machineOf = (site: number): string => `10.0.${site + 1}.5`;
const NORTH = 1;
const SOUTH = 2;
const WEST = 3;
/** Of a packet that nobody has forwarded. */
const TTL = 64;

interface Star {
  readonly internet: Internet;
  readonly gateways: readonly Host[];
  /** One in each LAN. */
  readonly machines: readonly Host[];
}

async function build(lab: Lab, example: Example): Promise<Star> {
  const gateways = await lab.hosts(...SITES);
  const machines = await lab.hosts('machine 0', 'machine 1', 'machine 2', 'machine 3');
  const internet = await Internet.open(lab);
  for (const [i, gateway] of gateways.entries()) {
    await internet.connect(gateway, 'wan', `${WANS[i]}/25`);
    const network = { gateway: `10.0.${i + 1}.1/24`, machine: `${machineOf(i)}/24` };
    await addLan(gateway, machines[i], [network]);
  }
  // What comes to the internet, but for the tunnels between the hub and the spokes.
  await internet.router.nft(`table inet beside {
    counter others { }
    chain came {
      type filter hook prerouting priority raw;
      ip saddr ${HUB_WAN} udp sport 51820 accept
      ip daddr ${HUB_WAN} udp dport 51820 accept
      icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
      icmpv6 type mld2-listener-report accept
      counter name others
    }
  }`);
  await example.install(...gateways);
  return { internet, gateways, machines };
}

async function boot(star: Star, example: Example): Promise<void> {
  for (const gateway of star.gateways) await example.boot(gateway);
}

async function cameBeside({ internet }: Star): Promise<number> {
  const text = await internet.router.run('nft', ['list', 'counters']);
  return Number(/packets (\d+)/.exec(text)![1]);
}

/** How many routers an answer has passed. */
const hops = (pinged: string): number => TTL - Number(/ttl=(\d+)/.exec(pinged)?.[1] ?? TTL);

async function peersOf(host: Host) {
  return parseDump(await host.run('wg', ['show', 'wg0', 'dump'])).peers;
}

describeExample('hub-and-spokes', ['nft', 'wg', 'stdbuf'], (example) => {
  it('has every LAN reach every other one, the spokes each other over the hub', () =>
    withLab({}, async (lab) => {
      const star = await build(lab, example);
      const { gateways, machines } = star;
      await boot(star, example);
      // The hub knows no address of a spoke: it is the spokes that call, before anybody asks.
      await waitFor(
        async () => (await peersOf(gateways[0])).every((peer) => peer.latestHandshake > 0),
        'three spokes at the hub',
      );
      for (const [from, machine] of machines.entries()) {
        for (const to of machines.keys()) {
          if (to === from) continue;
          const { received, text } = await ping(machine, machineOf(to));
          expect(received, `${SITES[from]} to ${SITES[to]}: ${text}`).toBe(1);
          expect(hops(text)).toBe(from === 0 || to === 0 ? 2 : 3);
          expect(text).not.toMatch(/Redirect/i);
        }
      }
      expect(await cameBeside(star)).toBe(0);
      await example.expectHealthy(...gateways);
    }));

  it('has the hub follow a spoke to its next address, and the others not notice', () =>
    withLab({}, async (lab) => {
      const star = await build(lab, example);
      const { gateways, machines } = star;
      await boot(star, example);
      await firstPing(machines[SOUTH], machineOf(WEST));
      await firstPing(machines[NORTH], machineOf(0));
      const others = new PingTrain(machines[SOUTH], machineOf(WEST), 10);
      await gateways[NORTH].ip('address flush dev wan');
      await gateways[NORTH].ip('address add 192.0.2.77/25 dev wan');
      await gateways[NORTH].ip('route replace default via 192.0.2.1 dev wan');
      await firstPing(machines[NORTH], machineOf(WEST));
      const isFollowed = async () =>
        (await peersOf(gateways[0])).some(({ endpoint }) => endpoint.startsWith('192.0.2.77:'));
      await waitFor(isFollowed, 'the next address at the hub');
      await firstPing(machines[WEST], machineOf(NORTH));

      // A reboot of a spoke is as little to the others.
      await gateways[NORTH].run('tswg', ['wg0', 'destroy']);
      await example.boot(gateways[NORTH]);
      await firstPing(machines[WEST], machineOf(NORTH));
      const { lost, received } = await others.stop();
      expect(received).toBeGreaterThan(0);
      expect(lost).toBe(0);
      expect(await cameBeside(star)).toBe(0);
    }));

  it('takes from a spoke only what is its own, and sends nothing around the tunnel', () =>
    withLab({}, async (lab) => {
      const star = await build(lab, example);
      const { gateways, machines } = star;
      await boot(star, example);
      await firstPing(machines[NORTH], machineOf(WEST));
      // North claims an address of south's.
      await machines[NORTH].ip(`address add ${machineOf(SOUTH)}/32 dev lan`);
      const claimed = await ping(machines[NORTH], machineOf(WEST), {
        from: machineOf(SOUTH),
        deadlineMs: 500,
      });
      expect(claimed.received).toBe(0);
      const stats = await gateways[0].run('tswg', ['wg0', 'stats']);
      expect(stats).toMatch(/[1-9]\d* {2}disallowedSource/);
      // Without its daemon a spoke's traffic stays at home.
      await gateways[NORTH].run('tswg', ['wg0', 'destroy']);
      const refused = await ping(machines[NORTH], machineOf(WEST), { deadlineMs: 2000 });
      expect(refused.text).toMatch(/Host Unreachable/);
      for (const target of [machineOf(0), '10.99.0.1']) {
        const { received } = await ping(machines[NORTH], target, { deadlineMs: 500 });
        expect(received).toBe(0);
      }
      expect(await cameBeside(star)).toBe(0);
    }));

  it('is whole again after the hub was away', () =>
    withLab({}, async (lab) => {
      const star = await build(lab, example);
      const { gateways, machines } = star;
      await boot(star, example);
      await firstPing(machines[NORTH], machineOf(WEST));
      await gateways[0].run('tswg', ['wg0', 'destroy']);
      await example.boot(gateways[0]);
      // A spoke that has something to say notices after 15 seconds, and calls.
      const trains = [NORTH, WEST].map((site) => new PingTrain(machines[site], machineOf(0), 100));
      for (const train of trains) await waitFor(() => train.received > 2, 'answers of the hub');
      const lost = await Promise.all(trains.map((train) => train.stop()));
      const seconds = lost.map((train) => (train.lost / 10).toFixed(1));
      console.info(`hub-and-spokes: the hub was new: ${seconds.join(' and ')} s until it answers`);
      await firstPing(machines[WEST], machineOf(NORTH));
    }));
});
