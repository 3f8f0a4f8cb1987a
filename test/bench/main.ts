/**
 * `npm run bench`: tswg against wireguard-go, in turns, in the same network of two hosts. Prints a
 * table, writes bench.json, bench.svg and, when nothing was left out, the table of docs/benchmarks.md.
 * Leaves nothing behind, also when it is interrupted. With --observed: tswg against itself, one of the
 * two being watched. With --before: tswg against an earlier one.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import yargs from 'yargs';
import { runCommand } from '../lab/openlabs.ts';
import { DOCS, type Places, placesOf, replaceTable } from '../lab/publication.ts';
import { unmet } from '../lab/requirements.ts';
import { alone } from './alone.ts';
import { answers } from './answers.ts';
import { callers } from './callers.ts';
import { drawChart } from './chart.ts';
import { distances } from './distance.ts';
import { formatGrowth, measureGrowth } from './growth.ts';
import { drawGrowth } from './growthchart.ts';
import { handshakes } from './handshakes.ts';
import { heap } from './heap.ts';
import { before, type Implementation, observed, TSWG } from './implementation.ts';
import { latency } from './latency.ts';
import { describeMachine, formatMachine, type Machine } from './machine.ts';
import { OBSERVERS, type Observer, Observers } from './observers.ts';
import { profile } from './profile.ts';
import { formatJson, formatRecord } from './record.ts';
import { HEAP_BYTES, listRows, PEER_COUNTS, PREFIX_COUNTS, selectRows } from './rows.ts';
import { BEFORE, type Contest, OBSERVED, Samples, SPEED } from './samples.ts';
import { crowd, lookups, peers, prefixes } from './scale.ts';
import { Context, type Failure, type Scenario, type Settings } from './scenario.ts';
import { formatPageTable, formatTable } from './table.ts';
import { datagrams, paths, streams, variants } from './traffic.ts';

const SCENARIOS: readonly Scenario[] = [
  ...[streams, ...variants, paths, ...distances, alone, datagrams, latency, answers],
  ...[handshakes, callers, peers, crowd, prefixes, lookups, heap],
];
/** Those in which a watched tswg is compared with one that is not. */
const OBSERVED_SCENARIOS = [streams, paths];
const GROWTH_PAGE = path.join(DOCS, 'growth.md');
/** `--quick` asks whether it runs, not how fast. */
const QUICK = { rounds: 1, seconds: 1, largest: 1_000, heapBytes: 5e8 } as const;
const DEFAULT_ROUNDS = 3;
const DEFAULT_SECONDS = 2;
const MS_PER_S = 1_000;
const OFFLOADS_SINCE = 20230223;
const NAME_WIDTH = 56;

/** Who is compared with whom in what, and where it is told. */
interface Comparison {
  /** Of its record and, but for that, of its page. */
  readonly name: 'bench' | 'before' | 'observed';
  readonly contest: Contest;
  readonly scenarios: readonly Scenario[];
  readonly hasChart: boolean;
  /** That shows the table of a whole run; null when none does. */
  readonly page: string | null;
}

interface Options {
  readonly settings: Settings;
  readonly list: boolean;
  readonly profile: boolean;
  /** From one peer to how many; null in the usual run. */
  readonly growth: number | null;
  readonly comparison: Comparison;
  /** By whom tswg is watched, and then compared with itself; none in the usual run. */
  readonly observers: Observers;
  readonly places: Places;
  /** Whether the page takes this run's table. */
  readonly isPublished: boolean;
}

