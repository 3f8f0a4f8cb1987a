/**
 * What is wrong with a Device or one of its peers, as codes with values: what is known, and nothing
 * of how it is said. The words are cli/troubles.ts'; a program that embeds the Device finds its own.
 */

import type { NearFault } from './lead.ts';

/** Of the whole Device. */
export type DeviceTrouble =
  /** No private key is set: no handshake can begin. */
  | { readonly code: 'noPrivateKey' }
  /** So many handshakes come that a cookie is asked for before any is answered. */
  | { readonly code: 'underLoad' }
  /**
   * Handshake messages that were not made for our public key, the last within five minutes: the
   * sender may have another one. `messages`: all there ever were; the others: of the last one, as
   * with a stranger.
   */
  | {
      readonly code: 'badMac1';
      readonly messages: number;
      readonly address: string;
      readonly port: number;
      readonly agoMs: number;
    }
  /**
   * The last initiation by a key that is no peer here, within five minutes. `publicKey`: in base64;
   * `address`: in text; `agoMs`: since then.
   */
  | {
      readonly code: 'stranger';
      readonly publicKey: string;
      readonly address: string;
      readonly port: number;
      readonly agoMs: number;
    }
  /** There are peers, but the interface is down. */
  | { readonly code: 'interfaceDown' }
  /**
   * Packets from the interface to what is no peer's, the last within five minutes and to `address`.
   * `packets`: all there ever were, those to multicast groups among them.
   */
  | {
      readonly code: 'unroutable';
      readonly address: string;
      readonly packets: number;
      readonly agoMs: number;
    };

/** Why nothing is sent to a peer, or why the handshake with it does not complete. */
export type PeerTrouble =
  /** The way to its endpoint leads into the tunnel. */
  | { readonly code: 'routingLoop' }
  /** Nothing can be sent from the near end that the operator has fixed for it: `near`, as it was said. */
  | { readonly code: 'nearGone'; readonly near: string; readonly why: NearFault }
  | { readonly code: 'noPrivateKey' }
  /** Initiations of ours that came back to us: where one of its ways leads is this very device. */
  | { readonly code: 'callsUs'; readonly initiations: number }
  /** Answers to our initiations that do not decrypt: most likely the preshared keys differ. */
  | { readonly code: 'undecipherable'; readonly responses: number }
  /** Its initiations carry timestamps that are not newer than before. */
  | { readonly code: 'staleTimestamps'; readonly initiations: number }
  /** Responses of ours without any data under the sessions that they offer. */
  | { readonly code: 'unconfirmed'; readonly responses: number }
  /**
   * The name of one of its ways has no address. `host`: the name; `error`: as getaddrinfo(3) calls
   * it. `isOnly`: no other way leads anywhere either.
   */
  | {
      readonly code: 'unresolved';
      readonly host: string;
      readonly error: string;
      readonly isOnly: boolean;
    }
  /** There are packets for it, but nobody has said where it is. `packets`: dropped, or waiting. */
  | { readonly code: 'noEndpoint'; readonly packets: number }
  /** The system refuses to send our initiations. `error`: its name (errno(3)). */
  | { readonly code: 'cannotSend'; readonly error: string; readonly initiations: number }
  /** It answers with cookies only: it is reachable, and under load. */
  | { readonly code: 'peerUnderLoad'; readonly cookies: number }
  /** Initiations of ours without an answer, the first of them `silentMs` ago. */
  | { readonly code: 'noAnswer'; readonly initiations: number; readonly silentMs: number }
  /** It has no allowed IPs: no packet is sent to it, and none of its packets is accepted. */
  | { readonly code: 'noAllowedIps' }
  /**
   * Packets from it whose source is none of its allowed IPs, the last within five minutes and from
   * `address`. `packets`: all there ever were. `owner`: the peer that has that address, in base64,
   * and `ownerPrefix`: by which of its allowed IPs. `prefix`: the shorter one of its own that the
   * address is in. Each empty for none.
   */
  | {
      readonly code: 'foreignSource';
      readonly address: string;
      readonly packets: number;
      readonly agoMs: number;
      readonly prefix: string;
      readonly owner: string;
      readonly ownerPrefix: string;
    }
  /**
   * Packets from it whose source is an address of our own, the last within five minutes and from
   * `address`. `packets`: all there ever were.
   */
  | {
      readonly code: 'ownSource';
      readonly address: string;
      readonly packets: number;
      readonly agoMs: number;
    }
  /**
   * It gets our data, and answers it with keepalives alone: `packets` that were sent in `lastedMs`,
   * up to the last such keepalive, within five minutes.
   */
  | {
      readonly code: 'onlyKeepalives';
      readonly packets: number;
      readonly lastedMs: number;
      readonly agoMs: number;
    };
