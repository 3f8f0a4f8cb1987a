/** The kinds of events, and what each tells: for docs/events.md and whoever chooses among them. */

import type { EventKind } from './record.ts';

/** In the order in which docs/events.md lists them. */
export const EVENT_KINDS: Readonly<Record<EventKind, string>> = {
  connected: 'the peer is connected: the first session, or the first after it was lost',
  disconnected: 'the peer is lost; by what that was found, and the likeliest reason',
  handshakeBegun: 'there is no session, and a handshake begins; who began it, and with whom',
  handshakeCompleted: 'there is a session',
  rekeyed: 'there is a new session, in place of one that was still good',
  handshakeFailed:
    'the handshake was given up; after how many initiations, and the likeliest reason',
  keysErased: 'no new session for nine minutes: the keys were erased',
  roamed: 'the peer sent from another address or port, where it is sent to from now on',
  wayChanged: 'its packets take another of its ways, or another address of a way',
  nameResolved: 'the host of a way has other addresses than before, or its first',
  nameFailed: 'the host of a way could not be looked up',
  cookieReceived: 'the peer is under load, and asks for a cookie',
  initiationsStale: 'initiations of the peer were refused: their timestamps are not newer',
  routingLoop: 'the endpoint is routed into the tunnel itself: nothing is sent there',
  routingLoopEnded: 'the endpoint is not routed into the tunnel any more',
  configured: 'the configuration was changed; by what, and which fields of the interface',
  peerConfigured: 'a peer was added or changed; which fields',
  peerRemoved: 'a peer was removed',
  started: 'the daemon was started',
  linkUp: 'the interface is up; on which UDP port, 0 when there is no socket',
  linkDown: 'the interface is down',
  upgraded: 'another process continues in place of the daemon',
  upgradeFailed: 'an upgrade failed, and the daemon continues',
  resumed: 'the machine was suspended; for how long',
  clockSetBack: 'the wall clock was set back; by how much',
  stateRefused: 'the saved state of a persistent daemon was not used',
  cookieSent: 'under load, a cookie was sent instead of an answer',
  stranger: 'an initiation by a key that is no peer',
  dropped: 'packets were dropped; only while `debug` is on',
  suppressed: 'events were not kept, because too many came from one peer or from strangers',
};

export function isEventKind(text: string): text is EventKind {
  return Object.hasOwn(EVENT_KINDS, text);
}
