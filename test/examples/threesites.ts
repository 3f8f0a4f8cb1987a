/**
 * Three sites with a tunnel between each two and a LAN at each, for the examples whose routes come
 * by a routing daemon. Checks what both promise: a tunnel that is cut somewhere on the way moves the
 * traffic to the other way, through the third site, and its return moves it back.
 */

import { expect } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { PingTrain, ping } from '../lab/probes.ts';
import { readTally, startTally } from '../lab/tally.ts';
import type { Example } from './example.ts';
import { addLan, Internet } from './internet.ts';

const LETTERS = ['a', 'b', 'c'] as const;
const WAN = ['198.51.100.10', '203.0.113.10', '192.0.2.10'] as const;
const TUNNEL_PORTS = '51821-51823';

/** Of the machine in the LAN of the site with this number, 1 to 3. */
const machineAddress = (site: number, family: 4 | 6): string =>
  family === 4 ? `10.0.${site}.5` : `2001:db8:${LETTERS[site - 1]}::5`;

export interface ThreeSites {
  readonly internet: Internet;
  /** Gateways, in the order of the sites. */
  readonly sites: readonly Host[];
  readonly machines: readonly Host[];
}

/** Boots the sites with the files of the example, and starts bird at each. */
export async function buildThreeSites(lab: Lab, example: Example): Promise<ThreeSites> {
  const sites = await lab.hosts('site-a', 'site-b', 'site-c');
  const machines = await lab.hosts('machine-a', 'machine-b', 'machine-c');
  const internet = await Internet.open(lab);
  for (const [i, site] of sites.entries()) {
    await internet.connect(site, 'wan', `${WAN[i]}/24`);
    await addLan(site, machines[i]!, [
      { gateway: `10.0.${i + 1}.1/24`, machine: `10.0.${i + 1}.5/24` },
      {
        gateway: `2001:db8:${LETTERS[i]}::1/64`,
        machine: `2001:db8:${LETTERS[i]}::5/64`,
      },
    ]);
  }
  await example.install(...sites);
  for (const site of sites) await example.boot(site);
  for (const site of sites) startBird(site);
  return { internet, sites, machines };
}

/** In the foreground. It ends with its host. */
function startBird(site: Host): void {
  const files = ['-c', '/etc/bird/bird.conf', '-s', '/run/bird.ctl', '-P', '/run/bird.pid'];
  site.spawn('bird', ['-f', ...files]);
}

/** Waits until the site's route to a machine leads over that interface. */
async function waitForRoute(site: Host, address: string, ifname: string): Promise<void> {
  const leadsThere = async () => {
    const { stdout } = await site.exec('ip', ['route', 'get', address]);
    return stdout.includes(`dev ${ifname} `);
  };
  await waitFor(leadsThere, `${site.name}: ${address} over ${ifname}`);
}

/** Every site knows the direct way to both others, and their machines reach each other. */
export async function expectAllReached({ sites, machines }: ThreeSites): Promise<void> {
  const ways = [1, 2, 3].flatMap((from) =>
    [1, 2, 3].filter((to) => to !== from).map((to) => ({ from, to })),
  );
  for (const family of [4, 6] as const) {
    // All of them first: a packet that is sent while routes are being found may go in a circle.
    for (const { from, to } of ways) {
      await waitForRoute(sites[from - 1]!, machineAddress(to, family), `wg${to}`);
    }
    for (const { from, to } of ways) {
      // From the gateway, too, whose address is chosen by the route.
      for (const host of [machines[from - 1]!, sites[from - 1]!]) {
        const { received, text } = await ping(host, machineAddress(to, family));
        expect(received, text).toBe(1);
      }
    }
  }
}

/**
 * Every site watches both neighbours by BFD, which is what the files promise of a cut: without it the
 * routing daemon notices, too, but by its own timers.
 */
