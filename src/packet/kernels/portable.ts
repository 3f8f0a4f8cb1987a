/**
 * The kernels in plain JavaScript: for machines without WebAssembly SIMD, and the check on the
 * others. They do the same to the last byte; `kernels.ts` says what that is.
 */

import type { Arena } from '../../arena.ts';
import { fold, sum } from '../checksum.ts';
import { PROTOCOL_TCP, PROTOCOL_UDP } from '../ip.ts';
import type { Kernels } from './kernels.ts';
import {
  LONE,
  OPAQUE,
  RECORD_ADDRESS_HASH,
  RECORD_BLANKED_HEADER,
  RECORD_BYTES,
  RECORD_FLOW_HASH,
  RECORD_HEADER_LENGTH,
  RECORD_IDENTIFICATION,
  RECORD_PAYLOAD_LENGTH,
  RECORD_PUSH,
  RECORD_SEQUENCE,
  RECORD_TRANSPORT,
  TCP,
  UDP,
} from './record.ts';

const FIN = 0x01;
const PSH = 0x08;
const ACK = 0x10;
const ECE = 0x40;
const CWR = 0x80;
const HASH_MULTIPLIER = 0x9e3779b1;

export function createPortableKernels(arena: Arena): Kernels {
  const { bytes, view } = arena;
  const copy: Kernels['copy'] = (to, from, length) => {
    bytes.copyWithin(to, from, from + length);
  };
  return {
    name: 'portable',
    sum: (offset, length, initial) => sum(bytes, offset, length, fold(initial)),
    copy,
    segment: (...parameters) => segment(bytes, view, ...parameters),
    inspect: (packet, length, record, mergeUdp) =>
      inspect(bytes, view, packet, length, record, mergeUdp),
    sameHeaders: (record, other) => sameHeaders(view, record, other),
  };
}

type SegmentParameters = Parameters<Kernels['segment']>;

function segment(bytes: Uint8Array, view: DataView, ...parameters: SegmentParameters): void {
  const [source, transport, headerLength, payloadLength, segmentSize, target, stride] = parameters;
  const [, , , , , , , isIpv6, isUdp, pseudoSum] = parameters;
  const identification = view.getUint16(source + 4);
  const sequence = view.getUint32(source + transport + 4);
  const flags = bytes[source + transport + 13];
  let packet = target;
  let done = 0;
  for (let i = 0; ; i++) {
    const length = Math.min(segmentSize, payloadLength - done);
    const isLast = done + length === payloadLength;
    bytes.copyWithin(packet, source, source + headerLength);
    const payload = source + headerLength + done;
    bytes.copyWithin(packet + headerLength, payload, payload + length);

    const at = packet + transport;
    const transportLength = headerLength - transport + length;
    const checksumAt = at + (isUdp ? 6 : 16);
    view.setUint16(checksumAt, 0);
    if (isUdp) {
      view.setUint16(at + 4, transportLength);
    } else {
      view.setUint32(at + 4, sequence + done);
      bytes[at + 13] = flags & ~(i > 0 ? CWR : 0) & ~(isLast ? 0 : FIN | PSH);
    }
    const checksum = ~sum(bytes, at, transportLength, fold(pseudoSum + transportLength)) & 0xffff;
    // RFC 768: a sum of zero is sent as all ones.
    view.setUint16(checksumAt, isUdp && checksum === 0 ? 0xffff : checksum);

    if (isIpv6) {
      view.setUint16(packet + 4, headerLength - 40 + length);
    } else {
      view.setUint16(packet + 2, headerLength + length);
      view.setUint16(packet + 4, identification + i);
      view.setUint16(packet + 10, 0);
      view.setUint16(packet + 10, ~sum(bytes, packet, transport));
    }
    if (isLast) return;
    done += length;
    packet += stride;
  }
}

