/**
 * Which way packets came to a host of the internet, told by the address that they came from. What asks
 * is this host's own ruleset, which counts nothing and drops nothing.
 */

import type { Host } from '../lab/host.ts';

const RULES = `table inet seen {
  set four { type ipv4_addr; flags dynamic; size 64; }
  set six { type ipv6_addr; flags dynamic; size 64; }
  chain input {
    type filter hook input priority 0;
    icmp type echo-request add @four { ip saddr }
    icmpv6 type echo-request add @six { ip6 saddr }
    meta nfproto ipv4 tcp flags syn add @four { ip saddr }
    meta nfproto ipv6 tcp flags syn add @six { ip6 saddr }
  }
}`;

export class SeenSources {
  readonly #host: Host;

  private constructor(host: Host) {
    this.#host = host;
  }

  /** Replaces the host's ruleset. */
  static async watch(host: Host): Promise<SeenSources> {
    await host.nft(RULES);
    return new SeenSources(host);
  }

  /** The addresses that pings and connections came from while `send` ran. */
  async during(send: () => Promise<unknown>): Promise<readonly string[]> {
    for (const set of ['four', 'six'])
      await this.#host.run('nft', ['flush', 'set', 'inet', 'seen', set]);
    await send();
    const found: string[] = [];
    for (const set of ['four', 'six']) {
      const text = await this.#host.run('nft', ['list', 'set', 'inet', 'seen', set]);
      const elements = /elements = \{([^}]*)\}/.exec(text)?.[1] ?? '';
      found.push(
        ...elements
          .split(',')
          .map((one) => one.trim())
          .filter((one) => one !== ''),
      );
    }
    return found;
  }
}
