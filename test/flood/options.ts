/** The words of `npm run flood`. */

import yargs from 'yargs';
import { TSWG, WIREGUARD_GO } from '../bench/implementation.ts';
import type { Side } from '../bench/samples.ts';
import { KINDS, type Kind } from './ammunition.ts';

const DEFAULT_ROUNDS = 3;
const DEFAULT_SECONDS = 1.5;

export interface Options {
  readonly rounds: number;
  /** Of each stream. */
  readonly seconds: number;
  readonly kinds: readonly Kind[];
  /** Of the two implementations; undefined for both. */
  readonly only: Side | undefined;
  /** To the rounds of the record that is there. */
  readonly add: boolean;
  /** The record's folder; undefined for the usual one. */
  readonly out: string | undefined;
}

/** @throws Error with one line that names the option, its value and what was expected */
export async function parseOptions(words: readonly string[]): Promise<Options> {
  const { rounds, seconds, kinds, only, add, out } = await yargs([...words])
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
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new Error(`--rounds: ${rounds}: expected a whole number from 1 on`);
  }
  if (!(seconds >= 1)) throw new Error(`--seconds: ${seconds}: expected a number from 1 on`);
  return { rounds, seconds, kinds: KINDS.filter((kind) => kinds.includes(kind)), only, add, out };
}
