/**
 * Which addresses are the machine's own in the network of the tunnel's interface, and from which of
 * them the sender of a packet can be answered that goes nowhere. Asks the kernel; the rules are
 * RFC 1812 4.3.2.4 (the interface's own), RFC 7600 (192.0.0.8 where it has none) and RFC 4443 2.2.
 */

import type { OwnAddresses } from '../device/ownaddresses.ts';
import { SystemError } from '../sys/libc.ts';
import type { LinkAddress, LocalRoute, Netlink } from './netlink.ts';

/** RFC 7600: the dummy address, for a router that has no IPv4 address to answer from. */
const IPV4_DUMMY = Uint8Array.of(192, 0, 0, 8);
const SCOPE_GLOBAL = 0;
const IFA_F_TENTATIVE = 0x40;
const IFA_F_DADFAILED = 0x08;

/**
 * null when they cannot be learnt, as while they keep changing; then those of before hold.
 *
 * @param linkIndex the interface's; 0 when it is in another network, where the kernel has forgotten
 * to take answers from us (accept_local), and so would take nobody else's
 * @param localRoutes what is delivered here by a route (localroutes.ts)
 */
export function gatherOwnAddresses(
  netlink: Netlink,
  linkIndex: number,
  localRoutes: readonly LocalRoute[],
): OwnAddresses | null {
  if (linkIndex === 0) return { all: [], localRoutes: [], answer4: null, answer6: null };
  try {
    // A link-local address is ours on its own link only.
    const isOurs = (one: LinkAddress | LocalRoute): boolean =>
      one.linkIndex === linkIndex || !isLinkLocal(one.address);
    const own = netlink.addresses().filter(isOurs);
    return {
      all: own.map(({ address }) => address),
      localRoutes: localRoutes.filter(isOurs),
      answer4: chooseIpv4(netlink, linkIndex, own),
      answer6: chooseIpv6(linkIndex, own),
    };
  } catch (error) {
    if (error instanceof SystemError) return null;
    throw error;
  }
}

/**
 * The first that the kernel would take out of the interface. It refuses its own address without
 * accept_local, and with rp_filter one that it would not send to through there.
 */
function chooseIpv4(
  netlink: Netlink,
  linkIndex: number,
  own: readonly LinkAddress[],
): Uint8Array | null {
  const v4 = own.filter(({ address }) => address.length === 4 && address[0] !== 127);
  const destination = v4[0]?.address;
  if (destination === undefined) return null;
  const first = v4.find((one) => one.linkIndex === linkIndex)?.address;
  const candidates = first === undefined ? [IPV4_DUMMY] : [first, IPV4_DUMMY];
  const isTaken = (source: Uint8Array): boolean =>
    netlink.getRoute({ destination, source, inputIndex: linkIndex }) !== null;
  return candidates.find(isTaken) ?? null;
}

/** The interface's own before others, one that is heard beyond the link before one that is not. */
function chooseIpv6(linkIndex: number, own: readonly LinkAddress[]): Uint8Array | null {
  const usable = own.filter(
    ({ address, flags }) =>
      address.length === 16 && (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) === 0,
  );
  const isOnLink = (one: LinkAddress): boolean => one.linkIndex === linkIndex;
  const isGlobal = (one: LinkAddress): boolean => one.scope === SCOPE_GLOBAL;
  const best =
    usable.find((one) => isOnLink(one) && isGlobal(one)) ??
    usable.find(isGlobal) ??
    usable.find(isOnLink);
  return best?.address ?? null;
}

function isLinkLocal(address: Uint8Array): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1] & 0xc0) === 0x80;
}
