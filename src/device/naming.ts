/** What follows when the name service has answered: peers that were nowhere are called. */

import { formatAddress } from '../packet/address.ts';
import type { Core } from './core.ts';
import { endpointChanged, isPathClear } from './paths.ts';
import type { Peer } from './peer.ts';
import { sendKeepalive, sendStaged } from './send.ts';
import { settle } from './steering.ts';
import type { NameAnswer } from './ways.ts';

/** See Device.nameAnswered. */
export function nameAnswered(core: Core, now: number, host: string, answer: NameAnswer): void {
  const news = core.names.answered(now, host, answer);
  if (news === null) return;
  const { name, hasFailed, hasMoved } = news;
  if (hasFailed) core.tell({ kind: 'nameFailed', host: name.host, error: name.error! });
  if (hasMoved) {
    const addresses = name.addresses.map(formatAddress);
    core.tell({ kind: 'nameResolved', host: name.host, addresses });
  }
  for (const peer of name.users) {
    follow(core, now, peer);
    if (name.error !== null) refuseStaged(core, peer);
  }
}

/** What the peer's ways lead to may be something else, or it has waited long enough for that. */
export function follow(core: Core, now: number, peer: Peer): void {
  const { ways } = peer;
  if (ways === null) return;
  ways.update();
  const isFound = settle(core, now, peer, ways);
  if (core.isUp && (isFound || isFree(core, now, peer))) call(core, now, peer);
}

/** Whether packets have come to have a way outside of the tunnel. */
function isFree(core: Core, now: number, peer: Peer): boolean {
  if (peer.lead !== 'inside') return false;
  endpointChanged(peer);
  return isPathClear(core, now, peer);
}

/** A peer has just become known to be somewhere: whoever waits for it need not wait any more. */
export function call(core: Core, now: number, peer: Peer): void {
  if (peer.persistentKeepalive > 0) sendKeepalive(core, now, peer);
  else sendStaged(core, now, peer);
}

/** What waited for the first address, which does not come now. */
function refuseStaged(core: Core, peer: Peer): void {
  if (peer.endpoint !== null || peer.ways?.isAwaited) return;
  core.drop('noEndpoint', peer, null, peer.staged.take().length);
}
