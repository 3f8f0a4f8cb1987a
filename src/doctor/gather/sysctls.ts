/** Evidence: those parameters of the kernel that decide over a tunnel's packets. */

import { readParameter } from '../../host/parameter.ts';
import type { Link } from '../evidence.ts';

/** Below /proc/sys/net. */
const GENERAL: readonly string[] = [
  ...['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv6/conf/all/disable_ipv6'],
  ...['ipv4/conf/all/rp_filter', 'ipv4/conf/all/src_valid_mark', 'ipv4/conf/all/accept_local'],
  ...['ipv4/conf/all/send_redirects', 'ipv4/ip_no_pmtu_disc', 'ipv4/tcp_mtu_probing'],
  'ipv4/ip_unprivileged_port_start',
  ...['core/rmem_max', 'core/rmem_default', 'core/wmem_max', 'core/netdev_max_backlog'],
  ...['netfilter/nf_conntrack_count', 'netfilter/nf_conntrack_max', 'netfilter/nf_conntrack_acct'],
  ...['netfilter/nf_conntrack_udp_timeout', 'netfilter/nf_conntrack_udp_timeout_stream'],
];
/** Below conf/LINK of the family. */
const OF_LINK: readonly [family: string, name: string][] = [
  ...['forwarding', 'rp_filter', 'src_valid_mark', 'accept_local', 'send_redirects'].map(
    (name): [string, string] => ['ipv4', name],
  ),
  ...['forwarding', 'disable_ipv6', 'accept_ra', 'mtu'].map((name): [string, string] => [
    'ipv6',
    name,
  ]),
];
/** A machine with containers has a link for each. */
const LINKS_MAX = 64;

export function gatherSysctls(links: readonly Link[], name: string): Record<string, string> {
  const chosen = [
    ...links.filter((link) => link.name === name),
    ...links.filter((link) => link.name !== name && link.addresses.length > 0),
  ].slice(0, LINKS_MAX);
  const paths = [
    ...GENERAL,
    ...chosen.flatMap((link) =>
      OF_LINK.map(([family, one]) => `${family}/conf/${link.name}/${one}`),
    ),
  ];
  const values = paths.map((path) => [path, readParameter(path)] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== null)) as Record<string, string>;
}
