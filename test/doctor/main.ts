/**
 * `npm run doctortest`: breaks tunnels one by one, each in a lab of its own, asks `tswg wg0 doctor`
 * what is wrong, and requires the injected cause first and no false one beside it. Prints cases
 * against codes. `--only CODE` tries some.
 */

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { closeLab, openLab, runCommand } from '../lab/openlabs.ts';
import { unmet } from '../lab/requirements.ts';
import type { Case } from './case.ts';
import { formatFindings, formatMatrix, formatOutcome } from './matrix.ts';
import { parseOptions } from './options.ts';
import { type Outcome, tryCase } from './trial.ts';

const PROGRAMS = ['unshare', 'nsenter', 'ip', 'ping', 'nft', 'wg', 'wg-quick', 'setpriv'];

async function main(words: readonly string[]): Promise<number> {
  const { cases, jobs, list, verbose, record } = await parseOptions(words);
  if (list) {
    for (const { id } of cases) console.log(id);
    return 0;
  }
  const reason = unmet(...PROGRAMS);
  if (reason !== null) {
    console.log(`doctortest: SKIPPED: ${reason}`);
    return 0;
  }
  if (record !== null) mkdirSync(record, { recursive: true });
  const outcomes = new Map<Case, Outcome>();
  const waiting = [...cases];
  const work = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const outcome = await tryAlone(one, record);
      outcomes.set(one, outcome);
      console.log(formatOutcome(outcome));
      if (verbose && outcome.answer.findings.length > 0) console.log(formatFindings(outcome));
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  const inOrder = cases.map((one) => outcomes.get(one)!);
  const failed = inOrder.filter(({ fault }) => fault !== null).length;
  console.log(`\n${formatMatrix(inOrder)}`);
  console.log(`\ndoctortest: ${inOrder.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** What goes wrong with the lab is the outcome of this case, and no other's. */
async function tryAlone(one: Case, record: string | null): Promise<Outcome> {
  const begun = performance.now();
  const lab = await openLab();
  const file =
    record === null ? null : path.resolve(record, `${one.id.replaceAll(/[/ ]/g, '-')}.json`);
  try {
    return await tryCase(lab, one, file);
  } catch (error) {
    const fault = `not tried: ${(error as Error).message}`;
    const answer = { status: 0, findings: [], failure: fault };
    const seconds = (performance.now() - begun) / 1_000;
    return { one, answer, fault, seconds, doctorSeconds: 0 };
  } finally {
    await closeLab(lab);
  }
}

await runCommand('doctortest', main);
