/**
 * Who calls here in vain: the last key that is no peer's, and those who take us for somebody with
 * another public key. Pure.
 */

import { counted } from '../counted.ts';
import type { Evidence, OwnPeer } from './evidence.ts';
import { known } from './evidence.ts';
import { daemonOf } from './peer.ts';

const MS_PER_S = 1_000;

export interface Stranger {
  /** Base64. */
  readonly publicKey: string;
  readonly address: string;
  readonly port: number;
  readonly agoSeconds: number;
}

/** The last one within five minutes; null for none. */
export function strangerOf(evidence: Evidence): Stranger | null {
  const told = daemonOf(evidence)?.troubles.find(({ code }) => code === 'stranger');
  if (told === undefined) return null;
  const { publicKey, address, port, agoMs } = told.values;
  if (typeof publicKey !== 'string' || typeof address !== 'string') return null;
  const agoSeconds = Math.round(Number(agoMs ?? 0) / MS_PER_S);
  return { publicKey, address, port: Number(port ?? 0), agoSeconds };
}

/** Handshake messages whose mac1 is not one of our key. */
export interface WrongCalls {
  /** All there ever were, the last within five minutes. */
  readonly messages: number;
  /** Where they come from, if that is known. */
  readonly from: { readonly address: string; readonly port: number } | null;
  /** How that is known. */
  readonly proof: readonly string[];
}

export function wrongCallsOf(evidence: Evidence): WrongCalls | null {
  const daemon = daemonOf(evidence);
  const told = daemon?.troubles.find(({ code }) => code === 'badMac1');
  if (told === undefined) return null;
  const messages = Number(told.values.messages ?? daemon?.counters.drop_badMac1 ?? 0);
  const { address, port } = told.values;
  const proof = [
    `${counted(messages, 'handshake message')} came whose mac1 is not one of our public key (badMac1)`,
  ];
  if (typeof address === 'string') {
    return { messages, from: { address, port: Number(port ?? 0) }, proof };
  }
  const seen = (known(evidence.wire) ?? []).find(
    ({ direction, hasOurMac1 }) => direction === 'in' && hasOurMac1 === false,
  );
  if (seen === undefined) return { messages, from: null, proof };
  const { source, sourcePort, link, packets } = seen;
  return {
    messages,
    from: { address: source, port: sourcePort },
    proof: [
      ...proof,
      `over the run, ${packets} came from ${source} port ${sourcePort} over ${link}`,
    ],
  };
}

/** The only peer whose endpoint is there and which `isMissed`; null for none, or for several. */
export function peerAt(
  peers: readonly OwnPeer[],
  { address, port }: { readonly address: string; readonly port: number },
  isMissed: (peer: OwnPeer) => boolean,
): OwnPeer | null {
  const near = peers.filter((peer) => peer.endpoint?.address === address && isMissed(peer));
  const exact = near.filter((peer) => peer.endpoint?.port === port);
  if (exact.length === 1) return exact[0];
  return near.length === 1 ? near[0] : null;
}
