/** How it stands with a peer, in one word that does not flap. */

/**
 * connected: there is a session, and nothing that was sent has been without an answer for long.
 * idle: there is no session, and nobody has anything to say.
 * lost: data or an initiation of ours is unanswered, or keepalives of the peer's are missing.
 */
export type PeerCondition = 'connected' | 'idle' | 'lost';

/** By what a peer was found to be lost. */
export type LossCause = 'dataUnanswered' | 'initiationUnanswered' | 'keepaliveMissing';
