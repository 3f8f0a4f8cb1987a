/**
 * Evidence: between whom packets go inside the tunnel, as a packet socket on the interface sees them.
 * Of a busy tunnel only the first ones: then it stops listening.
 */

import { formatAddress } from '../../packet/address.ts';
import { close } from '../../sys/libc.ts';
import { PACKET_OUTGOING } from '../../sys/linux.ts';
import { type Watch, watch } from '../../sys/poller.ts';
import type { InnerFlow } from '../evidence.ts';
import { rethrow } from './icmplistener.ts';
import { receiveFrom } from './ipsocket.ts';
import { LINK_ADDRESS_BYTES, openPacketSocket } from './packetsocket.ts';
import { headersOnly } from './tapfilter.ts';

const PACKETS_MAX = 2_000;
const FLOWS_MAX = 200;
const READ_MAX = 64;

export class InnerTap {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #flows = new Map<string, { flow: InnerFlow; packets: number; largest: number }>();
  #packets = 0;
  #isClosed = false;

  /** @param index the interface's @throws {SystemError} EPERM when we are not root */
  constructor(index: number) {
    this.#fd = openPacketSocket(headersOnly(), index);
    this.#watch = watch(this.#fd, this.#drain, rethrow);
  }

  readonly #drain = (): void => {
    for (let read = 0; read < READ_MAX && !this.#isClosed; read++) {
      const received = receiveFrom(this.#fd);
      if (received === null) return;
      if (received.from.length >= LINK_ADDRESS_BYTES)
        this.#count(received.bytes, received.from[10]);
      if (++this.#packets === PACKETS_MAX) this.close();
    }
  };

  #count(bytes: Uint8Array, type: number): void {
    const header = parseHeader(bytes);
    if (header === null) return;
    const { source, destination, length } = header;
    const direction = type === PACKET_OUTGOING ? 'out' : 'in';
    const key = `${direction} ${source} ${destination}`;
    const known = this.#flows.get(key);
    if (known !== undefined) {
      known.packets++;
      known.largest = Math.max(known.largest, length);
    } else if (this.#flows.size < FLOWS_MAX) {
      const flow = { direction, source, destination, packets: 1, largest: length } as const;
      this.#flows.set(key, { flow, packets: 1, largest: length });
    }
  }

  /** The most packets first. */
  flows(): InnerFlow[] {
    return [...this.#flows.values()]
      .map(({ flow, packets, largest }) => ({ ...flow, packets, largest }))
      .sort((a, b) => b.packets - a.packets);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch.close();
    close(this.#fd);
  }
}

/** @param bytes from an IP header on; null when it is none */
export function parseHeader(
  bytes: Uint8Array,
): { source: string; destination: string; length: number } | null {
  const version = bytes.length === 0 ? 0 : bytes[0] >> 4;
  const isV4 = version === 4;
  if ((!isV4 && version !== 6) || bytes.length < (isV4 ? 20 : 40)) return null;
  const [at, size] = isV4 ? [12, 4] : [8, 16];
  const word = isV4 ? 2 : 4;
  return {
    source: formatAddress(bytes.subarray(at, at + size)),
    destination: formatAddress(bytes.subarray(at + size, at + 2 * size)),
    length: (bytes[word] << 8) + bytes[word + 1] + (isV4 ? 0 : 40),
  };
}
