/** What the network itself answered to datagrams for a peer: ours, the daemon's, or a probe's. Pure. */

import { counted } from '../counted.ts';
import { isAt, isOutOfContact, unheardBy } from './contact.ts';
import type { Evidence, IcmpMeaning, OwnPeer } from './evidence.ts';
import { known } from './evidence.ts';
import { having } from './having.ts';

/** One answer of the network, told as a proof. */
export interface NetworkError {
  readonly meaning: IcmpMeaning;
  /** Who said so; null when it was the kernel of this machine. */
  readonly from: string | null;
  /** Whether it is about a datagram of the daemon, and not about a probe. */
  readonly isOfDaemon: boolean;
  readonly proof: string;
}

const MEANINGS: Readonly<Record<IcmpMeaning, string>> = {
  portUnreachable: 'port unreachable',
  hostUnreachable: 'host unreachable',
  networkUnreachable: 'network unreachable',
  prohibited: 'administratively prohibited',
  tooBig: 'too big',
  timeExceeded: 'time exceeded',
  other: 'another error',
};

/** Those about the peer's endpoint, the daemon's own datagrams first. */
export function networkErrors(evidence: Evidence, peer: OwnPeer): readonly NetworkError[] {
  const own = having(known(evidence.icmp) ?? [], 'destination', peer.endpoint?.address ?? '')
    .filter((one) => isAt(peer, one.destination, one.destinationPort))
    .sort((a, b) => Number(a.about === 'probe') - Number(b.about === 'probe'))
    .map(({ meaning, from, count, type, code, about, destination, destinationPort }) => ({
      meaning,
      from: isOwn(evidence, from) ? null : from,
      isOfDaemon: about === 'daemon',
      proof: `${from} answered ${counted(count, 'datagram')} of ${about === 'daemon' ? 'the daemon' : 'doctor'} to ${destination} port ${destinationPort} by ICMP: ${MEANINGS[meaning]} (type ${type}, code ${code})`,
    }));
  const probed = (known(evidence.probes) ?? [])
    .filter(({ address, port }) => isAt(peer, address, port))
    .flatMap(({ errors, address, port }) =>
      errors
        .filter(({ origin }) => origin !== 'other')
        .map(({ error, origin, meaning, from }) => ({
          meaning,
          from: origin === 'local' || from === null || isOwn(evidence, from) ? null : from,
          isOfDaemon: false,
          proof: `a probe to ${address} port ${port} got ${error} from ${origin === 'local' || from === null ? 'the kernel of this machine' : `${from} (ICMP ${MEANINGS[meaning]})`}`,
        })),
    );
  return [...own, ...probed];
}

/**
 * An error is worth a word only where nothing gets through: anybody may send one. While a session
 * lives the daemon misses nothing yet; then those about its own datagrams alone count.
 */
export function errorsInEarnest(evidence: Evidence, peer: OwnPeer): readonly NetworkError[] {
  const errors = networkErrors(evidence, peer);
  if (isOutOfContact(evidence, peer)) return errors;
  if (unheardBy(evidence, peer) === null) return [];
  return errors.filter(({ isOfDaemon }) => isOfDaemon);
}

function isOwn(evidence: Evidence, address: string): boolean {
  return (known(evidence.links) ?? []).some(({ addresses }) =>
    addresses.some((one) => one.address === address),
  );
}
