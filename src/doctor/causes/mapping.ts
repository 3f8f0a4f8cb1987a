/** What a NAT does to a peer that we know only from its calls, and what two machines with one key do. Pure. */

import { counted } from '../../counted.ts';
import type { Cause } from '../cause.ts';
import { isAt, placeOf, unansweredBy, unheardBy } from '../contact.ts';
import type { Evidence, OwnPeer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { errorsInEarnest, networkErrors } from '../icmperrors.ts';
import { counterpartOf } from '../otherend.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';

/** There and back, twice: whoever moves does so once. */
const CHANGES_MIN = 4;
/** Within it they count. */
const FLAPPING_MS = 600_000;
const MS_PER_S = 1_000;
/** Shorter than what most NATs remember of UDP, 30 s. */
const KEEPALIVE_S = 25;

export const MAPPING: readonly Cause[] = [
  {
    code: 'keyShared',
    weight: 'handshake',
    find: findShared,
    explains: ['natMappingLost', 'silence'],
  },
  {
    code: 'natMappingLost',
    weight: 'handshake',
    find: findLost,
    explains: ['nothingListens', 'hostUnreachable', 'prohibited', 'filteredBeyond'],
  },
];

/** It is known from its own calls only, and where they came from nobody answers any more. */
function findLost(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const calls = unansweredBy(evidence, peer)?.proof ?? refusedBy(evidence, peer);
    const { endpoint, lastHandshakeMs, counters } = peer;
    if (calls === null || endpoint === null || lastHandshakeMs === 0) return [];
    if (isConfigured(evidence, peer)) return [];
    const { responses_received: answers = 0, responses_sent: answered = 0 } = counters;
    if (answers > 0 || answered === 0) return [];
    const seconds = Math.round((evidence.run.startedMs - lastHandshakeMs) / MS_PER_S);
    const us = counterpartOf(evidence, peer)?.us;
    const errors = networkErrors(evidence, peer).map(({ proof }) => proof);
    const own = daemonOf(evidence)?.publicKey;
    return [
      {
        code: 'natMappingLost',
        peer: peer.publicKey,
        sentence: `${nameOf(peer)} cannot be reached at ${placeOf(peer)}, where it last called from: the NAT or firewall before it has forgotten the way, until it calls again`,
        proof: [
          `it began ${answered === 1 ? 'the only handshake' : `all ${answered} handshakes`} with us, the last ${counted(seconds, 'second')} ago; none that we began was ever answered`,
          'no wgendpoint says where it is: the address is that of its last call',
          calls,
          ...(us === undefined
            ? []
            : [`the other end says that its wgpka for us is ${us.persistentKeepalive} (0 is off)`]),
          ...new Set(errors),
        ],
        commands: [
          `tswg ${evidence.run.name} wgpeer ${own} wgpka ${KEEPALIVE_S} # at the other end, whose interface is taken to have the same name`,
        ],
        ...(us === undefined
          ? {
              undecided: ['that machine is off or has gone elsewhere: then it does not call again'],
            }
          : {}),
      },
    ];
  });
}

/** Its session may live still, but what we send under it is rejected, and nothing comes. */
function refusedBy(evidence: Evidence, peer: OwnPeer): string | null {
  return errorsInEarnest(evidence, peer).length === 0 ? null : unheardBy(evidence, peer);
}

/** By the daemon's ways or the file, at this address or under a name. */
function isConfigured(evidence: Evidence, peer: OwnPeer): boolean {
  const wish = known(evidence.files)?.hostname?.peers.find(
    ({ publicKey }) => publicKey === peer.publicKey,
  );
  return peer.ways.length > 0 || (wish?.ways.length ?? 0) > 0;
}

/** Its endpoint goes to and fro between two places. */
function findShared(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const moves = (known(evidence.events) ?? [])
      .filter(
        ({ kind, timeMs, ...event }) =>
          kind === 'roamed' &&
          event.peer === peer.publicKey &&
          evidence.run.startedMs - timeMs < FLAPPING_MS,
      )
      .map(({ timeMs, values }) => ({ timeMs, from: `${values.from}`, to: `${values.to}` }));
    const pair = returnsOf(moves);
    if (pair === null) return [];
    const { places, changes, seconds } = pair;
    return [
      {
        code: 'keyShared',
        peer: peer.publicKey,
        sentence: `two machines have the private key of ${nameOf(peer)}: it calls from ${places[0]} and from ${places[1]} in turns, and each takes the tunnel from the other`,
        proof: [
          `its endpoint changed ${counted(changes, 'time')} between these two in ${counted(seconds, 'second')}`,
          ...(isAtEither(peer, places) ? [`at the moment it is ${placeOf(peer)}`] : []),
        ],
        commands: [
          '(umask 077; tswg genkey >/etc/wg/private.key) # on one of the two machines; its pubkey is a peer of its own here',
        ],
        undecided: [
          'it is one machine with two lines to the Internet that sends over both in turns: then both are its own',
        ],
      },
    ];
  });
}

interface Move {
  readonly timeMs: number;
  readonly from: string;
  readonly to: string;
}

/** The two places between which most of the latest moves went; null when somebody only moves on. */
function returnsOf(moves: readonly Move[]): {
  readonly places: readonly [string, string];
  readonly changes: number;
  readonly seconds: number;
} | null {
  const last = moves.at(-1);
  if (last === undefined) return null;
  const places = [last.from, last.to].sort() as [string, string];
  const between = moves.filter(({ from, to }) => places.includes(from) && places.includes(to));
  if (between.length < CHANGES_MIN) return null;
  const seconds = Math.round((last.timeMs - between[0].timeMs) / MS_PER_S);
  return { places, changes: between.length, seconds };
}

function isAtEither(peer: OwnPeer, places: readonly string[]): boolean {
  return places.some((place) => {
    const colon = place.lastIndexOf(':');
    return isAt(peer, place.slice(0, colon).replace(/[[\]]/g, ''), Number(place.slice(colon + 1)));
  });
}
