/** What changes when the machine's routes do: a peer whose path is clear again is called at once. */

import { REKEY_TIMEOUT_MS } from '../noise/constants.ts';
import type { Core } from './core.ts';
import { DEADLINE } from './deadlines.ts';
import { call } from './naming.ts';
import { isPathClear } from './paths.ts';
import type { Peer } from './peer.ts';
import { sendInitiation, sendKeepalive } from './send.ts';
import { settle, wantNames } from './steering.ts';

/**
 * Routes, rules, addresses or links of the machine changed, or the mark and the port that routes may
 * depend on. Paths are looked at when they are next used; those into the tunnel at once.
 */
export function pathsChanged(core: Core, now: number): void {
  core.pathsVersion++;
  if (!core.isUp) return;
  for (const peer of core.wayHolders) {
    if (lookAgain(core, now, peer)) call(core, now, peer);
    else if (isCutOff(core, now, peer)) callSoon(core, now, peer);
  }
  for (const peer of core.peers.values()) {
    if (peer.lead !== 'inside' || !isPathClear(core, now, peer)) continue;
    // Nothing else would begin again by itself: every timer ran out at the path that was shut.
    if (peer.persistentKeepalive > 0) sendKeepalive(core, now, peer);
  }
}

/**
 * What a peer's ways lead to may be something else, and names are asked for again. True when it was
 * nowhere, and is somewhere now.
 */
export function lookAgain(core: Core, now: number, peer: Peer): boolean {
  const { ways } = peer;
  if (ways === null) return false;
  wantNames(core, now, ways);
  ways.update();
  return settle(core, now, peer, ways);
}

/** Whether a session is left without a route, while another way has one. */
function isCutOff(core: Core, now: number, { ways, endpoint, current }: Peer): boolean {
  if (ways === null || endpoint === null || !current?.canSend(now)) return false;
  // What is asked of the machine is bounded here, too: changes may come in any number.
  if (!core.pathChecks.has(now)) return false;
  core.pathChecks.take();
  return ways.isCutOff(endpoint);
}

/** The other end does not know where we are now, and silence would tell us only after 15 s. */
function callSoon(core: Core, now: number, peer: Peer): void {
  const earliest = peer.lastInitiationAt + REKEY_TIMEOUT_MS;
  if (now >= earliest) sendInitiation(core, now, peer);
  else if (!core.deadlines.isArmed(peer.row, DEADLINE.retransmitHandshake)) {
    core.deadlines.arm(peer.row, DEADLINE.retransmitHandshake, earliest);
  }
}
