/** Evidence: what the name service says of each endpoint's name, now. */

import { lookup } from '../../host/resolver.ts';
import { parseAddress } from '../../packet/address.ts';
import type { NameAnswer } from '../evidence.ts';

export type NameQuestion = Pick<NameAnswer, 'of' | 'peer' | 'host' | 'port'>;

/** Longer than a name service takes that answers. */
const PATIENCE_MS = 3_000;

/** Asks for each name once, all at the same time. */
export async function gatherNames(questions: readonly NameQuestion[]): Promise<NameAnswer[]> {
  const names = questions.filter(({ host }) => parseAddress(host.split('%', 1)[0]) === null);
  const answers = new Map<string, ReturnType<typeof ask>>();
  for (const { host } of names) if (!answers.has(host)) answers.set(host, ask(host));
  return Promise.all(
    names.map(async (question) => ({ ...question, ...(await answers.get(question.host)!) })),
  );
}

async function ask(host: string): Promise<Pick<NameAnswer, 'addresses' | 'error' | 'tookMs'>> {
  const begun = performance.now();
  const tookMs = (): number => Math.round(performance.now() - begun);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), PATIENCE_MS);
  });
  try {
    const found = await Promise.race([lookup(host), late]);
    if (found === null) return { addresses: [], error: 'ETIMEDOUT', tookMs: tookMs() };
    return { addresses: found, error: null, tookMs: tookMs() };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return { addresses: [], error: code, tookMs: tookMs() };
  } finally {
    clearTimeout(timer);
  }
}
