/**
 * Values that are right by the letter and seldom what was meant: one line for each, which says what
 * they were taken for. They are carried out; who asked is told if it changes anything. Pure.
 */

import type { Prefix } from '../packet/address.ts';
import {
  broadcastOf,
  formatAddress,
  formatPrefix,
  maskAddress,
  parseAddress,
} from '../packet/address.ts';

/** @param text as it was typed, @param prefix what it was taken for */
export function prefixDoubt(text: string, prefix: Prefix): string | null {
  const slash = text.indexOf('/');
  if (slash < 0) {
    const network = networkDoubt(prefix.address);
    return network === null ? null : `${text}: ${network}`;
  }
  const typed = parseAddress(text.slice(0, slash));
  const isMasked = typed !== null && Buffer.compare(typed, prefix.address) !== 0;
  return isMasked ? `${text}: taken as ${formatPrefix(prefix)}` : null;
}

/** @param isLengthTyped whether the length was typed; otherwise it is the usual one */
export function addressDoubt(
  address: Uint8Array,
  length: number,
  isLengthTyped: boolean,
): string | null {
  const text = formatAddress(address);
  if (length === 0) return `${text}/0: every address there is becomes on-link in the tunnel`;
  if (address.length === 16) return null;
  if (isLengthTyped) return length < 31 ? edgeDoubt(address, length) : null;
  const network = networkDoubt(address);
  return network === null ? null : `${text}: ${network}`;
}

/** The first and the last address of a network of IPv4 are no machine's. */
function edgeDoubt(address: Uint8Array, length: number): string | null {
  const text = `${formatAddress(address)}/${length}`;
  if (Buffer.compare(maskAddress(address, length), address) === 0) {
    return `${text}: the address of the network itself; expected that of one machine in it`;
  }
  return Buffer.compare(broadcastOf(address, length), address) === 0
    ? `${text}: the broadcast address of the network; expected that of one machine in it`
    : null;
}

/** An address without a length that looks like that of a network; null for others. */
function networkDoubt(address: Uint8Array): string | null {
  let zeros = 0;
  while (zeros < address.length && address[address.length - 1 - zeros] === 0) zeros++;
  if (zeros === 0 || (address.length === 16 && zeros < 8)) return null;
  const text = formatAddress(address);
  const usual = address.length === 16 && zeros < 16 ? 64 : (address.length - zeros) * 8;
  return `taken as the single host ${text}/${address.length * 8}; a network needs its length, as in ${text}/${usual}`;
}
