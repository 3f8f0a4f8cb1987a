/**
 * Tells a private key from a public one. A private key is clamped (RFC 7748 5), so that every
 * public key is a point of prime order, which of other 32 bytes one in sixteen is. Slow and not in
 * constant time: for what an operator typed as a public key, and nothing else. Pure.
 */

/** The field of Curve25519. */
const P = 2n ** 255n - 19n;
/** (486662 + 2) / 4, as the ladder of RFC 7748 5 with a - 2 counts it. */
const A24 = 121665n;
/** The order of the base point (RFC 7748 4.1). */
const ORDER = 2n ** 252n + 0x14def9dea2f79cd65812631a5cf5d3edn;

/** Whether genkey may have made it: one in 32 of other keys has that form, too. */
export function isClamped(key: Uint8Array): boolean {
  return (key[0] & 7) === 0 && (key[31] & 0xc0) === 0x40;
}

/** Whether the 32 bytes are the u-coordinate of a point of prime order, as every public key is. */
export function isPublicPoint(key: Uint8Array): boolean {
  let u = 0n;
  for (let at = 31; at >= 0; at--) u = (u << 8n) | BigInt(key[at]);
  // RFC 7748 5: the highest bit is not looked at.
  return isInfinity(BigInt.asUintN(255, u) % P, ORDER);
}

/** Whether `scalar` times the point at u is the neutral one: the ladder of RFC 7748 5. */
function isInfinity(u: bigint, scalar: bigint): boolean {
  if (u === 0n) return false;
  let [x2, z2, x3, z3] = [1n, 0n, u, 1n];
  for (const bit of scalar.toString(2)) {
    if (bit === '1') [x2, z2, x3, z3] = [x3, z3, x2, z2];
    const [a, b, c, d] = [x2 + z2, x2 - z2, x3 + z3, x3 - z3];
    const [aa, bb] = [(a * a) % P, (b * b) % P];
    const [da, cb] = [(d * a) % P, (c * b) % P];
    const e = aa - bb;
    x3 = (da + cb) ** 2n % P;
    z3 = (u * ((da - cb) ** 2n % P)) % P;
    x2 = (aa * bb) % P;
    z2 = (e * (aa + A24 * e)) % P;
    if (bit === '1') [x2, z2, x3, z3] = [x3, z3, x2, z2];
  }
  return z2 % P === 0n;
}
