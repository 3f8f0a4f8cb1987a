/** What `--other` says about us, if it is the other end of one of our peers at all. Pure. */

import type { Evidence, OtherEnd, OwnPeer, TunnelPeer } from './evidence.ts';
import { known } from './evidence.ts';
import { daemonOf, peersOf } from './peer.ts';

export interface Counterpart {
  readonly other: OtherEnd;
  /** Ours here, theirs there: what each has configured of the other. */
  readonly peer: OwnPeer;
  readonly us: TunnelPeer;
}

/** Both ends know each other's key. */
export function counterpartOf(evidence: Evidence, peer: OwnPeer): Counterpart | null {
  const other = known(evidence.other);
  if (other === null || other.publicKey !== peer.publicKey) return null;
  const us = ourEntryAt(evidence);
  return us === null ? null : { other, peer, us };
}

/** Our key among its peers; null where it is not. */
export function ourEntryAt(evidence: Evidence): TunnelPeer | null {
  const own = daemonOf(evidence)?.publicKey;
  const other = known(evidence.other);
  return other?.peers.find(({ publicKey }) => publicKey === own) ?? null;
}

/**
 * The peer that the other end must be: of its key; else the only one whose endpoint is an address of
 * its, or the only one at all.
 */
export function peerOfOther(evidence: Evidence): OwnPeer | null {
  const other = known(evidence.other);
  if (other === null) return null;
  const peers = peersOf(evidence);
  const named = peers.find(({ publicKey }) => publicKey === other.publicKey);
  if (named !== undefined) return named;
  const inner = other.addresses.map((one) => one.split('/', 1)[0] ?? '');
  const meant = peers.filter(({ allowedIps }) =>
    allowedIps.some((prefix) => inner.some((address) => prefix.split('/', 1)[0] === address)),
  );
  if (meant.length === 1) return meant[0];
  return peers.length === 1 ? peers[0] : null;
}
