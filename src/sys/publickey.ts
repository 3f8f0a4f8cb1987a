/**
 * The public key of a private one, by node:crypto alone, since loading a curve library would take
 * longer than the commands that ask.
 */

import { nodeCrypto } from './nodecrypto.ts';

/** DER of a PKCS#8 X25519 private key up to its 32 bytes (RFC 8410 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** The X25519 public key of a 32-byte private key. */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  const der = Buffer.concat([PKCS8_PREFIX, privateKey]);
  const key = nodeCrypto().createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const jwk = nodeCrypto().createPublicKey(key).export({ format: 'jwk' });
  der.fill(0);
  return new Uint8Array(Buffer.from(jwk.x ?? '', 'base64url'));
}

/** A WireGuard's own public key, as far as it tells: boringtun keeps the private one to itself. */
export function ownKey(state: {
  readonly privateKey: Uint8Array | null;
  readonly publicKey?: Uint8Array;
}): Uint8Array | null {
  return state.privateKey === null ? (state.publicKey ?? null) : publicKeyOf(state.privateKey);
}
