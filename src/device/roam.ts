/** Roaming (whitepaper 2.1): a peer is wherever its last authenticated packet came from. */

import type { Core } from './core.ts';
import type { Endpoint } from './endpoint.ts';
import { endpointChanged } from './paths.ts';
import type { Peer } from './peer.ts';
import { type Heard, hearElsewhere } from './steering.ts';
import { heardAt } from './whereabouts.ts';

/** The endpoint is wherever the last authenticated packet came from (whitepaper 2.1). */
export function roam(core: Core, now: number, peer: Peer, endpoint: Endpoint, heard: Heard): void {
  const old = peer.endpoint;
  if (old === endpoint) return;
  if (peer.ways !== null) {
    hearElsewhere(core, now, peer, peer.ways, endpoint, heard);
    return;
  }
  peer.endpoint = endpoint;
  heardAt(core, peer, endpoint);
  endpointChanged(peer);
  if (old === null || old.sameRemote(endpoint)) return;
  peer.counts.roams++;
  core.tell({ kind: 'roamed', peer: peer.name, from: old, to: endpoint });
}
