/**
 * `npm run simulate`: runs seeds and prints what they visited; a seed that fails is cut down to a
 * readable trace. Exit code 1 when an invariant failed or a deliberate fault was not found.
 */

import yargs from 'yargs';
import { runBoth } from './both.ts';
import type { Grouping } from './burst.ts';
import { Coverage } from './coverage.ts';
import { faultNames, findFault, formatFinding } from './faults.ts';
import { type Result, run } from './run.ts';
import {
  connectedSites,
  createScenario,
  DEVICES_MAX,
  describeTrouble,
  MS_PER_HOUR,
  type Scenario,
  type Selection,
  select,
} from './scenario.ts';
import { reproduction, shrink } from './shrink.ts';
import type { CryptoChoice } from './suite.ts';

const HOURS_PER_YEAR = 8_766;
const SHRINK_MS = 60_000;
const TROUBLES_SHOWN = 60;
const TRACE_SHOWN = 150;
const PROGRESS_MS = 10_000;
/** Faults are looked for in so much. */
const FAULT_SEEDS = 200;
const FAULT_HOURS = 1;

interface Options {
  readonly seed: number;
  readonly seeds: number;
  readonly hours: number;
  readonly devices: number | undefined;
  readonly crypto: CryptoChoice;
  readonly grouping: Grouping | 'both';
  readonly faults: boolean;
  readonly trace: boolean;
  readonly selection: Selection;
}

async function parseOptions(words: readonly string[]): Promise<Options> {
  const parsed = await yargs([...words])
    .scriptName('npm run simulate --')
    .usage('$0 [OPTIONS]\n\nDrives the core on virtual clocks through seeded trouble.')
    .option('seed', { type: 'number', default: 1, describe: 'the seed, or the first of them' })
    .option('seeds', { type: 'number', default: 1, describe: 'how many, one after the other' })
    .option('hours', { type: 'number', default: 1, describe: 'virtual hours of each' })
    .option('devices', { type: 'number', describe: '2 to 50; drawn from the seed without it' })
    .option('crypto', {
      choices: ['fast', 'real', 'portable'] as const,
      default: 'fast' as const,
      describe: 'fast has a stand-in for X25519; the others are what ships',
    })
    .option('grouping', {
      choices: ['runs', 'packets', 'both'] as const,
      default: 'runs' as const,
      describe: 'how a Device is given what comes together; both has to be the same',
    })
    .option('faults', { type: 'boolean', default: false, describe: 'find the deliberate faults' })
    .option('trace', { type: 'boolean', default: false, describe: 'print all that happens' })
    .option('links', { type: 'string', describe: 'only these numbers, as a failure prints them' })
    .option('troubles', { type: 'string', describe: 'only these' })
    .option('flows', { type: 'string', describe: 'only these' })
    .strict()
    .version(false)
    .parseAsync();
  const isWhole = (n: number, least: number) => Number.isInteger(n) && n >= least;
  if (!isWhole(parsed.seed, 0) || !isWhole(parsed.seeds, 1))
    throw new Error('--seed and --seeds: expected whole numbers');
  if (!(parsed.hours > 0)) throw new Error('--hours: expected a number above 0');
  const { devices } = parsed;
  if (devices !== undefined && !(isWhole(devices, 2) && devices <= DEVICES_MAX))
    throw new Error(`--devices: expected 2 to ${DEVICES_MAX}`);
  return {
    ...parsed,
    devices,
    selection: {
      links: numbers(parsed.links),
      troubles: numbers(parsed.troubles),
      flows: numbers(parsed.flows),
    },
  };
}

/** `1,2` is those, `none` none, and nothing said is all. */
function numbers(text: string | undefined): number[] | null {
  if (text === undefined) return null;
  return text === 'none' ? [] : text.split(',').map(Number);
}

/** The seed and the trouble, before anything happens. */
function announce(scenario: Scenario): void {
  const { seed, durationMs, topology, troubles, flows } = scenario;
  const hours = (durationMs / MS_PER_HOUR).toLocaleString('en-US', { maximumFractionDigits: 4 });
  console.log(
    `seed ${seed}: ${connectedSites(scenario).length} devices (${topology}), ${hours} h, ` +
      `${flows.length} flows, ${troubles.length} troubles`,
  );
  for (const trouble of troubles.slice(0, TROUBLES_SHOWN))
    console.log(`  ${describeTrouble(scenario, trouble)}`);
  const more = troubles.length - TROUBLES_SHOWN;
  if (more > 0) console.log(`  and ${more.toLocaleString('en-US')} more`);
}

