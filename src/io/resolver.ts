/** The name service of this machine. */

import { lookup as lookupAll } from 'node:dns/promises';

/**
 * Addresses of a host, best first: the system's order puts what this machine can reach first
 * (RFC 6724). @throws NodeJS.ErrnoException such as ENOTFOUND
 */
export async function lookup(host: string): Promise<string[]> {
  const found = await lookupAll(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}
