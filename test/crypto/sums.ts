/** Packets whose Poly1305 sum comes out as wanted: at the edges, where a carry is easily forgotten. */

import { createCipheriv } from 'node:crypto';
import { Random } from './hex.ts';

const PRIME = 2n ** 130n - 5n;
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn;
/** The one that follows each block (RFC 8439 2.5). */
const AFTER = 2n ** 128n;
const LENGTH = 32;

/** The sums to try: nothing, little, and just below, at and beyond the prime and a power of two. */
export const SUMS: readonly bigint[] = [
  ...[0n, 1n, 4n, 5n, 6n, 2n ** 20n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 64n, 2n ** 96n - 1n],
  ...[AFTER - 1n, AFTER, 2n ** 129n, PRIME - 1n, PRIME - 2n, PRIME - 2n ** 32n],
];

/** Key stream: 64 bytes of the block with this number (RFC 8439 2.3). */
function keyStream(key: Uint8Array, nonce: Uint8Array, block: number): Uint8Array {
  const iv = new Uint8Array(16);
  new DataView(iv.buffer).setUint32(0, block, true);
  iv.set(nonce, 4);
  return createCipheriv('chacha20', key, iv).update(new Uint8Array(64));
}

const numberOf = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);

const bytesOf = (number: bigint): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, i) => Number((number >> BigInt(8 * i)) & 0xffn));

const modulo = (number: bigint): bigint => ((number % PRIME) + PRIME) % PRIME;

/** By Fermat's theorem. */
function inverse(number: bigint): bigint {
  let result = 1n;
  for (let [base, exponent] = [number, PRIME - 2n]; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = modulo(result * base);
    base = modulo(base * base);
  }
  return result;
}

/** A plaintext of 32 bytes for which the sum, before the last addition, is `sum` modulo the prime. */
export function plaintextFor(sum: bigint, key: Uint8Array, nonce: Uint8Array): Uint8Array {
  const random = new Random(1);
  const r = numberOf(keyStream(key, nonce, 0).subarray(0, 16)) & CLAMP;
  const back = inverse(r);
  const lengths = (BigInt(LENGTH) << 64n) + AFTER;
  for (;;) {
    const first = random.bytes(16);
    const before = modulo((numberOf(first) + AFTER) * r);
    const second = modulo((sum * back - lengths) * back - before - AFTER);
    // Three in four have no second block.
    if (second >= AFTER) continue;
    const stream = keyStream(key, nonce, 1);
    return Uint8Array.from([...first, ...bytesOf(second)], (byte, i) => byte ^ stream[i]);
  }
}
