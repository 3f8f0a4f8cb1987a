/**
 * What a Device carries over a restart beside its configuration: the timestamps of handshakes, so
 * that ours never go back and old initiations of a peer stay refused, and which peers had a
 * session. The sessions themselves end with the process: their keys are never written down.
 */

import { isZero } from '../crypto/bytes.ts';
import { REJECT_AFTER_TIME_MS } from '../noise/constants.ts';
import { addSeconds, compareTimestamps, TIMESTAMP_BYTES, writeTimestamp } from '../noise/tai64n.ts';
import type { PeerMemory } from './configuration.ts';
import { type Core, peerKey } from './core.ts';
import { DEADLINE } from './deadlines.ts';
import type { Peer } from './peer.ts';
import { sendInitiation } from './send.ts';

/** By how much our last timestamps may be later than the memory of them: it is kept at leisure. */
const FORGOTTEN_SECONDS = 120;

/**
 * Whether the other side may still hold a session. Twice its life: a memory knows of a handshake
 * a minute late, and meanwhile another may have followed it.
 */
const SESSION_MEMORY_MS = 2 * REJECT_AFTER_TIME_MS;

/**
 * One entry for every peer that there is something to know of, but for the `others`, as it is when it is
 * asked for.
 */
export function* memories(core: Core, others: ReadonlySet<Peer> = NOBODY): Generator<PeerMemory> {
  for (const peer of [...core.peers.values()]) {
    if (others.has(peer)) continue;
    const { publicKey, lastHandshakeMs, handshake } = peer;
    const { sentTimestamp, latestTimestamp: receivedTimestamp } = handshake;
    const isKnown = !isZero(sentTimestamp) || !isZero(receivedTimestamp);
    if (isKnown) yield { publicKey, lastHandshakeMs, sentTimestamp, receivedTimestamp };
  }
}

const NOBODY: ReadonlySet<Peer> = new Set();

/** Takes over what another Device knew at this very moment. */
export function remember(core: Core, remembered: readonly PeerMemory[]): void {
  for (const { publicKey, lastHandshakeMs, sentTimestamp, receivedTimestamp } of remembered) {
    const peer = core.peers.get(peerKey(publicKey));
    if (peer === undefined) continue;
    peer.lastHandshakeMs = lastHandshakeMs;
    peer.handshake.latestTimestamp = receivedTimestamp;
    peer.handshake.sentTimestamp = sentTimestamp;
  }
}

/**
 * Takes over what another Device knew at some time before its end. Call after the peers are
 * configured and before the interface is up. True when the wall clock is behind a timestamp we
 * sent: then initiations carry on from there.
 */
export function recall(core: Core, remembered: readonly PeerMemory[]): boolean {
  remember(core, remembered);
  const present = new Uint8Array(TIMESTAMP_BYTES);
  writeTimestamp(present, core.wallClock());
  let isClockBehind = false;
  for (const memory of remembered) {
    const peer = core.peers.get(peerKey(memory.publicKey));
    if (peer === undefined) continue;
    if (compareTimestamps(memory.sentTimestamp, present) <= 0) continue;
    isClockBehind = true;
    const sent = memory.sentTimestamp.slice();
    addSeconds(sent, FORGOTTEN_SECONDS);
    peer.handshake.sentTimestamp = sent;
  }
  return isClockBehind;
}

/**
 * Call once the interface is up: those who may still send under sessions that we know nothing of
 * any more get new ones at once, rather than when they notice our silence (15 s). Returns how many.
 */
export function resume(core: Core, now: number): number {
  const held = [...core.peers.values()].filter((peer) => mayHoldSession(core, peer));
  core.pace.begin(now);
  for (const peer of held) {
    const at = core.pace.next();
    if (at <= now) sendInitiation(core, now, peer);
    else core.deadlines.arm(peer.row, DEADLINE.retransmitHandshake, at);
  }
  return held.length;
}

function mayHoldSession(core: Core, peer: Peer): boolean {
  return (
    peer.endpoint !== null &&
    peer.lastHandshakeMs > 0 &&
    core.wallClock() - peer.lastHandshakeMs < SESSION_MEMORY_MS
  );
}
