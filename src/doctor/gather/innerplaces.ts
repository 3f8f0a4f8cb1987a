/** Which inner addresses a peer is likely to answer at, and how that is known. Pure. */

import {
  broadcastOf,
  formatAddress,
  maskAddress,
  parseAddress,
  parsePrefix,
} from '../../packet/address.ts';
import type { Link, OtherEnd, Ping } from '../evidence.ts';
import { covers } from '../prefix.ts';

export interface InnerPlace {
  readonly destination: string;
  readonly known: Ping['known'];
}

interface PeerOf {
  readonly publicKey: string;
  readonly allowedIps: readonly string[];
}

/** At most one of each family: the best known one that the peer is allowed. */
export function innerPlaces(peer: PeerOf, link: Link, other: OtherEnd | null): InnerPlace[] {
  const isAllowed = (address: string): boolean =>
    peer.allowedIps.some((prefix) => covers(prefix, address));
  const own = new Set(link.addresses.map(({ address }) => address));
  const candidates: InnerPlace[] = [
    ...(other?.publicKey === peer.publicKey ? other.addresses : []).map((text) => ({
      destination: text.split('/', 1)[0],
      known: 'other' as const,
    })),
    ...link.addresses.flatMap(({ destination }) =>
      destination === null ? [] : [{ destination, known: 'destination' as const }],
    ),
    ...peer.allowedIps.flatMap(hostOf),
    ...link.addresses.flatMap(({ address, length }) => neighbours(address, length)),
  ];
  const fit = candidates.filter(
    ({ destination }) => isAllowed(destination) && !own.has(destination),
  );
  return [4, 16].flatMap((bytes) => {
    const first = fit.find(({ destination }) => parseAddress(destination)?.length === bytes);
    return first === undefined ? [] : [first];
  });
}

/** Of a prefix that is a single host. */
function hostOf(text: string): InnerPlace[] {
  const prefix = parsePrefix(text);
  if (prefix === null || prefix.length !== prefix.address.length * 8) return [];
  return [{ destination: formatAddress(prefix.address), known: 'allowedIp' }];
}

/**
 * In the network of an address of ours: its first host, and the other one where there are but two. Not
 * of link-local addresses, which are made, not counted: a router may send back what is for nobody.
 */
function neighbours(text: string, length: number): InnerPlace[] {
  const address = parseAddress(text);
  if (address === null || length >= address.length * 8 || length === 0) return [];
  if (covers('fe80::/10', text)) return [];
  const first = maskAddress(address, length);
  const last = broadcastOf(address, length);
  const isPair = length === address.length * 8 - 1;
  const isFour = length === address.length * 8 - 2;
  const step = (from: Uint8Array, by: number): Uint8Array => {
    const to = from.slice();
    to[to.length - 1] += by;
    return to;
  };
  const hosts = isPair ? [first, last] : [step(first, 1), ...(isFour ? [step(first, 2)] : [])];
  return hosts.map((host) => ({ destination: formatAddress(host), known: 'guess' }));
}

/** An address within a prefix that a packet could be for: none of ours, nor the network's own. */
export function sampleOf(text: string, own: ReadonlySet<string>): string | null {
  const prefix = parsePrefix(text);
  if (prefix === null) return null;
  const { address, length } = prefix;
  const bits = address.length * 8;
  if (length === bits) return formatAddress(address);
  // Of a default route somebody far away: RFC 5737 and RFC 3849 would be nobody's.
  const base = length === 0 ? (bits === 32 ? [1, 0, 0, 0] : [0x20, 0x01, 0x04, 0x70]) : [];
  const start = address.slice();
  start.set(base);
  for (let host = length === bits - 1 ? 0 : 1; host < 4; host++) {
    const candidate = start.slice();
    candidate[candidate.length - 1] |= host;
    const found = formatAddress(candidate);
    if (!own.has(found) && covers(text, found)) return found;
  }
  return formatAddress(start);
}
