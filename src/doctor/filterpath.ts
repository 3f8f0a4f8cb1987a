/** The rules that a packet meets at a hook: of the chains there, and of those that they jump to. Pure. */

import type { Chain, Firewall, FirewallRule, Hook } from './evidence.ts';

const JUMPS: readonly string[] = ['jump', 'goto'];
const DROPS: readonly string[] = ['drop', 'reject'];

export interface FilterPath {
  /** Those at the hook itself, in the order in which packets meet them. */
  readonly chains: readonly Chain[];
  /** Of these chains and all that they lead to. */
  readonly rules: readonly FirewallRule[];
}

export function pathAt(firewall: Firewall, hook: Hook, kind: Chain['kind']): FilterPath {
  const chains = firewall.chains
    .filter((chain) => chain.hook === hook && chain.kind === kind)
    .sort((a, b) => a.priority - b.priority);
  const met = new Set<Chain>();
  const waiting = [...chains];
  for (let chain = waiting.shift(); chain !== undefined; chain = waiting.shift()) {
    if (met.has(chain)) continue;
    met.add(chain);
    waiting.push(...targetsOf(firewall, chain));
  }
  return { chains, rules: [...met].flatMap((chain) => rulesOf(firewall, chain)) };
}

function targetsOf(firewall: Firewall, chain: Chain): readonly Chain[] {
  const targets = rulesOf(firewall, chain)
    .filter(({ verdict }) => JUMPS.includes(verdict))
    .map(({ target }) => target);
  return firewall.chains.filter((one) => isSameTable(one, chain) && targets.includes(one.name));
}

export function rulesOf(firewall: Firewall, chain: Chain): readonly FirewallRule[] {
  return firewall.rules.filter((rule) => isSameTable(rule, chain) && rule.chain === chain.name);
}

interface InTable {
  readonly tool: Chain['tool'];
  readonly family: Chain['family'];
  readonly table: string;
}

function isSameTable(one: InTable, other: InTable): boolean {
  return one.tool === other.tool && one.family === other.family && one.table === other.table;
}

export function isDropping({ verdict }: Pick<FirewallRule, 'verdict'>): boolean {
  return DROPS.includes(verdict.toLowerCase());
}

/** `rule 3 of chain forward of table inet filter (nft)`. */
export function nameRule(rule: FirewallRule): string {
  return `rule ${rule.position} of ${nameChain(rule)}`;
}

export function nameChain(chain: InTable & { readonly chain?: string; readonly name?: string }) {
  return `chain ${chain.chain ?? chain.name} of table ${chain.family} ${chain.table} (${chain.tool})`;
}

/** Commands that let packets of this link pass before the rule, or before the end of the chain. */
export function acceptCommands(place: FirewallRule | Chain, link: string): readonly string[] {
  const { tool, family, table } = place;
  const chain = 'chain' in place ? place.chain : place.name;
  if (tool !== 'nft') {
    const insert = `${iptablesOf(place)} -t ${table} -I ${chain}`;
    return ['-i', '-o'].map((side) => `${insert} ${side} ${link} -j ACCEPT`);
  }
  return ['iifname', 'oifname'].map(
    (side) => `nft insert rule ${family} ${table} ${chain} ${side} "${link}" accept`,
  );
}

export function deleteCommand(rule: FirewallRule): string {
  const { tool, family, table, chain, handle, position } = rule;
  if (tool === 'nft') return `nft delete rule ${family} ${table} ${chain} handle ${handle}`;
  return `${iptablesOf(rule)} -t ${table} -D ${chain} ${position}`;
}

/** The program that changes what is not nft's. */
export function iptablesOf({ tool, family }: InTable): string {
  const program = family === 'ip6' ? 'ip6tables' : 'iptables';
  return tool === 'iptables-legacy' ? `${program}-legacy` : program;
}

/** Whether a rule's text speaks of a link by its name. */
export function isAbout({ text }: FirewallRule, link: string): boolean {
  return text.split(/[\s",{}]+/).includes(link);
}

/** Whether a rule is for packets that leave by other links, or only by some others. */
export function isOfOtherLinks(rule: FirewallRule, link: string): boolean {
  const named = /\b(?:oifname|oif|-o|--out-interface)\s+(!=\s+)?(?:"([^"]+)"|(\S+))/.exec(
    rule.text,
  );
  const isIptablesInverted = /!\s+(?:-o|--out-interface)\b/.test(rule.text);
  if (named === null) return false;
  const isInverted = named[1] !== undefined || isIptablesInverted;
  const name = named[2] ?? named[3];
  const isNamed = name === link || (name.startsWith('{') && isAbout(rule, link));
  return isInverted ? isNamed : !isNamed;
}
