/**
 * What may stand next on the command line, for the shell's completion. The script in the shell is
 * yargs' (see help.ts); its questions are answered here, since yargs would take `-wgpeer` for a
 * bundle of flags and a while to load. Pure.
 */

import { EVENT_KINDS } from '../events/kinds.ts';
import { COMMANDS } from './commands.ts';
import { DOCTOR_OPTIONS } from './doctorwords.ts';
import { EVENTS_OPTIONS } from './eventsoptions.ts';
import { isCreatableName } from './values.ts';
import { findWord, VIA, WORDS, type Word } from './words.ts';

export interface CompletionFacts {
  /** Names of the interfaces that a tswg or another WireGuard serves. */
  readonly interfaces: readonly string[];
  /** Peers of the interface that was named; empty when it cannot be asked. */
  readonly peers: readonly {
    readonly key: string;
    readonly description: string;
    readonly allowedIps: readonly string[];
  }[];
}

export interface Suggestion {
  readonly text: string;
  readonly summary: string;
}

/** @param words those so far, without `tswg`; the last one, perhaps empty, is being typed. */
export function complete(words: readonly string[], facts: CompletionFacts): Suggestion[] {
  const current = words.length === 0 ? '' : words[words.length - 1];
  const suggestions = words.length <= 1 ? firstWords(facts) : nextWords(words.slice(0, -1), facts);
  return suggestions.filter((one) => one.text.startsWith(current));
}

function firstWords(facts: CompletionFacts): Suggestion[] {
  return [
    ...facts.interfaces.map((name) => plain(name, 'interface')),
    ...COMMANDS.map((row) => plain(row.word, row.summary)),
    plain('--json', 'show all interfaces as JSON'),
    plain('--help', 'list all words'),
    plain('--version', 'print the version'),
  ];
}

function nextWords(before: readonly string[], facts: CompletionFacts): Suggestion[] {
  const [first, ...settings] = before;
  if (first === 'help') {
    return before.length > 1
      ? []
      : [...WORDS, ...COMMANDS].map((row) => plain(row.word, row.summary));
  }
  if (first === 'completion') {
    return before.length > 1 ? [] : ['bash', 'zsh', 'fish'].map((name) => plain(name, ''));
  }
  if (first === 'netstart') {
    const interfaces = facts.interfaces.map((name) => plain(name, 'interface'));
    return settings.length > 0
      ? interfaces
      : [
          plain('-n', 'print what it would do'),
          plain('--keep', 'stay until all of it is done'),
          plain('--install', 'write the units of systemd'),
          ...interfaces,
        ];
  }
  if (first === 'metrics') {
    const options = [plain('--openmetrics', 'in OpenMetrics 1.0')];
    return [...options, ...facts.interfaces.map((name) => plain(name, 'interface'))].filter(
      ({ text }) => !settings.includes(text),
    );
  }
  if (COMMANDS.some((row) => row.word === first)) return [];
  if (settings[0] === 'events') return eventsWords(settings, facts);
  if (settings[0] === 'doctor') return doctorOptions(settings.slice(1), facts);

  let peer: string | null = null;
  let mayBeVia = false;
  for (let at = 0; at < settings.length; at++) {
    if (mayBeVia && settings[at] === VIA) {
      mayBeVia = false;
      if (++at === settings.length) return [];
      continue;
    }
    const row: Word | undefined = findWord(settings[at]);
    mayBeVia = row?.word === 'wgendpoint';
    if (row === undefined) continue;
    const given = settings.length - at - 1;
    if (given < row.args.length) return argumentsFor(row.args[given], row.word, peer, facts);
    if (row.word === 'wgpeer') peer = settings[at + 1];
    if (row.word === '-wgpeer') peer = null;
    at += row.args.length;
  }
  const via = mayBeVia ? [plain(VIA, 'the address or interface that packets leave from')] : [];
  const others = WORDS.filter((row) => {
    if (row.word === 'wgrtable') return false;
    if (row.place === 'peer') return peer !== null;
    if (row.place === 'view' || row.isAlone) return settings.length === 0;
    if (row.word === 'create') {
      return settings.length === 0 && isCreatableName(first) && !facts.interfaces.includes(first);
    }
    return true;
  }).map((row) => plain(row.word, row.summary));
  return [...via, ...others];
}

