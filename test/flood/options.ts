/** The words of `npm run flood`. */

import yargs from 'yargs';
import { TSWG, WIREGUARD_GO } from '../bench/implementation.ts';
import type { Side } from '../bench/samples.ts';
import { type Row, selectRows } from './rows.ts';
import { NEWCOMERS_MAX } from './site.ts';
import type { Settings } from './trial.ts';

const DEFAULTS: Settings = { rounds: 3, seconds: 3, newcomers: 20, limit: 60 };

export interface Options {
  readonly settings: Settings;
  readonly rows: readonly Row[];
  /** Whether these are all the rows that there are. */
  readonly isWhole: boolean;
  /** Of the two implementations; undefined for both. */
  readonly only: Side | undefined;
  /** The wireguard-go that tswg is compared with. */
  readonly peer: string;
  /** To the rows of the record that is there. */
  readonly add: boolean;
  /** Say which rows there are, and do nothing. */
  readonly list: boolean;
  /** Tables for docs/floods.md. */
  readonly markdown: boolean;
  /** The record's folder; undefined for the usual one. */
  readonly out: string | undefined;
}

/** @throws Error with one line that names the option, its value and what was expected */
export async function parseOptions(words: readonly string[]): Promise<Options> {
  const found = await yargs([...words])
    .scriptName('npm run flood --')
    .usage('$0 [OPTIONS]\n\nFloods tswg and wireguard-go, and restarts them under load.')
    .option('row', { type: 'string', array: true, default: [], describe: 'ids; * for anything' })
    .option('quick', { type: 'boolean', default: false, describe: 'a few rows of each section' })
    .option('list', { type: 'boolean', default: false, describe: 'the ids of the rows' })
    .option('rounds', { type: 'number', default: DEFAULTS.rounds, describe: 'of streams' })
    .option('seconds', { type: 'number', default: DEFAULTS.seconds, describe: 'of each stream' })
    .option('newcomers', { type: 'number', default: DEFAULTS.newcomers, describe: 'in each row' })
    .option('limit', {
      ...{ type: 'number' as const, default: DEFAULTS.limit },
      describe: 'seconds until who is not connected is given up',
    })
    .option('peer', {
      ...{ type: 'string' as const, default: WIREGUARD_GO.command[0] },
      describe: "wireguard-go's path",
    })
    .option('only', { choices: [TSWG.side, WIREGUARD_GO.side], describe: 'one of the two' })
    .option('add', { type: 'boolean', default: false, describe: 'to the rows of the record' })
    .option('markdown', { type: 'boolean', default: false, describe: 'tables for docs/floods.md' })
    .option('out', { type: 'string', describe: 'folder for flood.json' })
    .strict()
    .version(false)
    .parseAsync();
  const { rounds, seconds, newcomers, limit, row, quick, only, peer, add, list, markdown, out } =
    found;
  expectWhole('rounds', rounds, Number.POSITIVE_INFINITY);
  expectWhole('newcomers', newcomers, NEWCOMERS_MAX);
  expectFromOne('seconds', seconds);
  expectFromOne('limit', limit);
  const rows = selectRows(row, quick);
  const isWhole = row.length === 0 && !quick && only === undefined;
  const settings = { rounds, seconds, newcomers, limit };
  return { settings, rows, isWhole, only, peer, add, list, markdown, out };
}

function expectWhole(name: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= max) return;
  const range = Number.isFinite(max) ? `from 1 to ${max}` : 'from 1 on';
  throw new Error(`--${name}: ${value}: expected a whole number ${range}`);
}

function expectFromOne(name: string, value: number): void {
  if (!(value >= 1)) throw new Error(`--${name}: ${value}: expected a number from 1 on`);
}
