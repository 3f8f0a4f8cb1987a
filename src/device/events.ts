/**
 * What a Device tells its observers: rare things, worth a line in a log, and, while `debug` is on,
 * every drop. Plain values, which the Device does not look at again: they may be kept, cloned and
 * sent elsewhere. Kinds and the names of values stay; others may come.
 */

import type { LossCause } from './condition.ts';
import type { DropReason } from './drops.ts';
import type { Endpoint } from './endpoint.ts';
import type { PeerName } from './peername.ts';
import type { PeerTrouble } from './troubles.ts';

export type DeviceEvent =
  /**
   * `attempt`: from 1, since there was last a reason to call. `begins`: no earlier one waits for its
   * answer. `renews`, here and below: there is a session that is still good.
   */
  | {
      readonly kind: 'initiationSent';
      readonly peer: PeerName;
      readonly attempt: number;
      readonly begins: boolean;
      readonly renews: boolean;
    }
  | {
      readonly kind: 'initiationReceived';
      readonly peer: PeerName;
      readonly endpoint: Endpoint;
      readonly renews: boolean;
    }
  | { readonly kind: 'responseSent'; readonly peer: PeerName }
  /** The session is up. `session`: the how-manieth with this peer, from 1. */
  | {
      readonly kind: 'responseReceived';
      readonly peer: PeerName;
      readonly session: number;
      readonly renews: boolean;
    }
  /** The first data under a session that the peer began: it is up. */
  | {
      readonly kind: 'sessionConfirmed';
      readonly peer: PeerName;
      readonly session: number;
      readonly renews: boolean;
    }
  /** `attempts`: initiations without an answer. `cause`: the likeliest reason that is known. */
  | {
      readonly kind: 'handshakeGivenUp';
      readonly peer: PeerName;
      readonly attempts: number;
      readonly cause: PeerTrouble['code'];
    }
  /** Under load, instead of an answer. */
  | { readonly kind: 'cookieSent'; readonly endpoint: Endpoint }
  | { readonly kind: 'cookieReceived'; readonly peer: PeerName }
  | {
      readonly kind: 'roamed';
      readonly peer: PeerName;
      readonly from: Endpoint;
      readonly to: Endpoint;
    }
  /**
   * The peer's packets take another of its ways, or another of a way's addresses. `host`, `port`: of
   * the way, as the operator has said it. `from`: null when it was nowhere.
   */
  | {
      readonly kind: 'wayChanged';
      readonly peer: PeerName;
      readonly host: string;
      readonly port: number;
      readonly from: Endpoint | null;
      readonly to: Endpoint;
    }
  /** `addresses`: in text, best first. Only if they are others than before. */
  | { readonly kind: 'nameResolved'; readonly host: string; readonly addresses: readonly string[] }
  /** `error`: as getaddrinfo(3) calls it. Only if the lookup before did not fail so. */
  | { readonly kind: 'nameFailed'; readonly host: string; readonly error: string }
  /** The way to the endpoint leads into the tunnel: nothing is sent there. */
  | { readonly kind: 'routingLoop'; readonly peer: PeerName; readonly endpoint: Endpoint }
  | { readonly kind: 'routingLoopEnded'; readonly peer: PeerName; readonly endpoint: Endpoint }
  /** The peer is connected, and was not when this was last told of it (condition.ts). */
  | { readonly kind: 'connected'; readonly peer: PeerName }
  /** The peer is lost. `trouble`: the likeliest reason that is known; null for none. */
  | {
      readonly kind: 'disconnected';
      readonly peer: PeerName;
      readonly cause: LossCause;
      readonly trouble: PeerTrouble['code'] | null;
    }
  /** No new session for three times as long as one is used. */
  | { readonly kind: 'keysErased'; readonly peer: PeerName }
  /** By so many ms since the last initiation that we sent; the next ones stay later than it. */
  | { readonly kind: 'clockSetBack'; readonly ms: number }
  /** The second such initiation since the last handshake; the network may double one. */
  | { readonly kind: 'initiationsStale'; readonly peer: PeerName; readonly endpoint: Endpoint }
  /** An initiation by a key that is no peer of ours. `publicKey`: in base64. */
  | { readonly kind: 'stranger'; readonly publicKey: string; readonly endpoint: Endpoint }
  /** Only while `debug` is on. `peer`, `endpoint`: null where they are not known. */
  | {
      readonly kind: 'dropped';
      readonly reason: DropReason;
      readonly peer: PeerName | null;
      readonly endpoint: Endpoint | null;
      readonly packets: number;
      /** The one inside the tunnel that it was dropped for, in text. */
      readonly address?: string;
    };
