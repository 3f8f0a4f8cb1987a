/**
 * Why a packet was dropped. Every packet that is neither delivered nor sent is counted under one
 * of these names, for the device and, where it is known, for the peer.
 */

/** Name -> what it means to an operator. The order is the order in which they are shown. */
export const DROP_REASONS = {
  receiveOverflow:
    'UDP datagram that the kernel dropped: more than the socket holds, or with a wrong checksum',
  turnedAway: 'UDP datagram that the kernel turned away in a flood, before it was read',
  malformedMessage: 'UDP datagram that is no WireGuard message (type, length or reserved bytes)',
  badMac1: 'handshake message not made for our public key',
  noPrivateKey: 'message received while we have no private key',
  handshakeQueueFull: 'handshake message beyond what the queue holds',
  cookieRequired: 'handshake message without a valid cookie while under load (a cookie was sent)',
  rateLimited: 'handshake messages from one source address faster than allowed',
  badHandshake: 'handshake message that does not decrypt, or with a degenerate key',
  unknownPeer: 'initiation by a public key that is not a peer of ours',
  replayedInitiation:
    'initiation with a timestamp not newer than the last (a replay, or a clock set back)',
  initiationFlood: 'initiations by one peer faster than allowed',
  unknownIndex: 'message for a session or handshake that we do not have (any more)',
  unexpectedResponse: 'handshake response to no initiation of ours',
  badCookie: 'cookie reply that does not decrypt or answers nothing',
  expiredKey: 'data under a session key past its time or message limit',
  badPacket: 'data packet that does not decrypt',
  replayedPacket: 'data packet seen before or older than the replay window',
  malformedPacket: 'decrypted packet, or packet from the interface, that is no valid IP',
  disallowedSource:
    'decrypted packet whose source is outside the allowed IPs of the peer that sent it',
  ownSource: "decrypted packet whose source is one of this machine's own addresses",
  ecnViolation:
    'packet marked congestion-experienced whose inner header cannot carry it (RFC 6040)',
  interfaceDown: 'packet while the interface is down',
  noPeer: 'packet from the interface to an address that no peer is allowed',
  noEndpoint: 'packet for a peer whose endpoint is not known',
  routingLoop: 'packet for a peer whose endpoint is routed into the tunnel itself',
  stagedOverflow: 'packet waiting for a handshake, pushed out by newer ones',
  handshakeTimeout: 'packet waiting for a handshake that did not complete',
  peerRemoved: 'packet waiting for a peer that was removed or taken down',
  arenaExhausted: 'no packet memory left in this turn',
  sendFailed: 'UDP send refused by the system',
  tunWriteFailed: 'write to the interface refused by the system',
} as const;

export type DropReason = keyof typeof DROP_REASONS;

export const DROP_REASON_NAMES = Object.keys(DROP_REASONS) as readonly DropReason[];

/** Counts of dropped packets by reason. All start at zero. */
export class Drops {
  readonly #counts: Record<DropReason, number> = Object.fromEntries(
    DROP_REASON_NAMES.map((name) => [name, 0]),
  ) as Record<DropReason, number>;

  count(reason: DropReason, packets = 1): void {
    this.#counts[reason] += packets;
  }

  get(reason: DropReason): number {
    return this.#counts[reason];
  }

  /** The reasons that occurred, in the order of DROP_REASONS. */
  entries(): [reason: DropReason, packets: number][] {
    return DROP_REASON_NAMES.filter((name) => this.#counts[name] > 0).map((name) => [
      name,
      this.#counts[name],
    ]);
  }
}
