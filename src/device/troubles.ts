/**
 * What is wrong with a Device or one of its peers, as codes with values: what is known, and nothing
 * of how it is said. The words are cli/troubles.ts'; a program that embeds the Device finds its own.
 */

/** Of the whole Device. */
export type DeviceTrouble =
  /** No private key is set: no handshake can begin. */
  | { readonly code: 'noPrivateKey' }
  /** So many handshakes come that a cookie is asked for before any is answered. */
  | { readonly code: 'underLoad' }
  /**
   * Handshake messages that were not made for our public key, the last within five minutes: the
   * sender may have another one. `messages`: all there ever were.
   */
  | { readonly code: 'badMac1'; readonly messages: number }
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
    };

/** Why nothing is sent to a peer, or why the handshake with it does not complete. */
export type PeerTrouble =
  /** The way to its endpoint leads into the tunnel. */
  | { readonly code: 'routingLoop' }
  | { readonly code: 'noPrivateKey' }
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
  /** Packets wait, but nobody has said where the peer is. */
  | { readonly code: 'noEndpoint'; readonly packets: number }
  /** It answers with cookies only: it is reachable, and under load. */
  | { readonly code: 'peerUnderLoad'; readonly cookies: number }
  /** Initiations of ours without an answer, the first of them `silentMs` ago. */
  | { readonly code: 'noAnswer'; readonly initiations: number; readonly silentMs: number };
