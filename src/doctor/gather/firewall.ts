/**
 * Evidence: the packet filter and what it counted, out of what nft and iptables list, and
 * iptables-legacy where the kernel has such tables.
 */

import { type FilterTable, filterTables } from '../../netlink/netfilter.ts';
import type { Firewall, Looked } from '../evidence.ts';
import { isDropping } from '../filterpath.ts';
import { parseIptables } from './iptables.ts';
import { CannotLook, lookNow } from './looking.ts';
import { type Listing, parseNftables } from './nftables.ts';
import { textOf } from './procfile.ts';
import { run } from './program.ts';

export interface FirewallSample extends Listing {
  readonly unseen: readonly string[];
  /** What was listed, by whom, to be listed again. Missing where it cannot be. */
  readonly parts?: Parts;
}

interface Parts {
  readonly nft: Listing;
  /** Of `nft -a`: how its rules are written. */
  readonly text: string;
  readonly iptables: readonly Part[];
  /** Whether `iptables` is the program of the older tables, which are none of nftables'. */
  readonly isOlder: boolean;
}

/** What one of the programs of iptables lists. */
interface Part {
  readonly family: 'ip' | 'ip6';
  readonly tool: 'iptables' | 'iptables-legacy';
  readonly listing: Listing;
}

/**
 * The older tables. They are asked for where the kernel says that there are any: the question itself
 * would load its modules, and make them.
 */
const FAMILIES = [
  { family: 'ip', number: 2, prefix: 'iptables', tables: '/proc/net/ip_tables_names' },
  { family: 'ip6', number: 10, prefix: 'ip6tables', tables: '/proc/net/ip6_tables_names' },
] as const;
/** Today's iptables keeps its rules in nftables' tables of these names. */
const IPTABLES_NAMES: readonly string[] = ['raw', 'mangle', 'nat', 'filter', 'security'];

type Ask = (program: string, args: readonly string[]) => Promise<string>;
type List = (program: string, args: string[], why?: string) => Promise<string>;

/**
 * Asks each program whose tables there are: a program costs more than all that it tells.
 *
 * @param ask runs a program; @param tables nftables', by the kernel
 * @throws {CannotLook} when none of the programs can be asked
 */
export async function sampleFirewall(
  ask: Ask = run,
  tables: Looked<readonly FilterTable[]> = lookNow(filterTables),
): Promise<FirewallSample> {
  const unseen: string[] = [];
  const list: List = listWith(ask, unseen);
  const older = FAMILIES.map(({ tables: path }) =>
    (textOf(path) ?? '').trim().replaceAll('\n', ', '),
  );
  const isAnyOlder = older.some((names) => names !== '');
  const isAny = !tables.ok || tables.value.length > 0;
  const isKept = ({ number }: (typeof FAMILIES)[number]): boolean =>
    !tables.ok ||
    isAnyOlder ||
    tables.value.some(({ family, name }) => family === number && IPTABLES_NAMES.includes(name));
  const [json, text, version, ...saved] = await Promise.all([
    isAny ? list('nft', ['-j', 'list', 'ruleset']) : '',
    isAny ? list('nft', ['-s', '-a', 'list', 'ruleset']) : '',
    isAnyOlder ? list('iptables-save', ['-V']) : '',
    ...FAMILIES.map((one) => (isKept(one) ? list(`${one.prefix}-save`, ['-c']) : '')),
  ]);
  const isOlder = /\(legacy\)/.test(version);
  const legacy = isAnyOlder && !isOlder ? await listLegacy(list, older) : [];
  if (json === '' && saved[0] === '' && unseen.length > 0) {
    throw new CannotLook([...new Set(unseen)].join(', '));
  }
  const iptables = FAMILIES.map(({ family }, at): Part => {
    return { family, tool: 'iptables', listing: parseIptables(family, saved[at]) };
  });
  return joined(
    { nft: parseNftables(json, text), text, iptables: [...iptables, ...legacy], isOlder },
    unseen,
  );
}

/**
 * The same a second time, for what was counted in between: only what can drop is asked for it, and
 * what cannot is as it was.
 *
 * @throws {CannotLook} when none of the programs can be asked any more
 */
export async function sampleAgain(first: FirewallSample, ask: Ask = run): Promise<FirewallSample> {
  const { parts } = first;
  if (parts === undefined || !canDrop(first)) return first;
  const unseen = [...first.unseen];
  const list = listWith(ask, unseen);
  const { text } = parts;
  const [nft, ...iptables] = await Promise.all([
    canDrop(parts.nft)
      ? list('nft', ['-j', 'list', 'ruleset']).then((json) => parseNftables(json, text))
      : parts.nft,
    ...parts.iptables.map(async (part): Promise<Part> => {
      const { family, tool, listing } = part;
      if (!canDrop(listing)) return part;
      const program = tool.replace('iptables', family === 'ip' ? 'iptables' : 'ip6tables');
      return {
        ...part,
        listing: parseIptables(family, await list(`${program}-save`, ['-c']), tool),
      };
    }),
  ]);
  return joined({ ...parts, nft, iptables }, unseen);
}

/** Whether it has anything whose counters tell what became of packets. */
function canDrop({ chains, rules }: Listing): boolean {
  return chains.some(({ policy }) => policy === 'drop') || rules.some(isDropping);
}

function listWith(ask: Ask, unseen: string[]): List {
  return async (program, args, why = '') => {
    try {
      return await ask(program, args);
    } catch (error) {
      if (!(error instanceof CannotLook)) throw error;
      unseen.push(`${error.message}${why}`);
      return '';
    }
  };
}

function joined(parts: Parts, unseen: readonly string[]): FirewallSample {
  const { nft, iptables, isOlder } = parts;
  const own = iptables.filter(({ tool }) => tool === 'iptables').map(({ listing }) => listing);
  // Where `iptables` itself is of the older kind, its tables are none of nftables'.
  const listings = [
    withoutOthers(nft, isOlder ? [] : own),
    ...iptables.map(({ listing }) => listing),
  ];
  return {
    chains: listings.flatMap(({ chains }) => chains),
    rules: listings.flatMap(({ rules }) => rules),
    unseen: [...new Set(unseen)],
    parts,
  };
}

/** @param tables of each family, by the kernel; '' where there are none */
function listLegacy(list: List, tables: readonly string[]): Promise<Part[]> {
  return Promise.all(
    FAMILIES.map(async ({ family, prefix }, at): Promise<Part> => {
      const why = `, and there are such tables (${tables[at]})`;
      const tool = 'iptables-legacy';
      const text = tables[at] === '' ? '' : await list(`${prefix}-legacy-save`, ['-c'], why);
      return { family, tool, listing: parseIptables(family, text, tool) };
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
