/** Evidence: the packet filter and what it counted, out of what nft and iptables list. */

import type { Firewall } from '../evidence.ts';
import { parseIptables } from './iptables.ts';
import { CannotLook } from './looking.ts';
import { type Listing, parseNftables } from './nftables.ts';
import { run } from './program.ts';

export interface FirewallSample extends Listing {
  readonly unseen: readonly string[];
}

/** @throws {CannotLook} when none of the programs can be asked */
export async function sampleFirewall(): Promise<FirewallSample> {
  const unseen: string[] = [];
  const list = async (program: string, args: string[]): Promise<string> => {
    try {
      return await run(program, args);
    } catch (error) {
      if (!(error instanceof CannotLook)) throw error;
      unseen.push(error.message);
      return '';
    }
  };
  const [json, text, ipv4, ipv6] = await Promise.all([
    list('nft', ['-j', 'list', 'ruleset']),
    list('nft', ['-s', '-a', 'list', 'ruleset']),
    list('iptables-save', ['-c']),
    list('ip6tables-save', ['-c']),
  ]);
  if (json === '' && ipv4 === '' && unseen.length > 0) {
    throw new CannotLook([...new Set(unseen)].join(', '));
  }
  const iptables = [parseIptables('ip', ipv4), parseIptables('ip6', ipv6)];
  const listings = [withoutOthers(parseNftables(json, text), iptables), ...iptables];
  return {
    chains: listings.flatMap(({ chains }) => chains),
    rules: listings.flatMap(({ rules }) => rules),
    unseen: [...new Set(unseen)],
  };
}

/** Rules of today's iptables are nftables' and are in both lists; in that of iptables they can be read. */
function withoutOthers(nft: Listing, iptables: readonly Listing[]): Listing {
  const own = new Set(iptables.flatMap(({ chains }) => chains.map(chainKey)));
  return {
    chains: nft.chains.filter((chain) => !own.has(chainKey(chain))),
    rules: nft.rules.filter(({ family, table, chain }) => !own.has(`${family} ${table} ${chain}`)),
  };
}

function chainKey({ family, table, name }: Listing['chains'][number]): string {
  return `${family} ${table} ${name}`;
}

/** The second of two samples, with what was counted between them. */
export function describeFirewall(before: FirewallSample, after: FirewallSample): Firewall {
  const policies = new Map(before.chains.map((one) => [chainKey(one), one.policyPackets]));
  const counts = new Map(before.rules.map((one) => [ruleKey(one), one.packets]));
  const gain = (now: number | null, then: number | null | undefined): number | null =>
    now === null ? null : Math.max(0, now - (then ?? now));
  return {
    chains: after.chains.map((one) => ({
      ...one,
      gainedPolicyPackets: gain(one.policyPackets, policies.get(chainKey(one))),
    })),
    rules: after.rules.map((one) => ({
      ...one,
      gainedPackets: gain(one.packets, counts.get(ruleKey(one))),
    })),
    unseen: after.unseen,
  };
}

function ruleKey(rule: Listing['rules'][number]): string {
  const { family, table, chain, handle, position, text } = rule;
  return [family, table, chain, handle ?? `${position} ${text}`].join(' ');
}
