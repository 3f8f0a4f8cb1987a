/**
 * The network of the example road-warriors: the gateway with an office and a name server, a place in
 * the internet, and laptops in networks of any family.
 */

import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { NameServer } from '../lab/nameserver.ts';
import { ping } from '../lab/probes.ts';
import type { Example } from './example.ts';
import { addLan, Internet } from './internet.ts';

export const OFFICE = { 4: '10.20.0.5', 6: '2001:db8:b::5' } as const;
export const WEB = { 4: '198.18.0.80', 6: '2001:db8:80::80' } as const;
/** Where the gateway's name server is asked: inside. */
const INNER = ['10.99.0.1', '2001:db8:99::1'] as const;
/** A network of both families, in which either could leave. */
export const BOTH = ['198.51.100.12/24', '2001:db8:2::12/64'] as const;
/** Where each laptop is at the moment: one in a network of IPv4, one of both, one of IPv6 only. */
export const LINES = {
  'laptop-split': ['192.0.2.11/24'],
  'laptop-firewall': BOTH,
  'laptop-blackhole': ['2001:db8:3::13/64'],
} as const;
export type Laptop = keyof typeof LINES;

export interface Network {
  readonly internet: Internet;
  readonly gateway: Host;
  readonly laptops: readonly Host[];
}

/** The gateway runs; the laptops are switched off, their files in place. */
export async function buildNetwork(
  lab: Lab,
  example: Example,
  ...names: readonly Laptop[]
): Promise<Network> {
  const [gateway, office, web] = await lab.hosts('gateway', 'office', 'web');
  const laptops = await lab.hosts(...names);
  const internet = await Internet.open(lab);
  await internet.connect(gateway, 'wan', '203.0.113.10/24', '2001:db8:1::10/64');
  await internet.connect(web, 'wan', `${WEB[4]}/24`, `${WEB[6]}/64`);
  for (const prefix of ['2001:db8:99::/64', '2001:db8:b::/64']) {
    await internet.router.ip(`-6 route add ${prefix} via 2001:db8:1::10`);
  }
  await addLan(gateway, office, [
    { gateway: '10.20.0.1/24', machine: `${OFFICE[4]}/24` },
    { gateway: '2001:db8:b::1/64', machine: `${OFFICE[6]}/64` },
  ]);
  // The gateway has a line for each laptop, and so the key of each, whether it is here or not.
  const absent = (Object.keys(LINES) as Laptop[]).filter((name) => !names.includes(name));
  const others = await lab.hosts(...absent);
  await example.install(gateway, ...laptops, ...others);
  await example.boot(gateway);
  const server = await NameServer.start(gateway, INNER);
  await server.setAll({
    'www.example.net': { addresses: [WEB[4], WEB[6]] },
    'intranet.example.net': { addresses: [OFFICE[4], OFFICE[6]] },
  });
  return { internet, gateway, laptops };
}

export async function expectReached(host: Host, ...addresses: readonly string[]): Promise<void> {
  for (const address of addresses) await reach(host, address);
}

/** Waits for an answer; while the peer is nowhere a ping ends with the error that says so. */
async function reach(host: Host, address: string): Promise<void> {
  const isThere = async () => (await ping(host, address, { deadlineMs: 500 })).received > 0;
  await waitFor(isThere, `${address} from ${host.name}`);
}
