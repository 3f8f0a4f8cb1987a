/**
 * Packets that wait on a peer for a session: copies outside the arena, bounded, oldest dropped
 * first (whitepaper 6.4 speaks of queueing; Linux MAX_STAGED_PACKETS is 128). An empty packet is
 * a keepalive that waits.
 */

export const MAX_STAGED_PACKETS = 128;

export class StagedPackets {
  #packets: Uint8Array[] = [];

  /** Copies the packet in; returns how many older ones it pushed out (0 or 1). */
  push(packet: Uint8Array): number {
    this.#packets.push(packet.slice());
    if (this.#packets.length <= MAX_STAGED_PACKETS) return 0;
    this.#packets.shift();
    return 1;
  }

  /** All packets, oldest first; the queue is empty afterwards. */
  take(): Uint8Array[] {
    const packets = this.#packets;
    this.#packets = [];
    return packets;
  }

  /** Oldest first; the queue's own. */
  get packets(): readonly Uint8Array[] {
    return this.#packets;
  }

  get length(): number {
    return this.#packets.length;
  }
}
