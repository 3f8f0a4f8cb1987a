/**
 * ICMP and ICMPv6 errors that a tunnel sends back to the sender of a packet it cannot carry.
 *
 * Owns when an answer is allowed and what it looks like. Knows no interface: the address that it
 * comes from is handed in. Pacing is the caller's.
 */

import { checksum, pseudoHeaderSum } from './checksum.ts';
import {
  IPV4_CHECKSUM_OFFSET,
  IPV4_DESTINATION_OFFSET,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_HEADER_BYTES,
  IPV4_LENGTH_OFFSET,
  IPV4_PROTOCOL_OFFSET,
  IPV4_SOURCE_OFFSET,
  IPV4_TRAFFIC_CLASS_OFFSET,
  IPV4_TTL_OFFSET,
  IPV6_DESTINATION_OFFSET,
  IPV6_HEADER_BYTES,
  IPV6_HOP_LIMIT_OFFSET,
  IPV6_NEXT_HEADER_OFFSET,
  IPV6_PAYLOAD_LENGTH_OFFSET,
  IPV6_SOURCE_OFFSET,
  ipLength,
  ipVersion,
  ipv4HeaderLength,
  isSound,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  read16,
  write16,
} from './ip.ts';

/** Room that any answer fits into: the smallest MTU of IPv6 (RFC 4443 2.4 (c)). */
export const ICMP_ANSWER_BYTES_MAX = 1280;

const ICMP_HEADER_BYTES = 8;
/** RFC 1812 4.3.2.3: as much of the packet as makes a datagram of at most 576 bytes. */
const IPV4_ANSWER_BYTES_MAX = 576;
const HOPS = 64;
/** RFC 1812 4.3.2.5: precedence "internetwork control". */
const INTERNETWORK_CONTROL = 0xc0;

// Types and codes: RFC 792, RFC 4443.
const ICMP_DESTINATION_UNREACHABLE = 3;
const ICMP_HOST_UNREACHABLE = 1;
const ICMPV6_DESTINATION_UNREACHABLE = 1;
const ICMPV6_ADDRESS_UNREACHABLE = 3;
const ICMPV6_FIRST_INFORMATIONAL = 128;
const ICMPV6_REDIRECT = 137;

/** The fragment extension header (RFC 8200 4.5). */
const FRAGMENT = 44;

/** An address of ours, 4 or 16 bytes as the packet's; null where there is none: whom it was for. */
export type AnswerSource = Uint8Array | null;

/**
 * Answers the packet at `offset` of `bytes` (`length` bytes are there) with "host unreachable" or
 * "address unreachable", written to `out` at `outOffset`, where ICMP_ANSWER_BYTES_MAX bytes must be
 * free and not overlap the packet; `out` may be the same array. Returns the answer's length, or 0
 * when there is none: the packet is malformed, or of those that must not be answered.
 */
export function createUnreachable(
  bytes: Uint8Array,
  offset: number,
  length: number,
  out: Uint8Array,
  outOffset: number,
  source: AnswerSource,
): number {
  if (!mayAnswer(bytes, offset, length)) return 0;
  return ipVersion(bytes, offset) === 4
    ? writeIpv4Answer(bytes, offset, out, outOffset, source)
    : writeIpv6Answer(bytes, offset, out, outOffset, source);
}

function mayAnswer(bytes: Uint8Array, offset: number, length: number): boolean {
  if (!isSound(bytes, offset, length)) return false;
  return ipVersion(bytes, offset) === 4
    ? mayAnswerIpv4(bytes, offset)
    : mayAnswerIpv6(bytes, offset);
}

/** RFC 1122 3.2.2. A broadcast to a subnet cannot be told from a unicast here. */
function mayAnswerIpv4(bytes: Uint8Array, offset: number): boolean {
  if (!isIpv4Host(bytes[offset + IPV4_SOURCE_OFFSET])) return false;
  if (!isIpv4Host(bytes[offset + IPV4_DESTINATION_OFFSET])) return false;
  if ((read16(bytes, offset + IPV4_FRAGMENT_OFFSET) & 0x1fff) !== 0) return false;
  if (bytes[offset + IPV4_PROTOCOL_OFFSET] !== PROTOCOL_ICMP) return true;
  const header = ipv4HeaderLength(bytes, offset);
  return header < ipLength(bytes, offset) && isIcmpQuery(bytes[offset + header]);
}

/** Not 0/8, loopback, multicast, class E or the limited broadcast, by the first octet. */
function isIpv4Host(octet: number): boolean {
  return octet !== 0 && octet !== 127 && octet < 224;
}

/** Queries and their replies. A type that is none of these may be an error. */
function isIcmpQuery(type: number): boolean {
  return type === 0 || (type >= 8 && type <= 10) || (type >= 13 && type <= 18);
}

/**
 * RFC 4443 2.4 (e). Its exceptions for multicast destinations are not made: without an address of
 * our own the destination would be the answer's source.
 */
function mayAnswerIpv6(bytes: Uint8Array, offset: number): boolean {
  if (!isIpv6Host(bytes, offset + IPV6_SOURCE_OFFSET)) return false;
  if (!isIpv6Host(bytes, offset + IPV6_DESTINATION_OFFSET)) return false;
  const end = offset + ipLength(bytes, offset);
  let header = bytes[offset + IPV6_NEXT_HEADER_OFFSET];
  let at = offset + IPV6_HEADER_BYTES;
  for (let shift = extensionShift(header); shift > 0; shift = extensionShift(header)) {
    if (at + 8 > end) return false;
    // RFC 8200 4.5: the fragment's offset is the upper 13 bits of its second 16.
    if (header === FRAGMENT && (read16(bytes, at + 2) & 0xfff8) !== 0) return false;
    const units = header === FRAGMENT ? 0 : bytes[at + 1];
    header = bytes[at];
    at += 8 + (units << shift);
  }
  if (header !== PROTOCOL_ICMPV6) return true;
  const type = bytes[at];
  return at < end && type >= ICMPV6_FIRST_INFORMATIONAL && type !== ICMPV6_REDIRECT;
}

