/**
 * Evidence: the packet filter and what it counted, out of what nft and iptables list, and
 * iptables-legacy where the kernel has such tables.
 */

import type { Firewall } from '../evidence.ts';
import { parseIptables } from './iptables.ts';
import { CannotLook } from './looking.ts';
import { type Listing, parseNftables } from './nftables.ts';
import { textOf } from './procfile.ts';
import { run } from './program.ts';

export interface FirewallSample extends Listing {
  readonly unseen: readonly string[];
}

/**
 * The older tables. They are asked for where the kernel says that there are any: the question itself
 * would load its modules, and make them.
 */
const FAMILIES = [
  { family: 'ip', program: 'iptables-legacy-save', tables: '/proc/net/ip_tables_names' },
  { family: 'ip6', program: 'ip6tables-legacy-save', tables: '/proc/net/ip6_tables_names' },
] as const;

type Ask = (program: string, args: readonly string[]) => Promise<string>;

/** @param ask runs a program @throws {CannotLook} when none of the programs can be asked */
export async function sampleFirewall(ask: Ask = run): Promise<FirewallSample> {
  const unseen: string[] = [];
  const list = async (program: string, args: string[], why = ''): Promise<string> => {
    try {
      return await ask(program, args);
    } catch (error) {
      if (!(error instanceof CannotLook)) throw error;
      unseen.push(`${error.message}${why}`);
      return '';
    }
  };
  const [json, text, ipv4, ipv6] = await Promise.all([
    list('nft', ['-j', 'list', 'ruleset']),
    list('nft', ['-s', '-a', 'list', 'ruleset']),
    list('iptables-save', ['-c']),
    list('ip6tables-save', ['-c']),
  ]);
  const legacy = await listLegacy(list);
  if (json === '' && ipv4 === '' && unseen.length > 0) {
    throw new CannotLook([...new Set(unseen)].join(', '));
  }
  const iptables = [parseIptables('ip', ipv4), parseIptables('ip6', ipv6)];
  // Where `iptables` itself is of the older kind, its tables are none of nftables'.
  const shared = legacy === null ? [] : iptables;
  const nft = withoutOthers(parseNftables(json, text), shared);
  const listings = [nft, ...iptables, ...(legacy ?? [])];
  return {
    chains: listings.flatMap(({ chains }) => chains),
    rules: listings.flatMap(({ rules }) => rules),
    unseen: [...new Set(unseen)],
  };
}

/** null when `iptables` is the program that lists them. */
async function listLegacy(
  list: (program: string, args: string[], why?: string) => Promise<string>,
): Promise<Listing[] | null> {
  const tables = FAMILIES.map(({ tables: path }) => textOf(path)?.trim().split('\n').join(', '));
  const isAny = tables.some((names) => names !== undefined && names !== '');
  if (!isAny) return [];
  if (/\(legacy\)/.test(await list('iptables-save', ['-V']))) return null;
  return Promise.all(
    FAMILIES.map(async ({ family, program }, at) => {
      const why = `, and there are such tables (${tables[at]})`;
      const text = tables[at] ? await list(program, ['-c'], why) : '';
      return parseIptables(family, text, 'iptables-legacy');
    }),
  );
}

/** Rules of today's iptables are nftables' and are in both lists; in that of iptables they can be read. */
function withoutOthers(nft: Listing, iptables: readonly Listing[]): Listing {
  const own = new Set(iptables.flatMap(({ chains }) => chains.map(placeOf)));
  return {
    chains: nft.chains.filter((chain) => !own.has(placeOf(chain))),
    rules: nft.rules.filter(({ family, table, chain }) => !own.has(`${family} ${table} ${chain}`)),
  };
}

function placeOf({ family, table, name }: Listing['chains'][number]): string {
  return `${family} ${table} ${name}`;
}

function chainKey(chain: Listing['chains'][number]): string {
  return `${chain.tool} ${placeOf(chain)}`;
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
  const { tool, family, table, chain, handle, position, text } = rule;
  return [tool, family, table, chain, handle ?? `${position} ${text}`].join(' ');
}
