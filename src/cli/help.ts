/**
 * Help, made by yargs from the tables of words. Loaded only when asked for: yargs takes longer to
 * load than `tswg wg0` may take to answer.
 */

import yargs from 'yargs';
import { EVENT_KINDS } from '../events/kinds.ts';
import { COMMANDS } from './commands.ts';
import { formatDaemonHelp } from './daemonhelp.ts';
import { COLUMNS_MAX, fill, hang, wrap } from './fold.ts';
import type { Options } from './options.ts';
import { findWord, PLACES, type Place, type Row, USAGE, WORDS } from './words.ts';

/** Where the explanations begin in the list of words. */
const TERM_COLUMNS = 28;
/** The same for the options and kinds of one word. */
const OPTION_COLUMNS = 24;

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
  const columns = columnsOf(help);
  const [title, ...paragraphs] = USAGE.description.map((text) => wrap(text, columns).join('\n'));
  help.usage([title, `usage: tswg ${USAGE.usage}`, ...paragraphs].join('\n\n'));
  const parts = [
    formatRows('Without an interface', COMMANDS, columns),
    ...(Object.keys(PLACES) as Place[]).map((place) => {
      const rows = WORDS.filter((row) => row.place === place);
      return formatRows(PLACES[place], rows, columns);
    }),
  ];
  help.epilogue([...parts, wrap(USAGE.more, columns).join('\n')].join('\n\n'));
  return `${(await help.getHelp()).trimEnd()}\n`;
}

function formatRows(heading: string, rows: readonly Omit<Row, 'place'>[], columns: number): string {
  const lines = rows.map((row) =>
    hang(`  ${usageOf(row.word, row)}`, row.summary, TERM_COLUMNS, columns),
  );
  return [`${heading}:`, ...lines].join('\n');
}

function usageOf(spelling: string, row: Pick<Row, 'args' | 'follows'>): string {
  const follows = row.follows === undefined ? [] : [row.follows];
  return [spelling, ...row.args, ...follows].join(' ');
}

/** Help on one word of the tables, on `all` of them, or on `tswgd`; ends with a newline. */
export async function formatTopic(topic: string): Promise<string> {
  if (topic === 'tswgd') return formatDaemonHelp();
  if (topic !== 'all') return formatWord(topic);
  const texts: string[] = [];
  for (const { word } of [...COMMANDS, ...WORDS]) texts.push(await formatWord(word));
  return texts.join(`\n${'-'.repeat(COLUMNS_MAX)}\n`);
}

async function formatWord(topic: string): Promise<string> {
  const word = findWord(topic);
  const row = word ?? COMMANDS.find((one) => one.word === topic);
  if (row === undefined) throw new Error(`help: no row for ${topic}`);
  const before =
    word === undefined ? '' : `INTERFACE ${word.place === 'peer' ? 'wgpeer PUBLICKEY ' : ''}`;
  const help = program([]);
  const columns = columnsOf(help);
  const others = [row.word, ...(row.aliases ?? [])].filter((name) => name !== topic);
  const notes = [
    row.detail === undefined ? undefined : wrap(row.detail, columns).join('\n'),
    row.options === undefined ? undefined : formatOptions(row.options, columns),
    row.word === 'events' ? formatKinds(columns) : undefined,
    others.length === 0 ? undefined : `Also spelled ${others.join(', ')}.`,
    `Example:\n${breakCommand(row.example, columns)}`,
  ];
  // Each line is as wide as it may be: yargs would break an example where the shell does not.
  help.wrap(null);
  help.usage(
    `usage: tswg ${before}${usageOf(topic, row)}\n\n${wrap(sentence(row.summary), columns).join('\n')}`,
  );
  help.epilogue(notes.filter((note) => note !== undefined).join('\n\n'));
  return `${(await help.getHelp()).trimEnd()}\n`;
}

function formatOptions(options: Options, columns: number): string {
  const lines = Object.entries(options).map(([option, { argument, summary }]) => {
    const term = argument === null ? option : `${option} ${argument}`;
    return hang(`  ${term}`, summary, OPTION_COLUMNS, columns);
  });
  return ['Options:', ...lines].join('\n');
}

function formatKinds(columns: number): string {
  const lines = Object.entries(EVENT_KINDS).map(([kind, summary]) =>
    hang(`  ${kind}`, summary, OPTION_COLUMNS, columns),
  );
  return ['Kinds of events:', ...lines].join('\n');
}

/** An example is to be copied: it is broken between words of ours, as the shell continues a line. */
function breakCommand(command: string, columns: number): string {
  const [indent, end] = ['  ', ' \\'];
  const width = columns - 2 * indent.length - end.length;
  return `${indent}${fill(command.split(/ (?=-?wg[a-z])/), width).join(`${end}\n${indent}${indent}`)}`;
}

function sentence(text: string): string {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
