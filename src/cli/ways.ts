/** The ways to a peer as `tswg INTERFACE` and `--json` show them. Pure. */

import { type Endpoint, formatEndpoint } from '../device/endpoint.ts';
import { formatNear } from '../device/near.ts';
import type { WayState } from '../device/ways.ts';
import { formatAddress } from '../packet/address.ts';

/** A way in JSON. */
export interface WayJson {
  readonly host: string;
  readonly port: number;
  /** The address or the interface that datagrams leave from; null for the kernel's choice. */
  readonly via: string | null;
  readonly inUse: boolean;
  /** What the host is known to be, best first. */
  readonly addresses: readonly string[];
  /** Why the last lookup brought nothing, such as EAI_AGAIN; null if it did not fail. */
  readonly error: string | null;
  /** Initiations over it since anything came back over it. */
  readonly unanswered: number;
}

export function describeWay(way: WayState): WayJson {
  const { host, port, near, isInUse, addresses, error, unanswered } = way;
  return {
    host,
    port,
    via: near === null ? null : formatNear(near),
    inUse: isInUse,
    addresses: addresses.map(formatAddress),
    error,
    unanswered,
  };
}

/**
 * A line for each way, in words that can be typed again, and in parentheses how it stands; and where
 * packets go, if that is none of them. `endpoint`: where they go.
 */
export function wayLines(ways: readonly WayState[], endpoint: Endpoint | null): string[] {
  const lines = ways.map((way) => {
    const via = way.near === null ? '' : ` via ${formatNear(way.near)}`;
    const standing = standingOf(way, ways.length > 1, endpoint);
    return `wgendpoint ${way.host} ${way.port}${via}${standing === '' ? '' : ` (${standing})`}`;
  });
  if (endpoint === null || ways.some(({ isInUse }) => isInUse)) return lines;
  return [...lines, `endpoint: ${formatEndpoint(endpoint)}, where the peer was heard from`];
}

function standingOf(way: WayState, isOneOfMany: boolean, endpoint: Endpoint | null): string {
  const { host, isInUse, addresses, error, unanswered } = way;
  const known = isInUse && endpoint !== null ? [endpoint.address] : addresses;
  const texts = known.map(formatAddress).filter((text) => text !== host);
  return [
    ...(known.length === 0 ? [unknownBecause(error)] : []),
    ...(texts.length === 0 ? [] : [texts.join(', ')]),
    ...(isInUse && isOneOfMany ? ['in use'] : []),
    ...(unanswered === 0 ? [] : [`${unanswered} unanswered`]),
  ].join(', ');
}

function unknownBecause(error: string | null): string {
  if (error === null) return 'not resolved yet';
  return error === 'ENODEV' ? 'no such interface' : `not resolved: ${error}`;
}
