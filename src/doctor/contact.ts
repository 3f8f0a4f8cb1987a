/**
 * Whether there is contact with a peer: a handshake that can be used, calls of ours without an
 * answer, calls of its that we answered in vain. Pure.
 */

import { counted } from '../counted.ts';
import type { Evidence, Measured, OwnPeer, RouteAnswer, WireFlow } from './evidence.ts';
import { known } from './evidence.ts';
import { having } from './having.ts';
import { daemonOf } from './peer.ts';

/** A session is of no use after it (REJECT_AFTER_TIME). */
const SESSION_MS = 180_000;
const MS_PER_S = 1_000;

/** A handshake was completed so shortly ago that its session is still good. */
export function hasSession({ run }: Evidence, { lastHandshakeMs }: OwnPeer): boolean {
  return lastHandshakeMs > 0 && run.startedMs + run.tookMs - lastHandshakeMs < SESSION_MS;
}

/** Calls without an answer, told as a proof. */
export interface Unanswered {
  readonly initiations: number;
  readonly proof: string;
}

/** Initiations of ours that brought nothing; null when there are none, or when one was answered. */
export function unansweredBy(evidence: Evidence, peer: OwnPeer): Unanswered | null {
  const told = peer.troubles.find(({ code }) => code === 'noAnswer');
  if (told !== undefined) {
    const initiations = Number(told.values.initiations ?? 0);
    const seconds = Math.round(Number(told.values.silentMs ?? 0) / MS_PER_S);
    return {
      initiations,
      proof: `no answer to ${counted(initiations, 'initiation')} in ${counted(seconds, 'second')}`,
    };
  }
  // It answers; what is wrong with that is another thing.
  if (peer.troubles.some(({ code }) => code === 'undecipherable')) return null;
  const { initiations_sent: sent = 0, responses_received: answers = 0 } = peer.gained;
  // The answer to a single one may be on its way: between two, there were 5 s for it.
  if (sent < 2 || answers > 0 || hasSession(evidence, peer)) return null;
  const proof = `over the run, no answer to ${counted(sent, 'initiation')}`;
  return { initiations: sent, proof };
}

/**
 * Packets wait for a handshake with it, for which we have called, and nothing has come back; it is too
 * early to call that silence, which takes 5 s.
 */
export function isAnswerDue({
  counters,
  troubles,
}: Pick<Measured, 'counters' | 'troubles'>): boolean {
  const { packets_waiting: waiting = 0, initiations_sent: sent = 0 } = counters;
  return waiting > 0 && sent > 0 && troubles.every(({ code }) => OTHER_TROUBLES.includes(code));
}

/** It calls, we answer, and no data follows under the session that we offer. */
export function unconfirmedBy(peer: OwnPeer): Unanswered | null {
  // Who begins faster than anybody needs to does not wait for an answer.
  if ((peer.gained.drop_initiationFlood ?? 0) > 0) return null;
  const told = peer.troubles.find(({ code }) => code === 'unconfirmed');
  if (told === undefined) return null;
  const count = Number(told.values.responses ?? 0);
  const since = peer.lastHandshakeMs === 0 ? 'so far' : 'since the last session';
  return {
    initiations: count,
    proof: `it called ${counted(count, 'time')} ${since}, each time we answered, and no data followed`,
  };
}

/**
 * Told as a proof: nothing at all came from it over the run, and no ping of doctor's to it was
 * answered. No fault by itself; null where something came, or where nobody asked.
 */
export function unheardBy(evidence: Evidence, peer: OwnPeer): string | null {
  const pings = having(known(evidence.pings) ?? [], 'peer', peer.publicKey);
  const echoes = pings.flatMap((ping) => ping.echoes).filter(({ error }) => error === null);
  const sent = echoes.reduce((sum, echo) => sum + echo.sent, 0);
  const isHeard = peer.gainedRxBytes > 0 || echoes.some(({ received }) => received > 0);
  if (isHeard || sent === 0) return null;
  return `over the run, nothing came from it, and ${sent === 1 ? 'no ping' : `none of ${sent} pings`} was answered`;
}

