/**
 * Transport padding (whitepaper 5.4.6): how long a packet is once sealed. Shared by those that lay
 * packets out for sealing and those that seal them, so that both agree on every byte.
 */

import { DATA_MIN_BYTES } from '../noise/messages.ts';

const PADDING_MULTIPLE = 16;

/**
 * The length in bytes to which a packet of `length` is padded with zeros: a multiple of 16, but
 * never past the MTU, as the kernel's WireGuard does it. Of a packet longer than the MTU it is the
 * last MTU-sized unit that is padded. An `mtu` of 0 is none.
 */
export function paddedLength(length: number, mtu: number): number {
  const unit = length > mtu && mtu > 0 ? length % mtu : length;
  const aligned = (unit + PADDING_MULTIPLE - 1) & -PADDING_MULTIPLE;
  return length - unit + (aligned > mtu && mtu > 0 ? mtu : aligned);
}

/** The distance between equally long packets of which the sealed messages lie without a gap. */
export function messageStride(length: number, mtu: number): number {
  return DATA_MIN_BYTES + paddedLength(length, mtu);
}
