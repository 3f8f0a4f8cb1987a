/** `iptables-save -c` -> chains and rules. Total: lines that make no sense are skipped. */

import type { Chain, FirewallRule, FirewallTool, Hook } from '../evidence.ts';
import type { Listing } from './nftables.ts';

const HOOKS: Readonly<Record<string, Hook>> = {
  PREROUTING: 'prerouting',
  INPUT: 'input',
  FORWARD: 'forward',
  OUTPUT: 'output',
  POSTROUTING: 'postrouting',
};
/** As the kernel orders the tables (NF_IP_PRI_). */
const PRIORITIES: Readonly<Record<string, number>> = {
  raw: -300,
  mangle: -150,
  nat: -100,
  filter: 0,
  security: 50,
};
const RULES_MAX = 20_000;

export function parseIptables(
  family: 'ip' | 'ip6',
  text: string,
  tool: Exclude<FirewallTool, 'nft'> = 'iptables',
): Listing {
  const chains: Omit<Chain, 'gainedPolicyPackets'>[] = [];
  const rules: Omit<FirewallRule, 'gainedPackets'>[] = [];
  const positions = new Map<string, number>();
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      table = line.slice(1).trim();
      positions.clear();
    }
    const chain = /^:(\S+) (\S+) \[(\d+):\d+\]/.exec(line);
    if (chain !== null) chains.push(describeChain(tool, family, table, chain));
    const rule = /^\[(\d+):\d+\] (-A (\S+)(?: (.*))?)$/.exec(line);
    if (rule === null || rules.length >= RULES_MAX) continue;
    const [, packets, written, name, rest = ''] = rule;
    const position = (positions.get(name) ?? 0) + 1;
    positions.set(name, position);
    rules.push({
      tool,
      family,
      table,
      chain: name,
      handle: null,
      position,
      text: written,
      ...verdictOf(rest),
      packets: Number(packets),
    });
  }
  return { chains, rules };
}

function describeChain(
  tool: FirewallTool,
  family: 'ip' | 'ip6',
  table: string,
  [, name, policy, packets]: RegExpExecArray,
): Omit<Chain, 'gainedPolicyPackets'> {
  const hook = Object.hasOwn(HOOKS, name) ? HOOKS[name] : null;
  return {
    tool,
    family,
    table,
    name,
    hook,
    priority: Object.hasOwn(PRIORITIES, table) ? PRIORITIES[table] : 0,
    kind: hook === null ? null : table === 'nat' ? 'nat' : 'filter',
    policy: policy === 'ACCEPT' ? 'accept' : policy === 'DROP' ? 'drop' : null,
    policyPackets: hook === null ? null : Number(packets),
  };
}

/** iptables' own targets are in capitals; what is not is a chain. */
const TARGETS: readonly string[] = [
  ...['ACCEPT', 'DROP', 'REJECT', 'MASQUERADE', 'SNAT', 'DNAT', 'REDIRECT', 'RETURN', 'QUEUE'],
  ...['LOG', 'NFLOG', 'NFQUEUE', 'MARK', 'CONNMARK', 'CT', 'NOTRACK', 'TCPMSS', 'NETMAP'],
  ...['CHECKSUM', 'DSCP', 'TOS', 'TTL', 'HL', 'SET', 'TPROXY', 'TRACE', 'AUDIT', 'CLASSIFY'],
];

function verdictOf(rest: string): { verdict: string; target: string | null } {
  const found = /(?:^| )-([jg]) (\S+)/.exec(rest);
  if (found === null) return { verdict: 'none', target: null };
  const [, how, name] = found;
  if (how === 'g') return { verdict: 'goto', target: name };
  return TARGETS.includes(name)
    ? { verdict: name.toLowerCase(), target: null }
    : { verdict: 'jump', target: name };
}
