/** Which peers do not answer, and of which of them more can be learnt by waiting. Pure. */

import type { ReportedStats } from '../../uapi/stats.ts';
import { isAnswerDue } from '../contact.ts';

type Peer = ReportedStats['peers'][number];

/** Called by us, and without an answer so far. @param stats null where nobody tells them */
export function silentPeers(stats: ReportedStats | null): readonly Peer[] {
  return (stats?.peers ?? []).filter((peer) => isKnownSilent(peer) || isAnswerDue(peer));
}

export interface Unsettled {
  readonly peers: readonly Peer[];
  /** One of them calls us as we call it: the call that tells may be the one after the next. */
  readonly isCrossing: boolean;
}

/**
 * Those of them that may answer still, or that have not been called since `first`, so that nobody could
 * say why. The next call to each is due within 5 s and a third of one (whitepaper 6.4). Calls that cross
 * each other are in vain at both ends: of a peer that calls us, too, it takes another.
 */
export function unsettledPeers(first: ReportedStats | null, now: ReportedStats | null): Unsettled {
  const before = new Map(first?.peers.map((peer) => [peer.publicKey.join(), peer.counters]));
  const gain = (peer: Peer, name: string): number =>
    (peer.counters[name] ?? 0) - (before.get(peer.publicKey.join())?.[name] ?? 0);
  const isCalling = (peer: Peer): boolean => gain(peer, 'initiations_received') > 0;
  const peers = silentPeers(now).filter((peer) => {
    // Who wants a cookie is there, and has said what it is busy with.
    if (!isKnownSilent(peer)) return gain(peer, 'cookies_received') === 0;
    return gain(peer, 'initiations_sent') < (isCalling(peer) ? 2 : 1);
  });
  return { peers, isCrossing: peers.some(isCalling) };
}

/** The daemon itself says so, after 5 s. */
function isKnownSilent({ troubles }: Peer): boolean {
  return troubles.some(({ code }) => code === 'noAnswer');
}
