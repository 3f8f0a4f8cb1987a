/**
 * AssemblyScript: cuts one TCP or UDP super-packet into packets of wire layout, in one call.
 *
 * The caller (segment.ts, one folder up) has parsed and checked the headers; this is only the
 * loop: headers replicated and adjusted, payload copied and summed in one pass.
 */

import { copyBytes, copySum, fold, sumBytes, swap16 } from './checksum';

const FIN: u32 = 0x01;
const PSH: u32 = 0x08;
const CWR: u32 = 0x80;

// @ts-ignore: decorator
@inline
function complement(word: u32): u64 {
  return <u64>(0xffff - word);
}

/** Total length, identification and header checksum of one packet; `ipSum`: of all else. */
// @ts-ignore: decorator
@inline
function finishIpv4(packet: usize, totalLength: u32, identification: u32, ipSum: u64): void {
  const totalLengthWord = swap16(totalLength);
  const identificationWord = swap16(identification);
  store<u16>(packet, <u16>totalLengthWord, 2);
  store<u16>(packet, <u16>identificationWord, 4);
  store<u16>(packet, <u16>~fold(ipSum + totalLengthWord + identificationWord), 10);
}

/** Length and checksum of one datagram; `sum`: of all but its own length field. */
// @ts-ignore: decorator
@inline
function finishUdp(header: usize, lengthWord: u32, sum: u64): void {
  store<u16>(header, <u16>lengthWord, 4);
  const checksum = ~fold(sum + lengthWord) & 0xffff;
  // RFC 768: a sum of zero is sent as all ones.
  store<u16>(header, <u16>(checksum == 0 ? 0xffff : checksum), 6);
}

/** The parameters are those of `Kernels.segment`, which documents them. */
export function segment(
  source: usize,
  transport: u32,
  headerLength: u32,
  payloadLength: u32,
  segmentSize: u32,
  target: usize,
  stride: u32,
  isIpv6: u32,
  isUdp: u32,
  pseudoSum: u32,
): void {
  const header = source + transport;
  const transportHeaderLength = headerLength - transport;
  // What all segments' checksums share: the header sums without the fields that change.
  let ipSum: u64 = 0;
  let identification: u32 = 0;
  if (!isIpv6) {
    identification = swap16(load<u16>(source, 4));
    ipSum =
      sumBytes(source, transport) +
      complement(load<u16>(source, 2)) +
      complement(load<u16>(source, 4)) +
      complement(load<u16>(source, 10));
  }
  let shared = sumBytes(header, transportHeaderLength) + <u64>swap16(pseudoSum);
  let sequence: u32 = 0;
  let flags: u32 = 0;
  if (isUdp) {
    shared += complement(load<u16>(header, 4)) + complement(load<u16>(header, 6));
  } else {
    sequence = bswap<u32>(load<u32>(header, 4));
    flags = load<u8>(header, 13);
    shared +=
      complement(load<u16>(header, 4)) +
      complement(load<u16>(header, 6)) +
      complement(load<u16>(header, 16)) +
      complement(flags << 8);
  }

  let payload = source + headerLength;
  let remaining = payloadLength;
  let packet = target;
  let isFirst = true;
  for (;;) {
    const length = min(segmentSize, remaining);
    remaining -= length;
    const isLast = remaining == 0;
    copyBytes(packet, source, headerLength);
    let sum = shared + copySum(packet + headerLength, payload, length);
    const transportLength = transportHeaderLength + length;
    const transportLengthWord = swap16(transportLength);
    const at = packet + transport;
    sum += transportLengthWord;
    if (isUdp) {
      finishUdp(at, transportLengthWord, sum);
    } else {
      let segmentFlags = flags;
      if (!isFirst) segmentFlags &= ~CWR;
      if (!isLast) segmentFlags &= ~(FIN | PSH);
      const sequenceWord = bswap<u32>(sequence);
      store<u32>(at, sequenceWord, 4);
      store<u8>(at, <u8>segmentFlags, 13);
      sum += <u64>sequenceWord + <u64>(segmentFlags << 8);
      store<u16>(at, <u16>~fold(sum), 16);
      sequence += length;
    }
    if (isIpv6) {
      store<u16>(packet, <u16>swap16(headerLength - 40 + length), 4);
    } else {
      finishIpv4(packet, headerLength + length, identification, ipSum);
      identification = (identification + 1) & 0xffff;
    }
    if (isLast) return;
    isFirst = false;
    payload += length;
    packet += stride;
  }
}
