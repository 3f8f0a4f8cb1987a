/**
 * `npm run soak`: two daemons under mixed traffic that are reconfigured every ten seconds, and
 * killed and upgraded now and then. Prints what it came to, writes soak.json and soak.svg. Ends with
 * 1 when a verdict failed; leaves nothing behind, also when it is interrupted.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import yargs from 'yargs';
import { VERSION } from '../../src/version.ts';
import { runCommand } from '../lab/openlabs.ts';
import { placesOf } from '../lab/publication.ts';
import { unmet } from '../lab/requirements.ts';
import { drawChart } from './chart.ts';
import { evaluate } from './outcome.ts';
import { formatOutcome, formatRecord } from './report.ts';
import { runSoak } from './soak.ts';

/** A run of this length or more takes the place of the one that docs/soak.md shows. */
const PUBLISHED_MINUTES = 60;
const DEFAULT_MINUTES = 10;
const MS_PER_MINUTE = 60_000;

async function main(words: readonly string[]): Promise<number> {
  const options = await yargs([...words])
    .scriptName('npm run soak --')
    .usage('$0 [OPTIONS]\n\nTwo daemons under traffic and in trouble, and what becomes of them.')
    .option('minutes', { type: 'number', default: DEFAULT_MINUTES, describe: 'how long' })
    .option('seed', { type: 'number', default: 1, describe: 'of the order of events' })
    .option('out', { type: 'string', describe: 'folder for soak.json and soak.svg' })
    .strict()
    .version(false)
    .parseAsync();
  const { minutes, seed } = options;
  if (!(minutes >= 1)) throw new Error(`--minutes: ${minutes}: expected a number from 1 on`);
  const reason = unmet('unshare', 'nsenter', 'ip', 'wg', 'ping', 'iperf3');
  if (reason !== null) throw new Error(reason);
  const settings = { durationMs: minutes * MS_PER_MINUTE, seed };
  const about = describe();
  console.log(`soak: ${minutes} minutes, seed ${seed}; ${about}`);
  const recording = await runSoak(settings, (line) => console.log(`soak: ${line}`));
  const outcome = evaluate(recording);
  const places = placesOf('soak', minutes >= PUBLISHED_MINUTES, options.out);
  const file = path.join(places.record, 'soak.json');
  const chart = path.join(places.charts, 'soak.svg');
  for (const folder of Object.values(places)) mkdirSync(folder, { recursive: true });
  const date = new Date().toISOString();
  const record = formatRecord({ date, machine: about }, settings, recording, outcome);
  writeFileSync(file, record);
  const svg = drawChart(recording, outcome, `${about}; ${date.slice(0, 10)}`);
  writeFileSync(chart, svg);
  console.log(`\n${formatOutcome(outcome)}\n`);
  console.log(`written: ${file}, ${chart}`);
  return outcome.verdicts.some(({ passed }) => passed === false) ? 1 : 0;
}

/** On what and with what this is run. */
function describe(): string {
  const cpus = os.cpus();
  return `${cpus.length} cores of ${cpus[0].model.trim()}, ${os.type()} ${os.release()}, Node.js ${process.version}; tswg ${VERSION}`;
}

await runCommand('soak', main);
