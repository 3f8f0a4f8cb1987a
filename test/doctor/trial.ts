/** One case in a lab of its own: builds the tunnel, breaks it, lets it be used, and asks doctor. */

import { type Child, sleep } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import type { Case } from './case.ts';
import { IFNAME, Sites, tswg } from './sites.ts';
import { type Answer, judge, readAnswer } from './verdict.ts';

/** Longer than an initiation waits for its answer, 5 s. */
const TALK_MS = 8_000;
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
  const other = one.asksOther ? ['--other', await describeOther(sites, one.side ?? 'a')] : [];
  const recording = record === null ? [] : ['--record', record];
  const asked = performance.now();
  const answer = await askDoctor(host, [...recording, ...other, ...words]);
  const doctorSeconds = (performance.now() - asked) / MS_PER_S;
  const fault = judge(one, answer) ?? (one.isCured ? await cure(host, answer, words) : null);
  await Promise.all(trains.map((train) => train.stop('SIGINT')));
  return { one, answer, fault, seconds: (performance.now() - begun) / MS_PER_S, doctorSeconds };
}

async function askDoctor(host: Host, words: readonly string[]): Promise<Answer> {
  const said = await host.exec('tswg', [IFNAME, 'doctor', '--json', ...words]);
  return readAnswer(said.stdout, said.stderr, said.status);
}

/** Does what doctor said. Resolves to what is wrong with that; null when it helped. */
async function cure(host: Host, answer: Answer, words: readonly string[]): Promise<string | null> {
  const [{ code, commands }] = answer.findings;
  const done = await host.sh(commands.join('\n'));
  if (done.status !== 0)
    return `${code}: its commands fail:\n${commands.join('\n')}\n${done.stderr}`;
  const { findings, failure } = await askDoctor(host, words);
  if (failure !== '') return failure;
  const isLeft = findings.some((finding) => finding.code === code);
  return isLeft ? `${code} is still there after\n${commands.join('\n')}` : null;
}

/** The file with what the other end says of itself, on the host of this one. */
async function describeOther(sites: Sites, side: 'a' | 'b'): Promise<string> {
  const file = '/run/other.json';
  const text = await tswg(sites[side === 'a' ? 'b' : 'a'], '--json');
  await sites[side].host.writeFile(file, text);
  return file;
}

/** Pings that end by themselves, whatever becomes of us; by their own -w they would at an error. */
function ping(sites: Sites, side: 'a' | 'b'): Child {
  const other = sites[side === 'a' ? 'b' : 'a'];
  const words = ['-n', '-q', '-i', `${PING_INTERVAL_S}`, other.inner[4]];
  return sites[side].host.spawn('timeout', [`${PING_LIMIT_S}`, 'ping', ...words]);
}
