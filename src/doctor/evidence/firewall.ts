/** Evidence about the packet filter: nftables and iptables, with what they counted over the run. */

export interface Firewall {
  readonly chains: readonly Chain[];
  /** In the order in which each chain has them. */
  readonly rules: readonly FirewallRule[];
  /** What of it could not be listed, each half a sentence, such as `iptables is not installed`. */
  readonly unseen: readonly string[];
}

/**
 * Which program lists and changes it: `iptables-legacy` where `iptables` itself is about nftables, and
 * the kernel has tables of the older kind as well.
 */
export type FirewallTool = 'nft' | 'iptables' | 'iptables-legacy';

export interface Chain {
  readonly tool: FirewallTool;
  readonly family: 'ip' | 'ip6' | 'inet' | 'netdev' | 'bridge' | 'arp';
  readonly table: string;
  readonly name: string;
  /** null for a chain that only others jump to. */
  readonly hook: Hook | null;
  /** Lower ones come first; 0 where unknown. */
  readonly priority: number;
  /** `nat` chains translate; `filter` and `route` may drop. */
  readonly kind: 'filter' | 'nat' | 'route' | null;
  readonly policy: 'accept' | 'drop' | null;
  /** Packets that met the end of an iptables chain; null where nobody counts them. */
  readonly policyPackets: number | null;
  readonly gainedPolicyPackets: number | null;
}

export type Hook =
  | 'prerouting'
  | 'input'
  | 'forward'
  | 'output'
  | 'postrouting'
  | 'ingress'
  | 'egress';

export interface FirewallRule {
  readonly tool: FirewallTool;
  readonly family: Chain['family'];
  readonly table: string;
  readonly chain: string;
  /** nft's handle; null of iptables. */
  readonly handle: number | null;
  /** From 1, within its chain. */
  readonly position: number;
  /** As the tool writes it. */
  readonly text: string;
  /** The last thing it does: `accept`, `drop`, `reject`, `masquerade`, `snat`, `jump`...; or `none`. */
  readonly verdict: string;
  /** The chain of `jump` and `goto`. */
  readonly target: string | null;
  /** null where it has no counter. */
  readonly packets: number | null;
  /** Over the run. */
  readonly gainedPackets: number | null;
}