/** The options of `events`, or what the last one takes. */
function eventsWords(words: readonly string[], facts: CompletionFacts): Suggestion[] {
  const last = words.at(-1)!;
  const kinds = Object.entries(EVENT_KINDS).map(([kind, summary]) => plain(kind, summary));
  if (last === '--on') return kinds;
  if (last === '--peer') return facts.peers.map((one) => plain(one.key, one.description));
  if (EVENTS_OPTIONS[last]?.args) return [];
  return Object.entries(EVENTS_OPTIONS)
    .filter(([option]) => !words.includes(option))
    .map(([option, { summary }]) => plain(option, summary));
}

function doctorOptions(given: readonly string[], facts: CompletionFacts): Suggestion[] {
  const last = given.at(-1) ?? '';
  if (last === '--peer') return facts.peers.map((one) => plain(one.key, one.description));
  // Of a file, which the shell offers.
  if (DOCTOR_OPTIONS[last]?.argument) return [];
  return Object.entries(DOCTOR_OPTIONS)
    .filter(([option]) => !given.includes(option))
    .map(([option, { summary }]) => plain(option, summary));
}

/** Values for an argument; none lets the shell offer file names. */
function argumentsFor(
  argument: string,
  word: string,
  peer: string | null,
  facts: CompletionFacts,
): Suggestion[] {
  if (argument === 'PUBLICKEY') return facts.peers.map((one) => plain(one.key, one.description));
  if (word === '-wgaip') {
    const prefixes = facts.peers.find((one) => one.key === peer)?.allowedIps ?? [];
    return prefixes.map((prefix) => plain(prefix, ''));
  }
  return [];
}

function plain(text: string, summary: string): Suggestion {
  return { text, summary };
}

/**
 * The words of the command line out of the shell's: bash counts `=` and `:` as words of their own,
 * which would cut keys and IPv6 addresses to pieces. The command's own name, which bash and zsh
 * send along, is dropped.
 */
export function joinShellWords(args: readonly string[]): string[] {
  const isCommand = args.length > 0 && /^(.*\/)?tswg$/.test(args[0]);
  const words: string[] = [];
  let glue = false;
  for (const arg of isCommand ? args.slice(1) : args) {
    const isBreak = /^[=:]+$/.test(arg);
    if (words.length > 0 && (isBreak || glue)) words[words.length - 1] += arg;
    else words.push(arg);
    // `=` ends a key, while an address continues after a colon.
    glue = isBreak && arg.endsWith(':');
  }
  return words;
}

/**
 * Answers the script, which calls `tswg --get-yargs-completions WORD ...` with the words so far.
 * Lines with their newlines.
 *
 * @param shell its path or name, as in $SHELL
 */
export function answerShell(
  words: readonly string[],
  facts: CompletionFacts,
  shell: string,
): string {
  const suggestions = complete(words, facts);
  // fish does not say whether a blank follows the last word; it filters by itself.
  if (shell.includes('fish')) suggestions.push(...complete([...words, ''], facts));
  return suggestions.map((one) => `${spell(one, shell)}\n`).join('');
}

/** zsh and fish show what a word means. */
function spell({ text, summary }: Suggestion, shell: string): string {
  if (shell.includes('fish')) return summary === '' ? text : `${text}\t${summary}`;
  if (!shell.includes('zsh')) return text;
  const escaped = text.replaceAll(':', '\\:');
  return summary === '' ? escaped : `${escaped}:${summary}`;
}
