/** Who a peer is, for those outside: a plain value that no change of the peer reaches. */

import type { Endpoint } from './endpoint.ts';

/** Frozen, and the same object as long as nothing in it changes. */
export interface PeerName {
  /** In base64, as wg(8) writes it. */
  readonly publicKey: string;
  /** The operator's name for it; empty when there is none. */
  readonly description: string;
  /** Where it is sent to; null when that is not known. */
  readonly endpoint: Endpoint | null;
}
