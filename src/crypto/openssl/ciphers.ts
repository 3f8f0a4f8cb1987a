/**
 * What the ways into OpenSSL share: finding functions of this process by name, and counting the keys
 * that were not erased yet. It calls nothing itself.
 */

import { koffi } from '../../sys/koffi.ts';
import type { CryptoSuite } from '../suite.ts';

export type Ciphers = Pick<CryptoSuite, 'createSealer' | 'createOpener'>;
export type X25519 = Pick<CryptoSuite, 'sharedSecret' | 'publicKey'>;
/** Pointers are passed as numbers. */
export type Call = (...args: number[]) => number;
/** Type of the result, then of the parameters. */
export type Signature = readonly [result: string, ...parameters: string[]];

/**
 * What was bound, by the table that asked for it. One function object for all callers is what lets
 * the optimizer call it straight: the self-test's own would make every call site undecided.
 */
const bound = new WeakMap<object, Readonly<Record<string, Call>>>();

/** Binds functions that this process exports, once; null when one of them is missing. */
export function bindAll<Name extends string>(
  signatures: Readonly<Record<Name, Signature>>,
): Readonly<Record<Name, Call>> | null {
  const known = bound.get(signatures);
  if (known !== undefined) return known as Readonly<Record<Name, Call>>;
  try {
    const library = koffi.load(null);
    const calls = {} as Record<Name, Call>;
    for (const name of Object.keys(signatures) as Name[]) {
      const [result, ...parameters] = signatures[name];
      calls[name] = library.func(name, result, parameters);
    }
    bound.set(signatures, calls);
    return calls;
  } catch {
    return null;
  }
}

let live = 0;

/** Sealers and openers on OpenSSL not wiped yet, in the whole process: a test's leak detector. */
export function liveCiphers(): number {
  return live;
}

export function countCiphers(change: 1 | -1): void {
  live += change;
}
