/**
 * Help, and the script for shell completion, made by yargs from the table of words. Loaded only
 * when asked for: yargs takes longer to load than `tswg wg0` may take to answer.
 */

import yargs from 'yargs';
import { COMMANDS } from './commands.ts';
import { wrap } from './fold.ts';
import { findWord, PLACES, type Place, WORDS, type Word } from './words.ts';

/** Where the explanations begin in the list of words. */
const TERM_COLUMNS = 26;
const COLUMNS_MAX = 80;

function program(args: readonly string[]): ReturnType<typeof yargs> {
  const parser = yargs([...args]);
  return parser.scriptName('tswg').locale('en').wrap(columnsOf(parser)).help(false).version(false);
}

function columnsOf(parser: ReturnType<typeof yargs>): number {
  return Math.min(COLUMNS_MAX, parser.terminalWidth() || COLUMNS_MAX);
}

/** The whole help; ends with a newline. */
export async function formatHelp(): Promise<string> {
  const help = program([]);
  help.usage(
    'tswg takes the words of OpenBSD ifconfig(8) for WireGuard interfaces on Linux.\n\n' +
      'usage: tswg [INTERFACE] [WORD [ARGUMENT ...] ...]\n\n' +
      'Without a word it shows the interface, without an interface all of them.\n' +
      'Several words may follow each other; they are all checked before anything is\n' +
      'changed.',
  );
  for (const row of COMMANDS) help.command([row.word, ...row.args].join(' '), row.summary);
  help.option('json', { type: 'boolean', describe: 'show all interfaces as JSON' });
  help.option('version', { type: 'boolean', describe: 'print the version' });
  help.epilogue(formatWords(columnsOf(help)));
  return `${(await help.getHelp()).trimEnd()}\n`;
}

/** All words under the headings of their places. */
function formatWords(columns: number): string {
  const parts = (Object.keys(PLACES) as Place[]).map((place) => {
    const rows = WORDS.filter((row) => row.place === place).map((row) => {
      const term = usageOf(row.word, row);
      return formatRow(term, row.summary, columns);
    });
    return [`${PLACES[place]}:`, ...rows].join('\n');
  });
  return `\n${parts.join('\n\n')}\n\n\`tswg help WORD\` explains a word.`;
}

function usageOf(spelling: string, row: Pick<Word, 'args' | 'follows'>): string {
  const follows = row.follows === undefined ? [] : [row.follows];
  return [spelling, ...row.args, ...follows].join(' ');
}

function formatRow(term: string, text: string, columns: number): string {
  const lines = wrap(text, columns - TERM_COLUMNS - 2);
  const indent = ' '.repeat(TERM_COLUMNS + 2);
  return `  ${term.padEnd(TERM_COLUMNS)}${lines.join(`\n${indent}`)}`;
}

/** Help on one word of the table; ends with a newline. */
export async function formatTopic(topic: string): Promise<string> {
  const word = findWord(topic);
  const row = word ?? COMMANDS.find((one) => one.word === topic);
  if (row === undefined) throw new Error(`help: no row for ${topic}`);
  const before =
    word === undefined ? '' : `INTERFACE ${word.place === 'peer' ? 'wgpeer PUBLICKEY ' : ''}`;
  // Examples are to be copied, so that no line is broken but ours.
  const help = program([]).wrap(null);
  const summary = wrap(sentence(row.summary), columnsOf(help)).join('\n');
  help.usage(`usage: tswg ${before}${usageOf(topic, row)}\n\n${summary}`);
  const others = [row.word, ...(row.aliases ?? [])].filter((name) => name !== topic);
  const notes = [
    row.detail === undefined ? undefined : wrap(row.detail, columnsOf(help)).join('\n'),
    others.length === 0 ? undefined : `Also spelled ${others.join(', ')}.`,
  ];
  help.epilogue(
    [...notes, `Example:\n  ${row.example}`].filter((note) => note !== undefined).join('\n\n'),
  );
  return `${(await help.getHelp()).trimEnd()}\n`;
}

function sentence(text: string): string {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** The script to be read by the shell, of which yargs knows bash, zsh and fish. */
export function printCompletionScript(shell: string | null): void {
  // yargs looks at the environment for the shell.
  if (shell !== null) {
    process.env.SHELL = shell;
    delete process.env.ZSH_NAME;
  }
  program([]).completion('completion').showCompletionScript();
}
