/** One question to the system's name service, on a thread of Node's pool: getaddrinfo(3). */

import { type LookupAddress, lookup as lookUpAll } from 'node:dns';
import type { NameAnswer } from '../device/ways.ts';
import { parseAddress } from '../packet/address.ts';
import { ADDRESSES_MAX } from './resolver.ts';

/** Errors of getaddrinfo(3), by the names that Node gives some of them. */
const NODE_ERRORS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'EAI_NONAME',
  ENOMEM: 'EAI_MEMORY',
};
/**
 * All that there are, as libuv names them, and as a message does, too. Each that comes is counted by
 * its name (questions.ts): so none that a resolver in other hands could make up is one.
 */
const ERRORS: ReadonlySet<string> = new Set([
  ...['EAI_ADDRFAMILY', 'EAI_AGAIN', 'EAI_BADFLAGS', 'EAI_BADHINTS', 'EAI_CANCELED', 'EAI_FAIL'],
  ...['EAI_FAMILY', 'EAI_MEMORY', 'EAI_NODATA', 'EAI_NONAME', 'EAI_OVERFLOW', 'EAI_PROTOCOL'],
  ...['EAI_SERVICE', 'EAI_SOCKTYPE', 'EAI_SYSTEM'],
]);

/** Whether it is the name of such an error. */
export function isLookupError(text: string): boolean {
  return ERRORS.has(text);
}

/** Calls `onAnswer` once and later. Asks for both families, in the system's own order. */
export function lookUp(host: string, onAnswer: (answer: NameAnswer) => void): void {
  try {
    lookUpAll(host, { all: true, verbatim: true }, (error, found) =>
      onAnswer(error === null ? addressesOf(found) : { error: errorOf(error) }),
    );
  } catch (error) {
    // A name that Node does not even ask for.
    setImmediate(() => onAnswer({ error: errorOf(error) }));
  }
}

function addressesOf(found: readonly LookupAddress[]): NameAnswer {
  const addresses = found.flatMap(({ address }) => parseAddress(address) ?? []);
  return { addresses: addresses.slice(0, ADDRESSES_MAX) };
}

function errorOf(error: unknown): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  const name = NODE_ERRORS[code] ?? code;
  return isLookupError(name) ? name : 'EAI_FAIL';
}
