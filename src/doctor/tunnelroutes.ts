/**
 * What the machine itself has of the tunnel: its inner addresses, the networks on it, and the routes
 * into it that somebody made. Pure.
 */

import type { Evidence, LinkAddress, Route } from './evidence.ts';
import { known } from './evidence.ts';
import { addressOf, covers, isGroup, isHost, isLinkLocal, lengthOf } from './prefix.ts';

function addressesOf(evidence: Evidence): readonly LinkAddress[] {
  const link = known(evidence.link);
  return (link?.addresses ?? []).filter(({ isLinkLocal: isOfLink }) => !isOfLink);
}

/** Without their lengths, and without those of the link alone. */
export function innerAddresses(evidence: Evidence): readonly string[] {
  return addressesOf(evidence).map(({ address }) => address);
}

/** Networks that an address of the interface brings along, as `10.99.0.0/24`; no single hosts. */
export function connectedNetworks(evidence: Evidence): readonly string[] {
  const own = addressesOf(evidence).map(({ address, length }) => `${address}/${length}`);
  return own.filter((one) => !isHost(one));
}

/**
 * Into the tunnel, beside those that come with its addresses or are of a link or a group. None where
 * it cannot be told which come with an address.
 */
export function tunnelRoutes(evidence: Evidence): readonly Route[] {
  if (!evidence.link.ok) return [];
  // Of IPv6 a single host has a route of its own, too.
  const own = addressesOf(evidence).map(({ address, length }) => `${address}/${length}`);
  const isConnected = ({ prefix }: Route): boolean =>
    own.some((one) => lengthOf(one) === lengthOf(prefix) && covers(one, prefix));
  return routesInto(evidence).filter((route) => !isConnected(route));
}

/** All routes into the tunnel that a packet to somewhere else may take. */
export function routesInto(evidence: Evidence): readonly Route[] {
  const { name } = evidence.run;
  return (known(evidence.table) ?? []).filter(({ link, type, prefix }) => {
    const isOfLink = isGroup(addressOf(prefix)) || isLinkLocal(addressOf(prefix));
    return link === name && type === 'unicast' && !isOfLink;
  });
}
