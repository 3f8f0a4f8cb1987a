/**
 * The Device's two outputs. Both only append to the current batch: the bytes lie in the arena and
 * stay there until the caller's flush, and neither may call back into the Device.
 */

import type { Endpoint } from './endpoint.ts';

/** Where datagrams go. */
export interface DatagramOutlet {
  /** A UDP datagram to send. `trafficClass`: the outer DSCP and ECN octet. */
  transmit(offset: number, length: number, endpoint: Endpoint, trafficClass: number): void;
  /**
   * So many datagrams, without a gap between them, each `length` bytes long but the last of
   * `lastLength`, which is no longer. Without it they are transmitted one by one.
   */
  transmitRun?(
    offset: number,
    length: number,
    endpoint: Endpoint,
    trafficClass: number,
    count: number,
    lastLength: number,
  ): void;
}

export interface Outlet extends DatagramOutlet {
  /** An IP packet for the interface. HEADROOM_BYTES before it are free to write. */
  deliver(offset: number, length: number): void;
}

/** The outlet's own `transmitRun`, if it has one. */
export function transmitRun(
  outlet: DatagramOutlet,
  offset: number,
  length: number,
  endpoint: Endpoint,
  trafficClass: number,
  count: number,
  lastLength: number,
): void {
  if (outlet.transmitRun !== undefined) {
    outlet.transmitRun(offset, length, endpoint, trafficClass, count, lastLength);
    return;
  }
  const last = offset + (count - 1) * length;
  for (let at = offset; at < last; at += length) {
    outlet.transmit(at, length, endpoint, trafficClass);
  }
  outlet.transmit(last, lastLength, endpoint, trafficClass);
}
