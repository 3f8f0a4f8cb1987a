/** Which peers do not answer, and of which of them more can be learnt by waiting. Pure. */

import type { ReportedStats } from '../../uapi/stats.ts';
import { isAnswerDue } from '../contact.ts';

type Peer = ReportedStats['peers'][number];

/** Called by us, and without an answer so far. @param stats null where nobody tells them */
export function silentPeers(stats: ReportedStats | null): readonly Peer[] {
  return (stats?.peers ?? []).filter((peer) => isKnownSilent(peer) || isAnswerDue(peer));
}

/**
 * Those of them that may answer still, or that have not been called since `first`, so that nobody could
 * say why. The next call to each is due within 5 s and a third of one (whitepaper 6.4).
 */
export function unsettledPeers(
  first: ReportedStats | null,
  now: ReportedStats | null,
): readonly Peer[] {
  const before = new Map(first?.peers.map((peer) => [peer.publicKey.join(), peer.counters]));
  return silentPeers(now).filter((peer) => {
    const counters = before.get(peer.publicKey.join()) ?? {};
    const gained = (name: string): number => (peer.counters[name] ?? 0) - (counters[name] ?? 0);
    // Who wants a cookie is there, and has said what it is busy with.
    if (!isKnownSilent(peer)) return gained('cookies_received') === 0;
    return gained('initiations_sent') === 0;
  });
}

/** The daemon itself says so, after 5 s. */
function isKnownSilent({ troubles }: Peer): boolean {
  return troubles.some(({ code }) => code === 'noAnswer');
}
