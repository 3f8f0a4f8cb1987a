/**
 * Evidence: what connection tracking knows of our UDP port, of the endpoints, and of others' connections
 * that go through the tunnel under an address of ours.
 */

import { counted } from '../../counted.ts';
import { readParameter } from '../../host/parameter.ts';
import {
  type TrackedConnection,
  type TrackedTuple,
  trackedConnections,
} from '../../netlink/netfilter.ts';
import { formatAddress } from '../../packet/address.ts';
import type { Connection, Tuple } from '../evidence.ts';
import { CannotLook } from './looking.ts';

const CONNECTIONS_MAX = 200;
/** Half a second's work: with more, looking would be what is slow. */
const TRACKED_MAX = 250_000;
const IPPROTO_UDP = 17;

/**
 * @param addresses of endpoints; @param inner our own in the tunnel
 * @throws {CannotLook}, or {SystemError} EPERM when we are not root
 */
export function gatherConnections(
  port: number,
  addresses: readonly string[],
  inner: readonly string[],
): Connection[] {
  // Nothing is asked where nobody tracks: the question alone would load what does. And where there is
  // nothing, since the kernel walks its whole table for an answer, full or empty.
  const tracked = Number(readParameter('netfilter/nf_conntrack_count') ?? 0);
  if (tracked === 0) return [];
  if (tracked > TRACKED_MAX) {
    const most = counted(TRACKED_MAX, 'connection');
    throw new CannotLook(`${tracked} are tracked, and more than ${most} take long to list`);
  }
  const ours: Connection[] = [];
  const others: Connection[] = [];
  const isOurs = ({ original, reply }: Connection): boolean =>
    [original, reply].some(
      (tuple) =>
        tuple.sourcePort === port ||
        tuple.destinationPort === port ||
        addresses.includes(tuple.source) ||
        addresses.includes(tuple.destination),
    );
  trackedConnections((one) => {
    const connection = describeConnection(one);
    const { original, reply } = connection;
    if (one.protocol === IPPROTO_UDP && isOurs(connection)) ours.push(connection);
    else if (inner.includes(reply.destination) && !inner.includes(original.source))
      others.push(connection);
    return null;
  });
  return [...ours, ...others].slice(0, CONNECTIONS_MAX);
}

export function describeConnection(one: TrackedConnection): Connection {
  const { mark, isReplied, isAssured, originalPackets, replyPackets } = one;
  return {
    original: describeTuple(one.original),
    reply: describeTuple(one.reply),
    ...{ mark, isUnreplied: !isReplied, isAssured, originalPackets, replyPackets },
  };
}

function describeTuple({ source, destination, ...ports }: TrackedTuple): Tuple {
  return { source: formatAddress(source), destination: formatAddress(destination), ...ports };
}
