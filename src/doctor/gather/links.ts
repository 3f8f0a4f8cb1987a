/** Evidence: the links of this network namespace with their addresses. */

import type {
  LinkAddress as KernelAddress,
  Link as KernelLink,
  Netlink,
} from '../../netlink/netlink.ts';
import { formatAddress } from '../../packet/address.ts';
import type { Link } from '../evidence.ts';

// netdevice(7).
const FLAG_NAMES: readonly string[] = [
  ...['UP', 'BROADCAST', 'DEBUG', 'LOOPBACK', 'POINTOPOINT', 'NOTRAILERS', 'RUNNING', 'NOARP'],
  ...['PROMISC', 'ALLMULTI', 'MASTER', 'SLAVE', 'MULTICAST', 'PORTSEL', 'AUTOMEDIA', 'DYNAMIC'],
];
const SCOPE_LINK = 253;

/** @throws {SystemError} */
export function gatherLinks(netlink: Netlink): Link[] {
  const addresses = netlink.addresses();
  return netlink.links().map((link) =>
    describe(
      link,
      addresses.filter(({ linkIndex }) => linkIndex === link.index),
    ),
  );
}

function describe(link: KernelLink, addresses: readonly KernelAddress[]): Link {
  const { index, name, flags, isUp, mtu, kind, isPersistent } = link;
  return {
    index,
    name,
    flags: FLAG_NAMES.filter((_, bit) => (flags & (1 << bit)) !== 0),
    isUp,
    mtu,
    kind,
    isPersistent,
    addresses: addresses.map(({ address, prefixLength, peer, scope }) => ({
      address: formatAddress(address),
      length: prefixLength,
      destination: peer === null ? null : formatAddress(peer),
      isLinkLocal: scope === SCOPE_LINK,
    })),
  };
}
