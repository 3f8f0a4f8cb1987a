/**
 * Prefixes and addresses as evidence has them, in text, compared with each other. What is no prefix
 * covers nothing and lies in nothing. Pure.
 */

import { sameBytes } from '../bytes.ts';
import { maskAddress, type Prefix, parsePrefix } from '../packet/address.ts';

/** What was parsed already: causes compare the same few texts thousands of times. */
const parsed = new Map<string, Prefix | null>();

function prefixOf(text: string): Prefix | null {
  let prefix = parsed.get(text);
  if (prefix === undefined) {
    prefix = parsePrefix(text);
    parsed.set(text, prefix);
  }
  return prefix;
}

/** Whether every address of `inner`, a prefix or one address, lies in `outer`. */
export function covers(outer: string, inner: string): boolean {
  const [large, small] = [prefixOf(outer), prefixOf(inner)];
  return large !== null && small !== null && coversParsed(large, small);
}

export function overlap(one: string, other: string): boolean {
  return covers(one, other) || covers(other, one);
}

/** Whether every address of `inner` lies in one of `outers`, as in two halves of it. */
export function isCovered(inner: string, outers: readonly string[]): boolean {
  const small = prefixOf(inner);
  if (small === null) return false;
  return isCoveredParsed(
    small,
    outers.map(prefixOf).filter((one) => one !== null),
  );
}

export function familyOf(prefix: string): 4 | 6 {
  return prefix.includes(':') ? 6 : 4;
}

/** Bits; -1 of what is no prefix. */
export function lengthOf(prefix: string): number {
  return prefixOf(prefix)?.length ?? -1;
}

/** Of one address alone. */
export function isHost(prefix: string): boolean {
  return lengthOf(prefix) === (familyOf(prefix) === 4 ? 32 : 128);
}

/** What stands before the slash. */
export function addressOf(prefix: string): string {
  return prefix.split('/', 1)[0] ?? '';
}

/** `10.0.0.1` -> `10.0.0.1/32`. */
export function hostPrefix(address: string): string {
  return `${addressOf(address)}/${familyOf(address) === 4 ? 32 : 128}`;
}

/** To all of a link or a group: such packets are for nobody beyond the tunnel. */
export function isGroup(address: string): boolean {
  return covers('224.0.0.0/3', address) || covers('ff00::/8', address);
}

export function isLinkLocal(address: string): boolean {
  return covers('169.254.0.0/16', address) || covers('fe80::/10', address);
}

/** How many bits, from the first, two addresses or prefixes have in common; 0 of two families. */
export function commonLength(one: string, other: string): number {
  const bits = familyOf(one) === 4 ? 32 : 128;
  for (let length = bits; length > 0; length--) {
    if (covers(`${addressOf(one)}/${length}`, addressOf(other))) return length;
  }
  return 0;
}

function coversParsed(large: Prefix, small: Prefix): boolean {
  return (
    large.address.length === small.address.length &&
    large.length <= small.length &&
    sameBytes(maskAddress(small.address, large.length), large.address)
  );
}

function isCoveredParsed(small: Prefix, larges: readonly Prefix[]): boolean {
  if (larges.some((large) => coversParsed(large, small))) return true;
  const within = larges.filter((large) => coversParsed(small, large));
  if (within.length < 2) return false;
  const length = small.length + 1;
  const upper = small.address.slice();
  upper[small.length >> 3] |= 0x80 >> (small.length & 7);
  return [small.address, upper].every((address) => isCoveredParsed({ address, length }, within));
}

/** Link-local addresses and groups: a program that sends there names the interface, as OSPF does. */
const SCOPED: readonly string[] = ['fe80::/10', 'ff00::/8', '224.0.0.0/4'];

/** Whether no route is asked for the prefix, nor an address of the interface that goes with it. */
export function isScoped(prefix: string): boolean {
  return SCOPED.some((scope) => covers(scope, prefix));
}