/** Any of them: a handshake is wanted and does not come about. */
export function isOutOfContact(evidence: Evidence, peer: OwnPeer): boolean {
  return (
    isAnswerDue(peer) ||
    unansweredBy(evidence, peer) !== null ||
    unconfirmedBy(peer) !== null ||
    peer.troubles.some(({ code }) => !OTHER_TROUBLES.includes(code)) ||
    (peer.gained.drop_sendFailed ?? 0) > 0
  );
}

/** What a peer may have although the handshakes with it are well. */
const OTHER_TROUBLES: readonly string[] = [
  ...['foreignSource', 'noAllowedIps', 'noEndpoint'],
  ...['ownSource', 'onlyKeepalives'],
];

/** `203.0.113.10 port 51820`, or that it is not known. */
export function placeOf({ endpoint }: OwnPeer): string {
  return endpoint === null ? 'an unknown place' : `${endpoint.address} port ${endpoint.port}`;
}

/** Whether somebody's address and, unless it is null, port are those of the peer's endpoint. */
export function isAt({ endpoint }: OwnPeer, address: string, port: number | null): boolean {
  if (endpoint === null || endpoint.address !== address) return false;
  return port === null || endpoint.port === port;
}

/** Handshake messages to the endpoint that left, or from its address that came. */
export function wireOf(
  evidence: Evidence,
  peer: OwnPeer,
  direction: WireFlow['direction'],
): readonly WireFlow[] {
  if (peer.endpoint === null) return [];
  const { address, port } = peer.endpoint;
  const all = known(evidence.wire) ?? [];
  const flows = having(all, direction === 'out' ? 'destination' : 'source', address).filter(
    (flow) => flow.direction === direction,
  );
  return direction === 'out' ? flows.filter((flow) => flow.destinationPort === port) : flows;
}

/** The way that datagrams to the endpoint take; null where it was not asked for. */
export function endpointRoute(evidence: Evidence, peer: OwnPeer): RouteAnswer | null {
  const answers = having(known(evidence.routes) ?? [], 'peer', peer.publicKey);
  const found = answers.find(
    (one) => one.purpose === 'endpoint' && isAt(peer, one.destination, null),
  );
  return found ?? null;
}

/** What the daemon counts of handshake messages that reach it, beside its drops. */
const TAKEN: readonly string[] = [
  ...['initiations_received', 'responses_received', 'cookies_received'],
  ...['drop_replayedInitiation', 'drop_initiationFlood', 'drop_unexpectedResponse'],
];

/** Handshake messages for us that came over a link, told as a proof. */
export interface Arrivals {
  readonly link: string;
  readonly proof: string;
}

/** Such that the daemon counted in no way, neither as taken nor as dropped; null for none. */
export function arrivalsLost(evidence: Evidence, peer: OwnPeer): Arrivals | null {
  const daemon = daemonOf(evidence);
  if (daemon === null) return null;
  const flows = wireOf(evidence, peer, 'in').filter(
    ({ destinationPort, hasOurMac1 }) =>
      destinationPort === daemon.listenPort && hasOurMac1 !== false,
  );
  const packets = flows.reduce((sum, flow) => sum + flow.packets, 0);
  const taken = TAKEN.reduce((sum, name) => sum + (peer.gained[name] ?? 0), 0);
  const dropped = Object.entries(daemon.gained)
    .filter(([name]) => name.startsWith('drop_'))
    .reduce((sum, [, count]) => sum + count, 0);
  if (packets === 0 || taken > 0 || dropped >= packets) return null;
  const [{ link, source, sourcePort }] = flows;
  return {
    link,
    proof: `over the run, ${counted(packets, 'handshake message')} arrived on ${link} from ${source} port ${sourcePort} for port ${daemon.listenPort}`,
  };
}
