/**
 * The routing loop: the way to a peer's endpoint leads into the tunnel itself, so that each datagram
 * comes back as a packet to be sent, for ever. The kernel's WireGuard compares the device of the
 * route and says ELOOP. Here the outside is asked, which may know a way around the tunnel, when a
 * peer has something to send for the first time after its endpoint or anything that routes depend on
 * has changed; the answer stays with the peer, and a packet costs a comparison.
 */

import type { Core } from './core.ts';
import type { Lead } from './lead.ts';
import { PATH_UNKNOWN, type Peer } from './peer.ts';

/**
 * Whether datagrams may leave for the peer's endpoint. Call before anything is sent there. While the
 * allowance for questions is used up, as after a flood of changes, the last answer holds.
 */
export function isPathClear(core: Core, now: number, peer: Peer): boolean {
  if (peer.pathsVersion !== core.pathsVersion && core.pathChecks.has(now)) look(core, peer);
  return peer.lead !== 'inside';
}

function look(core: Core, peer: Peer): void {
  core.pathChecks.take();
  peer.pathsVersion = core.pathsVersion;
  const wasLooping = peer.lead === 'inside';
  peer.lead = leadOf(core, peer);
  if (peer.lead === 'inside' && detour(core, peer)) peer.lead = leadOf(core, peer);
  const isLooping = peer.lead === 'inside';
  const { endpoint } = peer;
  if (isLooping === wasLooping || endpoint === null) return;
  core.tell({ kind: isLooping ? 'routingLoop' : 'routingLoopEnded', peer: peer.name, endpoint });
  if (isLooping) core.drop('routingLoop', peer, null, peer.staged.take().length);
}

function leadOf(core: Core, { endpoint }: Peer): Lead {
  return endpoint === null ? 'out' : core.lead(endpoint);
}

/** Takes the first candidate of the peer's ways that is outside of the tunnel, if there is one. */
function detour(core: Core, peer: Peer): boolean {
  const { ways } = peer;
  const candidate = ways?.candidates().find(({ endpoint }) => !core.leadsInside(endpoint));
  if (ways === null || candidate === undefined) return false;
  ways.take(candidate);
  peer.endpoint = candidate.endpoint;
  return true;
}

/** The peer's endpoint is another one, or is gone. */
export function endpointChanged(peer: Peer): void {
  peer.pathsVersion = PATH_UNKNOWN;
  if (peer.endpoint === null) peer.lead = 'out';
}
