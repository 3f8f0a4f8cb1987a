/**
 * IP packets and super-packets for the segmentation tests, built and cut in the plainest way: from a
 * description, byte by byte, every checksum computed from scratch. Shares no code with src.
 */

export interface PacketSpec {
  readonly version: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** TOS or traffic class. */
  readonly trafficClass: number;
  readonly ttl: number;
  readonly identification: number;
  /** IPv4's flags and fragment offset. */
  readonly fragment: number;
  readonly flowLabel: number;
  readonly ipOptions: readonly number[];
  /** IPv6 extension headers: type and bytes (a multiple of 8; the first is filled in). */
  readonly extensions: readonly { readonly type: number; readonly bytes: readonly number[] }[];
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  /** The low half of TCP's byte 12. */
  readonly reserved: number;
  readonly window: number;
  readonly urgent: number;
  readonly tcpOptions: readonly number[];
  readonly payload: number[];
}

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;

export const TIMESTAMPS = [1, 1, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7];

export function spec(changes: Partial<PacketSpec> = {}): PacketSpec {
  return {
    version: 4,
    protocol: 'tcp',
    source: 1,
    destination: 2,
    sourcePort: 40000,
    destinationPort: 443,
    trafficClass: 0,
    ttl: 64,
    identification: 7,
    fragment: 0x4000,
    flowLabel: 0x12345,
    ipOptions: [],
    extensions: [],
    sequence: 1000,
    acknowledgment: 77,
    flags: ACK,
    reserved: 0,
    window: 502,
    urgent: 0,
    tcpOptions: TIMESTAMPS,
    payload: [],
    ...changes,
  };
}

/** The one's complement sum of RFC 1071, two bytes at a time. */
export function plainSum(bytes: readonly number[] | Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    total += bytes[i] * 256 + (i + 1 < bytes.length ? bytes[i + 1] : 0);
    if (total > 0xffff) total -= 0xffff;
  }
  return total;
}

const two = (value: number): number[] => [(value >> 8) & 255, value & 255];
const four = (value: number): number[] => [...two(value >>> 16), ...two(value & 0xffff)];

function addresses(packet: PacketSpec): number[] {
  if (packet.version === 4) return [10, 0, 0, packet.source, 10, 0, 1, packet.destination];
  const prefix = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  return [...prefix, packet.source, ...prefix, packet.destination];
}

function transportHeader(packet: PacketSpec, checksum: number): number[] {
  const ports = [...two(packet.sourcePort), ...two(packet.destinationPort)];
  if (packet.protocol === 'udp') {
    return [...ports, ...two(8 + packet.payload.length), ...two(checksum)];
  }
  return [
    ...ports,
    ...four(packet.sequence),
    ...four(packet.acknowledgment),
    ((5 + packet.tcpOptions.length / 4) << 4) | packet.reserved,
    packet.flags,
    ...two(packet.window),
    ...two(checksum),
    ...two(packet.urgent),
    ...packet.tcpOptions,
  ];
}

export function pseudoHeader(packet: PacketSpec): number[] {
  const length = transportHeader(packet, 0).length + packet.payload.length;
  return [...addresses(packet), 0, packet.protocol === 'tcp' ? 6 : 17, ...four(length)];
}

/** The transport checksum as a host writes it. */
export function transportChecksum(packet: PacketSpec): number {
  const all = [...pseudoHeader(packet), ...transportHeader(packet, 0), ...packet.payload];
  const checksum = 0xffff - plainSum(all);
  return packet.protocol === 'udp' && checksum === 0 ? 0xffff : checksum;
}

