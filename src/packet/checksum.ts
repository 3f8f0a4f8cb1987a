/**
 * The Internet checksum (RFC 1071): the portable one, in plain JavaScript, which runs everywhere
 * and which faster ones are tested against.
 *
 * Owns the arithmetic; of headers it knows only where the addresses are. A "sum" is
 * the folded 16-bit one's complement sum; a "checksum" is its complement, as it stands in a header.
 */

// One view is kept for the array summed last, so that summing the arena's packets allocates nothing.
let viewed: Uint8Array = new Uint8Array(0);
let view: DataView = new DataView(viewed.buffer);

function viewOf(bytes: Uint8Array): DataView {
  if (bytes !== viewed) {
    viewed = bytes;
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  return view;
}

/**
 * The one's complement sum of `length` bytes at `offset`, folded to 16 bits. An odd last byte is
 * padded with a zero byte. `initial` is an earlier sum to continue, over an even number of bytes.
 * `length`: at most 131,072, or the 32-bit accumulators would overflow.
 */
export function sum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  const words = viewOf(bytes);
  const end = offset + length;
  let high = initial;
  let low = 0;
  let i = offset;
  for (const blocksEnd = offset + (length & ~15); i < blocksEnd; i += 16) {
    const a = words.getInt32(i);
    const b = words.getInt32(i + 4);
    const c = words.getInt32(i + 8);
    const d = words.getInt32(i + 12);
    high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
    low = (low + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)) | 0;
  }
  for (; i + 1 < end; i += 2) high += words.getUint16(i);
  if (i < end) high += bytes[i] << 8;
  return fold(fold(high) + fold(low));
}

/** Folds a sum of up to 32 bits to 16 by adding the carries back in (RFC 1071 1). */
export function fold(value: number): number {
  const once = (value & 0xffff) + (value >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** What a header's checksum field must hold, the field itself being zero: the sum's complement. */
export function checksum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  return ~sum(bytes, offset, length, initial) & 0xffff;
}

/**
 * The sum of the pseudo-header of the IP packet at `offset`: both addresses, `protocol`, and the
 * length in bytes of transport header and payload (RFC 9293 3.1, RFC 8200 8.1). Give it to `sum` or
 * `checksum` as `initial`.
 */
export function pseudoHeaderSum(
  bytes: Uint8Array,
  offset: number,
  protocol: number,
  transportLength: number,
): number {
  const start = protocol + (transportLength & 0xffff) + (transportLength >>> 16);
  // Source and destination stand side by side: from byte 12 in IPv4, from byte 8 in IPv6.
  return bytes[offset] >> 4 === 4
    ? sum(bytes, offset + 12, 8, start)
    : sum(bytes, offset + 8, 32, start);
}

/**
 * The checksum after one 16-bit word it covers went from `before` to `after` (RFC 1624 3, equation
 * 3: never yields the wrong zero).
 */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return ~fold((~checksum & 0xffff) + (~before & 0xffff) + after) & 0xffff;
}
