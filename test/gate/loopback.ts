/**
 * UDP sockets on loopback, of which every address of 127.0.0.0/8 may be the sender's: what the tests
 * of the gate and of its filter send and receive by. All share one arena, empty between calls.
 */

import type { Arena } from '../../src/arena.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { openUdp, type Udp } from '../../src/udp/udp.ts';
import { datagramByDatagram } from '../datapath/onebyone.ts';

/** Both families on a port that the kernel picks; the caller's to close. */
export function openOnLoopback(arena: Arena, offload: boolean): Udp {
  const quiet = { onDrop: () => {}, onNote: () => {} };
  return openUdp({ arena, port: 0, fwmark: 0, offload, ...quiet });
}

/** What the sender is to the victim as an endpoint. */
export function endpointOf(from: string, sender: Udp): Endpoint {
  return new Endpoint(parseAddress(from)!, sender.port);
}

/** Sends so many alike datagrams from an address of loopback, which may arrive as one run. */
export function sendAlike(
  arena: Arena,
  sender: Udp,
  victim: Udp,
  from: string,
  bytes: Uint8Array,
  count: number,
): void {
  const target = parseAddress(from.includes(':') ? '::1' : '127.0.0.1')!;
  const endpoint = new Endpoint(target, victim.port, 0, parseAddress(from)!, 0);
  const offset = arena.allocate(bytes.length * count);
  for (let i = 0; i < count; i++) {
    arena.bytes.set(bytes, offset + i * bytes.length);
    sender.transmit(offset + i * bytes.length, bytes.length, endpoint, 0);
  }
  sender.flush();
  arena.reset();
}

/** How many datagrams can be read now. */
export function readAll(arena: Arena, victim: Udp): number {
  let count = 0;
  const countAll = datagramByDatagram(() => count++);
  for (const socket of victim.sockets) {
    while (socket.receive(countAll, Number.POSITIVE_INFINITY, 0) > 0) arena.reset();
  }
  return count;
}

/** A message as far as its outside goes; `fill` stands after the type. */
export function message(type: number, length: number, fill = 0): Uint8Array {
  const bytes = new Uint8Array(length).fill(fill, 4);
  bytes[0] = type;
  return bytes;
}
