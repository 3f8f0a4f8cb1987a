/**
 * What is wrong with a Device or one of its peers, as codes with values: what is known, and nothing
 * of how it is said. The words are cli/troubles.ts'; a program that embeds the Device finds its own.
 */

import { REKEY_TIMEOUT_MS } from '../noise/constants.ts';
import { formatAddress } from '../packet/address.ts';
import type { Core } from './core.ts';
import { type Peer, STALE_TIMESTAMPS_TOLD } from './peer.ts';
import { spellKey } from './peername.ts';

/** Of the whole Device. */
export type DeviceTrouble =
  /** No private key is set: no handshake can begin. */
  | { readonly code: 'noPrivateKey' }
  /** So many handshakes come that a cookie is asked for before any is answered. */
  | { readonly code: 'underLoad' }
  /** Handshake messages that were not made for our public key: the sender may have another one. */
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
  /** Packets wait, but nobody has said where the peer is. */
  | { readonly code: 'noEndpoint'; readonly packets: number }
  /** It answers with cookies only: it is reachable, and under load. */
  | { readonly code: 'peerUnderLoad'; readonly cookies: number }
  /** Initiations of ours without an answer, the first of them `silentMs` ago. */
  | { readonly code: 'noAnswer'; readonly initiations: number; readonly silentMs: number };

const STRANGER_SHOWN_MS = 300_000;
/** The network may lose or delay so many responses, or the data after them. */
const RESPONSES_UNCONFIRMED_MAX = 2;

/** `now`: monotonic ms. */
export function deviceTroubles(core: Core, now: number): DeviceTrouble[] {
  const troubles: DeviceTrouble[] = [];
  if (core.identity === null) troubles.push({ code: 'noPrivateKey' });
  if (core.handshakeQueue.isUnderLoad(now)) troubles.push({ code: 'underLoad' });
  const messages = core.drops.get('badMac1');
  if (messages > 0) troubles.push({ code: 'badMac1', messages });
  const { stranger } = core;
  if (stranger !== null && now - stranger.at < STRANGER_SHOWN_MS) {
    const { endpoint } = stranger;
    troubles.push({
      code: 'stranger',
      publicKey: spellKey(stranger.publicKey),
      address: formatAddress(endpoint.address),
      port: endpoint.port,
      agoMs: Math.round(now - stranger.at),
    });
  }
  return troubles;
}

/** The likeliest cause alone; none when all is well. `now`: monotonic ms. */
export function peerTroubles(core: Core, now: number, peer: Peer): PeerTrouble[] {
  const cause = causeOf(core, now, peer);
  return cause === null ? [] : [cause];
}

function causeOf(core: Core, now: number, peer: Peer): PeerTrouble | null {
  const { undecipherable, staleTimestamps, unconfirmedResponses, unanswered, cookies } =
    peer.trouble;
  if (peer.isLooping) return { code: 'routingLoop' };
  if (core.identity === null) return { code: 'noPrivateKey' };
  if (undecipherable > 0) return { code: 'undecipherable', responses: undecipherable };
  if (staleTimestamps >= STALE_TIMESTAMPS_TOLD) {
    return { code: 'staleTimestamps', initiations: staleTimestamps };
  }
  if (unconfirmedResponses > RESPONSES_UNCONFIRMED_MAX) {
    return { code: 'unconfirmed', responses: unconfirmedResponses };
  }
  if (peer.endpoint === null && peer.staged.length > 0) {
    return { code: 'noEndpoint', packets: peer.staged.length };
  }
  const silentMs = Math.round(now - peer.trouble.unansweredSince);
  if (unanswered === 0 || silentMs < REKEY_TIMEOUT_MS) return null;
  if (cookies > 0) return { code: 'peerUnderLoad', cookies };
  return { code: 'noAnswer', initiations: unanswered, silentMs };
}
