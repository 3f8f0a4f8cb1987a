/**
 * IPv4 and IPv6 headers: where the fields are, whether a header is sound, and the one field that a
 * tunnel changes, ECN.
 *
 * Works on (bytes, offset), allocates nothing, and looks no further than the fixed headers. What
 * takes no length takes a packet that passed `isSound`.
 */

import { updateChecksum } from './checksum.ts';

/** The longest IP packet, super-packets included. */
export const PACKET_BYTES_MAX = 65_535;

export const IPV4_ADDRESS_BYTES = 4;
export const IPV6_ADDRESS_BYTES = 16;

export const IPV4_HEADER_BYTES = 20;
export const IPV4_TRAFFIC_CLASS_OFFSET = 1;
export const IPV4_LENGTH_OFFSET = 2;
export const IPV4_FRAGMENT_OFFSET = 6;
export const IPV4_TTL_OFFSET = 8;
export const IPV4_PROTOCOL_OFFSET = 9;
export const IPV4_CHECKSUM_OFFSET = 10;
export const IPV4_SOURCE_OFFSET = 12;
export const IPV4_DESTINATION_OFFSET = 16;
/** Don't fragment, in the first byte at IPV4_FRAGMENT_OFFSET. */
export const IPV4_DONT_FRAGMENT = 0x40;

export const IPV6_HEADER_BYTES = 40;
export const IPV6_PAYLOAD_LENGTH_OFFSET = 4;
export const IPV6_NEXT_HEADER_OFFSET = 6;
export const IPV6_HOP_LIMIT_OFFSET = 7;
export const IPV6_SOURCE_OFFSET = 8;
export const IPV6_DESTINATION_OFFSET = 24;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;

/** 4 or 6 in a sound packet; any 4-bit number otherwise. */
export function ipVersion(bytes: Uint8Array, offset: number): number {
  return bytes[offset] >> 4;
}

/** The length of the whole packet by its own header; 0 when it is neither IPv4 nor IPv6. */
export function ipLength(bytes: Uint8Array, offset: number): number {
  switch (ipVersion(bytes, offset)) {
    case 4:
      return read16(bytes, offset + IPV4_LENGTH_OFFSET);
    case 6:
      return IPV6_HEADER_BYTES + read16(bytes, offset + IPV6_PAYLOAD_LENGTH_OFFSET);
    default:
      return 0;
  }
}

/**
 * Whether an IP packet with a sound header begins at `offset`, all of it within `available` bytes;
 * more may follow it (the tunnel's padding). The IPv4 header checksum is the receiving stack's to
 * verify, as in the kernel's WireGuard.
 */
export function isSound(bytes: Uint8Array, offset: number, available: number): boolean {
  if (available < IPV4_HEADER_BYTES) return false;
  switch (ipVersion(bytes, offset)) {
    case 4: {
      const headerLength = ipv4HeaderLength(bytes, offset);
      const length = ipLength(bytes, offset);
      return headerLength >= IPV4_HEADER_BYTES && length >= headerLength && length <= available;
    }
    case 6:
      return available >= IPV6_HEADER_BYTES && ipLength(bytes, offset) <= available;
    default:
      return false;
  }
}

/** Whether two sound packets are of one version and from one address. */
export function hasSameSource(view: DataView, offset: number, other: number): boolean {
  const version = view.getUint8(offset) >> 4;
  if (version !== view.getUint8(other) >> 4) return false;
  const start = version === 4 ? IPV4_SOURCE_OFFSET : IPV6_SOURCE_OFFSET;
  const end = start + (version === 4 ? IPV4_ADDRESS_BYTES : IPV6_ADDRESS_BYTES);
  for (let at = start; at < end; at += 4) {
    if (view.getInt32(offset + at) !== view.getInt32(other + at)) return false;
  }
  return true;
}

/** Length of an IPv4 header with its options. */
export function ipv4HeaderLength(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] & 0xf) * 4;
}

/** The byte of DSCP (upper 6 bits) and ECN (lower 2): IPv4's former TOS, IPv6's Traffic Class. */
export function readTrafficClass(bytes: Uint8Array, offset: number): number {
  if (ipVersion(bytes, offset) === 4) return bytes[offset + IPV4_TRAFFIC_CLASS_OFFSET];
  return ((bytes[offset] & 0xf) << 4) | (bytes[offset + 1] >> 4);
}

/** Writes the byte of DSCP and ECN, and keeps IPv4's header checksum as right as it was. */
export function writeTrafficClass(bytes: Uint8Array, offset: number, trafficClass: number): void {
  if (ipVersion(bytes, offset) === 4) {
    const before = read16(bytes, offset);
    const after = (before & 0xff00) | trafficClass;
    bytes[offset + IPV4_TRAFFIC_CLASS_OFFSET] = trafficClass;
    const at = offset + IPV4_CHECKSUM_OFFSET;
    write16(bytes, at, updateChecksum(read16(bytes, at), before, after));
    return;
  }
  bytes[offset] = (bytes[offset] & 0xf0) | (trafficClass >> 4);
  bytes[offset + 1] = ((trafficClass & 0xf) << 4) | (bytes[offset + 1] & 0xf);
}

// The four codepoints of RFC 3168 5.
export const ECN_NOT_ECT = 0;
export const ECN_ECT1 = 1;
export const ECN_ECT0 = 2;
export const ECN_CE = 3;
/** `decapsulateEcn`: the packet must be dropped. */
export const ECN_DROP = -1;

export function readEcn(bytes: Uint8Array, offset: number): number {
  return readTrafficClass(bytes, offset) & 3;
}

/** Sets the ECN codepoint and leaves DSCP alone. No write, no checksum work when it is there. */
export function writeEcn(bytes: Uint8Array, offset: number, codepoint: number): void {
  const trafficClass = readTrafficClass(bytes, offset);
  if ((trafficClass & 3) === codepoint) return;
  writeTrafficClass(bytes, offset, (trafficClass & 0xfc) | codepoint);
}

/**
 * The codepoint a packet leaves the tunnel with, given the arriving outer and inner ones (RFC 6040
 * 4.2, figure 4), or ECN_DROP. Whether the combination is one to warn about is not told: all but
 * the dropped one are passed on. (Entering the tunnel, normal mode copies the inner codepoint out.)
 */
export function decapsulateEcn(outer: number, inner: number): number {
  switch (inner) {
    case ECN_NOT_ECT:
      return outer === ECN_CE ? ECN_DROP : ECN_NOT_ECT;
    case ECN_ECT0:
      return outer === ECN_NOT_ECT ? ECN_ECT0 : outer;
    case ECN_ECT1:
      return outer === ECN_CE ? ECN_CE : ECN_ECT1;
    default:
      return ECN_CE;
  }
}

/** A 16-bit number in network order. */
export function read16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] << 8) | bytes[offset + 1];
}

export function write16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >> 8;
  bytes[offset + 1] = value & 0xff;
}
