/**
 * The tables of what can be observed of a Device and of each of its peers. A row here is all that a
 * new metric takes: `stats`, `--json` and the list in docs/metrics.md follow (a test says what is
 * missing there). The daemon's own metrics are daemon/metrics.ts.
 */

import type { PeerCondition } from './condition.ts';
import type { Core } from './core.ts';
import type { Drops } from './drops.ts';
import { formatEndpoint } from './endpoint.ts';
import {
  asSeries,
  counter,
  gauge,
  info,
  type LabelledNumbers,
  type Metric,
  ofGet,
  state,
} from './metric.ts';
import type { Peer } from './peer.ts';

/**
 * The drops are one metric with a label, not a row for each reason: their sum means something, a
 * dashboard groups by the reason, and DROP_REASONS is the table of the reasons already.
 */
const DROPS: LabelledNumbers<{ readonly drops: Drops }> = {
  kind: 'counter',
  name: 'drop',
  unit: 'packets',
  label: 'reason',
  help: 'packets neither delivered nor sent, by reason; a reason that has not occurred is left out',
  readEach: ({ drops }) => drops.entries(),
};

const MS_PER_S = 1_000;
const US_PER_MS = 1_000;

const CONDITIONS: readonly PeerCondition[] = ['connected', 'idle', 'lost'];

/** In the order in which they are shown. */
export const DEVICE_METRICS: readonly Metric<Core>[] = [
  info('crypto', 'the implementation that seals and opens packets', (core) => core.suite.name),
  info(
    'key_form',
    'how the private key was given: `clamped`, as genkey makes it, or `unclamped`, as most public keys are',
    (core) => (core.identity === null ? null : core.wasKeyClamped ? 'clamped' : 'unclamped'),
  ),
  gauge('peers', 'peers', 'peers that are configured', (core) => core.peers.size),
  gauge(
    'allowed_ips',
    'prefixes',
    'allowed IPs of all peers together',
    (core) => core.allowedIps.size,
  ),
  gauge(
    'handshakes_waiting',
    'messages',
    'received handshake messages that wait to be handled',
    (core) => core.handshakeQueue.length,
  ),
  counter(
    'cookies_sent',
    'messages',
    'cookies sent instead of an answer, while under load',
    (core) => core.counts.cookiesSent,
  ),
  counter(
    'unreachables_sent',
    'packets',
    'ICMP errors written to the interface for packets that could not be sent',
    (core) => core.counts.unreachablesSent,
  ),
  asSeries('dropped_packets', DROPS),
];

/** In the order in which they are shown. */
export const PEER_METRICS: readonly Metric<Peer>[] = [
  // It is the label `friendly_name` of the peer's series.
  asSeries(
    null,
    ofGet(
      info('description', "the operator's name for the peer", (peer) => peer.description || null),
    ),
  ),
  ofGet(info('endpoint', 'where packets for the peer are sent', whereabouts)),
  // These three are called in `tswg metrics` as dashboards for WireGuard know them.
  asSeries(
    'sent_bytes',
    ofGet(
      counter(
        'bytes_sent',
        'bytes',
        'UDP payload sent, handshakes included',
        (peer) => peer.txBytes,
      ),
    ),
  ),
  asSeries(
    'received_bytes',
    ofGet(
      counter(
        'bytes_received',
        'bytes',
        'UDP payload received and accepted, handshakes included',
        (peer) => peer.rxBytes,
      ),
    ),
  ),
  asSeries(
    'latest_handshake_seconds',
    ofGet(
      gauge(
        'last_handshake_seconds',
        'seconds',
        'time of the last completed handshake, since 1970; 0 for never',
        (peer) => Math.floor(peer.lastHandshakeMs / MS_PER_S),
      ),
    ),
  ),
  gauge(
    'handshake_round_trip_seconds',
    'seconds',
    'from the initiation to its answer in the last handshake that we began and needed no second initiation for; absent before that',
    (peer) => roundTripSeconds(peer),
  ),
  // `tswg IF` tells these three in a line.
  ofGet(
    asSeries(
      'peer_state',
      state(
        'condition',
        CONDITIONS,
        'whether there is a session, and whether what is sent is answered',
        (peer) => ({ word: peer.condition.state }),
      ),
    ),
  ),
  ofGet(
    gauge('up', '', 'whether the peer is connected or idle: 1; or lost: 0', (peer) =>
      peer.condition.state === 'lost' ? 0 : 1,
    ),
  ),
  ofGet(
    gauge('condition_since_seconds', 'seconds', 'when the condition began, since 1970', (peer) =>
      Math.floor(peer.condition.sinceMs / MS_PER_S),
    ),
  ),
  counter(
    'initiations_sent',
    'messages',
    'handshake initiations sent',
    (peer) => peer.counts.initiationsSent,
  ),
  counter(
    'initiations_received',
    'messages',
    'handshake initiations received and accepted',
    (peer) => peer.counts.initiationsReceived,
  ),
  counter(
    'responses_sent',
    'messages',
    'handshake responses sent',
    (peer) => peer.counts.responsesSent,
  ),
  counter(
    'responses_received',
    'messages',
    'handshake responses received and accepted',
    (peer) => peer.counts.responsesReceived,
  ),
  {
    kind: 'counter',
    name: 'handshakes',
    unit: 'handshakes',
    label: 'result',
    help: 'handshakes by result: completed, as initiator or responder; given_up after 90 seconds without an answer; undecipherable, when a message of the peer did not decrypt; stale, when its initiation was not newer than an earlier one',
    readEach: ({ counts, drops }) => [
      ['completed', counts.handshakesCompleted],
      ['given_up', counts.handshakesGivenUp],
      ['undecipherable', drops.get('badHandshake')],
      ['stale', drops.get('replayedInitiation')],
    ],
  },
  counter(
    'rekeys',
    'handshakes',
    'handshakes completed that followed an earlier one',
    (peer) => peer.counts.rekeys,
  ),
  counter(
    'cookies_received',
    'messages',
    'cookies received from the peer, which was under load',
    (peer) => peer.counts.cookiesReceived,
  ),
  counter('keepalives_sent', 'packets', 'empty packets sent', (peer) => peer.counts.keepalivesSent),
  counter(
    'keepalives_received',
    'packets',
    'empty packets received',
    (peer) => peer.counts.keepalivesReceived,
  ),
  counter(
    'packets_sent',
    'packets',
    'data packets sent, empty ones included',
    (peer) => peer.counts.txPackets,
  ),
  counter(
    'packets_received',
    'packets',
    'data packets received and opened, empty ones included',
    (peer) => peer.counts.rxPackets,
  ),
  counter(
    'roams',
    'changes',
    'changes of the endpoint, because the peer sent from another one',
    (peer) => peer.counts.roams,
  ),
  gauge(
    'packets_waiting',
    'packets',
    'packets that wait for a handshake to complete',
    (peer) => peer.staged.length,
  ),
  asSeries('peer_dropped_packets', DROPS),
];

function whereabouts({ endpoint }: Peer): string | null {
  return endpoint === null ? null : formatEndpoint(endpoint);
}

/** Whole microseconds: what a small number of seconds can be written with. */
function roundTripSeconds({ handshakeRoundTripMs: ms }: Peer): number | null {
  return Number.isFinite(ms) ? Math.round(ms * US_PER_MS) / (US_PER_MS * MS_PER_S) : null;
}
