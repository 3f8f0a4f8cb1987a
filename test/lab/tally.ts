/**
 * Counts what arrives on a host's wires, in the kernel, by nftables at their very entrance: no
 * frame can be missed, whatever the load, and an ordinary user's namespace may do it too (where
 * tcpdump insists on giving up privileges that it does not have).
 */

import type { Host } from './host.ts';

export interface Count {
  readonly packets: number;
  /** Of IP packets, their headers included. */
  readonly bytes: number;
}

export interface TallyReport {
  /** UDP from and to the tunnel's port. */
  readonly tunnel: Count;
  /** ARP. */
  readonly neighbours: Count;
  /** Every other frame. */
  readonly others: Count;
}

/**
 * Starts counting, from zero, and replaces the host's ruleset.
 *
 * @param port one, or a range in nftables' notation: `51821-51823`
 */
export async function startTally(
  host: Host,
  interfaces: readonly string[],
  port: number | string,
): Promise<void> {
  const chains = interfaces.map(
    (ifname, index) => `
      chain wire${index} {
        type filter hook ingress device "${ifname}" priority 0; policy accept;
        udp sport ${port} udp dport ${port} counter name tunnel accept
        meta protocol arp counter name neighbours accept
        counter name others
      }`,
  );
  const counters = ['tunnel', 'neighbours', 'others'].map((name) => `counter ${name} { }`);
  await host.nft(`table netdev tally {\n${counters.join('\n')}\n${chains.join('\n')}\n}`);
}

export async function readTally(host: Host): Promise<TallyReport> {
  const text = await host.run('nft', ['list', 'table', 'netdev', 'tally']);
  const read = (name: string): Count => {
    const match = new RegExp(`counter ${name} \\{\\s*packets (\\d+) bytes (\\d+)`).exec(text);
    if (match === null) throw new Error(`no counter ${name} in:\n${text}`);
    return { packets: Number(match[1]), bytes: Number(match[2]) };
  };
  return { tunnel: read('tunnel'), neighbours: read('neighbours'), others: read('others') };
}
