/** One case in a lab of its own: builds the tunnel, breaks it, lets it be used, and asks doctor. */

import { type Child, sleep } from '../lab/command.ts';
import type { Lab } from '../lab/lab.ts';
import type { Case } from './case.ts';
import { IFNAME, Sites } from './sites.ts';
import { type Answer, judge, readAnswer } from './verdict.ts';

/** Longer than an initiation waits for its answer, three times. */
const TALK_MS = 17_000;
const PING_INTERVAL_S = 0.5;
const PING_LIMIT_S = 120;
const MS_PER_S = 1_000;

export interface Outcome {
  readonly one: Case;
  readonly answer: Answer;
  /** null when doctor was right. */
  readonly fault: string | null;
  readonly seconds: number;
  /** Of doctor alone. */
  readonly doctorSeconds: number;
}

/**
 * @param record where doctor is to leave its evidence, as seen from the lab's hosts; null for
 * nowhere
 */
export async function tryCase(lab: Lab, one: Case, record: string | null): Promise<Outcome> {
  const begun = performance.now();
  const sites = await Sites.build(lab, one.plan ?? {});
  const words = (await one.inject(sites)) ?? [];
  const talks = one.talks ?? ['a'];
  const trains = talks.map((side) => ping(sites, side));
  if (talks.length > 0) await sleep(one.talkMs ?? TALK_MS);
  const { host } = sites[one.side ?? 'a'];
  const recording = record === null ? [] : ['--record', record];
  const asked = performance.now();
  const said = await host.exec('tswg', [IFNAME, 'doctor', '--json', ...recording, ...words]);
  const doctorSeconds = (performance.now() - asked) / MS_PER_S;
  const answer = readAnswer(said.stdout, said.stderr, said.status);
  const fault = judge(one, answer);
  await Promise.all(trains.map((train) => train.stop('SIGINT')));
  return { one, answer, fault, seconds: (performance.now() - begun) / MS_PER_S, doctorSeconds };
}

/** Pings that end by themselves, whatever becomes of us. */
function ping(sites: Sites, side: 'a' | 'b'): Child {
  const other = sites[side === 'a' ? 'b' : 'a'];
  const bounds = ['-i', `${PING_INTERVAL_S}`, '-w', `${PING_LIMIT_S}`];
  return sites[side].host.spawn('ping', ['-n', '-q', ...bounds, other.inner[4]]);
}
