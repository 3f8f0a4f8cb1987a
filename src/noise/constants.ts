/**
 * The numbers of the whitepaper's section 6.1 and of its cookies (5.4.7), by their own names with
 * the unit last. Owns no rule: who acts on them is keypair.ts, cookie.ts and the Device's timers.
 */

/** An initiator makes a new session when it sends under one of this age. */
export const REKEY_AFTER_TIME_MS = 120_000;
/** Nothing is sent or accepted under a session of this age. */
export const REJECT_AFTER_TIME_MS = 180_000;
/** How long a handshake is tried before the peer is given up. */
export const REKEY_ATTEMPT_TIME_MS = 90_000;
/** Least time between two initiations to one peer. */
export const REKEY_TIMEOUT_MS = 5_000;
/** Up to so much is added to REKEY_TIMEOUT, so that two peers do not keep colliding. */
export const REKEY_TIMEOUT_JITTER_MAX_MS = 334;
/** Silence after received data before an empty packet answers it. */
export const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Retransmissions of an initiation that fit into REKEY_ATTEMPT_TIME. */
export const MAX_TIMER_HANDSHAKES = REKEY_ATTEMPT_TIME_MS / REKEY_TIMEOUT_MS;

/**
 * Messages under one session before either side makes a new one. The whitepaper says 2^60; ours is
 * lower because counters are JavaScript numbers, which are exact only up to 2^53. The proportion
 * to REJECT_AFTER_MESSAGES is kept. Peers cannot tell: REKEY_AFTER_TIME comes first unless we sent
 * more than 4.6 * 10^12 packets in a second.
 */
export const REKEY_AFTER_MESSAGES = 2 ** 49;
/**
 * Messages under one session before it is refused. The whitepaper says 2^64 - 2^13 - 1; lowered,
 * and so stricter, for the same reason. A counter beyond it is refused on receipt, too.
 */
export const REJECT_AFTER_MESSAGES = 2 ** 53 - 2 ** 13 - 1;

/** Cookie secret turns over, and a received cookie is forgotten, after this (COOKIE_SECRET_MAX_AGE). */
export const COOKIE_REFRESH_TIME_MS = 120_000;
/** A received cookie is given up this much earlier, for the time it spent on the way (Linux). */
export const COOKIE_SECRET_LATENCY_MS = 5_000;

/** Initiations accepted from one peer; faster ones are a flood (Linux, wireguard-go). */
export const INITIATIONS_PER_SECOND = 50;
