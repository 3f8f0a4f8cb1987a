/**
 * How a gatherer ends: with what it saw, or with why it could not look, and always in time. What is
 * our own bug is thrown.
 */

import { cannotLook, type Looked, looked } from '../evidence.ts';

/** What a gatherer throws when it could not look; its message is the reason, half a sentence. */
export class CannotLook extends Error {}

/** Whatever else it is: first of all it takes root. */
const ONLY_ROOT = 'only root may; try it with sudo';

/** @throws what is no refusal of the system */
export async function look<T>(gather: () => T | Promise<T>): Promise<Looked<T>> {
  try {
    return looked(await gather());
  } catch (error) {
    return reasonOf(error);
  }
}

/** The same for what may hang; what it does after its time is nobody's any more. */
export async function lookWithin<T>(
  ms: number,
  what: string,
  gather: () => Promise<T>,
): Promise<Looked<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Looked<T>>((resolve) => {
    timer = setTimeout(() => resolve(cannotLook(`${what} took more than ${ms / 1_000} s`)), ms);
  });
  return Promise.race([look(gather), late]).finally(() => clearTimeout(timer));
}

/** The same of what answers at once. */
export function lookNow<T>(gather: () => T): Looked<T> {
  try {
    return looked(gather());
  } catch (error) {
    return reasonOf(error);
  }
}

/** @throws what is no refusal of the system */
function reasonOf(error: unknown): Looked<never> {
  const { code, message } = error as NodeJS.ErrnoException;
  // Errors of the system have the name of their number, Node's and ours alike.
  const isRefused = code === 'EPERM' || code === 'EACCES' || error instanceof CannotLook;
  if (isRefused && process.geteuid?.() !== 0) return cannotLook(ONLY_ROOT);
  if (error instanceof CannotLook || (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code))) {
    return cannotLook(message.replaceAll('\n', ' '));
  }
  throw error;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Until `isDone`, at most `ms`. On a machine that is full we may have slept longer than that, beside
 * what has come meanwhile: it is read before the time counts as over.
 */
export async function waitUntil(isDone: () => boolean, ms: number): Promise<void> {
  for (const end = performance.now() + ms; !isDone() && performance.now() < end; ) await sleep(10);
  if (!isDone()) await nextTurn();
}

/** Whatever can be read has been, once it resolves. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** How much each number rose. */
export function gainOf(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  const gains = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]);
  return Object.fromEntries(gains.filter(([, gain]) => (gain as number) > 0));
}
