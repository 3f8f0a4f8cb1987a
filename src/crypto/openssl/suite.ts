/** Which implementation of the primitives a daemon runs on: decided once, at start. */

import type { Arena } from '../../arena.ts';
import { visible } from '../../quotation.ts';
import type { CryptoSuite } from '../suite.ts';
import { createOpensslSuite, hasOpensslSuite } from './openssl.ts';

export type CryptoPreference = 'auto' | 'openssl' | 'portable';

/** What the operator's TSWG_CRYPTO asks for. @throws Error with a line for the operator */
export function cryptoPreference(value = 'auto'): CryptoPreference {
  if (value === 'auto' || value === 'openssl' || value === 'portable') return value;
  throw new Error(`TSWG_CRYPTO: ${visible(value)}: expected auto, openssl or portable`);
}

let portable: typeof import('../portable.ts') | undefined;

/**
 * Loads the portable suite where `chooseSuite` will take it, before which this is to be called: its
 * curve computes tables when it is loaded, and a daemon on OpenSSL never needs it.
 */
export async function prepareSuite(preference: CryptoPreference): Promise<void> {
  const isSpared = preference === 'openssl' || (preference === 'auto' && hasOpensslSuite());
  if (!isSpared) portable = await import('../portable.ts');
}

/**
 * @param preference `auto` falls back to the portable suite, and says so; `openssl` does not.
 * @param warn takes one line for the operator, at most once.
 * @throws when `openssl` was asked for and is not to be had, with a line for the operator.
 */
export function chooseSuite(
  arena: Arena,
  preference: CryptoPreference,
  warn: (line: string) => void,
): CryptoSuite {
  if (preference === 'portable') return createPortable(arena);
  const suite = createOpensslSuite(arena);
  if (suite !== null) return suite;
  if (preference === 'openssl') {
    throw new Error(
      'crypto: openssl: expected a Node.js that exports an OpenSSL which passes the self-test; ' +
        'this one does not (portable works anywhere)',
    );
  }
  warn(
    'crypto: the OpenSSL of this Node.js is not exported or fails the self-test: ' +
      'using portable JavaScript, which is many times slower',
  );
  return createPortable(arena);
}

function createPortable(arena: Arena): CryptoSuite {
  if (portable === undefined) throw new Error('crypto: the choice of a suite was not prepared');
  return portable.createPortableSuite(arena);
}