async function parseOptions(words: readonly string[]): Promise<Options> {
  const parsed = await yargs([...words])
    .scriptName('npm run bench --')
    .usage(
      '$0 [OPTIONS]\n\nMeasures tswg against wireguard-go (WIREGUARD_GO=PATH, or the one on PATH).',
    )
    .option('rows', {
      type: 'array',
      string: true,
      default: [],
      describe: 'only these; * for anything',
    })
    .option('list', { type: 'boolean', default: false, describe: 'the rows, and nothing else' })
    .option('rounds', { type: 'number', describe: 'samples of each row', defaultDescription: '3' })
    .option('seconds', { type: 'number', describe: 'of each measurement', defaultDescription: '2' })
    .option('profile', { type: 'boolean', default: false, describe: "where tswg's time goes" })
    .option('growth', { type: 'boolean', default: false, describe: 'from 1 peer to 10,000' })
    .option('observed', {
      type: 'array',
      choices: OBSERVERS,
      describe: 'tswg beside tswg that is watched by these (default all)',
    })
    .option('before', {
      type: 'string',
      describe: 'tswg beside an earlier one, built in this folder',
    })
    .option('out', { type: 'string', describe: 'folder for bench.json and bench.svg' })
    .option('quick', { type: 'boolean', default: false, describe: 'whether it runs at all' })
    .strict()
    .version(false)
    .parseAsync();
  const { quick, rows } = parsed;
  const observers = new Observers(observersOf(parsed.observed));
  const comparison = comparisonOf(observers, parsed.before);
  const isWhole = rows.length === 0 && comparison.page !== null;
  const isPublished = !quick && isWhole && parsed.out === undefined;
  const largest = quick ? QUICK.largest : Number.POSITIVE_INFINITY;
  return {
    settings: {
      rounds: count('--rounds', parsed.rounds ?? (quick ? QUICK.rounds : DEFAULT_ROUNDS)),
      seconds: count('--seconds', parsed.seconds ?? (quick ? QUICK.seconds : DEFAULT_SECONDS)),
      rows: selectRows(rows),
      peerCounts: PEER_COUNTS.filter((number) => number <= largest),
      prefixCounts: PREFIX_COUNTS.filter((number) => number <= largest),
      heapBytes: quick ? QUICK.heapBytes : HEAP_BYTES,
    },
    list: parsed.list,
    profile: parsed.profile,
    growth: parsed.growth ? largest : null,
    ...{ comparison, observers },
    places: placesOf('bench', isPublished, parsed.out),
    isPublished,
  };
}

/** `--observed` alone means all of them. */
function observersOf(words: readonly Observer[] | undefined): readonly Observer[] {
  return words?.length === 0 ? OBSERVERS : (words ?? []);
}

