/**
 * Evidence: what becomes of a datagram of doctor's own to an endpoint. A connected UDP socket with
 * IP_RECVERR gets what routers and the kernel say of it; what is sent is no WireGuard message, so that
 * a peer drops it at a glance and nothing of it is an attempt to connect.
 */

import type { Near } from '../../device/ways.ts';
import { formatAddress, parseAddress } from '../../packet/address.ts';
import { errnoName, getIntOption } from '../../sys/libc.ts';
import {
  IP_MTU,
  IP_MTU_DISCOVER,
  IP_PMTUDISC_PROBE,
  IP_RECVERR,
  IPV6_MTU,
  IPV6_MTU_DISCOVER,
  IPV6_RECVERR,
  SO_EE_ORIGIN_ICMP,
  SO_EE_ORIGIN_ICMP6,
  SO_EE_ORIGIN_LOCAL,
  SOCK_DGRAM,
  SOL_IP,
  SOL_IPV6,
} from '../../sys/linux.ts';
import type { Probe, ProbeError } from '../evidence.ts';
import { meaningOf } from './icmperror.ts';
import { IpSocket, placeOf, type Received } from './ipsocket.ts';

const UDP_HEADER_BYTES = 8;
/** struct sock_extended_err, after which stands the address of whom it came from. */
const EXTENDED_ERROR_BYTES = 16;
const ERRORS_MAX = 16;
/** What ICMP leads to. EPERM is the firewall's here, and EMSGSIZE this datagram's own. */
const SAID_OF_OTHERS = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EACCES', 'EPROTO'];

export interface ProbeTarget {
  readonly peer: string;
  readonly address: string;
  readonly port: number;
  readonly scope: number;
  readonly mark: number;
  /** The address or the interface that it leaves from; null for the kernel's choice. */
  readonly near: Near | null;
  /** Of IP packet: what a full packet of the tunnel takes outside; null when there is no tunnel. */
  readonly neededMtu: number | null;
}

/** A probe that was sent and waits for what is said of it. */
export class OpenProbe {
  readonly #target: ProbeTarget;
  readonly #socket: IpSocket;
  readonly #isV4: boolean;
  readonly #connectError: string | null;
  readonly #sent: Probe['sent'];
  readonly #errors: ProbeError[] = [];

  /** Sends at once. @throws {SystemError} when the mark is not permitted */
  constructor(target: ProbeTarget) {
    this.#target = target;
    const address = parseAddress(target.address)!;
    this.#isV4 = address.length === 4;
    this.#socket = new IpSocket('open a UDP socket', this.#isV4 ? 4 : 6, SOCK_DGRAM, 0);
    try {
      this.#prepare();
      this.#connectError = this.#socket.connect({
        address,
        port: target.port,
        scope: target.scope,
      });
      this.#sent = this.#connectError === null ? this.#send() : [];
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  #prepare(): void {
    const [level, discover, errors] = this.#isV4
      ? [SOL_IP, IP_MTU_DISCOVER, IP_RECVERR]
      : [SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_RECVERR];
    const { mark, near } = this.#target;
    this.#socket.mark(mark);
    if (near?.kind === 'interface') this.#socket.bindToLink(near.name);
    if (near?.kind === 'address') this.#socket.bindTo(near.address);
    this.#socket.set('set IP_MTU_DISCOVER', level, discover, IP_PMTUDISC_PROBE);
    this.#socket.set('set IP_RECVERR', level, errors, 1);
  }

  #send(): Probe['sent'] {
    const headers = (this.#isV4 ? 20 : 40) + UDP_HEADER_BYTES;
    const sizes = [headers + 1, this.#target.neededMtu ?? 0].filter((bytes) => bytes > headers);
    return sizes.map((bytes) => ({
      bytes,
      error: this.#sendOne(bytes - headers),
    }));
  }

  #sendOne(length: number): string | null {
    const datagram = new Uint8Array(length);
    const error = this.#socket.send(datagram);
    // What is said of the one before is told here, too, and then this one was not sent.
    return error !== null && SAID_OF_OTHERS.includes(error) ? this.#socket.send(datagram) : error;
  }

  /** The port that it sends from; 0 when it is not connected. */
  get port(): number {
    return this.#socket.localPlace()?.port ?? 0;
  }

  /** What was said so far. */
  take(): Probe {
    while (this.#errors.length < ERRORS_MAX) {
      const received = this.#socket.receiveError();
      if (received === null) break;
      const error = parseQueued(received);
      if (error !== null) this.#errors.push(error);
    }
    const { scope: _scope, near: _near, ...target } = this.#target;
    const place = this.#connectError === null ? this.#socket.localPlace() : null;
    const [level, mtu] = this.#isV4 ? [SOL_IP, IP_MTU] : [SOL_IPV6, IPV6_MTU];
    return {
      ...target,
      source: place === null ? null : formatAddress(place.address),
      connectError: this.#connectError,
      sent: this.#sent,
      errors: [...this.#errors],
      pathMtu: getIntOption(this.#socket.fd, level, mtu) ?? null,
    };
  }

  close(): void {
    this.#socket.close();
  }
}

/** A message of the error queue (linux/errqueue.h); null when it is none. */
export function parseQueued({ controls }: Pick<Received, 'controls'>): ProbeError | null {
  const control = controls.find(
    ({ level, type }) =>
      (level === SOL_IP && type === IP_RECVERR) || (level === SOL_IPV6 && type === IPV6_RECVERR),
  );
  if (control === undefined || control.data.length < EXTENDED_ERROR_BYTES) return null;
  const { data } = control;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const [origin, type, code] = data.subarray(4, 7);
  const error = errnoName(view.getUint32(0, true));
  const place = placeOf(data.subarray(EXTENDED_ERROR_BYTES));
  const isIcmp = origin === SO_EE_ORIGIN_ICMP || origin === SO_EE_ORIGIN_ICMP6;
  const meaning = isIcmp ? meaningOf(origin === SO_EE_ORIGIN_ICMP ? 4 : 6, type, code) : 'other';
  return {
    error,
    origin: isIcmp ? 'icmp' : origin === SO_EE_ORIGIN_LOCAL ? 'local' : 'other',
    meaning: error === 'EMSGSIZE' ? 'tooBig' : meaning,
    from: isIcmp && place !== null ? formatAddress(place.address) : null,
    mtu: error === 'EMSGSIZE' ? view.getUint32(8, true) : 0,
  };
}
