/**
 * The byte-bound work of the data path, on the arena's own memory: WebAssembly SIMD where it can be
 * compiled, plain JavaScript elsewhere. Both are held against each other in the tests.
 *
 * Kernels trust their parameters: every range they are given must lie within the arena. Parsing
 * what the network sent, and policy, are the callers'.
 */

export interface Kernels {
  readonly name: 'simd' | 'portable';
  /**
   * The one's complement sum (RFC 1071) of `length` bytes (at most 128 KiB) at `offset`, folded to
   * 16 bits, in network order; a sum, not a checksum, which is its complement. `initial`: an
   * earlier sum to continue with, up to 32 bits.
   */
  sum(offset: number, length: number, initial: number): number;
  /** Copies `length` bytes to where they do not overlap. */
  copy(to: number, from: number, length: number): void;
  /**
   * Cuts the TCP or UDP super-packet at `source` into packets of up to `segmentSize` (not 0)
   * payload bytes, the first at `target`, each `stride` after the one before; they may not
   * overlap the source.
   *
   * `transport`: where its transport header begins. `headerLength`: IP and transport headers
   * together. `pseudoSum`: the pseudo-header's sum without the length. IPv4 identifications count
   * up; TCP's FIN and PSH stay on the last only, CWR on the first; all checksums are written.
   */
  segment(
    source: number,
    transport: number,
    headerLength: number,
    payloadLength: number,
    segmentSize: number,
    target: number,
    stride: number,
    isIpv6: 0 | 1,
    isUdp: 0 | 1,
    pseudoSum: number,
  ): void;
  /**
   * Tells what the packet of `length` bytes is to the coalescer (OPAQUE, LONE, TCP, UDP: see
   * record.ts) and writes its record at `record`. With `mergeUdp` 0 datagrams are LONE, unverified.
   * Whatever the bytes are, no others are read.
   */
  inspect(packet: number, length: number, record: number, mergeUdp: 0 | 1): number;
  /** 1 when two records' blanked headers are the same, else 0. */
  sameHeaders(record: number, other: number): number;
}
