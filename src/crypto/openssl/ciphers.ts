/**
 * What the ways into OpenSSL share: finding functions of this process by name, refusing packets
 * outside the arena, and counting the keys that were not erased yet. It calls nothing itself.
 */

import { koffi } from '../../sys/koffi.ts';
import { type CryptoSuite, KEY_BYTES, TAG_BYTES } from '../suite.ts';

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

/** Native code reads 32 bytes, whatever it is given. */
export function checkKey(key: Uint8Array): void {
  if (key.length !== KEY_BYTES) throw new Error(`crypto: key of ${key.length} bytes`);
}

/** Native code writes wherever it is told to, so a wrong offset must not get that far. */
export function checkPacket(offset: number, length: number, arenaBytes: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length + TAG_BYTES <= arenaBytes)) {
    throw new Error(`cipher: packet outside the arena (${length} bytes at ${offset})`);
  }
}

/** Our own bug: the key is gone, and so must be its holder. */
export function usedAfterWipe(): never {
  throw new Error('cipher: used after wipe');
}

let live = 0;

/** Sealers and openers on OpenSSL not wiped yet, in the whole process: a test's leak detector. */
export function liveCiphers(): number {
  return live;
}

export function countCiphers(change: 1 | -1): void {
  live += change;
}
