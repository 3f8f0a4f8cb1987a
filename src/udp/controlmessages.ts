/**
 * What is said to the kernel beside a datagram (struct cmsghdr, in 32-bit words), above all where it
 * leaves: IP_PKTINFO and IPV6_PKTINFO, ip(7) and ipv6(7). Allocates nothing.
 */

import type { Endpoint } from '../device/endpoint.ts';
import { IP_PKTINFO, IPV6_PKTINFO, SOL_IP, SOL_IPV6 } from '../sys/linux.ts';

/**
 * Writes where a datagram to the endpoint leaves, if anything is to be said of that. Returns how many
 * words it took.
 *
 * @param isBound the socket has an address of its own, which is named by who names an interface
 */
export function putNearEnd(
  words: Int32Array,
  at: number,
  endpoint: Endpoint,
  isBound: boolean,
): number {
  const { exit, source: learnt, sourceInterface } = endpoint;
  const source = exit !== null ? exit.source : isBound ? null : learnt;
  if (source === null && exit === null) return 0;
  // The address alone, without an exit: naming the interface too would make the kernel assume that
  // the peer is on that link, once the route no longer goes there.
  const link = exit === null ? 0 : exit.link;
  if (endpoint.family === 4) {
    putControl(words, at, 12, SOL_IP, IP_PKTINFO);
    words[at + 4] = link;
    words[at + 5] = source === null ? 0 : loadWord(source, 0);
    words[at + 6] = 0;
    return 8;
  }
  putControl(words, at, 20, SOL_IPV6, IPV6_PKTINFO);
  for (let i = 0; i < 4; i++) words[at + 4 + i] = source === null ? 0 : loadWord(source, i * 4);
  // A link-local address means nothing without its link.
  const needsLink = exit === null && source !== null && isLinkLocal(source);
  words[at + 8] = needsLink ? sourceInterface : link;
  return 10;
}

/** The header of a control message that carries `length` bytes. */
export function putControl(
  words: Int32Array,
  at: number,
  length: number,
  level: number,
  type: number,
): void {
  words[at] = 16 + length;
  words[at + 1] = 0;
  words[at + 2] = level;
  words[at + 3] = type;
}

/** Four bytes of an address as they lie in memory. */
export function loadWord(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

function isLinkLocal(address: Uint8Array): boolean {
  return address[0] === 0xfe && (address[1] & 0xc0) === 0x80;
}
