/**
 * What a Device is given in one turn: the packets that one super-packet stands for, or the datagrams
 * that the kernel has merged. They lie in the arena as they do in the daemon, and are handed in as a
 * run, or one by one in their order, which must come to the same. Knows no site.
 */

import { type Arena, HEADROOM_BYTES, TAILROOM_BYTES } from '../../src/arena.ts';
import type { Device } from '../../src/device/device.ts';
import { messageStride } from '../../src/packet/padding.ts';
import type { Flight } from './network.ts';
import type { Packet, Template, Traffic } from './traffic.ts';

/** Whether what comes together is handed in as a run or packet by packet. */
export type Grouping = 'runs' | 'packets';

/** As the kernel merges them (UDP_MAX_SEGMENTS), and cuts a super-packet that it is given. */
export const BURST_PACKETS_MAX = 64;
/** So much fits into what the kernel hands over as one. */
const BURST_BYTES_MAX = 65_535;
/** What lay in the arena before is no padding. */
const GARBAGE = 0xa5;

interface Layout {
  readonly offset: number;
  readonly stride: number;
  readonly length: number;
  readonly lastLength: number;
}

/** Packets that leave together: of one length, but for a last one that may be shorter. */
export interface Departure extends Layout {
  readonly packets: readonly Packet[];
}

/** Datagrams that came together, without a gap: likewise, from one endpoint, in one traffic class. */
export interface Arrival extends Layout {
  readonly flights: readonly Flight[];
}

/** Lays new packets of the templates out, as a super-packet's are cut for this MTU. */
export function layDeparture(
  arena: Arena,
  mtu: number,
  templates: readonly Template[],
  create: (template: Template, offset: number) => ReturnType<Traffic['create']>,
): Departure {
  const { length } = templates[0].bytes;
  const lastLength = templates[templates.length - 1].bytes.length;
  const stride = messageStride(length, mtu);
  const before = HEADROOM_BYTES + (templates.length - 1) * stride;
  const slot = arena.allocate(before + lastLength + TAILROOM_BYTES);
  arena.bytes.fill(GARBAGE, slot, slot + before + lastLength + TAILROOM_BYTES);
  const offset = slot + HEADROOM_BYTES;
  const packets = templates.map((template, i) => create(template, offset + i * stride));
  return { packets, offset, stride, length, lastLength };
}

export function layArrival(arena: Arena, flights: readonly Flight[]): Arrival {
  const { length } = flights[0].bytes;
  const lastLength = flights[flights.length - 1].bytes.length;
  const offset = arena.allocate((flights.length - 1) * length + lastLength);
  for (const [i, { bytes }] of flights.entries()) arena.bytes.set(bytes, offset + i * length);
  return { flights, offset, stride: length, length, lastLength };
}

export function handPackets(
  device: Device,
  now: number,
  { packets, offset, stride, length, lastLength }: Departure,
  grouping: Grouping,
): void {
  const count = packets.length;
  if (grouping === 'runs') {
    device.sendRun(now, offset, length, count, stride, lastLength);
    return;
  }
  for (let i = 0; i < count; i++)
    device.sendPacket(now, offset + i * stride, i === count - 1 ? lastLength : length);
}

export function handDatagrams(
  device: Device,
  now: number,
  { flights, offset, length, lastLength }: Arrival,
  grouping: Grouping,
): void {
  const count = flights.length;
  const { source, trafficClass } = flights[0];
  if (grouping === 'runs') {
    device.receiveRun(now, offset, length, source, trafficClass, count, lastLength);
    return;
  }
  for (const [i, { bytes }] of flights.entries())
    device.receiveDatagram(now, offset + i * length, bytes.length, source, trafficClass);
}

/** Cuts what arrives at one moment, in its order, into what the kernel would hand over as one each. */
export function merge(flights: readonly Flight[]): Flight[][] {
  const groups: Flight[][] = [];
  for (const flight of flights) {
    const group = groups[groups.length - 1];
    if (group !== undefined && isNext(group, flight)) group.push(flight);
    else groups.push([flight]);
  }
  return groups;
}

function isNext(group: readonly Flight[], { source, trafficClass, bytes }: Flight): boolean {
  const [first] = group;
  const { length } = first.bytes;
  return (
    group.length < BURST_PACKETS_MAX &&
    (group.length + 1) * length <= BURST_BYTES_MAX &&
    source === first.source &&
    trafficClass === first.trafficClass &&
    // A shorter one is the last.
    group[group.length - 1].bytes.length === length &&
    bytes.length > 0 &&
    bytes.length <= length
  );
}
