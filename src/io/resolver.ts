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
 * For whoever tries again later anyway: a name service that is silent, which takes 10 s and more to be
 * found so, holds nobody up for longer than `patienceMs`. The answer to a question is for the next one
 * who asks it.
 *
 * @returns a lookup that rejects with EAI_AGAIN when there is no answer yet
 */
export function createRepeatedLookup(patienceMs: number, look: Lookup = lookup): Lookup {
  const asked = new Map<string, Promise<string[]>>();
  return async (host) => {
    const answer = asked.get(host) ?? look(host);
    asked.set(host, answer);
    let timer: NodeJS.Timeout | undefined;
    const impatience = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), patienceMs);
    });
    try {
      const found = await Promise.race([answer, impatience]);
      if (found !== null) {
        asked.delete(host);
        return found;
      }
    } catch (error) {
      asked.delete(host);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    // Nobody may be waiting when it comes.
    answer.catch(() => {});
    throw Object.assign(new Error(`${host}: no answer yet`), { code: 'EAI_AGAIN' });
  };
}
