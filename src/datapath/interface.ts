/**
 * The inner side of a path: where packets come from and go to. A TUN device implements it
 * (tun/tun.ts), and so can a program's own stream of packets or a stack in this process. How its
 * owner learns that packets wait is the owner's affair; it then calls the path's `readInterface`.
 */

/**
 * Takes one IP packet: `length` bytes of the arena at `offset`, until the turn's end.
 * HEADROOM_BYTES before it and TAILROOM_BYTES after it are free. The offset is a multiple of 16.
 *
 * With a `count` of more than 1 it takes the packets that one super-packet stands for: each `stride`
 * after the one before, which leaves it the same room, and all `length` bytes long but the last of
 * `lastLength`, which is no longer. They have the same IP header but for lengths, identifications
 * and checksums. An interface that has no super-packets leaves these parameters out.
 */
export type PacketSink = (
  offset: number,
  length: number,
  count?: number,
  stride?: number,
  lastLength?: number,
) => void;

export interface Interface {
  /** A word for `stats`: `tun`. */
  readonly kind: string;
  /**
   * Hands waiting packets to `sink` until none waits, about `budget` were handed over (what belongs
   * together is finished), their bytes are enough for a turn or the arena has no room. Returns how
   * many were. Must not call the path.
   */
  read(sink: PacketSink, budget: number): number;
  /**
   * Appends an IP packet of the arena to the batch. It stays until `flush`; the HEADROOM_BYTES
   * before it are the interface's to use up.
   */
  deliver(offset: number, length: number): void;
  /** Puts the batch out. What it cannot put out is counted, never kept. Must not call the path. */
  flush(): void;
  /** Whether packets come and go as super-packets. */
  readonly isOffloading: boolean;
  /** Error name -> packets that it cost. */
  readonly errors: ReadonlyMap<string, number>;
}
