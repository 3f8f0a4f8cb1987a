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
import { TSWG, WIREGUARD_GO } from '../bench/implementation.ts';
import { describeMachine, formatMachine } from '../bench/machine.ts';
import type { Side } from '../bench/samples.ts';
import { runCommand } from '../lab/openlabs.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { unmet } from '../lab/requirements.ts';
import { KINDS } from './ammunition.ts';
import { parseOptions } from './options.ts';
import { formatRecord, formatTable, summarize, type Trials } from './outcome.ts';
import { runTrial, type Trial } from './trial.ts';

const PUBLISHED = 'test/flood/results';
const UNPUBLISHED = 'dist/flood';
const MS_PER_S = 1_000;

async function main(words: readonly string[]): Promise<number> {
  const { rounds, seconds, kinds, only, add, out } = await parseOptions(words);
  const reason = unmet('unshare', 'nsenter', 'ip', 'wg', 'ping', 'iperf3', 'tcpdump');
  if (reason !== null) throw new Error(reason);
  const machine = await describeMachine();
  console.log(`flood: ${formatMachine(machine)}`);
  const isWhole = only === undefined && kinds.length === KINDS.length;
  const folder = out ?? path.join(REPOSITORY, isWhole ? PUBLISHED : UNPUBLISHED);
  const file = path.join(folder, 'flood.json');
  const earlier: Trials = add ? JSON.parse(readFileSync(file, 'utf8')).trials : {};
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
