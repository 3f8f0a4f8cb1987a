/** The near end of a datagram in an operator's text: an address of ours, or the name of an interface. */

import { sameBytes } from '../bytes.ts';
import { formatAddress, isMapped, parseAddress } from '../packet/address.ts';
import type { Near } from './ways.ts';

/** What a name of an interface may be; netlink says whether there is one. */
const INTERFACE_NAME = /^(?!\.{1,2}$)[^/:%\s\p{Cc}]{1,15}$/u;

/**
 * An address or the name of an interface, as formatNear writes it. null for what is neither, and for
 * an address that no datagram is sent from: of all hosts, of a group, or link-local, which means
 * nothing without its interface.
 */
export function parseNear(text: string): Near | null {
  const parsed = parseAddress(text);
  if (parsed === null) {
    return INTERFACE_NAME.test(text) ? { kind: 'interface', name: text } : null;
  }
  const address = isMapped(parsed) ? parsed.slice(12) : parsed;
  return isSendable(address) ? { kind: 'address', address } : null;
}

function isSendable(address: Uint8Array): boolean {
  if (address.every((octet) => octet === 0)) return false;
  if (address.length === 4) return address[0] < 224;
  const isLinkLocal = address[0] === 0xfe && (address[1] & 0xc0) === 0x80;
  return address[0] !== 0xff && !isLinkLocal;
}

export function formatNear(near: Near): string {
  return near.kind === 'address' ? formatAddress(near.address) : near.name;
}

export function sameNear(a: Near | null, b: Near | null): boolean {
  if (a === null || b === null) return a === b;
  if (a.kind === 'address') return b.kind === 'address' && sameBytes(a.address, b.address);
  return b.kind === 'interface' && a.name === b.name;
}
