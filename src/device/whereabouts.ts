/**
 * Where a peer may be heard from: its endpoint, and the few places before that. What guards the
 * socket in a flood is told of each (Doorkeeper), so that a place which a peer has proved, or which
 * the operator has named, is no stranger's.
 *
 * A peer has a bounded number of places, and they are its own: what one peer does never takes
 * another's, although both may be behind one address.
 */

import type { Core } from './core.ts';
import type { Doorkeeper } from './doorkeeper.ts';
import type { Endpoint } from './endpoint.ts';
import type { Peer } from './peer.ts';

/** A laptop between its networks has two or three. */
export const PLACES_MAX = 4;

/** Call when the peer's endpoint is where it has just proved to be; the oldest place may go. */
export function heardAt(core: Core, peer: Peer, endpoint: Endpoint): void {
  const { places } = peer;
  const known = places.findIndex((place) => place.sameRemote(endpoint));
  if (known === 0) return;
  if (known > 0) {
    places.unshift(...places.splice(known, 1));
    return;
  }
  core.doorkeeper.expectPlace(endpoint);
  places.unshift(endpoint);
  if (places.length > PLACES_MAX) core.doorkeeper.forgetPlace(places.pop()!);
}

/** Call when the operator has said where the peer is: what was said or proved before is void. */
export function saidToBeAt(core: Core, peer: Peer, endpoint: Endpoint | null): void {
  const isKnown = endpoint !== null && peer.places.some((place) => place.sameRemote(endpoint));
  if (!isKnown) forgetAll(core, peer);
  if (endpoint !== null) heardAt(core, peer, endpoint);
}

/** Call when the peer's sessions have ended: only where it was last remains. */
export function forgetEarlier(core: Core, peer: Peer): void {
  for (const place of peer.places.splice(1)) core.doorkeeper.forgetPlace(place);
}

/** Another doorkeeper is told whom we expect to hear from; the one before forgets them all. */
export function employ(core: Core, doorkeeper: Doorkeeper): void {
  core.indices.employ(doorkeeper);
  for (const peer of core.peers.values()) introduce(core, peer, doorkeeper);
  for (const newcomers of core.newcomers) {
    for (const peer of newcomers) introduce(core, peer, doorkeeper);
  }
  core.doorkeeper = doorkeeper;
}

function introduce(core: Core, { places }: Peer, doorkeeper: Doorkeeper): void {
  for (const place of places) {
    core.doorkeeper.forgetPlace(place);
    doorkeeper.expectPlace(place);
  }
}

/** Call when the peer is removed. */
export function forgetAll(core: Core, peer: Peer): void {
  for (const place of peer.places.splice(0)) core.doorkeeper.forgetPlace(place);
}
