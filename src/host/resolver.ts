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

type Lookup = typeof lookup;

/**
 * For callers that try again later anyway: a name service that does not answer, which takes 10 s
 * and more to find out, delays nobody by more than `patienceMs`. Addresses that come later are for
 * the next caller; a failure that comes later is reported when the next lookup takes as long.
 *
 * @returns a lookup that rejects with EAI_AGAIN when nothing is known yet
 */
export function createRepeatedLookup(patienceMs: number, look: Lookup = lookup): Lookup {
  const asked = new Map<string, Promise<string[]>>();
  const failures = new Map<string, unknown>();
  return async (host) => {
    const answer = asked.get(host) ?? look(host);
    asked.set(host, answer);
    const forget = (): unknown => asked.get(host) === answer && asked.delete(host);
    let timer: NodeJS.Timeout | undefined;
    const impatience = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), patienceMs);
    });
    const found = await Promise.race([answer, impatience]).finally(() => {
      clearTimeout(timer);
      // Nobody may be waiting when it comes.
      answer.catch((error) => {
        failures.set(host, error);
        forget();
      });
    });
    if (found !== null) {
      forget();
      return found;
    }
    throw (
      failures.get(host) ??
      Object.assign(new Error(`${host}: no answer yet`), { code: 'EAI_AGAIN' })
    );
  };
}