/** The packet's bytes; `checksum` stands in for the right one where a test wants another. */
export function build(packet: PacketSpec, checksum = transportChecksum(packet)): Uint8Array {
  const transport = [...transportHeader(packet, checksum), ...packet.payload];
  const protocol = packet.protocol === 'tcp' ? 6 : 17;
  if (packet.version === 6) {
    const extensions = packet.extensions.flatMap(({ bytes }, i) => {
      const next = i + 1 < packet.extensions.length ? packet.extensions[i + 1].type : protocol;
      return [next, bytes.length / 8 - 1, ...bytes.slice(2)];
    });
    return Uint8Array.from([
      0x60 | (packet.trafficClass >> 4),
      ((packet.trafficClass & 15) << 4) | (packet.flowLabel >> 16),
      ...two(packet.flowLabel & 0xffff),
      ...two(extensions.length + transport.length),
      packet.extensions.length > 0 ? packet.extensions[0].type : protocol,
      packet.ttl,
      ...addresses(packet),
      ...extensions,
      ...transport,
    ]);
  }
  const header = (sum: number): number[] => [
    0x40 | (5 + packet.ipOptions.length / 4),
    packet.trafficClass,
    ...two(20 + packet.ipOptions.length + transport.length),
    ...two(packet.identification),
    ...two(packet.fragment),
    packet.ttl,
    protocol,
    ...two(sum),
    ...addresses(packet),
    ...packet.ipOptions,
  ];
  return Uint8Array.from([...header(0xffff - plainSum(header(0))), ...transport]);
}

export function transportOffset(packet: PacketSpec): number {
  if (packet.version === 4) return 20 + packet.ipOptions.length;
  return 40 + packet.extensions.reduce((length, { bytes }) => length + bytes.length, 0);
}

/** The packets for which a super-packet of this description and segment size stands. */
export function segments(packet: PacketSpec, size: number): PacketSpec[] {
  const all: PacketSpec[] = [];
  for (let at = 0; at < packet.payload.length; at += size) {
    const isLast = at + size >= packet.payload.length;
    let flags = packet.flags;
    if (at > 0) flags &= ~CWR;
    if (!isLast) flags &= ~(FIN | PSH);
    all.push({
      ...packet,
      identification: (packet.identification + all.length) & 0xffff,
      sequence: (packet.sequence + at) >>> 0,
      flags,
      payload: packet.payload.slice(at, at + size),
    });
  }
  return all;
}

export interface VirtioFields {
  flags: number;
  type: number;
  headerLength: number;
  size: number;
  start: number;
  field: number;
}

export function virtioHeader(fields: VirtioFields): number[] {
  const little = (value: number): number[] => [value & 255, value >> 8];
  return [
    fields.flags,
    fields.type,
    ...little(fields.headerLength),
    ...little(fields.size),
    ...little(fields.start),
    ...little(fields.field),
  ];
}

/** The virtio header with which the kernel hands over this super-packet. */
export function superFields(packet: PacketSpec, size: number): VirtioFields {
  const start = transportOffset(packet);
  const isTcp = packet.protocol === 'tcp';
  const type = isTcp ? (packet.version === 4 ? 1 : 4) : 5;
  return {
    flags: 1,
    type: type | (isTcp && packet.flags & CWR ? 0x80 : 0),
    headerLength: start + (isTcp ? 20 + packet.tcpOptions.length : 8),
    size,
    start,
    field: isTcp ? 16 : 6,
  };
}

/** The frame in which the kernel hands over a super-packet: the checksum left to be completed. */
export function superFrame(packet: PacketSpec, size: number): Uint8Array {
  const bytes = build(packet, plainSum(pseudoHeader(packet)));
  return Uint8Array.from([...virtioHeader(superFields(packet, size)), ...bytes]);
}

/** Numbers from a seed (mulberry32): `below(n)` is 0 to n - 1. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  oneIn(odds: number): boolean {
    return this.below(odds) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  bytes(length: number): number[] {
    return Array.from({ length }, () => this.below(256));
  }
}

/** The fixed seeds, and one that differs from run to run (it is printed where a test fails). */
export function seeds(count: number): number[] {
  const fresh = crypto.getRandomValues(new Uint32Array(1))[0];
  return [...Array.from({ length: count }, (_, i) => i + 1), fresh];
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
