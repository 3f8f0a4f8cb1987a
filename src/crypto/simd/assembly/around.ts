/**
 * AssemblyScript: what is done around a packet that OpenSSL seals in place (../../openssl/chachapoly.ts).
 * Block 0 of the key stream runs over the 64 bytes before it, and what Poly1305 sees last stands after
 * it, over another's first bytes: both are remembered in `room`, and put back.
 *
 * In the room: the 64 bytes before the packet, the one-time key, the 16 bytes after the authenticator.
 */

const KEY_AT: usize = 64;
const NEXT_AT: usize = 96;
const TAG_BYTES: usize = 16;

/** Remembers the 64 bytes at `before`, which block 0 is to run over. */
export function remember(before: usize, room: usize): void {
  v128.store(room, v128.load(before));
  v128.store(room, v128.load(before, 16), 16);
  v128.store(room, v128.load(before, 32), 32);
  v128.store(room, v128.load(before, 48), 48);
}

/**
 * After block 0: the one-time key, which is what it added to its first 32 bytes (RFC 8439 2.6), stands
 * in the room, and the 64 bytes are what they were. At `end`, of a ciphertext of `length` bytes without
 * AAD, stand zeros to the next multiple of 16 and two lengths of 64 bits (2.8); returns how many bytes.
 */
export function settle(before: usize, end: usize, length: u32, room: usize): u32 {
  const a = v128.load(room);
  const b = v128.load(room, 16);
  v128.store(room, v128.xor(a, v128.load(before)), KEY_AT);
  v128.store(room, v128.xor(b, v128.load(before, 16)), KEY_AT + 16);
  v128.store(before, a);
  v128.store(before, b, 16);
  v128.store(before, v128.load(room, 32), 32);
  v128.store(before, v128.load(room, 48), 48);
  v128.store(room, v128.load(end, TAG_BYTES), NEXT_AT);
  const padding = -length & 15;
  v128.store(end, i64x2.splat(0));
  store<u64>(end + padding, 0);
  store<u64>(end + padding, length, 8);
  return padding + 16;
}

/** The 16 bytes after the authenticator at `end` are what they were. */
export function restore(end: usize, room: usize): void {
  v128.store(end, v128.load(room, NEXT_AT), TAG_BYTES);
}
