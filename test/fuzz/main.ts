/**
 * `npm run fuzz`: hostile inputs through the shipping parsers, one target after the other, and a
 * table of what came of it. Ends with 1 when anything failed.
 */

import yargs from 'yargs';
import { Coverage } from './coverage.ts';
import { formatFailure, formatOutcomes, formatTable } from './report.ts';
import { fuzz, type Report } from './run.ts';
import { parseInput, type Target } from './target.ts';
import { TARGETS } from './targets.ts';

const DEFAULT_MINUTES = 10;
const MS_PER_MINUTE = 60_000;
const NAME_WIDTH = 12;

interface Options {
  readonly targets: readonly Target[];
  readonly seed: number;
  /** For each target. */
  readonly inputs: number;
  /** For all together. */
  readonly milliseconds: number;
  readonly input: string | undefined;
  readonly guided: boolean;
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
    .option('guided', {
      type: 'boolean',
      default: false,
      describe: 'keep inputs that reach new code, and change those as well',
    })
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
    guided: parsed.guided,
    verbose: parsed.verbose,
  };
}

function above0(option: string, value: number): number {
  if (value > 0) return value;
  throw new Error(`${option}: ${value}: expected a number above 0`);
}

async function fuzzOne(target: Target, options: Options): Promise<Report> {
  const { seed, inputs } = options;
  const coverage = options.guided ? new Coverage(target.sources) : undefined;
  try {
    const report = await fuzz(target, {
      seed,
      inputs,
      milliseconds: options.milliseconds / options.targets.length,
      ...(coverage === undefined ? {} : { coverage }),
    });
    const share = coverage === undefined ? '' : `, ${percent(coverage.share)} of the code reached`;
    const count = report.inputs.toLocaleString('en');
    console.log(`${target.name.padEnd(NAME_WIDTH)} ${count} inputs${share}`);
    if (options.verbose) console.log(formatOutcomes(report));
    if (report.failure !== null) console.log(formatFailure(report, report.failure));
    return report;
  } finally {
    coverage?.close();
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
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
  for (const target of options.targets) reports.push(await fuzzOne(target, options));
  console.log(`\n${formatTable(reports)}`);
  return reports.every(({ failure }) => failure === null) ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`fuzz: ${(error as Error).stack}`);
  process.exitCode = 1;
}