/** By how much an extension header's length field is shifted to bytes; 0 when it is none. */
function extensionShift(header: number): number {
  switch (header) {
    case 0: // hop-by-hop options
    case 43: // routing
    case FRAGMENT:
    case 60: // destination options
    case 135: // mobility
    case 139: // host identity
    case 140: // shim6
      return 3;
    case 51: // authentication, in units of 4 bytes (RFC 4302 2.2)
      return 2;
    default:
      return 0;
  }
}

/** Not multicast, unspecified or loopback. */
function isIpv6Host(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] === 0xff) return false;
  for (let i = 0; i < 15; i++) if (bytes[at + i] !== 0) return true;
  return bytes[at + 15] > 1;
}

function writeIpv4Answer(
  bytes: Uint8Array,
  offset: number,
  out: Uint8Array,
  outOffset: number,
  source: AnswerSource,
): number {
  const icmp = outOffset + IPV4_HEADER_BYTES;
  const room = IPV4_ANSWER_BYTES_MAX - IPV4_HEADER_BYTES - ICMP_HEADER_BYTES;
  const quoted = Math.min(ipLength(bytes, offset), room);
  const length = IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + quoted;

  // The identification may stay 0: a datagram with DF is never fragmented (RFC 6864 4.1).
  out.fill(0, outOffset, icmp);
  out[outOffset] = 0x45;
  out[outOffset + IPV4_TRAFFIC_CLASS_OFFSET] = INTERNETWORK_CONTROL;
  write16(out, outOffset + IPV4_LENGTH_OFFSET, length);
  out[outOffset + IPV4_FRAGMENT_OFFSET] = IPV4_DONT_FRAGMENT;
  out[outOffset + IPV4_TTL_OFFSET] = HOPS;
  out[outOffset + IPV4_PROTOCOL_OFFSET] = PROTOCOL_ICMP;
  if (source !== null) copy(source, 0, out, outOffset + IPV4_SOURCE_OFFSET, 4);
  else copy(bytes, offset + IPV4_DESTINATION_OFFSET, out, outOffset + IPV4_SOURCE_OFFSET, 4);
  copy(bytes, offset + IPV4_SOURCE_OFFSET, out, outOffset + IPV4_DESTINATION_OFFSET, 4);
  write16(out, outOffset + IPV4_CHECKSUM_OFFSET, checksum(out, outOffset, IPV4_HEADER_BYTES));

  writeIcmpHeader(out, icmp, ICMP_DESTINATION_UNREACHABLE, ICMP_HOST_UNREACHABLE);
  copy(bytes, offset, out, icmp + ICMP_HEADER_BYTES, quoted);
  write16(out, icmp + 2, checksum(out, icmp, ICMP_HEADER_BYTES + quoted));
  return length;
}

function writeIpv6Answer(
  bytes: Uint8Array,
  offset: number,
  out: Uint8Array,
  outOffset: number,
  source: AnswerSource,
): number {
  const icmp = outOffset + IPV6_HEADER_BYTES;
  const room = ICMP_ANSWER_BYTES_MAX - IPV6_HEADER_BYTES - ICMP_HEADER_BYTES;
  const quoted = Math.min(ipLength(bytes, offset), room);
  const payload = ICMP_HEADER_BYTES + quoted;

  out.fill(0, outOffset, icmp);
  out[outOffset] = 0x60;
  write16(out, outOffset + IPV6_PAYLOAD_LENGTH_OFFSET, payload);
  out[outOffset + IPV6_NEXT_HEADER_OFFSET] = PROTOCOL_ICMPV6;
  out[outOffset + IPV6_HOP_LIMIT_OFFSET] = HOPS;
  if (source !== null) copy(source, 0, out, outOffset + IPV6_SOURCE_OFFSET, 16);
  else copy(bytes, offset + IPV6_DESTINATION_OFFSET, out, outOffset + IPV6_SOURCE_OFFSET, 16);
  copy(bytes, offset + IPV6_SOURCE_OFFSET, out, outOffset + IPV6_DESTINATION_OFFSET, 16);

  writeIcmpHeader(out, icmp, ICMPV6_DESTINATION_UNREACHABLE, ICMPV6_ADDRESS_UNREACHABLE);
  copy(bytes, offset, out, icmp + ICMP_HEADER_BYTES, quoted);
  const pseudo = pseudoHeaderSum(out, outOffset, PROTOCOL_ICMPV6, payload);
  write16(out, icmp + 2, checksum(out, icmp, payload, pseudo));
  return IPV6_HEADER_BYTES + payload;
}

/** The first 8 bytes, the checksum still zero; the second four are unused. */
function writeIcmpHeader(out: Uint8Array, at: number, type: number, code: number): void {
  out[at] = type;
  out[at + 1] = code;
  out.fill(0, at + 2, at + ICMP_HEADER_BYTES);
}

/** A loop, because `set` would need a `subarray` and answers may be many. */
function copy(from: Uint8Array, at: number, to: Uint8Array, toAt: number, length: number): void {
  for (let i = 0; i < length; i++) to[toAt + i] = from[at + i];
}
