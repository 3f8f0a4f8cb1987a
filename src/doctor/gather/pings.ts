/**
 * Evidence: ICMP echoes through the tunnel, in several sizes, none of which may be fragmented. Owns the
 * packets and who is asked; how an inner address is known is innerplaces.ts' affair.
 */

import { randomBytes } from 'node:crypto';
import { sameBytes } from '../../bytes.ts';
import { formatAddress, parseAddress } from '../../packet/address.ts';
import { checksum } from '../../packet/checksum.ts';
import {
  IP_MTU_DISCOVER,
  IP_PMTUDISC_PROBE,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPV6_MTU_DISCOVER,
  SOCK_RAW,
  SOL_IP,
  SOL_IPV6,
} from '../../sys/linux.ts';
import { type Watch, watch } from '../../sys/poller.ts';
import type { Ping } from '../evidence.ts';
import { parseIcmpError, parseIcmpv6Error } from './icmperror.ts';
import { rethrow } from './icmplistener.ts';
import { IpSocket, placeOf } from './ipsocket.ts';

const ICMP_HEADER_BYTES = 8;
/** The IP header that the kernel puts before it. */
const HEADER_BYTES = { 4: 20, 6: 40 } as const;
const ECHO = { 4: 8, 6: 128 } as const;
const REPLY = { 4: 0, 6: 129 } as const;
const READ_MAX = 64;

export interface PingTarget {
  readonly peer: string;
  readonly destination: string;
  readonly known: Ping['known'];
  /** Of inner IP packet, the smallest first. */
  readonly sizes: readonly number[];
}

interface Echo {
  readonly bytes: number;
  sent: number;
  received: number;
  rttMs: number | null;
  error: string | null;
  sentAt: number;
}

function echoOf(bytes: number): Echo {
  return { bytes, sent: 0, received: 0, rttMs: null, error: null, sentAt: 0 };
}

/** Echoes to one address; more may be sent until it is closed. */
export class OpenPing {
  readonly #target: PingTarget;
  readonly #family: 4 | 6;
  readonly #address: Uint8Array;
  readonly #socket: IpSocket;
  readonly #watch: Watch;
  readonly #id = randomBytes(2).readUInt16BE();
  readonly #echoes: Echo[];
  readonly #errors = new Map<string, Ping['errors'][number]>();
  /** Sequence number -> the echo that it is of. */
  readonly #sequences: Echo[] = [];

  /** @param link the tunnel's interface @throws {SystemError} EPERM when we are not root */
  constructor(link: string, target: PingTarget) {
    this.#target = target;
    this.#address = parseAddress(target.destination)!;
    const isV4 = this.#address.length === 4;
    this.#family = isV4 ? 4 : 6;
    this.#echoes = target.sizes.map(echoOf);
    const what = 'ping through the tunnel';
    const protocol = isV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    this.#socket = new IpSocket(what, this.#family, SOCK_RAW, protocol);
    try {
      this.#socket.bindToLink(link);
      if (isV4) this.#socket.set(what, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
      else this.#socket.set(what, SOL_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_PROBE);
      this.#watch = watch(this.#socket.fd, this.#drain, rethrow);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /** One more echo of each size that has had no answer yet. */
  send(): void {
    for (const echo of this.#echoes) {
      if (echo.received > 0) continue;
      const message = this.#messageOf(
        echo.bytes - HEADER_BYTES[this.#family],
        this.#sequences.length,
      );
      const place = { address: this.#address, port: 0, scope: 0 };
      this.#sequences.push(echo);
      echo.sentAt = performance.now();
      echo.sent++;
      echo.error = this.#socket.sendTo(message, place);
    }
  }

  /** Other sizes, from the next `send` on. */
  add(sizes: readonly number[]): void {
    const others = sizes.filter((bytes) => !this.#echoes.some((echo) => echo.bytes === bytes));
    this.#echoes.push(...others.map(echoOf));
    this.#echoes.sort((a, b) => a.bytes - b.bytes);
  }

  /** Whether every size was answered. */
  get isAnswered(): boolean {
    return this.#echoes.every(({ received }) => received > 0);
  }

  /** Whether any was. */
  get isAlive(): boolean {
    return this.#echoes.some(({ received }) => received > 0);
  }

  #messageOf(length: number, sequence: number): Uint8Array {
    const message = new Uint8Array(Math.max(length, ICMP_HEADER_BYTES));
    const view = new DataView(message.buffer);
    message[0] = ECHO[this.#family];
    view.setUint16(4, this.#id, false);
    view.setUint16(6, sequence, false);
    // The kernel computes that of ICMPv6, which covers the addresses.
    if (this.#family === 4) view.setUint16(2, checksum(message, 0, message.length), false);
    return message;
  }

  readonly #drain = (): void => {
    for (let read = 0; read < READ_MAX; read++) {
      const received = this.#socket.receive();
      if (received === null) return;
      const { bytes, from } = received;
      const header = this.#family === 4 && bytes.length > 0 ? (bytes[0] & 0x0f) * 4 : 0;
      const place = placeOf(from);
      if (place === null) continue;
      const message = bytes.subarray(header);
      if (message[0] === REPLY[this.#family]) this.#takeReply(message, place.address);
      else this.#takeError(bytes, place.address);
    }
  };

  #takeReply(message: Uint8Array, from: Uint8Array): void {
    if (message.length < ICMP_HEADER_BYTES || !sameBytes(from, this.#address)) return;
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    if (view.getUint16(4, false) !== this.#id) return;
    const echo = this.#sequences[view.getUint16(6, false)];
    if (echo === undefined) return;
    const rttMs = Math.round((performance.now() - echo.sentAt) * 100) / 100;
    echo.received++;
    echo.rttMs = Math.min(echo.rttMs ?? rttMs, rttMs);
  }

  /** What is said of an echo of ours: its identifier stands where UDP has its ports. */
  #takeError(bytes: Uint8Array, from: Uint8Array): void {
    const error = this.#family === 4 ? parseIcmpError(bytes) : parseIcmpv6Error(bytes);
    if (error === null || !sameBytes(error.destination, this.#address)) return;
    if (error.protocol !== (this.#family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) return;
    const { meaning, mtu } = error;
    const described = { from: formatAddress(from), meaning, mtu };
    if (this.#errors.size < READ_MAX) this.#errors.set(JSON.stringify(described), described);
  }

  /** @param source the address of ours that such packets have; null if unknown */
  take(source: string | null): Ping {
    const { peer, destination, known } = this.#target;
    return {
      ...{ peer, destination, known, source },
      echoes: this.#echoes.map(({ sentAt, ...echo }) => echo),
      errors: [...this.#errors.values()],
    };
  }

  close(): void {
    this.#watch.close();
    this.#socket.close();
  }
}
