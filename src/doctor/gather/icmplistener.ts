/**
 * Evidence: ICMP errors that come while doctor runs, on raw sockets. Whoever knows a port can forge
 * one, so that only what quotes a datagram of ours counts, and no more than a bound of them is kept.
 */

import { formatAddress } from '../../packet/address.ts';
import {
  ICMP_FILTER,
  ICMPV6_FILTER,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  SOCK_RAW,
  SOL_RAW,
} from '../../sys/linux.ts';
import { type Watch, watch } from '../../sys/poller.ts';
import type { IcmpError } from '../evidence.ts';
import { isOfUdp, type ParsedError, parseIcmpError, parseIcmpv6Error } from './icmperror.ts';
import { IpSocket, placeOf } from './ipsocket.ts';

/** Kinds of errors that are kept, and errors that are read at once: others may flood us. */
const KINDS_MAX = 256;
const READ_MAX = 64;
const WHAT = 'listen to ICMP';

/** Destination unreachable, time exceeded; a set bit is filtered out. */
const ICMP_ERRORS = ~((1 << 3) | (1 << 11));
/** Destination unreachable, packet too big, time exceeded. */
const ICMPV6_ERRORS = ~((1 << 1) | (1 << 2) | (1 << 3));

export interface IcmpListener {
  /** What came so far. */
  errors(): IcmpError[];
  close(): void;
}

/**
 * @param aboutOf whose the datagram was that is quoted; null: none of ours
 * @throws {SystemError} EPERM when we are not root
 */
export function listenToIcmp(
  aboutOf: (error: ParsedError) => IcmpError['about'] | null,
): IcmpListener {
  const found = new Map<string, { error: IcmpError; count: number }>();
  const take = (error: ParsedError | null, from: Uint8Array): void => {
    const place = placeOf(from);
    if (error === null || place === null || !isOfUdp(error)) return;
    const about = aboutOf(error);
    if (about === null) return;
    const { meaning, type, code, mtu, source, sourcePort, destination, destinationPort } = error;
    const described = {
      from: formatAddress(place.address),
      meaning,
      type,
      code,
      mtu,
      source: formatAddress(source),
      sourcePort,
      destination: formatAddress(destination),
      destinationPort,
      about,
      count: 1,
    };
    const key = JSON.stringify(described);
    const known = found.get(key);
    if (known !== undefined) known.count++;
    else if (found.size < KINDS_MAX) found.set(key, { error: described, count: 1 });
  };
  const open = [openOne(4, take), ...openIpv6(take)];
  return {
    errors: () => [...found.values()].map(({ error, count }) => ({ ...error, count })),
    close: () => {
      for (const { watching, socket } of open) {
        watching.close();
        socket.close();
      }
    },
  };
}

interface Open {
  readonly socket: IpSocket;
  readonly watching: Watch;
}

type Take = (error: ParsedError | null, from: Uint8Array) => void;

function openOne(family: 4 | 6, take: Take): Open {
  const isV4 = family === 4;
  const socket = new IpSocket(WHAT, family, SOCK_RAW, isV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  const filter = new Int32Array(isV4 ? 1 : 8).fill(-1);
  filter[0] = isV4 ? ICMP_ERRORS : ICMPV6_ERRORS;
  const bytes = new Uint8Array(filter.buffer);
  if (isV4) socket.setBytes(WHAT, SOL_RAW, ICMP_FILTER, bytes);
  else socket.setBytes(WHAT, IPPROTO_ICMPV6, ICMPV6_FILTER, bytes);
  const parse = isV4 ? parseIcmpError : parseIcmpv6Error;
  const drain = (): void => {
    for (let read = 0; read < READ_MAX; read++) {
      const received = socket.receive();
      if (received === null) return;
      take(parse(received.bytes), received.from);
    }
  };
  return { socket, watching: watch(socket.fd, drain, rethrow) };
}

/** None where the machine has no IPv6. */
function openIpv6(take: Take): Open[] {
  try {
    return [openOne(6, take)];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAFNOSUPPORT') return [];
    throw error;
  }
}

/** A bug of ours surfaces. */
export function rethrow(error: unknown): never {
  throw error;
}
