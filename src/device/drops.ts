/**
 * Why a packet was dropped. Every packet that is neither delivered nor sent is counted under one
 * of these names, for the device and, where it is known, for the peer.
 */

/** Name -> what it means to an operator. The order is the order in which they are shown. */
export const DROP_REASONS = {
  receiveOverflow:
    'UDP datagram that the kernel dropped: the socket was full, or the checksum wrong',
  turnedAway: 'UDP datagram that the kernel turned away in a flood, before it was read',
  malformedMessage: 'UDP datagram that is not a WireGuard message (type, length or reserved bytes)',
  badMac1: 'handshake message not made for our public key',
  noPrivateKey: 'message received while no private key is set',
  handshakeQueueFull: 'handshake message for which the queue had no room',
  cookieRequired: 'handshake message without a valid cookie while under load (a cookie was sent)',
  rateLimited: 'handshake message from a source address that sends them faster than allowed',
  badHandshake: 'handshake message that does not decrypt, or that has a degenerate key',
  unknownPeer: 'initiation by a public key that is not a peer of ours',
  replayedInitiation:
    'initiation with a timestamp not newer than the last (a replay, or a clock set back)',
  initiationFlood: 'initiation by a peer that sends them faster than allowed',
  unknownIndex: 'message for a session or handshake that does not exist (any more)',
  unexpectedResponse: 'handshake response that answers no initiation of ours',
  badCookie: 'cookie reply that does not decrypt, or that answers no message of ours',
  expiredKey: 'data under a session key past its time or message limit',
  badPacket: 'data packet that does not decrypt',
  replayedPacket: 'data packet seen before or older than the replay window',
  malformedPacket: 'decrypted packet, or packet from the interface, that is not valid IP',
  disallowedSource:
    'decrypted packet whose source is outside the allowed IPs of the peer that sent it',
  ownSource: "decrypted packet whose source is one of this machine's own addresses",
  ecnViolation:
    'packet marked congestion-experienced whose inner header cannot carry it (RFC 6040)',
  interfaceDown: 'packet that came while the interface was down',
  noPeer: 'packet from the interface to an address that no peer is allowed',
  noEndpoint: 'packet for a peer whose endpoint is not known',
  routingLoop: 'packet for a peer whose endpoint is routed into the tunnel itself',
  stagedOverflow: 'packet waiting for a handshake, pushed out by newer ones',
  handshakeTimeout: 'packet waiting for a handshake that did not complete',
  peerRemoved: 'packet waiting for a peer that was removed or taken down',
  arenaExhausted: 'packet for which no memory was left in this turn of the loop',
  sendFailed: 'UDP send refused by the system',
  tunWriteFailed: 'write to the interface refused by the system',
} as const;

export type DropReason = keyof typeof DROP_REASONS;

export const DROP_REASON_NAMES = Object.keys(DROP_REASONS) as readonly DropReason[];

/** Counts of dropped packets by reason. All start at zero. */
export class Drops {
  /** null before the first drop: most of many peers have none. */
  #counts: Record<DropReason, number> | null = null;

  count(reason: DropReason, packets = 1): void {
    this.#counts ??= noneOfAny();
    this.#counts[reason] += packets;
  }

  get(reason: DropReason): number {
    return this.#counts === null ? 0 : this.#counts[reason];
  }

  /** The reasons that occurred, in the order of DROP_REASONS. */
  entries(): [reason: DropReason, packets: number][] {
    if (this.#counts === null) return [];
    return DROP_REASON_NAMES.filter((name) => this.get(name) > 0).map((name) => [
      name,
      this.get(name),
    ]);
  }
}

function noneOfAny(): Record<DropReason, number> {
  const zeros = DROP_REASON_NAMES.map((name) => [name, 0]);
  return Object.fromEntries(zeros) as Record<DropReason, number>;
}
