/** What a Device tells its observer: rare things, worth a line in a log. Plain values. */

import type { DropReason } from './drops.ts';
import type { Endpoint } from './endpoint.ts';
import type { Peer } from './peer.ts';

export type DeviceEvent =
  | { readonly kind: 'initiationSent'; readonly peer: Peer; readonly attempt: number }
  | { readonly kind: 'initiationReceived'; readonly peer: Peer; readonly endpoint: Endpoint }
  | { readonly kind: 'responseSent'; readonly peer: Peer }
  | { readonly kind: 'responseReceived'; readonly peer: Peer }
  | { readonly kind: 'sessionConfirmed'; readonly peer: Peer }
  | { readonly kind: 'handshakeGivenUp'; readonly peer: Peer; readonly attempts: number }
  | { readonly kind: 'cookieSent'; readonly endpoint: Endpoint }
  | { readonly kind: 'cookieReceived'; readonly peer: Peer }
  | { readonly kind: 'roamed'; readonly peer: Peer; readonly from: Endpoint; readonly to: Endpoint }
  /** The way to the endpoint leads into the tunnel: nothing is sent there. */
  | { readonly kind: 'routingLoop'; readonly peer: Peer; readonly endpoint: Endpoint }
  | { readonly kind: 'routingLoopEnded'; readonly peer: Peer; readonly endpoint: Endpoint }
  | { readonly kind: 'keysErased'; readonly peer: Peer }
  /** By so many ms since the last initiation that we sent; the next ones stay later than it. */
  | { readonly kind: 'clockSetBack'; readonly ms: number }
  /** The second such initiation since the last handshake; the network may double one. */
  | { readonly kind: 'initiationsStale'; readonly peer: Peer; readonly endpoint: Endpoint }
  | { readonly kind: 'stranger'; readonly publicKey: Uint8Array; readonly endpoint: Endpoint }
  | {
      readonly kind: 'dropped';
      readonly reason: DropReason;
      readonly peer: Peer | null;
      readonly endpoint: Endpoint | null;
      readonly packets: number;
    };
