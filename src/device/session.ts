/**
 * The sessions of a peer: how a finished handshake becomes a keypair, and which of previous,
 * current and next it is (whitepaper 6.2, Linux noise.c add_new_keypair). A keypair leaves the
 * index table and is wiped in the same step.
 */

import { wipe } from '../crypto/bytes.ts';
import { Keypair } from '../noise/keypair.ts';
import type { Core } from './core.ts';
import type { Peer } from './peer.ts';
import { forgetEarlier } from './whereabouts.ts';

/** Turns the peer's finished handshake into a session, in the place its role gives it. */
export function begin(core: Core, now: number, peer: Peer): void {
  const keys = peer.handshake.beginSession();
  if (keys === null) throw new Error('session: begun without a finished handshake');
  const keypair = new Keypair({
    localIndex: keys.localIndex,
    remoteIndex: keys.remoteIndex,
    isInitiator: keys.isInitiator,
    createdAt: now,
    sealer: core.suite.createSealer(keys.sendKey),
    opener: core.suite.createOpener(keys.receiveKey),
  });
  wipe(keys.sendKey, keys.receiveKey);
  core.indices.bind(keypair.localIndex, keypair);
  peer.handshakeIndex = 0;
  if (keypair.isInitiator) {
    // The response confirms the session, so it is used at once. If we answered the peer's
    // initiation meanwhile, packets under that session may still be on their way to us.
    forget(core, peer.previous);
    if (peer.next !== null) {
      forget(core, peer.current);
      peer.previous = peer.next;
      peer.next = null;
    } else {
      peer.previous = peer.current;
    }
    peer.current = keypair;
    return;
  }
  // The responder may not send under it until the initiator has (whitepaper 5.4.6).
  forget(core, peer.next);
  peer.next = keypair;
  forget(core, peer.previous);
  peer.previous = null;
}

/** Call after a packet opened under `keypair`: true when that confirmed a session we answered for. */
export function confirm(core: Core, peer: Peer, keypair: Keypair): boolean {
  if (peer.next !== keypair) return false;
  forget(core, peer.previous);
  peer.previous = peer.current;
  peer.current = keypair;
  peer.next = null;
  return true;
}

/** Erases the peer's sessions and the handshake under way, and frees their indices. */
export function eraseAll(core: Core, peer: Peer): void {
  core.indices.remove(peer.handshakeIndex);
  peer.handshakeIndex = 0;
  peer.handshake.clear();
  forget(core, peer.previous);
  forget(core, peer.current);
  forget(core, peer.next);
  peer.previous = null;
  peer.current = null;
  peer.next = null;
  forgetEarlier(core, peer);
}

function forget(core: Core, keypair: Keypair | null): void {
  if (keypair === null) return;
  core.indices.remove(keypair.localIndex);
  keypair.wipe();
}
