/**
 * `npm run flood`: what tswg and wireguard-go, in turns, keep of a TCP stream while one core sends
 * them what is not theirs, and how long a newcomer waits. Prints a table and writes flood.json.
 *
 * Attacker, daemons and iperf3 share the machine's cores, so that any flood costs the stream some
 * of its rate. How much of that is the processor and the kernel's network alone, the control says:
 * the same frames at the same pace to a port where nobody listens.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import yargs from 'yargs';
import { TSWG, WIREGUARD_GO } from '../bench/implementation.ts';
import { describeMachine, formatMachine } from '../bench/machine.ts';
import type { Side } from '../bench/samples.ts';
import { runCommand } from '../lab/openlabs.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { unmet } from '../lab/requirements.ts';
import { KINDS, type Kind } from './ammunition.ts';
import { formatRecord, formatTable, summarize, type Trials } from './outcome.ts';
import { runTrial, type Trial } from './trial.ts';

const PUBLISHED = 'test/flood/results';
const UNPUBLISHED = 'dist/flood';
const DEFAULT_ROUNDS = 3;
const DEFAULT_SECONDS = 1.5;
const MS_PER_S = 1_000;

async function main(words: readonly string[]): Promise<number> {
  const options = await yargs([...words])
    .scriptName('npm run flood --')
    .usage('$0 [OPTIONS]\n\nFloods tswg and wireguard-go (WIREGUARD_GO=PATH, or the one on PATH).')
    .option('rounds', { type: 'number', default: DEFAULT_ROUNDS, describe: 'of each' })
    .option('seconds', { type: 'number', default: DEFAULT_SECONDS, describe: 'of each stream' })
    .option('kinds', { choices: KINDS, array: true, default: KINDS, describe: 'of floods' })
    .option('only', { choices: [TSWG.side, WIREGUARD_GO.side], describe: 'one of the two' })
    .option('add', { type: 'boolean', default: false, describe: 'to the rounds of the record' })
    .option('out', { type: 'string', describe: 'folder for flood.json' })
    .strict()
    .version(false)
    .parseAsync();
  const reason = unmet('unshare', 'nsenter', 'ip', 'wg', 'ping', 'iperf3', 'tcpdump');
  if (reason !== null) throw new Error(reason);
  const machine = await describeMachine();
  console.log(`flood: ${formatMachine(machine)}`);
  const { rounds, seconds, only } = options;
  for (const [option, value] of [
    ['--rounds', rounds],
    ['--seconds', seconds],
  ] as const) {
    if (!Number.isInteger(value) || value < 1)
      throw new Error(`${option}: ${value}: expected a whole number from 1 on`);
  }
  const kinds = KINDS.filter((kind: Kind) => options.kinds.includes(kind));
  const isWhole = only === undefined && kinds.length === KINDS.length;
  const folder = options.out ?? path.join(REPOSITORY, isWhole ? PUBLISHED : UNPUBLISHED);
  const file = path.join(folder, 'flood.json');
  const earlier: Trials = options.add ? JSON.parse(readFileSync(file, 'utf8')).trials : {};
  const trials: Partial<Record<Side, Trial[]>> = {};
  for (let round = 1; round <= rounds; round++) {
    for (const implementation of [WIREGUARD_GO, TSWG]) {
      const { side, name } = implementation;
      if ((only ?? side) !== side) continue;
      const begun = performance.now();
      trials[side] ??= [...(earlier[side] ?? [])];
      trials[side].push(await runTrial(implementation, seconds, kinds));
      const elapsed = ((performance.now() - begun) / MS_PER_S).toFixed(1);
      console.log(`round ${round}/${rounds}  ${name.padEnd(14)}${elapsed} s`);
    }
  }
  const outcomes = Object.fromEntries(
    Object.entries(trials).map(([side, list]) => [side, summarize(list)] as const),
  );
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, formatRecord({ machine, settings: { seconds } }, trials, outcomes));
  console.log(`\n${formatTable(outcomes)}\n\nwritten: ${file}`);
  return 0;
}

await runCommand('flood', main);
