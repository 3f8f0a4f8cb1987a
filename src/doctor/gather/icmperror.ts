/**
 * ICMP and ICMPv6 errors as they come off a raw socket, and what they mean (RFC 792, RFC 1812 5.2.7,
 * RFC 4443). The bytes are anybody's: what is cut short or no error is null, and nothing is thrown.
 */

import type { IcmpMeaning } from '../evidence.ts';

const PROTOCOL_UDP = 17;
const ICMP_HEADER_BYTES = 8;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
/** The ports, which an error has to quote (RFC 1122 3.2.2). */
const PORTS_BYTES = 4;

const ICMP_UNREACHABLE = 3;
const ICMP_TIME_EXCEEDED = 11;
const ICMPV6_UNREACHABLE = 1;
const ICMPV6_TOO_BIG = 2;
const ICMPV6_TIME_EXCEEDED = 3;

/** By the codes of ICMP's "destination unreachable"; 9, 10 and 13 are administrative. */
const UNREACHABLE: readonly IcmpMeaning[] = [
  ...(['networkUnreachable', 'hostUnreachable', 'other', 'portUnreachable', 'tooBig'] as const),
  ...(['other', 'networkUnreachable', 'hostUnreachable', 'hostUnreachable'] as const),
  ...(['prohibited', 'prohibited', 'networkUnreachable', 'hostUnreachable'] as const),
  'prohibited',
];
const UNREACHABLE_V6: readonly IcmpMeaning[] = [
  ...(['networkUnreachable', 'prohibited', 'networkUnreachable', 'hostUnreachable'] as const),
  ...(['portUnreachable', 'prohibited', 'networkUnreachable'] as const),
];

/** An error and the beginning of the packet that it is about. Addresses are copies. */
export interface ParsedError {
  readonly type: number;
  readonly code: number;
  readonly meaning: IcmpMeaning;
  /** Bytes, of `tooBig`; 0 where it is not told. */
  readonly mtu: number;
  /** 17 for UDP, 1 and 58 for ICMP. */
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** The first four bytes after the quoted header: the ports of UDP. */
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export function meaningOf(family: 4 | 6, type: number, code: number): IcmpMeaning {
  if (family === 4) {
    if (type === ICMP_TIME_EXCEEDED) return 'timeExceeded';
    return type === ICMP_UNREACHABLE ? (UNREACHABLE[code] ?? 'other') : 'other';
  }
  if (type === ICMPV6_TOO_BIG) return 'tooBig';
  if (type === ICMPV6_TIME_EXCEEDED) return 'timeExceeded';
  return type === ICMPV6_UNREACHABLE ? (UNREACHABLE_V6[code] ?? 'other') : 'other';
}

/** @param packet from its IPv4 header on, as a raw socket gives it */
export function parseIcmpError(packet: Uint8Array): ParsedError | null {
  if (packet.length < IPV4_HEADER_BYTES) return null;
  const header = (packet[0] & 0x0f) * 4;
  return header < IPV4_HEADER_BYTES ? null : parseError(4, packet.subarray(header));
}

/** @param message from its ICMPv6 header on, as a raw socket gives it */
export function parseIcmpv6Error(message: Uint8Array): ParsedError | null {
  return parseError(6, message);
}

function parseError(family: 4 | 6, message: Uint8Array): ParsedError | null {
  if (message.length < ICMP_HEADER_BYTES) return null;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const [type, code] = message;
  const isError =
    family === 4 ? type === ICMP_UNREACHABLE || type === ICMP_TIME_EXCEEDED : type >= 1 && type < 4;
  const quoted = isError ? parseQuoted(family, message.subarray(ICMP_HEADER_BYTES)) : null;
  if (quoted === null) return null;
  const meaning = meaningOf(family, type, code);
  const mtu = family === 4 ? view.getUint16(6, false) : view.getUint32(4, false);
  return { type, code, meaning, mtu: meaning === 'tooBig' ? mtu : 0, ...quoted };
}

function parseQuoted(
  family: 4 | 6,
  packet: Uint8Array,
): Omit<ParsedError, 'type' | 'code' | 'meaning' | 'mtu'> | null {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  if (packet.length < (family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES)) return null;
  if (packet[0] >> 4 !== family) return null;
  const header = family === 4 ? (packet[0] & 0x0f) * 4 : IPV6_HEADER_BYTES;
  if (header < IPV4_HEADER_BYTES || packet.length < header + PORTS_BYTES) return null;
  const [at, length] = family === 4 ? [12, 4] : [8, 16];
  return {
    protocol: packet[family === 4 ? 9 : 6],
    source: packet.slice(at, at + length),
    destination: packet.slice(at + length, at + 2 * length),
    sourcePort: view.getUint16(header, false),
    destinationPort: view.getUint16(header + 2, false),
  };
}

export function isOfUdp({ protocol }: ParsedError): boolean {
  return protocol === PROTOCOL_UDP;
}
