/**
 * `nft -j list ruleset` and `nft -a list ruleset` -> chains and rules. JSON says what a rule does, the
 * text how it is written. Both are foreign: what makes no sense is left out, and nothing is thrown.
 */

import type { Chain, FirewallRule, Hook } from '../evidence.ts';

type Rule = Omit<FirewallRule, 'gainedPackets'>;
type Json = Readonly<Record<string, unknown>>;

export interface Listing {
  readonly chains: readonly Omit<Chain, 'gainedPolicyPackets'>[];
  readonly rules: readonly Rule[];
}

const FAMILIES: readonly string[] = ['ip', 'ip6', 'inet', 'netdev', 'bridge', 'arp'];
const HOOKS: readonly string[] = [
  ...['prerouting', 'input', 'forward', 'output', 'postrouting', 'ingress', 'egress'],
];
/** What ends a rule, or says what becomes of the packet. */
const VERDICTS: readonly string[] = [
  ...['accept', 'drop', 'reject', 'masquerade', 'snat', 'dnat', 'redirect', 'queue', 'return'],
  ...['jump', 'goto', 'continue', 'tproxy', 'synproxy', 'notrack'],
];
/** A firewall with millions of elements in its sets has few rules; one with more is cut here. */
const RULES_MAX = 20_000;

/** @param json of `nft -j`; @param text of `nft -a`, '' when there is none */
export function parseNftables(json: string, text: string): Listing {
  const chains: Omit<Chain, 'gainedPolicyPackets'>[] = [];
  const rules: Rule[] = [];
  const written = parseHandles(text);
  for (const item of itemsOf(json)) {
    if (isObject(item.chain)) pushChain(item.chain, chains);
    if (isObject(item.rule) && rules.length < RULES_MAX) pushRule(item.rule, written, rules);
  }
  return { chains, rules };
}

function itemsOf(json: string): Json[] {
  try {
    const { nftables } = JSON.parse(json) as { nftables?: unknown };
    return Array.isArray(nftables) ? nftables.filter(isObject) : [];
  } catch {
    return [];
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pushChain(chain: Json, chains: Omit<Chain, 'gainedPolicyPackets'>[]): void {
  const { family, table, name, hook, prio, policy, type } = chain;
  if (!isFamily(family) || typeof table !== 'string' || typeof name !== 'string') return;
  chains.push({
    tool: 'nft',
    family,
    table,
    name,
    hook: HOOKS.includes(hook as string) ? (hook as Hook) : null,
    priority: typeof prio === 'number' ? prio : 0,
    kind: type === 'filter' || type === 'nat' || type === 'route' ? type : null,
    policy: policy === 'drop' || policy === 'accept' ? policy : null,
    policyPackets: null,
  });
}

function isFamily(value: unknown): value is Chain['family'] {
  return FAMILIES.includes(value as string);
}

function pushRule(rule: Json, written: ReadonlyMap<string, string>, rules: Rule[]): void {
  const { family, table, chain, handle, expr } = rule;
  if (!isFamily(family) || typeof table !== 'string' || typeof chain !== 'string') return;
  const number = typeof handle === 'number' ? handle : null;
  const statements = Array.isArray(expr) ? expr.filter(isObject) : [];
  const counter = statements.map(({ counter: one }) => one).find(isObject);
  const before = rules.filter(
    (one) => one.family === family && one.table === table && one.chain === chain,
  );
  rules.push({
    tool: 'nft',
    family,
    table,
    chain,
    handle: number,
    position: before.length + 1,
    text: written.get(keyOf(family, table, number)) ?? JSON.stringify(statements).slice(0, 500),
    ...verdictOf(statements),
    packets: typeof counter?.packets === 'number' ? counter.packets : null,
  });
}

function verdictOf(statements: readonly Json[]): { verdict: string; target: string | null } {
  for (const statement of statements.toReversed()) {
    const name = VERDICTS.find((one) => Object.hasOwn(statement, one));
    if (name !== undefined) {
      const value = statement[name];
      const target = isObject(value) && typeof value.target === 'string' ? value.target : null;
      return { verdict: name, target };
    }
    // An extension of iptables, under its name there.
    const { xt } = statement;
    if (isObject(xt) && xt.type === 'target' && typeof xt.name === 'string') {
      return { verdict: xt.name.toLowerCase(), target: null };
    }
  }
  return { verdict: 'none', target: null };
}

/** Rules as they are written, by family, table and handle. */
function parseHandles(text: string): Map<string, string> {
  const rules = new Map<string, string>();
  let place = { family: '', table: '' };
  for (const line of text.split('\n')) {
    const table = /^table (\w+) (\S+) \{/.exec(line);
    if (table !== null) place = { family: table[1], table: table[2] };
    const rule = /^\t\t(.+) # handle (\d+)$/.exec(line);
    if (rule !== null) rules.set(keyOf(place.family, place.table, Number(rule[2])), rule[1]);
  }
  return rules;
}

function keyOf(family: string, table: string, handle: number | null): string {
  return `${family} ${table} ${handle}`;
}
