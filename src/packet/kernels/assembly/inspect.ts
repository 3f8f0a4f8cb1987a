/**
 * AssemblyScript: tells in one call what a received packet is to the coalescer, checksums
 * verified, and writes the record by which it is compared with others of its flow.
 */

import { fold, sumBytes, swap16 } from './checksum';

// The verdicts and the record's layout are documented in ../kernels.ts.
const OPAQUE: i32 = 0;
const LONE: i32 = 1;
const TCP: i32 = 2;
const UDP: i32 = 3;

const HEADER: usize = 32;
const RECORD_BYTES: usize = 144;

const PROTOCOL_TCP: u32 = 6;
const PROTOCOL_UDP: u32 = 17;
const PSH: u32 = 0x08;
const ACK: u32 = 0x10;
const ECE: u32 = 0x40;

// @ts-ignore: decorator
@inline
function mix(hash: u32, word: u32): u32 {
  const mixed = (hash ^ word) * 0x9e3779b1;
  return mixed ^ (mixed >> 15);
}

export function inspect(packet: usize, length: u32, record: usize, mergeUdp: u32): i32 {
  const zero = i64x2.splat(0);
  for (let i: usize = 0; i < RECORD_BYTES; i += 16) v128.store(record + i, zero);
  if (length < 20) return OPAQUE;
  const first = <u32>load<u8>(packet);
  const isIpv6 = first >> 4 == 6;
  let transport: u32 = 20;
  let protocol: u32;
  let addressHash: u32;
  let addressSum: u64;
  let isPlain: bool;
  if (isIpv6) {
    if (length < 40) return OPAQUE;
    transport = 40;
    protocol = load<u8>(packet, 6);
    addressHash = 6;
    for (let i: usize = 8; i < 40; i += 4) {
      addressHash = mix(addressHash, load<u32>(packet + i));
    }
    addressSum = sumBytes(packet + 8, 32);
    isPlain = swap16(load<u16>(packet, 4)) == length - 40;
  } else if (first >> 4 == 4) {
    protocol = load<u8>(packet, 9);
    addressHash = mix(mix(4, load<u32>(packet, 12)), load<u32>(packet, 16));
    addressSum = <u64>load<u32>(packet, 12) + <u64>load<u32>(packet, 16);
    // Without options, whole, no fragment, and with the only checksum a resegmentation writes.
    isPlain =
      first == 0x45 &&
      swap16(load<u16>(packet, 2)) == length &&
      (load<u16>(packet, 6) & 0xffbf) == 0 &&
      load<u16>(packet, 10) != 0xffff &&
      fold(sumBytes(packet, 20)) == 0xffff;
  } else {
    return OPAQUE;
  }
  store<u32>(record, addressHash, 4);
  const isTcp = protocol == PROTOCOL_TCP;
  if (!isPlain || (!isTcp && protocol != PROTOCOL_UDP)) return OPAQUE;
  if (length < transport + (isTcp ? 20 : 8)) return OPAQUE;
  const at = packet + transport;
  store<u32>(record, mix(mix(addressHash, load<u32>(at)), protocol), 8);

  let headerLength = transport + 8;
  const transportLength = length - transport;
  if (isTcp) {
    headerLength = transport + ((<u32>load<u8>(at, 12) >> 4) << 2);
    const flags = <u32>load<u8>(at, 13);
    if (headerLength < transport + 20 || (flags & ~(PSH | ECE)) != ACK) return LONE;
    if (load<u16>(at, 16) == 0xffff) return LONE;
  } else {
    if (!mergeUdp || load<u16>(at, 6) == 0) return LONE;
    if (swap16(load<u16>(at, 4)) != transportLength) return LONE;
  }
  if (headerLength >= length) return LONE;
  const pseudo = addressSum + <u64>(protocol << 8) + <u64>swap16(transportLength);
  if (fold(sumBytes(at, transportLength) + pseudo) != 0xffff) return LONE;

  store<u32>(record, headerLength);
  store<u32>(record, length - headerLength, 12);
  store<u32>(record, isTcp ? bswap<u32>(load<u32>(at, 4)) : 0, 16);
  store<u32>(record, isIpv6 ? 0 : swap16(load<u16>(packet, 4)), 20);
  store<u32>(record, isTcp ? <u32>load<u8>(at, 13) & PSH : 0, 24);
  store<u32>(record, transport, 28);
  blankedHeader(packet, headerLength, record + HEADER, transport, isIpv6, isTcp);
  return isTcp ? TCP : UDP;
}

/** Copies the headers (a multiple of 4) without the fields in which segments may differ. */
function blankedHeader(
  packet: usize,
  headerLength: u32,
  blank: usize,
  transport: u32,
  isIpv6: bool,
  isTcp: bool,
): void {
  let i: usize = 0;
  for (; i + 16 <= headerLength; i += 16) v128.store(blank + i, v128.load(packet + i));
  for (; i < headerLength; i += 4) store<u32>(blank + i, load<u32>(packet + i));
  if (isIpv6) {
    store<u16>(blank, 0, 4);
  } else {
    store<u32>(blank, load<u16>(blank), 0);
    store<u16>(blank, 0, 4);
    store<u16>(blank, 0, 10);
  }
  const at = blank + transport;
  if (isTcp) {
    store<u32>(at, 0, 4);
    store<u8>(at, load<u8>(at, 13) & <u8>~PSH, 13);
    store<u16>(at, 0, 16);
  } else {
    store<u32>(at, 0, 4);
  }
}

/** Whether two records have the same blanked headers. */
export function sameHeaders(a: usize, b: usize): bool {
  if (load<u32>(a) != load<u32>(b)) return false;
  let difference = i64x2.splat(0);
  for (let i: usize = HEADER; i < RECORD_BYTES; i += 16) {
    difference = v128.or(difference, v128.xor(v128.load(a + i), v128.load(b + i)));
  }
  return !v128.any_true(difference);
}
