/** The words of `npm run doctortest`. */

import yargs from 'yargs';
import type { Case } from './case.ts';
import { CASES } from './table.ts';

export interface Options {
  readonly cases: readonly Case[];
  /** Labs at the same time. */
  readonly jobs: number;
  /** Say which cases there are, and do nothing. */
  readonly list: boolean;
  /** What doctor says to people, too. */
  readonly verbose: boolean;
  /** The folder for doctor's evidence of each case; null for none. */
  readonly record: string | null;
}

/** @throws Error with one line that names the option, its value and what was expected */
export async function parseOptions(words: readonly string[]): Promise<Options> {
  const found = await yargs([...words])
    .scriptName('npm run doctortest --')
    .usage('$0 [OPTIONS]\n\nBreaks tunnels one by one, and judges what `tswg wg0 doctor` says.')
    .option('only', { type: 'string', array: true, default: [], describe: 'codes, or ids' })
    .option('jobs', { type: 'number', default: 4, describe: 'cases at the same time' })
    .option('list', { type: 'boolean', default: false, describe: 'the ids of the cases' })
    .option('verbose', { type: 'boolean', default: false, describe: 'what doctor says of each' })
    .option('record', { type: 'string', describe: 'folder for the evidence of each case' })
    .strict()
    .version(false)
    .parseAsync();
  const { only, jobs, list, verbose, record = null } = found;
  if (!Number.isInteger(jobs) || jobs < 1) {
    throw new Error(`--jobs: ${jobs}: expected a whole number from 1 on`);
  }
  return { cases: selectCases(only), jobs, list, verbose, record };
}

/** Those of these codes, ids or first parts of ids; all of them when none is named. */
function selectCases(names: readonly string[]): readonly Case[] {
  if (names.length === 0) return CASES;
  const isMeant = ({ id, code }: Case, name: string) =>
    code === name || id === name || id.startsWith(`${name}/`);
  const unknown = names.find((name) => !CASES.some((one) => isMeant(one, name)));
  if (unknown !== undefined) {
    throw new Error(`--only: ${unknown}: expected a code or an id that --list shows`);
  }
  return CASES.filter((one) => names.some((name) => isMeant(one, name)));
}
