/**
 * Packets that claim to be from us: what is answered comes from one of the machine's own addresses,
 * and nothing that a peer sends may. The kernel is told to take our answers although their source is
 * its own (accept_local), and would take a peer's just the same.
 *
 * A packet has been found to be from its peer's allowed IPs already, so only those of our addresses
 * count that lie in them: most peers have none, and cost two comparisons.
 */

import type { Prefix } from '../packet/address.ts';
import { IPV4_SOURCE_OFFSET, IPV6_SOURCE_OFFSET, ipVersion } from '../packet/ip.ts';
import { AllowedIps } from './allowedips.ts';
import type { Core } from './core.ts';
import { AddressSet } from './ownaddresses.ts';
import type { Peer } from './peer.ts';

/** Call when our addresses, or the allowed IPs of any peer, have changed. */
export function assignOwnAddresses(core: Core): void {
  for (const peer of core.ownSourceHolders) {
    peer.ownSources = null;
    peer.ownPrefixes = null;
  }
  core.ownSourceHolders.clear();
  const { all, localRoutes } = core.ownAddresses;
  for (const address of all) assignAddress(core, address);
  // One table for all peers: many may have a part of a prefix.
  const prefixes = new AllowedIps<true>();
  for (const route of localRoutes) {
    if (route.length === route.address.length * 8) assignAddress(core, route.address);
    else assignPrefix(core, route, prefixes);
  }
}

function assignAddress(core: Core, address: Uint8Array): void {
  const { allowedIps } = core;
  const peer =
    address.length === 4 ? allowedIps.lookup4(address, 0) : allowedIps.lookup6(address, 0);
  if (peer === null) return;
  peer.ownSources ??= new AddressSet();
  peer.ownSources.add(address);
  core.ownSourceHolders.add(peer);
}

function assignPrefix(core: Core, prefix: Prefix, prefixes: AllowedIps<true>): void {
  prefixes.insert(prefix, true);
  for (const peer of core.allowedIps.ownersWithin(prefix)) {
    peer.ownPrefixes = prefixes;
    core.ownSourceHolders.add(peer);
  }
}

/** Whether the packet, which is sound and from the peer's allowed IPs, claims to be from us. */
export function hasOwnSource(peer: Peer, bytes: Uint8Array, offset: number): boolean {
  const { ownSources, ownPrefixes } = peer;
  if (ownSources === null && ownPrefixes === null) return false;
  if (ipVersion(bytes, offset) === 4) {
    const at = offset + IPV4_SOURCE_OFFSET;
    return ownSources?.has4(bytes, at) || ownPrefixes?.lookup4(bytes, at) === true;
  }
  const at = offset + IPV6_SOURCE_OFFSET;
  return ownSources?.has6(bytes, at) || ownPrefixes?.lookup6(bytes, at) === true;
}
