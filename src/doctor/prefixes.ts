/** Prefixes and addresses compared, as texts of evidence have them. Pure. */

import { type Prefix, parseAddress, parsePrefix } from '../packet/address.ts';

/** Whether every address of `inner` is one of `outer`. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  const { address, length } = outer;
  if (address.length !== inner.address.length || length > inner.length) return false;
  for (let bit = 0; bit < length; bit += 8) {
    const at = bit >> 3;
    const mask = 0xff00 >> Math.min(8, length - bit);
    if (((address[at] ^ inner.address[at]) & mask & 0xff) !== 0) return false;
  }
  return true;
}

/** Whether the address, or every one of the prefix, is in a prefix; false for what is neither. */
export function isWithin(inner: string, outer: string): boolean {
  const [one, other] = [parsePrefix(inner), parsePrefix(outer)];
  return one !== null && other !== null && covers(other, one);
}

/** 4 or 6; null for no address. */
export function familyOf(address: string): 4 | 6 | null {
  const bytes = parseAddress(address);
  return bytes === null ? null : bytes.length === 4 ? 4 : 6;
}
