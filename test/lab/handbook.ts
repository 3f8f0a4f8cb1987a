/**
 * The handbook's network: two offices, each behind a gateway, and a router as the Internet
 * between them, which knows nothing of the offices' private networks.
 *
 *     host A ---- gateway A ---- router ---- gateway B ---- host B
 *     10.0.0.5    10.0.0.1                   10.20.0.1      10.20.0.5
 *                 198.51.100.10  .1      .1  203.0.113.10
 *
 * The tunnel itself (10.99.0.1 and 10.99.0.2, UDP 51820) is made by whoever uses the network.
 */

import type { Host } from './host.ts';
import type { Lab } from './lab.ts';

export interface Site {
  readonly gateway: Host;
  /** A machine of the office. */
  readonly host: Host;
  readonly hostAddress: string;
  readonly wanAddress: string;
  readonly lanPrefix: string;
  readonly tunnelAddress: string;
}

export interface HandbookNetwork {
  readonly siteA: Site;
  readonly siteB: Site;
  readonly router: Host;
  /** The router's interfaces towards the sites. */
  readonly routerInterfaces: readonly [string, string];
}

/** What the two sites differ in: the third part of a LAN's address and the WAN's first three. */
interface SitePlan {
  readonly letter: 'a' | 'b';
  readonly lan: string;
  readonly wan: string;
  readonly tunnelAddress: string;
}

const PLAN_A: SitePlan = {
  letter: 'a',
  lan: '10.0.0',
  wan: '198.51.100',
  tunnelAddress: '10.99.0.1',
};
const PLAN_B: SitePlan = {
  letter: 'b',
  lan: '10.20.0',
  wan: '203.0.113',
  tunnelAddress: '10.99.0.2',
};

export async function buildHandbook(lab: Lab): Promise<HandbookNetwork> {
  const router = await lab.host('router');
  const [siteA, siteB] = await Promise.all([
    buildSite(lab, router, PLAN_A),
    buildSite(lab, router, PLAN_B),
  ]);
  await router.forward();
  // The Internet routes no private addresses: what is not inside the tunnel does not arrive.
  await router.ip('route add unreachable 10.0.0.0/8');
  return { siteA, siteB, router, routerInterfaces: ['wan-a', 'wan-b'] };
}

async function buildSite(lab: Lab, router: Host, plan: SitePlan): Promise<Site> {
  const { letter, lan, wan } = plan;
  const [gateway, host] = await lab.hosts(`gateway ${letter}`, `host ${letter}`);
  await gateway.connect('wan', router, `wan-${letter}`);
  await gateway.connect('lan', host, 'lan');
  // An Internet of IPv4 only, and no neighbour discovery among the packets in the middle.
  await gateway.sysctl('net.ipv6.conf.wan.disable_ipv6', 1);
  await router.sysctl(`net.ipv6.conf.wan-${letter}.disable_ipv6`, 1);
  await router.configure(`wan-${letter}`, `${wan}.1/24`);
  await gateway.configure('wan', `${wan}.10/24`);
  await gateway.configure('lan', `${lan}.1/24`);
  await host.configure('lan', `${lan}.5/24`);
  await gateway.ip(`route add default via ${wan}.1`);
  await host.ip(`route add default via ${lan}.1`);
  return {
    gateway,
    host,
    hostAddress: `${lan}.5`,
    wanAddress: `${wan}.10`,
    lanPrefix: `${lan}.0/24`,
    tunnelAddress: plan.tunnelAddress,
  };
}
