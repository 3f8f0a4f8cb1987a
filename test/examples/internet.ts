/**
 * The internet between the hosts of an example: one router, which has the first address of each
 * host's network and routes none of the private ones, so that what is not inside a tunnel does not
 * arrive. What of it is on the wire is counted at the router (startTally, Capture).
 */

import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';

export class Internet {
  readonly router: Host;
  readonly #interfaces: string[] = [];

  private constructor(router: Host) {
    this.router = router;
  }

  static async open(lab: Lab): Promise<Internet> {
    const router = await lab.host('internet');
    await router.forward();
    for (const prefix of ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']) {
      await router.ip(`route add unreachable ${prefix}`);
    }
    await router.ip('-6 route add unreachable fc00::/7');
    return new Internet(router);
  }

  /** The router's interfaces, in the order in which they were connected. */
  get interfaces(): readonly string[] {
    return this.#interfaces;
  }

  /**
   * Connects an interface of a host, gives it its addresses (with the lengths of their networks), and
   * routes all else over it. Of a family without an address nothing is on the wire, not even its
   * neighbour discovery.
   *
   * @returns the router's interface
   */
  async connect(host: Host, ifname: string, ...addresses: readonly string[]): Promise<string> {
    const own = `to${this.#interfaces.length}`;
    this.#interfaces.push(own);
    await host.connect(ifname, this.router, own);
    if (!addresses.some((address) => address.includes(':'))) {
      await host.sysctl(`net.ipv6.conf.${ifname}.disable_ipv6`, 1);
      await this.router.sysctl(`net.ipv6.conf.${own}.disable_ipv6`, 1);
    }
    await this.router.configure(own, ...addresses.map(firstOfNetwork));
    await host.configure(ifname, ...addresses);
    for (const address of addresses) {
      const gateway = firstOfNetwork(address).split('/')[0];
      const family = address.includes(':') ? '-6 ' : '';
      await host.ip(`${family}route replace default via ${gateway} dev ${ifname}`);
    }
    return own;
  }
}

/** 203.0.113.10/24 -> 203.0.113.1/24, 192.0.2.130/25 -> 192.0.2.129/25, 2001:db8::10/64 -> 2001:db8::1/64. */
function firstOfNetwork(address: string): string {
  return address.replace(/([\da-f]+)\/(\d+)$/, (_, last: string, length: string) => {
    const hosts = address.includes(':') ? Number.POSITIVE_INFINITY : 2 ** (32 - Number(length));
    const first = hosts > 256 ? 1 : Number(last) - (Number(last) % hosts) + 1;
    return `${first}/${length}`;
  });
}

/** A network of a host with one machine in it, which has the host as its gateway. */
export async function addLan(
  gateway: Host,
  machine: Host,
  networks: readonly { readonly gateway: string; readonly machine: string }[],
): Promise<void> {
  await gateway.connect('lan', machine, 'lan');
  await gateway.configure('lan', ...networks.map((network) => network.gateway));
  await machine.configure('lan', ...networks.map((network) => network.machine));
  for (const network of networks) {
    const [via] = network.gateway.split('/');
    await machine.ip(`${via.includes(':') ? '-6 ' : ''}route add default via ${via} dev lan`);
  }
}
