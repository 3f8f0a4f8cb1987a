/**
 * What may stand next on the command line, for the shell's completion. The shells ask by the scripts
 * of shellscripts.ts, and are answered here and not by yargs, which would take `-wgpeer` for a bundle
 * of flags and a while to load. Pure; what it must know of the machine it is handed.
 */

import { EVENT_KINDS } from '../events/kinds.ts';
import { COMMANDS } from './commands.ts';
import type { Options } from './options.ts';
import { isCreatableName } from './values.ts';
import { findWord, VIA, WORDS, type Word } from './words.ts';

/** Each is asked only when it is needed: somebody waits at the keyboard. */
export interface CompletionFacts {
  /** Names of the interfaces that a tswg or another WireGuard serves. */
  interfaces(): readonly string[];
  /** Those that have a file /etc/hostname.INTERFACE. */
  files(): readonly string[];
  /** All interfaces of the machine, of whatever kind. */
  links(): readonly string[];
  /** Peers of an interface; none when it cannot be asked. */
  peers(name: string): readonly CompletionPeer[];
}

export interface CompletionPeer {
  readonly key: string;
  readonly description: string;
  readonly allowedIps: readonly string[];
}

interface Suggestion {
  readonly text: string;
  readonly summary: string;
  /** It is also meant by who types the beginning of this, in whatever case. */
  readonly name?: string;
}

/** What the shell offers. */
export interface Completion {
  /**
   * `files`: the names of files; `names`: each word is in place of a name whose beginning was typed,
   * so that it begins otherwise; `words`: each begins as what was typed.
   */
  readonly kind: 'files' | 'names' | 'words';
  readonly words: readonly Pick<Suggestion, 'text' | 'summary'>[];
}

const FILES = 'files';
const NOTHING: readonly Suggestion[] = [];

/** @param words those so far, without `tswg`; the last one, perhaps empty, is being typed. */
export function complete(words: readonly string[], facts: CompletionFacts): Completion {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const found = before.length === 0 ? firstWords(facts) : nextWords(before, current, facts);
  if (found === FILES) return { kind: 'files', words: [] };
  const begun = found.filter(({ text }) => text.startsWith(current));
  if (begun.length > 0) return { kind: 'words', words: begun };
  const lower = current.toLowerCase();
  const named = found.filter(({ name }) => name?.toLowerCase().startsWith(lower));
  return { kind: 'names', words: named };
}

function firstWords(facts: CompletionFacts): Suggestion[] {
  return [
    ...interfaces([...facts.interfaces(), ...facts.files()]),
    ...COMMANDS.map((row) => plain(row.word, row.summary)),
    plain('--json', 'show all interfaces as JSON'),
    plain('--help', 'list all words'),
    plain('--version', 'print the version'),
  ];
}

type Found = readonly Suggestion[] | typeof FILES;

function nextWords(before: readonly string[], current: string, facts: CompletionFacts): Found {
  const [first, ...settings] = before;
  switch (first) {
    case 'help':
      return settings.length > 0 ? NOTHING : topics();
    case 'completion':
      return settings.length > 0 ? NOTHING : ['bash', 'zsh', 'fish'].map((name) => plain(name));
    case 'netstart':
    case 'metrics': {
      const { options = {} } = COMMANDS.find((row) => row.word === first)!;
      const names = first === 'netstart' ? facts.files() : facts.interfaces();
      // The options exclude each other, and stand before the names.
      const offered = settings.length > 0 ? [] : optionsOf(options, []);
      return [...offered, ...interfaces(names).filter(({ text }) => !settings.includes(text))];
    }
  }
  if (COMMANDS.some((row) => row.word === first)) return NOTHING;
  const options = settings.length === 0 ? undefined : findWord(settings[0])?.options;
  if (options !== undefined) {
    return optionWords(first, settings.slice(1), options, current, facts);
  }
  return settingWords(first, settings, facts);
}

function topics(): Suggestion[] {
  const rows = [...WORDS, ...COMMANDS].map((row) => plain(row.word, row.summary));
  return [...rows, plain('all', 'all words'), plain('tswgd', 'the daemon')];
}

/** The options of `events` or `doctor`, or what the last one takes. */
function optionWords(
  name: string,
  given: readonly string[],
  options: Options,
  current: string,
  facts: CompletionFacts,
): Found {
  const last = given.at(-1) ?? '';
  const argument = Object.hasOwn(options, last) ? options[last].argument : null;
  if (argument === null) return optionsOf(options, given);
  // A command is a file, too.
  if (argument === 'FILE' || argument === 'COMMAND') return FILES;
  if (argument === 'PEER') return peersByName(facts.peers(name), current);
  if (last === '--on') {
    const said = current.slice(0, current.lastIndexOf(',') + 1);
    return Object.entries(EVENT_KINDS)
      .filter(([kind]) => !said.split(',').includes(kind))
      .map(([kind, summary]) => plain(`${said}${kind}`, summary));
  }
  return NOTHING;
}