function runAs(scenario: Scenario, { crypto, grouping }: Options, trace = false): Result {
  if (grouping === 'both') return runBoth(scenario, { crypto, trace });
  return run(scenario, { crypto, grouping, trace });
}

/** Cuts a failing scenario down and prints its trace. */
function explain(result: Result, options: Options): void {
  const failure = result.failure!;
  console.log(`\nFAILED: ${failure.invariant} at ${(failure.at / 1_000).toFixed(3)} s`);
  console.log(`  ${failure.sentence}`);
  const end = performance.now() + SHRINK_MS;
  const shrunk = shrink(
    result.scenario,
    failure,
    (scenario) => runAs(scenario, options).failure,
    () => performance.now() > end,
  );
  const smallest = runAs(shrunk.scenario, options, true);
  console.log(`\nsmallest of ${shrunk.tries} tries that fails the same:`);
  announce(shrunk.scenario);
  const hidden = smallest.trace.length - TRACE_SHOWN;
  if (hidden > 0) console.log(`\n  (${hidden.toLocaleString('en-US')} lines before)`);
  console.log(smallest.trace.slice(-TRACE_SHOWN).join('\n'));
  console.log(`\nthe same again: ${reproduction(shrunk, options)}`);
}

/** How much was simulated, and what of the core it has visited. */
function summarize(results: Totals, seconds: number): void {
  const count = (n: number) => Math.round(n).toLocaleString('en-US');
  const hours = results.deviceMs / MS_PER_HOUR;
  console.log(`\n${results.coverage.format()}\n`);
  console.log(
    `${count(results.seeds)} seeds, ${count(results.simulatedMs / MS_PER_HOUR)} simulated hours, ` +
      `${count(hours)} device-hours (${(hours / HOURS_PER_YEAR).toFixed(2)} years) in ${count(seconds)} s; ` +
      `${count(results.messages)} datagrams, ${count(results.packets)} packets, ` +
      `${count(results.delivered)} delivered; digest ${results.digest}`,
  );
}

class Totals {
  readonly coverage = new Coverage();
  seeds = 0;
  simulatedMs = 0;
  deviceMs = 0;
  messages = 0;
  packets = 0;
  delivered = 0;
  digest = '';

  add(result: Result): void {
    this.coverage.add(result.coverage);
    this.seeds++;
    for (const name of ['simulatedMs', 'deviceMs', 'messages', 'packets', 'delivered'] as const)
      this[name] += result[name];
    this.digest = result.digest;
  }
}

function simulate(options: Options): number {
  const { seed: first, seeds, hours, devices, trace } = options;
  const totals = new Totals();
  const began = performance.now();
  let toldAt = began;
  for (let seed = first; seed < first + seeds; seed++) {
    const scenario = select(createScenario(seed, hours, devices), options.selection);
    if (seeds === 1) announce(scenario);
    const result = runAs(scenario, options, trace);
    if (trace) console.log(result.trace.join('\n'));
    totals.add(result);
    if (result.failure !== null) {
      if (seeds > 1) announce(scenario);
      explain(result, options);
      return 1;
    }
    if (performance.now() - toldAt < PROGRESS_MS) continue;
    toldAt = performance.now();
    console.log(`seed ${seed}: ${(totals.deviceMs / MS_PER_HOUR).toFixed(0)} device-hours so far`);
  }
  summarize(totals, (performance.now() - began) / 1_000);
  return 0;
}

async function findFaults(): Promise<number> {
  let missed = 0;
  for (const name of faultNames()) {
    const finding = await findFault(name, FAULT_SEEDS, FAULT_HOURS);
    console.log(formatFinding(name, finding));
    if (finding.invariant === null) missed++;
  }
  return missed === 0 ? 0 : 1;
}

try {
  const options = await parseOptions(process.argv.slice(2));
  process.exitCode = options.faults ? await findFaults() : simulate(options);
} catch (error) {
  console.error(`simulate: ${(error as Error).message}`);
  process.exitCode = 1;
}
