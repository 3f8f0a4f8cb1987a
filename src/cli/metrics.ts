/**
 * `tswg metrics`: asks the daemons at the same time, each for a bounded time, so that one that does
 * not answer keeps nobody's series back.
 */

import { EAGAIN } from '../uapi/response.ts';
import { explainSocket } from './explain.ts';
import { type ExpositionFormat, formatExposition } from './exposition.ts';
import { askDaemon } from './gather.ts';
import { hasLostDaemon } from './lostdaemon.ts';
import { type Answer, familiesOf } from './series.ts';
import type { System } from './system.ts';
import type { WireguardView } from './view.ts';

/** Programs that collect metrics wait some ten seconds for all of them. */
const ANSWER_MS = 5_000;
/** A daemon that has just handed over to its successor says to ask again, which reaches that one. */
const ATTEMPTS = 10;
const ATTEMPT_MS = 50;

export interface Exposed {
  readonly text: string;
  /** Lines about what could not be learnt. */
  readonly notes: readonly string[];
}

/** @param names none for all interfaces that have, or had, a daemon */
export async function expose(
  names: readonly string[],
  format: ExpositionFormat,
  system: System,
): Promise<Exposed> {
  const asked = [...new Set(names.length === 0 ? allNames(system) : names)].sort();
  const notes: string[] = [];
  const answers = await Promise.all(
    asked.map(async (name): Promise<Answer> => {
      try {
        return { name, wireguard: await ask(name, system) };
      } catch (error) {
        notes.push(`${name}: ${explain(name, error, system)}`);
        return { name, wireguard: null };
      }
    }),
  );
  return { text: formatExposition(familiesOf(answers, system.now()), format), notes: notes.sort() };
}

/** Also of what daemons have left behind: that they are gone is what somebody wants to be told. */
function allNames(system: System): string[] {
  const lost = system.links().filter((link) => hasLostDaemon(link, system));
  return [...system.sockets(), ...lost.map(({ name }) => name)];
}

async function ask(name: string, system: System): Promise<WireguardView> {
  for (let attempt = 1; ; attempt++) {
    const view = await askDaemon(name, system, ANSWER_MS);
    const errno = failureOf(view);
    if (errno === 0) return view;
    if (errno !== EAGAIN || attempt === ATTEMPTS) throw Object.assign(new Error(), { errno });
    await system.sleep(ATTEMPT_MS);
  }
}

function failureOf({ state, stats }: WireguardView): number {
  return state.errno || (stats?.errno ?? 0);
}

function explain(name: string, error: unknown, system: System): string {
  const link = system.links().find((one) => one.name === name);
  const { code } = error as NodeJS.ErrnoException;
  if (link === undefined && code === 'ENOENT') return 'no such interface';
  return explainSocket(link ?? { name, kind: '' }, error);
}