async function expectWatched({ sites }: ThreeSites): Promise<void> {
  for (const [i, site] of sites.entries()) {
    const others = [1, 2, 3].filter((number) => number !== i + 1);
    const isWatched = async () => {
      const shown = await site.run('birdc', ['-s', '/run/bird.ctl', 'show', 'bfd', 'sessions']);
      return others.every((to) =>
        new RegExp(`\\swg${to}\\s+Up\\s.*\\s2\\.000\\s*$`, 'm').test(shown),
      );
    };
    await waitFor(isWatched, `${site.name}: BFD with both neighbours`);
  }
}

/** Doctor has nothing to say on any of the tunnels. */
export async function expectHealthyTunnels({ sites }: ThreeSites): Promise<void> {
  for (const [i, site] of sites.entries()) {
    for (const to of [1, 2, 3].filter((number) => number !== i + 1)) {
      const { status, stdout } = await site.exec('tswg', [`wg${to}`, 'doctor']);
      expect(status, stdout).toBe(0);
    }
  }
}

/**
 * Cuts the way between sites A and B in the midst of a ping, and joins it again. Only the tunnels'
 * datagrams are on the internet meanwhile.
 */
export async function expectMovesWhenCut(name: string, all: ThreeSites): Promise<void> {
  const { internet, sites, machines } = all;
  await expectWatched(all);
  await startTally(internet.router, internet.interfaces, TUNNEL_PORTS);
  for (const family of [4, 6] as const) {
    const address = machineAddress(2, family);
    const train = new PingTrain(machines[0]!, address, 10);
    await waitFor(() => train.received > 20, 'answers');
    const before = await forwardedAtC(sites[2]!);
    await cut(internet.router, `{ ${WAN[0]}, ${WAN[1]} }`);
    await waitForRoute(sites[0]!, address, 'wg3');
    await waitForRoute(sites[1]!, machineAddress(1, family), 'wg3');
    const received = train.received;
    await waitFor(() => train.received > received + 20, 'answers through site C');
    expect(await forwardedAtC(sites[2]!)).toBeGreaterThan(before + 20);
    await cut(internet.router, null);
    await waitForRoute(sites[0]!, address, 'wg2');
    await waitForRoute(sites[1]!, machineAddress(1, family), 'wg1');
    const again = train.received;
    await waitFor(() => train.received > again + 20, 'answers over the direct way');
    const { lost } = await train.stop();
    console.info(`${name}, IPv${family}: one cut and back: ${lost * 10} ms of the ping lost`);
  }
  const { tunnel, others } = await readTally(internet.router);
  expect(tunnel.packets).toBeGreaterThan(0);
  expect(others.packets).toBe(0);
}

/** When site A has no way at all to the others, nothing of its LAN leaves by another. */
export async function expectNothingInTheClear(all: ThreeSites): Promise<void> {
  const { internet, sites, machines } = all;
  await startTally(internet.router, internet.interfaces, TUNNEL_PORTS);
  await cut(internet.router, `{ ${WAN.join(', ')} }`);
  for (const family of [4, 6] as const) {
    const address = machineAddress(2, family);
    const isUnreachable = async () =>
      (await sites[0]!.exec('ip', ['route', 'get', address])).status !== 0;
    await waitFor(isUnreachable, `site A: no way to ${address}`);
    expect((await ping(machines[0]!, address, { deadlineMs: 1000 })).received).toBe(0);
  }
  expect((await readTally(internet.router)).others.packets).toBe(0);
}

/** Somewhere in the middle: no end of the tunnel is told. */
async function cut(router: Host, addresses: string | null): Promise<void> {
  await router.exec('nft', ['delete', 'table', 'ip', 'cut']);
  if (addresses === null) return;
  const rules = `table ip cut { chain forward { type filter hook forward priority 0;
    ip saddr ${addresses} ip daddr ${addresses} drop; }; }`;
  await router.run('nft', ['-f', '-'], { input: rules });
}

/** Packets that have come out of site C's tunnel to site A. */
async function forwardedAtC(siteC: Host): Promise<number> {
  return Number(await siteC.run('cat', ['/sys/class/net/wg1/statistics/rx_packets']));
}
