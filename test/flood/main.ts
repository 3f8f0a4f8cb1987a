/**
 * `npm run flood`: what tswg and wireguard-go, in turns, keep of a TCP stream while somebody sends
 * them what is not theirs; how long newcomers wait meanwhile; and how long two ends are apart after
 * one of them has lost a session under load. Prints tables and writes flood.json.
 *
 * Attacker, daemons and iperf3 share the machine's cores, so that any flood costs the stream some
 * of its rate. How much of that is the processor and the kernel's network alone, the control says:
 * the same frames at the same pace to a port where nobody listens.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { IFNAME, type Implementation, TSWG, WIREGUARD_GO } from '../bench/implementation.ts';
import { describeMachine, formatMachine } from '../bench/machine.ts';
import { runCommand } from '../lab/openlabs.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { unmet } from '../lab/requirements.ts';
import { attempt } from './attempt.ts';
import { type Options, parseOptions } from './options.ts';
import {
  formatProgress,
  formatRecord,
  formatTables,
  type Outcome,
  parseRecord,
} from './outcome.ts';
import { ROWS, type Row } from './rows.ts';
import { judge, type Results } from './verdict.ts';

const PROGRAMS = ['unshare', 'nsenter', 'ip', 'wg', 'ping', 'iperf3', 'tcpdump', 'nft'];
const PUBLISHED = 'test/flood/results';
const UNPUBLISHED = 'dist/flood';
const MS_PER_MINUTE = 60_000;

async function main(words: readonly string[]): Promise<number> {
  const options = await parseOptions(words);
  const { rows, settings, isWhole, peer, add, list, markdown, out } = options;
  if (list) {
    for (const { id } of rows) console.log(id);
    return 0;
  }
  const reason = unmet(...PROGRAMS);
  if (reason !== null) throw new Error(reason);
  const baseline = { ...WIREGUARD_GO, command: [peer, '-f', IFNAME] };
  const machine = await describeMachine(baseline);
  console.log(`flood: ${formatMachine(machine)}`);
  const folder = out ?? path.join(REPOSITORY, isWhole || add ? PUBLISHED : UNPUBLISHED);
  const file = path.join(folder, 'flood.json');
  const known = new Map(add && existsSync(file) ? parseRecord(readFileSync(file, 'utf8')) : []);
  mkdirSync(folder, { recursive: true });
  const begun = performance.now();
  const about = { machine, settings };
  const outcomes = () => ROWS.flatMap((row) => outcomeOf(row, known));
  for (const row of rows) {
    await tryRow(row, baseline, options, known);
    // After each row, so that what was measured is there however the run ends.
    writeFileSync(file, formatRecord(about, outcomes()));
  }
  const minutes = ((performance.now() - begun) / MS_PER_MINUTE).toFixed(1);
  console.log(
    `\n${formatTables(outcomes(), markdown)}\n\n${summarize(outcomes())}, ${minutes} minutes`,
  );
  console.log(`written: ${file}`);
  return 0;
}

function outcomeOf(row: Row, known: ReadonlyMap<string, Results>): Outcome[] {
  const results = known.get(row.id);
  return results === undefined ? [] : [{ row, results }];
}

/** wireguard-go first, since some of tswg's figures are judged by its. */
async function tryRow(
  row: Row,
  baseline: Implementation,
  { settings, only }: Options,
  known: Map<string, Results>,
): Promise<void> {
  for (const implementation of [baseline, TSWG]) {
    const { side } = implementation;
    if ((only ?? side) !== side) continue;
    const result = await attempt(row, implementation, settings);
    const results = { ...known.get(row.id), [side]: result };
    known.set(row.id, results);
    console.log(formatProgress({ row, results }, side));
  }
}

function summarize(outcomes: readonly Outcome[]): string {
  const verdicts = outcomes.map(({ row, results }) => judge(row, 'tswg', results));
  const count = (word: string) => verdicts.filter((verdict) => verdict === word).length;
  return `${count('good')} rows good, ${count('RED')} red, ${count('no result')} without a result`;
}

await runCommand('flood', main);
