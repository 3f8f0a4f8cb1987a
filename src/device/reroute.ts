/** What changes when the machine's routes do: a peer whose path is clear again is called at once. */

import type { Core } from './core.ts';
import { isPathClear } from './paths.ts';
import { sendKeepalive } from './send.ts';

/**
 * Routes, rules, addresses or links of the machine changed, or the mark and the port that routes may
 * depend on. Paths are looked at when they are next used; those into the tunnel at once.
 */
export function pathsChanged(core: Core, now: number): void {
  core.pathsVersion++;
  if (!core.isUp) return;
  for (const peer of core.peers.values()) {
    if (peer.lead !== 'inside' || !isPathClear(core, now, peer)) continue;
    // Nothing else would begin again by itself: every timer ran out at the path that was shut.
    if (peer.persistentKeepalive > 0) sendKeepalive(core, now, peer);
  }
}
