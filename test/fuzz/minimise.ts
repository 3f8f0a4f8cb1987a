/**
 * The least input that still fails: parts are left out as long as it does, the largest first, and
 * what remains of bytes is zeroed where that changes nothing. Knows nothing of why it fails.
 */

import type { Input } from './target.ts';

/** Runs of the code under test at most; a failure is to be shown soon, not perfectly. */
const ATTEMPTS_MAX = 4_000;

type Fails<T> = (candidate: T) => Promise<boolean>;

export async function minimise(input: Input, fails: Fails<Input>): Promise<Input> {
  const budget = { attempts: ATTEMPTS_MAX };
  if (input instanceof Uint8Array) {
    const bytes = await cut(Array.from(input), (part) => fails(Uint8Array.from(part)), budget);
    return Uint8Array.from(await zero(bytes, (part) => fails(Uint8Array.from(part)), budget));
  }
  if (typeof input === 'string') {
    // By its code units, since half a character may be the point.
    const units = await cut(input.split(''), (part) => fails(part.join('')), budget);
    return units.join('');
  }
  const words = [...(await cut(input, fails, budget))];
  for (let i = 0; i < words.length; i++) {
    const withWord = (units: readonly string[]) => words.with(i, units.join(''));
    words[i] = (await cut(words[i].split(''), (part) => fails(withWord(part)), budget)).join('');
  }
  return words;
}

/** The least sequence of inputs that still fails; the last one is kept. */
export async function minimiseSequence(
  inputs: readonly Input[],
  fails: Fails<readonly Input[]>,
): Promise<readonly Input[]> {
  const last = inputs.slice(-1);
  const before = inputs.slice(0, -1);
  const budget = { attempts: ATTEMPTS_MAX };
  return [...(await cut(before, (part) => fails([...part, ...last]), budget)), ...last];
}

interface Budget {
  attempts: number;
}

/** Leaves out parts of half the length, then a quarter, down to single elements. */
async function cut<T>(
  elements: readonly T[],
  fails: Fails<readonly T[]>,
  budget: Budget,
): Promise<readonly T[]> {
  let kept = elements;
  for (let size = Math.ceil(kept.length / 2); size > 0; size = Math.floor(size / 2)) {
    for (let at = 0; at < kept.length; ) {
      if (budget.attempts-- <= 0) return kept;
      const candidate = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (await fails(candidate)) kept = candidate;
      else at += size;
    }
  }
  return kept;
}

async function zero(
  bytes: readonly number[],
  fails: Fails<readonly number[]>,
  budget: Budget,
): Promise<readonly number[]> {
  let kept = bytes;
  for (let at = 0; at < kept.length && budget.attempts-- > 0; at++) {
    const candidate = kept.with(at, 0);
    if (kept[at] !== 0 && (await fails(candidate))) kept = candidate;
  }
  return kept;
}
