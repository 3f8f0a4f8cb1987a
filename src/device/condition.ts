/** How it stands with a peer, in one word that does not flap; who changes it is liveness.ts. */

import { KeepaliveRhythm } from './keepaliverhythm.ts';

/**
 * connected: there is a session, and nothing that was sent has been without an answer for long.
 * idle: there is no session, and nobody has anything to say.
 * lost: data or an initiation of ours is unanswered, or keepalives of the peer's are missing. Once
 * lost, a peer stays so until it is heard again.
 */
export type PeerCondition = 'connected' | 'idle' | 'lost';

/** By what a peer was found to be lost. */
export type LossCause = 'dataUnanswered' | 'initiationUnanswered' | 'keepaliveMissing';

/** A peer's, with what it is judged by. */
export class Condition {
  state: PeerCondition = 'idle';
  /** When that began: wall clock, ms since 1970. */
  sinceMs: number;
  /** What the observers were told last; null since the peer was taken down. */
  told: 'connected' | 'disconnected' | null = null;
  /** A call of ours waits for its answer. */
  isCalling = false;
  /** When the peer is lost unless it is heard before, and by what; monotonic ms. */
  lostAt = Number.POSITIVE_INFINITY;
  cause: LossCause = 'initiationUnanswered';
  /** How many packets had been received when that began to wait, or when the peer was lost. */
  heard = 0;
  readonly rhythm = new KeepaliveRhythm();

  constructor(nowMs: number) {
    this.sinceMs = nowMs;
  }
}
