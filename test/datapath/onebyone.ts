/** Sinks of runs for those who look at packets and datagrams one by one. */

import type { PacketSink } from '../../src/datapath/interface.ts';
import type { DatagramSink } from '../../src/datapath/transport.ts';
import type { Endpoint } from '../../src/device/endpoint.ts';

export function packetByPacket(take: (offset: number, length: number) => void): PacketSink {
  return (offset, length, count = 1, stride = 0, lastLength = length) => {
    for (let i = 0; i < count; i++) {
      take(offset + i * stride, i === count - 1 ? lastLength : length);
    }
  };
}

export function datagramByDatagram(
  take: (offset: number, length: number, endpoint: Endpoint, trafficClass: number) => void,
): DatagramSink {
  return (offset, length, endpoint, trafficClass, count = 1, lastLength = length) => {
    for (let i = 0; i < count; i++) {
      const ownLength = i === count - 1 ? lastLength : length;
      take(offset + i * length, ownLength, endpoint, trafficClass);
    }
  };
}
