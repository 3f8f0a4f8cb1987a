/**
 * Ethernet frames around UDP datagrams, from whatever address the attacker likes: a packet socket
 * sends them as they are, so that no two need to come from the same source. Pure.
 */

import { checksum, fold, sum } from '../../src/packet/checksum.ts';
import { type Random, randomAddress4, randomPrefix6 } from './sources.ts';

/** From one interface to another, as they lie on the cable. */
export interface Way {
  /** Six bytes each. */
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
}

export interface Datagram {
  /** 4 or 16 bytes; both of the same length. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP_BYTES = 8;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const PROTOCOL_UDP = 17;
const HOP_LIMIT = 64;

export function buildFrame(way: Way, datagram: Datagram): Uint8Array {
  const isV4 = datagram.source.length === 4;
  const udpAt = ETHERNET_BYTES + (isV4 ? IPV4_BYTES : IPV6_BYTES);
  const udpLength = UDP_BYTES + datagram.payload.length;
  const frame = new Uint8Array(udpAt + udpLength);
  const view = new DataView(frame.buffer);
  frame.set(way.destinationMac, 0);
  frame.set(way.sourceMac, 6);
  view.setUint16(12, isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  view.setUint16(udpAt, datagram.sourcePort);
  view.setUint16(udpAt + 2, datagram.destinationPort);
  view.setUint16(udpAt + 4, udpLength);
  frame.set(datagram.payload, udpAt + UDP_BYTES);
  if (isV4) putIpv4(frame, view, datagram, udpLength);
  else putIpv6(frame, view, datagram, udpLength);
  return frame;
}

/** Without a UDP checksum, which IPv4 allows and which spares the receiver its work. */
function putIpv4(frame: Uint8Array, view: DataView, datagram: Datagram, udpLength: number): void {
  const at = ETHERNET_BYTES;
  frame[at] = 0x45;
  view.setUint16(at + 2, IPV4_BYTES + udpLength);
  frame[at + 8] = HOP_LIMIT;
  frame[at + 9] = PROTOCOL_UDP;
  frame.set(datagram.source, at + 12);
  frame.set(datagram.destination, at + 16);
  view.setUint16(at + 10, checksum(frame, at, IPV4_BYTES));
}

function putIpv6(frame: Uint8Array, view: DataView, datagram: Datagram, udpLength: number): void {
  const at = ETHERNET_BYTES;
  frame[at] = 0x60;
  view.setUint16(at + 4, udpLength);
  frame[at + 6] = PROTOCOL_UDP;
  frame[at + 7] = HOP_LIMIT;
  frame.set(datagram.source, at + 8);
  frame.set(datagram.destination, at + 24);
  const udpAt = at + IPV6_BYTES;
  // RFC 8200 8.1: the pseudo-header is both addresses, the length and the protocol.
  const pseudo = sum(frame, at + 8, 32) + udpLength + PROTOCOL_UDP;
  // 0 would mean that there is none.
  view.setUint16(udpAt + 6, checksum(frame, udpAt, udpLength, pseudo) || 0xffff);
}

/**
 * Gives the frame at `at` another source address, any that there is, and puts its checksum right
 * (RFC 1624 3): of IPv4 the header's, of IPv6 that of UDP.
 */
export function forgeSource(bytes: DataView, at: number, random: Random): void {
  const ipAt = at + ETHERNET_BYTES;
  if (bytes.getUint16(ipAt - 2) === ETHERTYPE_IPV4) {
    const change = replaceWord(bytes, ipAt + 12, randomAddress4(random));
    changeChecksum(bytes, ipAt + 10, change);
    return;
  }
  let change = replaceWord(bytes, ipAt + 8, randomPrefix6(random));
  for (let word = 12; word < 24; word += 4) change += replaceWord(bytes, ipAt + word, random());
  changeChecksum(bytes, ipAt + IPV6_BYTES + 6, change);
  // 0 would mean that there is none.
  if (bytes.getUint16(ipAt + IPV6_BYTES + 6) === 0) {
    bytes.setUint16(ipAt + IPV6_BYTES + 6, 0xffff);
  }
}

/** By how much the one's complement sum over these 32 bits grows; not folded. */
function replaceWord(bytes: DataView, at: number, value: number): number {
  const before = bytes.getUint32(at);
  bytes.setUint32(at, value);
  const taken = (~(before >>> 16) & 0xffff) + (~before & 0xffff);
  return taken + (value >>> 16) + (value & 0xffff);
}

function changeChecksum(bytes: DataView, at: number, change: number): void {
  bytes.setUint16(at, ~fold((~bytes.getUint16(at) & 0xffff) + change) & 0xffff);
}

/** Frames one behind the other, each behind its length in two bytes: for a file. */
export function joinFrames(frames: readonly Uint8Array[]): Uint8Array {
  const length = frames.reduce((total, frame) => total + 2 + frame.length, 0);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const frame of frames) {
    view.setUint16(at, frame.length);
    bytes.set(frame, at + 2);
    at += 2 + frame.length;
  }
  return bytes;
}

/** Where each frame of joined ones begins, and how long it is. */
export function* framesIn(bytes: Uint8Array): Generator<{ offset: number; length: number }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint16(at);
    yield { offset: at + 2, length };
    at += 2 + length;
  }
}
