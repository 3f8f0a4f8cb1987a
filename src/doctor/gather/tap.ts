/**
 * Evidence: handshake messages on the links, as a packet socket sees them: those that come in before
 * the firewall, those that go out after it. The kernel's filter leaves out data, so that a busy tunnel
 * costs nothing. What is seen is anybody's.
 */

import { CookieChecker } from '../../noise/cookie.ts';
import { COOKIE_REPLY, classify, INITIATION, RESPONSE } from '../../noise/messages.ts';
import { formatAddress } from '../../packet/address.ts';
import { close } from '../../sys/libc.ts';
import { PACKET_OUTGOING } from '../../sys/linux.ts';
import { watch } from '../../sys/poller.ts';
import type { WireFlow } from '../evidence.ts';
import { rethrow } from './icmplistener.ts';
import { receiveFrom } from './ipsocket.ts';
import { LINK_ADDRESS_BYTES, openPacketSocket } from './packetsocket.ts';
import { handshakeFilter } from './tapfilter.ts';

const FLOWS_MAX = 256;
const READ_MAX = 64;
const UDP_HEADER_BYTES = 8;

const MESSAGES: Readonly<Record<number, WireFlow['message']>> = {
  [INITIATION]: 'initiation',
  [RESPONSE]: 'response',
  [COOKIE_REPLY]: 'cookie',
};

export interface Tap {
  flows(): WireFlow[];
  close(): void;
}

/** A message that was seen. */
export interface Seen extends Omit<WireFlow, 'link' | 'direction' | 'packets' | 'hasOurMac1'> {
  /** Borrowed. */
  readonly bytes: Uint8Array;
}

/**
 * @param port our UDP port; @param publicKey ours; null when there is none
 * @param nameOf of a link by its index
 * @throws {SystemError} EPERM when we are not root
 */
export function tapHandshakes(
  port: number,
  publicKey: Uint8Array | null,
  nameOf: (index: number) => string,
): Tap {
  const fd = openPacketSocket(handshakeFilter(port), 0);
  let checker: CookieChecker | null = null;
  /** Made with the first message that comes: in most runs none does. */
  const hasOurMac1 = (message: Uint8Array): boolean => {
    if (checker === null) {
      checker = new CookieChecker(() => {});
      checker.setPublicKey(publicKey);
    }
    return checker.verifyMac1(message);
  };
  const flows = new Map<string, { flow: WireFlow; packets: number }>();
  const drain = (): void => {
    for (let read = 0; read < READ_MAX; read++) {
      const received = receiveFrom(fd);
      if (received === null) return;
      const seen = parseHandshake(received.bytes);
      if (seen === null || received.from.length < LINK_ADDRESS_BYTES) continue;
      const isOut = received.from[10] === PACKET_OUTGOING;
      const { bytes, ...told } = seen;
      const isChecked = !isOut && publicKey !== null && seen.message !== 'cookie';
      const view = new DataView(received.from.buffer, received.from.byteOffset);
      const flow: WireFlow = {
        ...told,
        direction: isOut ? 'out' : 'in',
        link: nameOf(view.getInt32(4, true)),
        packets: 1,
        hasOurMac1: isChecked ? hasOurMac1(bytes) : null,
      };
      count(flows, flow);
    }
  };
  const watching = watch(fd, drain, rethrow);
  return {
    flows: () => [...flows.values()].map(({ flow, packets }) => ({ ...flow, packets })),
    close: () => {
      watching.close();
      close(fd);
    },
  };
}

function count(flows: Map<string, { flow: WireFlow; packets: number }>, flow: WireFlow): void {
  const key = JSON.stringify(flow);
  const known = flows.get(key);
  if (known !== undefined) known.packets++;
  else if (flows.size < FLOWS_MAX) flows.set(key, { flow, packets: 1 });
}

/** @param packet from its IP header on; null when it is no handshake message of WireGuard */
export function parseHandshake(packet: Uint8Array): Seen | null {
  const version = packet.length === 0 ? 0 : packet[0] >> 4;
  const header = version === 4 ? (packet[0] & 0x0f) * 4 : version === 6 ? 40 : 0;
  const start = header + UDP_HEADER_BYTES;
  if (header < 20 || packet.length < start) return null;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const length = view.getUint16(header + 4, false) - UDP_HEADER_BYTES;
  if (packet[version === 4 ? 9 : 6] !== 17 || start + length > packet.length) return null;
  const message = MESSAGES[classify(packet, start, length)];
  if (message === undefined) return null;
  const [at, size] = version === 4 ? [12, 4] : [8, 16];
  return {
    source: formatAddress(packet.subarray(at, at + size)),
    sourcePort: view.getUint16(header, false),
    destination: formatAddress(packet.subarray(at + size, at + 2 * size)),
    destinationPort: view.getUint16(header + 2, false),
    message,
    bytes: packet.subarray(start, start + length),
  };
}