function inspect(
  bytes: Uint8Array,
  view: DataView,
  packet: number,
  length: number,
  record: number,
  mergeUdp: 0 | 1,
): number {
  bytes.fill(0, record, record + RECORD_BYTES);
  const version = length < 20 ? 0 : bytes[packet] >> 4;
  if (version !== 4 && (version !== 6 || length < 40)) return OPAQUE;
  const isIpv6 = version === 6;
  const transport = isIpv6 ? 40 : 20;
  const protocol = bytes[packet + (isIpv6 ? 6 : 9)];
  const addresses = packet + (isIpv6 ? 8 : 12);
  const addressesLength = isIpv6 ? 32 : 8;
  const addressHash = hashWords(view, version, addresses, addressesLength);
  view.setUint32(record + RECORD_ADDRESS_HASH, addressHash, true);
  const isPlain = isIpv6
    ? view.getUint16(packet + 4) === length - 40
    : isPlainIpv4(bytes, view, packet, length);
  const isTcp = protocol === PROTOCOL_TCP;
  if (!isPlain || (!isTcp && protocol !== PROTOCOL_UDP)) return OPAQUE;
  if (length < transport + (isTcp ? 20 : 8)) return OPAQUE;
  const at = packet + transport;
  const flowHash = mix(mix(addressHash, view.getUint32(at, true)), protocol);
  view.setUint32(record + RECORD_FLOW_HASH, flowHash, true);

  const transportLength = length - transport;
  const headerLength = transport + (isTcp ? (bytes[at + 12] >> 4) << 2 : 8);
  if (isTcp) {
    if (headerLength < transport + 20 || (bytes[at + 13] & ~(PSH | ECE)) !== ACK) return LONE;
    if (view.getUint16(at + 16) === 0xffff) return LONE;
  } else {
    if (mergeUdp === 0 || view.getUint16(at + 6) === 0) return LONE;
    if (view.getUint16(at + 4) !== transportLength) return LONE;
  }
  if (headerLength >= length) return LONE;
  const pseudo = sum(bytes, addresses, addressesLength, fold(protocol + transportLength));
  if (sum(bytes, at, transportLength, pseudo) !== 0xffff) return LONE;

  view.setUint32(record + RECORD_HEADER_LENGTH, headerLength, true);
  view.setUint32(record + RECORD_PAYLOAD_LENGTH, length - headerLength, true);
  view.setUint32(record + RECORD_SEQUENCE, isTcp ? view.getUint32(at + 4) : 0, true);
  view.setUint32(record + RECORD_IDENTIFICATION, isIpv6 ? 0 : view.getUint16(packet + 4), true);
  view.setUint32(record + RECORD_PUSH, isTcp ? bytes[at + 13] & PSH : 0, true);
  view.setUint32(record + RECORD_TRANSPORT, transport, true);
  const blanked = record + RECORD_BLANKED_HEADER;
  bytes.copyWithin(blanked, packet, packet + headerLength);
  if (isIpv6) {
    view.setUint16(blanked + 4, 0);
  } else {
    view.setUint32(blanked + 2, 0);
    view.setUint16(blanked + 10, 0);
  }
  view.setUint32(blanked + transport + 4, 0);
  if (isTcp) {
    bytes[blanked + transport + 13] &= ~PSH;
    view.setUint16(blanked + transport + 16, 0);
  }
  return isTcp ? TCP : UDP;
}

/** Without options, whole, no fragment, and with the only checksum a resegmentation writes. */
function isPlainIpv4(bytes: Uint8Array, view: DataView, packet: number, length: number): boolean {
  return (
    bytes[packet] === 0x45 &&
    view.getUint16(packet + 2) === length &&
    (view.getUint16(packet + 6) & 0xbfff) === 0 &&
    view.getUint16(packet + 10) !== 0xffff &&
    sum(bytes, packet, 20) === 0xffff
  );
}

function hashWords(view: DataView, start: number, offset: number, length: number): number {
  let hash = start;
  for (let i = 0; i < length; i += 4) hash = mix(hash, view.getUint32(offset + i, true));
  return hash;
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, HASH_MULTIPLIER);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function sameHeaders(view: DataView, record: number, other: number): number {
  const length = view.getUint32(record + RECORD_HEADER_LENGTH, true);
  if (view.getUint32(other + RECORD_HEADER_LENGTH, true) !== length) return 0;
  // Headers are whole 32-bit words, and after them both are zero.
  for (let i = RECORD_BLANKED_HEADER; i < RECORD_BLANKED_HEADER + length; i += 4) {
    if (view.getInt32(record + i) !== view.getInt32(other + i)) return 0;
  }
  return 1;
}
