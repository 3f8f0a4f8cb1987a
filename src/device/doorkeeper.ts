/**
 * The Device's word to the guard of its socket in a flood: whom it expects to hear from. Knows
 * nothing of how that is used.
 */

import type { Endpoint } from './endpoint.ts';

/**
 * Learns whom the Device expects to hear from, in time: before a message goes out that will be
 * answered. What is expected twice, by two peers, has to be forgotten twice.
 */
export interface Doorkeeper {
  /** Messages to this receiver index (an unsigned 32-bit integer) are for a handshake or session. */
  expectIndex(index: number): void;
  forgetIndex(index: number): void;
  /** A peer is known at this remote address and port. */
  expectPlace(endpoint: Endpoint): void;
  forgetPlace(endpoint: Endpoint): void;
}

/** For a Device whose messages nobody holds back. */
export const NO_DOORKEEPER: Doorkeeper = {
  expectIndex: () => {},
  forgetIndex: () => {},
  expectPlace: () => {},
  forgetPlace: () => {},
};
