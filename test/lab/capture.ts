/**
 * What passes on an interface: tcpdump writes pcap to a pipe, and this file reads it into packets.
 * Owns the pcap format and as much of IP as a test asks for; knows nothing of WireGuard.
 */

import { type Child, sleep } from './command.ts';
import type { Host } from './host.ts';

/** An IP packet as it was on the wire. Frames that are no IP have family 0. */
export interface CapturedPacket {
  readonly family: 0 | 4 | 6;
  /** Bytes of the frame, those not kept included. */
  readonly length: number;
  /** The DSCP and ECN byte. */
  readonly trafficClass: number;
  /** IP protocol number; for IPv6 the first next header. */
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  /** UDP and TCP only; 0 otherwise. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What follows the UDP header, or the IP header of any other protocol. */
  readonly payload: Buffer;
}

const PCAP_MAGIC_LE = 0xa1b2c3d4;
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const LINK_ETHERNET = 1;
const ETHERNET_HEADER_BYTES = 14;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const IPV6_HEADER_BYTES = 40;
const UDP_HEADER_BYTES = 8;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
/** Enough for headers and the beginning of what they carry. */
const KEPT_BYTES = 256;
const BUFFER_KIB = 16_384;
/** What tcpdump may be behind by. */
const SETTLE_MS = 100;

export class Capture {
  readonly #tcpdump: Child;

  private constructor(tcpdump: Child) {
    this.#tcpdump = tcpdump;
  }

  /**
   * @param filter in tcpdump's language; empty for everything
   * @param keptBytes of each frame
   */
  static async start(
    host: Host,
    ifname: string,
    filter = '',
    keptBytes = KEPT_BYTES,
  ): Promise<Capture> {
    const args = ['-i', ifname, '-U', '--immediate-mode', '-Z', 'root', '-w', '-'];
    args.push('-s', `${keptBytes}`, '-B', `${BUFFER_KIB}`);
    const tcpdump = host.spawn('tcpdump', filter === '' ? args : [...args, filter]);
    await tcpdump.waitForOutput(/listening on/);
    return new Capture(tcpdump);
  }

  /** What was captured so far. */
  get packets(): CapturedPacket[] {
    return parsePcap(this.#tcpdump.stdoutBytes);
  }

  /** Ends the capture once nothing new comes; rejects when the kernel had to leave packets out. */
  async stop(): Promise<CapturedPacket[]> {
    for (let size = -1; size !== this.#tcpdump.stdoutBytes.length; await sleep(SETTLE_MS)) {
      size = this.#tcpdump.stdoutBytes.length;
    }
    await this.#tcpdump.stop('SIGINT');
    const dropped = Number(/(\d+) packets? dropped by kernel/.exec(this.#tcpdump.stderr)?.[1] ?? 0);
    if (dropped > 0) throw new Error(`tcpdump: ${dropped} packets were not captured`);
    return this.packets;
  }
}

/** Reads a pcap stream, of which the last record may still be incomplete. */
function parsePcap(bytes: Buffer): CapturedPacket[] {
  const packets: CapturedPacket[] = [];
  if (bytes.length < FILE_HEADER_BYTES) return packets;
  if (bytes.readUInt32LE(0) !== PCAP_MAGIC_LE) throw new Error('pcap: not written on this machine');
  const isEthernet = bytes.readUInt32LE(20) === LINK_ETHERNET;
  let offset = FILE_HEADER_BYTES;
  while (offset + RECORD_HEADER_BYTES <= bytes.length) {
    const kept = bytes.readUInt32LE(offset + 8);
    const length = bytes.readUInt32LE(offset + 12);
    const frame = bytes.subarray(offset + RECORD_HEADER_BYTES, offset + RECORD_HEADER_BYTES + kept);
    if (frame.length < kept) break;
    packets.push(parseFrame(frame, length, isEthernet));
    offset += RECORD_HEADER_BYTES + kept;
  }
  return packets;
}

function parseFrame(frame: Buffer, length: number, isEthernet: boolean): CapturedPacket {
  if (!isEthernet) return parseIp(frame, length, frame[0] >> 4);
  const type = frame.readUInt16BE(ETHERNET_HEADER_BYTES - 2);
  const version = type === ETHERTYPE_IPV4 ? 4 : type === ETHERTYPE_IPV6 ? 6 : 0;
  return parseIp(frame.subarray(ETHERNET_HEADER_BYTES), length, version);
}

function parseIp(packet: Buffer, length: number, version: number): CapturedPacket {
  if (version === 4) {
    const header = (packet[0] & 0xf) * 4;
    return withPorts(packet.subarray(header), {
      family: 4,
      length,
      trafficClass: packet[1],
      protocol: packet[9],
      source: packet.subarray(12, 16).join('.'),
      destination: packet.subarray(16, 20).join('.'),
    });
  }
  if (version === 6) {
    return withPorts(packet.subarray(IPV6_HEADER_BYTES), {
      family: 6,
      length,
      trafficClass: (packet.readUInt16BE(0) >> 4) & 0xff,
      protocol: packet[6],
      source: ipv6Text(packet.subarray(8, 24)),
      destination: ipv6Text(packet.subarray(24, 40)),
    });
  }
  const nothing = { trafficClass: 0, protocol: 0, source: '', destination: '' };
  return { family: 0, length, ...nothing, sourcePort: 0, destinationPort: 0, payload: packet };
}

type PortlessPacket = Omit<CapturedPacket, 'sourcePort' | 'destinationPort' | 'payload'>;

function withPorts(body: Buffer, packet: PortlessPacket): CapturedPacket {
  const isUdp = packet.protocol === PROTOCOL_UDP;
  if ((!isUdp && packet.protocol !== PROTOCOL_TCP) || body.length < UDP_HEADER_BYTES) {
    return { ...packet, sourcePort: 0, destinationPort: 0, payload: body };
  }
  return {
    ...packet,
    sourcePort: body.readUInt16BE(0),
    destinationPort: body.readUInt16BE(2),
    payload: isUdp ? body.subarray(UDP_HEADER_BYTES) : body,
  };
}

/** Eight groups without compression, which is enough to compare with. */
function ipv6Text(address: Buffer): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(address.readUInt16BE(i).toString(16));
  return groups.join(':');
}
