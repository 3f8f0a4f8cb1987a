/** Real packets and frames: trains of TCP and UDP segments, super-frames, and what else is about. */

import { ipv4, ipv6 } from '../../device/world.ts';
import {
  ACK,
  build,
  CWR,
  Dice,
  ECE,
  FIN,
  type PacketSpec,
  PSH,
  plainSum,
  pseudoHeader,
  SYN,
  segments,
  spec,
  superFields,
  superFrame,
  transportOffset,
  virtioHeader,
} from '../../packet/trains.ts';

const payload = (length: number): number[] => new Dice(length).bytes(length);
const extension = (type: number) => ({ type, bytes: [0, 0, 1, 4, 0, 0, 0, 0] });

/** Each a super-packet and the size of its segments. */
const SUPERS: readonly [changes: Partial<PacketSpec>, length: number, size: number][] = [
  [{}, 3000, 1368],
  [{ flags: ACK | PSH | CWR }, 500, 100],
  [{ flags: ACK | FIN | ECE, tcpOptions: [] }, 64, 8],
  [{ version: 6 }, 900, 300],
  [{ version: 6, extensions: [extension(0), extension(60)] }, 300, 100],
  [{ protocol: 'udp' }, 700, 200],
  [{ protocol: 'udp', version: 6 }, 333, 111],
  [{ ipOptions: [1, 1, 1, 0] }, 200, 60],
  [{ identification: 0xfffe, sequence: 0xffff_ff80 }, 500, 100],
  [{ protocol: 'udp' }, 16, 1],
  [{}, 40_000, 1400],
];

const icmp4 = ipv4('10.0.0.5', '10.0.2.5', 64, 0x0800_0000);
const icmp6 = ipv6('2001:db8::5', 'fd20::5', 64, 0x8000_0000);
icmp4[9] = 1;
icmp6[6] = 58;

/** IP packets on their own. */
export const PACKETS: readonly Uint8Array[] = [
  ...[ipv4('10.0.0.5', '10.20.0.5'), ipv6('fd00::5', 'fd20::5'), icmp4, icmp6],
  build(spec({ flags: SYN })),
  build(spec({ fragment: 0x2000, payload: payload(64) })),
  build(spec({ protocol: 'udp', payload: payload(100) }), 0),
  build(spec({ version: 6, extensions: [extension(43)], payload: payload(40) })),
];

/** Segments as they arrive one after the other. */
export const TRAINS: readonly (readonly Uint8Array[])[] = SUPERS.slice(0, -1).map(
  ([changes, length, size]) =>
    segments(spec({ ...changes, payload: payload(length) }), size).map((one) => build(one)),
);

function plainFrame(packet: Uint8Array, flags = 0, start = 0, field = 0): Uint8Array {
  const fields = { flags, type: 0, headerLength: 0, size: 0, start, field };
  return Uint8Array.from([...virtioHeader(fields), ...packet]);
}

/** A packet whose checksum is left to the reader of the frame. */
function unfinished(changes: Partial<PacketSpec>): Uint8Array {
  const packet = spec({ ...changes, payload: payload(50) });
  const { field } = superFields(packet, 0);
  const bytes = build(packet, plainSum(pseudoHeader(packet)));
  return plainFrame(bytes, 1, transportOffset(packet), field);
}

/** Frames of the TUN device, virtio header and all. */
export const FRAMES: readonly Uint8Array[] = [
  ...SUPERS.map(([changes, length, size]) =>
    superFrame(spec({ ...changes, payload: payload(length) }), size),
  ),
  ...PACKETS.map((packet) => plainFrame(packet)),
  ...[unfinished({}), unfinished({ protocol: 'udp' }), unfinished({ version: 6 })],
];
