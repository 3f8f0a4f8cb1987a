/**
 * Whether there is contact with a peer: a handshake that can be used, calls of ours without an
 * answer, calls of its that we answered in vain. Pure.
 */

import type { Evidence, OwnPeer, RouteAnswer, WireFlow } from './evidence.ts';
import { known } from './evidence.ts';

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
    return { initiations, proof: `no answer to ${initiations} initiations in ${seconds} seconds` };
  }
  const { initiations_sent: sent = 0, responses_received: answers = 0 } = peer.gained;
  if (sent === 0 || answers > 0 || hasSession(evidence, peer)) return null;
  const proof = `over the run, no answer to ${sent} initiation${sent === 1 ? '' : 's'}`;
  return { initiations: sent, proof };
}

/** It calls, we answer, and no data follows under the session that we offer. */
export function unconfirmedBy(peer: OwnPeer): Unanswered | null {
  const told = peer.troubles.find(({ code }) => code === 'unconfirmed');
  if (told === undefined) return null;
  const count = Number(told.values.responses ?? 0);
  return {
    initiations: count,
    proof: `it called ${count} times since the last session, each time we answered, and no data followed`,
  };
}

/** Either of them: a handshake is wanted and does not come about. */
export function isOutOfContact(evidence: Evidence, peer: OwnPeer): boolean {
  return (
    unansweredBy(evidence, peer) !== null ||
    unconfirmedBy(peer) !== null ||
    peer.troubles.some(({ code }) => !OTHER_TROUBLES.includes(code)) ||
    (peer.gained.drop_sendFailed ?? 0) > 0
  );
}

/** What a peer may have although the handshakes with it are well. */
const OTHER_TROUBLES: readonly string[] = ['foreignSource', 'noAllowedIps', 'noEndpoint'];

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
  return (known(evidence.wire) ?? []).filter((flow) => {
    if (flow.direction !== direction) return false;
    return direction === 'out'
      ? isAt(peer, flow.destination, flow.destinationPort)
      : isAt(peer, flow.source, null);
  });
}

/** The way that datagrams to the endpoint take; null where it was not asked for. */
export function endpointRoute(evidence: Evidence, peer: OwnPeer): RouteAnswer | null {
  const answers = known(evidence.routes) ?? [];
  const found = answers.find(
    (one) =>
      one.purpose === 'endpoint' &&
      one.peer === peer.publicKey &&
      isAt(peer, one.destination, null),
  );
  return found ?? null;
}
