/** What of a Device's events is kept and told to operators, and as what. */

import { formatEndpoint } from '../device/endpoint.ts';
import type { DeviceEvent } from '../device/events.ts';
import type { PeerName } from '../device/peername.ts';
import type { EventBody } from './record.ts';

/** A name that is longer is cut: thousands of them are kept. UTF-16 units. */
const NAME_MAX = 256;

/**
 * null for what tells nothing more: an initiation that is repeated, the handshake by which a session
 * that is good is renewed, before it has succeeded, and our answer to one.
 */
export function bodyOf(event: DeviceEvent): EventBody | null {
  switch (event.kind) {
    case 'initiationSent':
      if (!event.begins || event.renews) return null;
      return {
        kind: 'handshakeBegun',
        ...about(event.peer),
        by: 'us',
        endpoint: endpointOf(event),
      };
    case 'initiationReceived': {
      if (event.renews) return null;
      return begun(event.peer, 'peer', formatEndpoint(event.endpoint));
    }
    case 'responseSent':
      return null;
    case 'responseReceived':
    case 'sessionConfirmed': {
      const kind = event.renews ? 'rekeyed' : 'handshakeCompleted';
      const by = event.kind === 'responseReceived' ? 'us' : 'peer';
      const { peer, name } = about(event.peer);
      return { kind, peer, name, by, session: event.session };
    }
    case 'handshakeGivenUp': {
      const { attempts, cause } = event;
      return { kind: 'handshakeFailed', ...about(event.peer), attempts, cause };
    }
    case 'disconnected': {
      const { kind, cause, trouble } = event;
      return { kind, ...about(event.peer), cause, trouble };
    }
    case 'connected':
    case 'cookieReceived':
    case 'keysErased':
      return { kind: event.kind, ...about(event.peer) };
    case 'roamed': {
      const [from, to] = [formatEndpoint(event.from), formatEndpoint(event.to)];
      return { kind: 'roamed', ...about(event.peer), from, to };
    }
    case 'wayChanged': {
      const { host, port } = event;
      const from = event.from === null ? null : formatEndpoint(event.from);
      return {
        kind: 'wayChanged',
        ...about(event.peer),
        host,
        port,
        from,
        to: formatEndpoint(event.to),
      };
    }
    case 'nameResolved':
      return { kind: 'nameResolved', host: event.host, addresses: event.addresses };
    case 'nameFailed':
      return { kind: 'nameFailed', host: event.host, error: event.error };
    case 'routingLoop':
    case 'routingLoopEnded':
    case 'initiationsStale':
      return { kind: event.kind, ...about(event.peer), endpoint: formatEndpoint(event.endpoint) };
    case 'clockSetBack':
      return { kind: 'clockSetBack', ms: Math.round(event.ms) };
    case 'cookieSent':
      return { kind: 'cookieSent', endpoint: formatEndpoint(event.endpoint) };
    case 'stranger': {
      const { publicKey, endpoint } = event;
      return { kind: 'stranger', publicKey, endpoint: formatEndpoint(endpoint) };
    }
    case 'dropped': {
      const { reason, packets, peer } = event;
      const endpoint = event.endpoint === null ? null : formatEndpoint(event.endpoint);
      const named = peer === null ? { peer: null, name: '' } : about(peer);
      return { kind: 'dropped', reason, ...named, endpoint, packets };
    }
  }
}

function begun(of: PeerName, by: 'us' | 'peer', endpoint: string): EventBody {
  const { peer, name } = about(of);
  return { kind: 'handshakeBegun', peer, name, by, endpoint };
}

/** The peer's, of this moment. */
export function about({ publicKey, description }: PeerName): { peer: string; name: string } {
  const name = description.length > NAME_MAX ? description.slice(0, NAME_MAX) : description;
  return { peer: publicKey, name };
}

function endpointOf({ peer }: { readonly peer: PeerName }): string {
  return peer.endpoint === null ? '' : formatEndpoint(peer.endpoint);
}
