import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { PingTrain, ping } from '../lab/probes.ts';
import { withLab } from '../lab/suite.ts';
import { describeExample, type Example } from './example.ts';
import { LeakWatch, type Wire } from './leaks.ts';
import {
  BOTH,
  buildNetwork,
  expectReached,
  type Laptop,
  LINES,
  type Network,
  OFFICE,
  WEB,
} from './roadwarriors.ts';

/** Of the gateway, as Capture writes it. */
const GATEWAYS = ['203.0.113.10', '2001:db8:1:0:0:0:0:10'];

/** Boots a laptop in its network. @returns the other end of its cable */
async function switchOn({ internet }: Network, example: Example, laptop: Host): Promise<Wire> {
  await example.beforeNetwork(laptop);
  const ifname = await internet.connect(laptop, 'wan', ...LINES[laptop.name as Laptop]);
  await example.startTunnels(laptop);
  return { host: internet.router, ifname };
}

async function addressesOf(host: Host, name: string): Promise<string[]> {
  const { stdout } = await host.exec('getent', ['ahosts', name]);
  return [...new Set(stdout.split('\n').flatMap((line) => line.split(' ')[0] || []))].sort();
}

describeExample('road-warriors', ['nft', 'wg', 'tcpdump', 'stdbuf'], (example) => {
  it.concurrent('a split tunnel carries the office and its names, and leaves the rest alone', () =>
    withLab({}, async (lab) => {
      const network = await buildNetwork(lab, example, 'laptop-split');
      const [laptop] = network.laptops;
      const wire = await switchOn(network, example, laptop);
      await expectReached(laptop, OFFICE[4], OFFICE[6], WEB[4]);
      expect(await addressesOf(laptop, 'intranet.example.net')).toEqual([OFFICE[4], OFFICE[6]]);
      const watch = await LeakWatch.start(laptop, wire, [OFFICE[4], OFFICE[6]], GATEWAYS, false);
      await watch.tryAll();
      const { leaks, tunnelled } = await watch.stop();
      expect(leaks).toEqual([]);
      expect(tunnelled).toBeGreaterThan(0);
      const other = await LeakWatch.start(laptop, wire, [WEB[4], OFFICE[6]], GATEWAYS, false);
      await other.tryAll();
      expect((await other.stop()).leaks).toContain(`protocol 1: 192.0.2.11 -> ${WEB[4]} port 0`);
      await example.expectHealthy(network.gateway, laptop);
    }));

  it.concurrent.each([
    ['laptop-firewall', true],
    ['laptop-blackhole', false],
  ] as const)('a full tunnel is all that leaves, with its daemon and without: %s', (name, bound) =>
    withLab({}, async (lab) => {
      const network = await buildNetwork(lab, example, name);
      const [laptop] = network.laptops;
      const { internet } = network;
      await example.beforeNetwork(laptop);
      // Its unit may be restarted.
      await example.beforeNetwork(laptop);
      const ifname = await internet.connect(laptop, 'wan', ...BOTH);
      const wire = { host: internet.router, ifname };
      const watch = await LeakWatch.start(laptop, wire, [WEB[4], WEB[6]], GATEWAYS, bound);
      const expectSilence = async (what: string): Promise<void> => {
        await watch.tryAll();
        for (const address of [WEB[4], WEB[6]]) {
          const { received } = await ping(laptop, address, { deadlineMs: 300 });
          expect(received, `${what}: ${address}`).toBe(0);
        }
      };
      const expectInternet = async (): Promise<void> => {
        await expectReached(laptop, WEB[4], WEB[6], OFFICE[4], OFFICE[6]);
        await watch.tryAll();
        expect(await addressesOf(laptop, 'www.example.net')).toEqual([WEB[4], WEB[6]]);
      };

      await expectSilence('not yet started at boot');
      await example.startTunnels(laptop);
      await expectInternet();
      await example.expectHealthy(laptop);
      const [, pid] = /^\tpid: (\d+)$/m.exec(await laptop.run('tswg', ['wg0', 'stats']))!;
      await laptop.run('kill', ['-KILL', pid]);
      await expectSilence('killed');
      await example.startTunnels(laptop);
      await expectInternet();
      expect(await laptop.run('tswg', ['wg0', 'upgrade'])).toContain('now served by');
      await expectInternet();
      await laptop.run('tswg', ['wg0', 'destroy']);
      await expectSilence('stopped');
      await example.startTunnels(laptop);
      await expectInternet();

      const { leaks, tunnelled } = await watch.stop();
      expect(leaks).toEqual([]);
      expect(tunnelled).toBeGreaterThan(0);
    }),
  );

  it.concurrent('one laptop is removed, and no packet of the others is lost', () =>
    withLab({}, async (lab) => {
      const names = ['laptop-split', 'laptop-firewall', 'laptop-blackhole'] as const;
      const network = await buildNetwork(lab, example, ...names);
      const { gateway, laptops } = network;
      for (const laptop of laptops) {
        await switchOn(network, example, laptop);
        await expectReached(laptop, OFFICE[4], OFFICE[6]);
      }
      const [removed, ...others] = laptops;
      const trains = others.flatMap((host) => [
        new PingTrain(host, OFFICE[4]),
        new PingTrain(host, OFFICE[6]),
      ]);
      const train = new PingTrain(removed, OFFICE[4]);
      const waitForAll = async (): Promise<void> => {
        const counts = trains.map((one) => one.received + 20);
        await waitFor(() => trains.every((one, i) => one.received > counts[i]), 'answers');
      };
      await waitForAll();
      await waitFor(() => train.received > 10, 'answers of the one to be removed');
      // As the file says how.
      const [command] = /tswg wg0 -wgpeer .*laptop-split.*/.exec(
        example.text('gateway', 'hostname.wg0'),
      )!;
      expect(await gateway.sh(command)).toEqual({ status: 0, stdout: '', stderr: '' });
      await waitForAll();
      const last = train.received;
      await waitForAll();
      expect(train.received).toBe(last);
      await train.stop();
      const reports = await Promise.all(trains.map((one) => one.stop()));
      expect(reports.map(({ lost }) => lost)).toEqual(trains.map(() => 0));
      expect((await ping(removed, OFFICE[4], { deadlineMs: 500 })).received).toBe(0);
    }));
});
