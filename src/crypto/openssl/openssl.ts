/**
 * The suite on the OpenSSL that Node carries and exports: `koffi.load(null)` finds it, so it
 * needs no further library. This file chooses between the ways into it; each is trusted only after
 * it has computed the same as the portable suite.
 *
 * Direct: the private halves of the AEAD (chachapoly.ts) and ossl_x25519. EVP: the public
 * interface (evp.ts), where those are not exported or have changed.
 */

import type { Arena } from '../../arena.ts';
import { Scratch } from '../../sys/libc.ts';
import { xsealInto } from '../aead.ts';
import { agreesWithPortable } from '../agreement.ts';
import { wipe } from '../bytes.ts';
import { checkKey } from '../misuse.ts';
import type { CryptoSuite } from '../suite.ts';
import { createChaChaPoly } from './chachapoly.ts';
import { bindAll, type X25519 } from './ciphers.ts';
import { createEvpCiphers, createEvpX25519 } from './evp.ts';
import { createXseal } from './xchachapoly.ts';

export type Route = 'direct' | 'evp';

/** The fastest first. */
export const ROUTES: readonly Route[] = ['direct', 'evp'];

/**
 * null when this Node has no OpenSSL to call, or one that disagrees with the portable suite. Call
 * before the first turn: it may reserve scratch room in `arena`.
 */
export function createOpensslSuite(
  arena: Arena,
  routes: readonly Route[] = ROUTES,
): CryptoSuite | null {
  const route = routes.find(isTrusted);
  return route === undefined ? null : createByRoute(arena, route);
}

/** Whether there would be such a suite. */
export function hasOpensslSuite(): boolean {
  return ROUTES.some(isTrusted);
}

/** What came of the self-test: the code of a process does not change. */
const tested = new Map<Route, boolean>();

function isTrusted(route: Route): boolean {
  const known = tested.get(route);
  if (known !== undefined) return known;
  const agrees = agreesWithPortable((ownArena) => createByRoute(ownArena, route));
  tested.set(route, agrees);
  return agrees;
}

/** Throws when this build does not export what the route takes. */
function createByRoute(arena: Arena, route: Route): CryptoSuite {
  const ciphers = route === 'direct' ? createChaChaPoly(arena) : createEvpCiphers(arena);
  const x25519 = (route === 'direct' ? createDirectX25519() : null) ?? createEvpX25519();
  if (ciphers === null || x25519 === null) throw new Error(`openssl: no ${route} route`);
  // EVP has no XChaCha20, and no faster way to HChaCha20 than the portable suite's.
  const xseal = (route === 'direct' ? createXseal() : null) ?? xsealInto;
  return { name: 'openssl', ...ciphers, ...x25519, xseal };
}

/** One table for all suites: bindAll knows it again. */
const X25519_SIGNATURES = {
  /** (out, private key, public key); 0 when the secret is all zero */
  ossl_x25519: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t'],
  ossl_x25519_public_from_private: ['void', 'uintptr_t', 'uintptr_t'],
} as const;

/** X25519 in one call, without the objects of EVP around it: 2.3 times as fast. */
function createDirectX25519(): X25519 | null {
  const calls = bindAll(X25519_SIGNATURES);
  if (calls === null) return null;
  const memory = new Scratch(96);
  const [outAt, privateAt, publicAt] = [0, 32, 64];
  const { address, bytes } = memory;
  const secret = bytes.subarray(outAt, outAt + 32);
  return {
    sharedSecret(out, privateKey, publicKey) {
      checkKey(privateKey);
      checkKey(publicKey);
      bytes.set(privateKey, privateAt);
      bytes.set(publicKey, publicAt);
      const isUsable =
        calls.ossl_x25519(address + outAt, address + privateAt, address + publicAt) === 1;
      if (isUsable) out.set(secret);
      else out.fill(0);
      wipe(bytes);
      return isUsable;
    },
    publicKey(privateKey) {
      checkKey(privateKey);
      bytes.set(privateKey, privateAt);
      calls.ossl_x25519_public_from_private(address + publicAt, address + privateAt);
      const publicKey = bytes.slice(publicAt, publicAt + 32);
      wipe(bytes);
      return publicKey;
    },
  };
}
