/**
 * `npm run fuzz`: hostile inputs through the shipping parsers, one target after the other, and a
 * table of what came of it. Ends with 1 when anything failed.
 */

import { readFileSync } from 'node:fs';
import yargs from 'yargs';
import { Coverage, type Reach } from './coverage.ts';
import { formatFailure, formatOutcomes, formatTable } from './report.ts';
import { fuzz, type Report } from './run.ts';
import { parseInput, type Target } from './target.ts';
import { TARGETS } from './targets.ts';

const DEFAULT_MINUTES = 10;
const MS_PER_MINUTE = 60_000;
const NAME_WIDTH = 12;
/** Shorter pieces that were not reached are a brace or a default. */
const SHOWN_PIECE_MIN = 12;

interface Options {
  readonly targets: readonly Target[];
  readonly seed: number;
  /** For each target. */
  readonly inputs: number;
  /** For all together. */
  readonly milliseconds: number;
  readonly input: string | undefined;
  readonly coverage: boolean;
  readonly verbose: boolean;
}

async function parseOptions(words: readonly string[]): Promise<Options> {
  const names = TARGETS.map(({ name }) => name);
  const parsed = await yargs([...words])
    .scriptName('npm run fuzz --')
    .usage('$0 [OPTIONS]\n\nFeeds hostile inputs to the shipping parsers.')
    .option('target', { type: 'array', string: true, choices: names, describe: 'only these' })
    .option('minutes', {
      type: 'number',
      describe: 'for all targets together',
      defaultDescription: String(DEFAULT_MINUTES),
    })
    .option('inputs', { type: 'number', describe: 'for each target, instead of minutes' })
    .option('seed', {
      type: 'number',
      describe: 'the same inputs again',
      defaultDescription: 'any',
    })
    .option('input', { type: 'string', describe: 'just this one: hex, or a text or words as JSON' })
    .option('coverage', { type: 'boolean', default: false, describe: 'what code was reached' })
    .option('verbose', { type: 'boolean', default: false, describe: 'what came how often' })
    .strict()
    .version(false)
    .parseAsync();
  const { minutes, inputs } = parsed;
  const isTimed = inputs === undefined;
  return {
    targets: TARGETS.filter(({ name }) => parsed.target?.includes(name) ?? true),
    seed: parsed.seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
    inputs: isTimed ? Number.POSITIVE_INFINITY : above0('--inputs', inputs),
    milliseconds: isTimed
      ? above0('--minutes', minutes ?? DEFAULT_MINUTES) * MS_PER_MINUTE
      : Number.POSITIVE_INFINITY,
    input: parsed.input,
    coverage: parsed.coverage,
    verbose: parsed.verbose,
  };
}

function above0(option: string, value: number): number {
  if (value > 0) return value;
  throw new Error(`${option}: ${value}: expected a number above 0`);
}

async function fuzzOne(
  target: Target,
  options: Options,
  coverage: Coverage | null,
): Promise<Report> {
  const { seed, inputs } = options;
  coverage?.take([]);
  const milliseconds = options.milliseconds / options.targets.length;
  const report = await fuzz(target, { seed, inputs, milliseconds });
  console.log(`${target.name.padEnd(NAME_WIDTH)} ${report.inputs.toLocaleString('en')} inputs`);
  if (coverage !== null) showReach(coverage.take(target.sources));
  if (options.verbose) console.log(formatOutcomes(report));
  if (report.failure !== null) console.log(formatFailure(report, report.failure));
  return report;
}

/** The share that was reached, and the first line of each piece of the build that was not. */
function showReach({ share, unreached }: Reach): void {
  console.log(`  ${(100 * share).toFixed(1)} % of the code reached; not reached:`);
  for (const { url, start, length } of unreached) {
    if (length < SHOWN_PIECE_MIN) continue;
    const text = readFileSync(new URL(url), 'utf8');
    const line = text.slice(0, start).split('\n').length;
    const piece = text
      .slice(start, start + length)
      .trim()
      .split('\n')[0];
    console.log(`  ${url.slice(url.lastIndexOf('/src/') + 1)}:${line}: ${piece}`);
  }
}

async function main(words: readonly string[]): Promise<number> {
  const options = await parseOptions(words);
  if (options.input !== undefined) {
    const input = parseInput(options.input);
    for (const target of options.targets) {
      const running = await target.create(options.seed);
      running.begin?.(0);
      console.log(`${target.name}: ${await running.run(input)}`);
    }
    return 0;
  }
  console.log(`fuzz: seed ${options.seed}`);
  const reports: Report[] = [];
  const coverage = options.coverage ? new Coverage() : null;
  for (const target of options.targets) reports.push(await fuzzOne(target, options, coverage));
  coverage?.close();
  console.log(`\n${formatTable(reports)}`);
  return reports.every(({ failure }) => failure === null) ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`fuzz: ${(error as Error).stack}`);
  process.exitCode = 1;
}