function optionsOf(options: Options, given: readonly string[]): Suggestion[] {
  return Object.entries(options)
    .filter(([option]) => !given.includes(option))
    .map(([option, { summary }]) => plain(option, summary));
}

/** After `tswg INTERFACE`: the words, or what the last one takes. */
function settingWords(name: string, settings: readonly string[], facts: CompletionFacts): Found {
  let peer: string | null = null;
  let mayBeVia = false;
  for (let at = 0; at < settings.length; at++) {
    if (mayBeVia && settings[at] === VIA) {
      mayBeVia = false;
      if (++at === settings.length) return lines(name, facts);
      continue;
    }
    const row: Word | undefined = findWord(settings[at]);
    mayBeVia = row?.word === 'wgendpoint';
    if (row === undefined) continue;
    const given = settings.length - at - 1;
    if (given < row.args.length) return argumentsFor(row.args[given], row.word, name, peer, facts);
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
      return settings.length === 0 && isCreatableName(name) && !facts.interfaces().includes(name);
    }
    return true;
  }).map((row) => plain(row.word, row.summary));
  return [...via, ...others];
}

/** Values for an argument of a word. */
function argumentsFor(
  argument: string,
  word: string,
  name: string,
  peer: string | null,
  facts: CompletionFacts,
): Found {
  if (argument === 'PATH') return FILES;
  if (argument === 'ADDR|IF') return lines(name, facts);
  if (argument === 'PUBLICKEY') return peersByKey(facts.peers(name));
  if (word !== '-wgaip') return NOTHING;
  const { allowedIps = [] } = facts.peers(name).find((one) => one.key === peer) ?? {};
  return allowedIps.map((prefix) => plain(prefix));
}

/** What packets may leave by, the tunnel itself excepted. */
function lines(name: string, facts: CompletionFacts): Suggestion[] {
  return interfaces(facts.links().filter((link) => link !== name));
}

function interfaces(names: readonly string[]): Suggestion[] {
  return [...new Set(names)].map((name) => plain(name, 'interface'));
}

/** A key is taken where no name is. */
function peersByKey(peers: readonly CompletionPeer[]): Suggestion[] {
  return peers.map(({ key, description }) => ({
    text: key,
    summary: description,
    name: description,
  }));
}

/** The name where it tells the peer from all others, unless its key is being typed. */
function peersByName(peers: readonly CompletionPeer[], current: string): Suggestion[] {
  const isClear = ({ key, description }: CompletionPeer): boolean =>
    !/^$|\p{Cc}/u.test(description) &&
    peers.filter((one) => one.description === description).length === 1 &&
    (current === '' || !key.startsWith(current));
  return peers.map(({ key, description, ...rest }) =>
    isClear({ key, description, ...rest })
      ? { text: description, summary: key, name: description }
      : { text: key, summary: description, name: description },
  );
}

function plain(text: string, summary = ''): Suggestion {
  return { text, summary };
}

/**
 * The words of the command line out of the shell's: bash counts `=` and `:` as words of their own,
 * which would cut keys and IPv6 addresses to pieces. What quotes a word is taken away.
 */
export function joinShellWords(args: readonly string[]): string[] {
  const words: string[] = [];
  let glue = false;
  for (const arg of args) {
    const isBreak = /^[=:]+$/.test(arg);
    if (words.length > 0 && (isBreak || glue)) words[words.length - 1] += arg;
    else words.push(arg);
    // `=` ends a key, while an address continues after a colon.
    glue = isBreak && arg.endsWith(':');
  }
  return words.map((word) => word.replace(/\\(.)|["']/g, '$1'));
}

/**
 * The answer to a shell's script. Lines with their newlines: the kind of the completion and what is
 * being typed, then each word with its summary; a tab between the two.
 */
export function answerShell(args: readonly string[], facts: CompletionFacts): string {
  const typed = joinShellWords(args);
  const { kind, words } = complete(typed, facts);
  const rows = words.map(({ text, summary }) => [text, summary]);
  // What is typed, and what others call a peer, may hold what would end a line.
  return [[kind, typed.at(-1) ?? ''], ...rows]
    .map(
      (row) => `${row.map((field) => field.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '?')).join('\t')}\n`,
    )
    .join('');
}