function count(option: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${option}: ${value}: expected a whole number from 1 on`);
}

/** wireguard-go has moved many packets in one system call since this version. */
function hasOffloads(version: string): boolean {
  const date = /v0\.0\.(\d{8})/.exec(version)?.[1];
  return date === undefined || Number(date) >= OFFLOADS_SINCE;
}

/** All selected rows, round by round, the implementations in turns. */
async function measure(
  scenarios: readonly Scenario[],
  settings: Settings,
  samples: Samples,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (let round = 1; round <= settings.rounds; round++) {
    for (const scenario of scenarios) {
      if (round > (scenario.rounds ?? settings.rounds)) continue;
      if (!scenario.rows.some((row) => settings.rows.has(row))) continue;
      for (const implementation of scenario.implementations) {
        const title = `round ${round}/${settings.rounds}  ${scenario.name}: ${implementation.name}`;
        process.stdout.write(title.padEnd(NAME_WIDTH));
        const start = performance.now();
        const failed = failures.length;
        const context = new Context(implementation, settings, samples, failures);
        await scenario.measure(context).catch((error) => context.fail(scenario.name, error));
        const seconds = ((performance.now() - start) / MS_PER_S).toFixed(1);
        console.log(`${seconds.padStart(6)} s${failures.length > failed ? '  FAILED' : ''}`);
      }
    }
  }
  return failures;
}

function comparisonOf(observers: Observers, earlier: string | undefined): Comparison {
  if (!observers.isEmpty) {
    const scenarios = watched(OBSERVED_SCENARIOS, observers);
    return { name: 'observed', contest: OBSERVED, scenarios, hasChart: false, page: null };
  }
  if (earlier !== undefined) {
    const scenarios = preceded(SCENARIOS, path.resolve(earlier));
    return { name: 'before', contest: BEFORE, scenarios, hasChart: false, page: null };
  }
  const page = path.join(DOCS, 'benchmarks.md');
  return { name: 'bench', contest: SPEED, scenarios: SCENARIOS, hasChart: true, page };
}

/** `scenarios` with tswg against an earlier one. */
function preceded(scenarios: readonly Scenario[], repository: string): Scenario[] {
  const both = (one: Implementation): Implementation[] =>
    one.side === 'tswg' ? [before(one, repository), one] : [];
  return scenarios
    .filter(({ isInProcess }) => isInProcess !== true)
    .map((scenario) => ({
      ...scenario,
      implementations: scenario.implementations.flatMap(both),
    }));
}

/** `scenarios` with tswg against itself. */
function watched(scenarios: readonly Scenario[], observers: Observers): Scenario[] {
  const implementations = [TSWG, observed(observers)];
  return scenarios.map((scenario) => ({ ...scenario, implementations }));
}

function publish(
  { settings, comparison, places, isPublished }: Options,
  machine: Machine,
  samples: Samples,
  failures: readonly Failure[],
): void {
  const { name, contest, hasChart, page } = comparison;
  const outcomes = samples.outcomes();
  const record = path.join(places.record, `${name}.json`);
  for (const folder of Object.values(places)) mkdirSync(folder, { recursive: true });
  const written = [record];
  writeFileSync(record, formatRecord(machine, settings, samples, failures));
  if (hasChart) {
    const chart = path.join(places.charts, `${name}.svg`);
    writeFileSync(chart, drawChart(outcomes, machine));
    written.push(chart);
  }
  if (isPublished && page !== null) {
    const table = formatPageTable(outcomes, contest);
    writeFileSync(page, replaceTable(readFileSync(page, 'utf8'), table));
    written.push(page);
  }
  console.log(`\n${formatMachine(machine)}\n\n${formatTable(outcomes, contest)}\n`);
  for (const { what, why } of failures) console.log(`FAILED: ${what}: ${why}`);
  console.log(`written: ${written.join(', ')}`);
}

async function publishGrowth(
  { settings, places, isPublished }: Options,
  largest: number,
  machine: Machine,
): Promise<void> {
  const { rounds, seconds } = settings;
  const points = await measureGrowth({ rounds, seconds, largest }, console.log);
  const record = path.join(places.record, 'growth.json');
  const chart = path.join(places.charts, 'growth.svg');
  for (const folder of Object.values(places)) mkdirSync(folder, { recursive: true });
  writeFileSync(record, formatJson({ machine, settings: { rounds, seconds }, points }));
  writeFileSync(chart, drawGrowth(points, machine));
  const table = formatGrowth(points);
  const written = [record, chart];
  if (isPublished) {
    writeFileSync(GROWTH_PAGE, replaceTable(readFileSync(GROWTH_PAGE, 'utf8'), table));
    written.push(GROWTH_PAGE);
  }
  console.log(`\n${formatMachine(machine)}\n\n${table}\n\nwritten: ${written.join(', ')}`);
}

async function main(words: readonly string[]): Promise<number> {
  const options = await parseOptions(words);
  if (options.list) {
    console.log(listRows());
    return 0;
  }
  const reason = unmet('unshare', 'nsenter', 'ip', 'iptables', 'wg', 'ping', 'iperf3');
  if (reason !== null) throw new Error(reason);
  const machine = await describeMachine();
  console.log(`bench: ${formatMachine(machine)}`);
  if (!hasOffloads(machine.wireguardGo)) {
    console.log('bench: this wireguard-go knows no offloads; WIREGUARD_GO=PATH names a newer one');
  }
  if (options.profile) {
    const text = `${formatMachine(machine)}\n\n${await profile(options.settings.seconds)}\n`;
    const file = path.join(options.places.record, 'profile.txt');
    mkdirSync(options.places.record, { recursive: true });
    writeFileSync(file, text);
    console.log(`\n${text}\nwritten: ${file}`);
    return 0;
  }
  if (options.growth !== null) {
    await publishGrowth(options, options.growth, machine);
    return 0;
  }
  const { comparison, observers } = options;
  const samples = new Samples(comparison.contest);
  const failures = await measure(comparison.scenarios, options.settings, samples);
  publish(options, machine, samples, failures);
  if (!observers.isEmpty) console.log(`while observed: ${observers.describe()}`);
  return failures.length === 0 ? 0 : 1;
}

await runCommand('bench', main);
