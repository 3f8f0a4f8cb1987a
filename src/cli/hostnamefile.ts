/**
 * The text of a hostname.if(5) file -> what is to be done, line by line, or what is wrong with it.
 * Pure, and total as the parser of the command line is: a line is a `tswg IFNAME ...`, but for
 * comments, for `!command`, and for the columns of an inet or inet6 line.
 *
 * As in OpenBSD a `\` at the end continues a line, and a comment, too. Unlike there nothing but
 * `!command` is given to a shell.
 */

import { visible } from '../quotation.ts';
import { type Draft, type Mistake, mistake, type PeerDraft } from './command.ts';
import { formatKey } from './keys.ts';
import { parse } from './parse.ts';
import { contradiction } from './peerwords.ts';
import { CONTINUED, splitShellWords } from './shellwords.ts';
import { findWord } from './words.ts';

export type Action =
  /** `tswg IFNAME WORDS`. */
  | { readonly kind: 'configure'; readonly words: readonly string[]; readonly draft: Draft }
  | { readonly kind: 'command'; readonly text: string };

export interface HostnameLine {
  /** File and line for messages, as in `hostname.wg0:7`. */
  readonly label: string;
  readonly action: Action;
}

/** What a line turns out to be, while the next one may still add to it. */
type Entry = { readonly label: string } & (
  | { readonly kind: 'words'; readonly words: string[] }
  | { readonly kind: 'command'; readonly text: string }
  | { readonly kind: 'mistake'; readonly text: string }
);

export interface HostnameFile {
  /** What can be understood, in order. */
  readonly lines: HostnameLine[];
  /** One for each line that is wrong, with its label. */
  readonly mistakes: string[];
}

export function parseHostnameFile(name: string, text: string): HostnameFile {
  const entries: Entry[] = [];
  for (const { label, text: line } of logicalLines(name, text)) {
    const entry = readLine(line, name, entries.at(-1));
    if (entry !== null) entries.push({ label, ...entry });
  }
  const lines: HostnameLine[] = [];
  const mistakes: string[] = [];
  for (const { label, ...entry } of entries) {
    const action = entry.kind === 'words' ? parseWords(name, entry.words) : entry;
    if (action.kind === 'mistake') mistakes.push(`${label}: ${action.text}`);
    // Of a mere `create` nothing is left.
    else if (action.kind === 'command' || action.words.length > 0) lines.push({ label, action });
  }
  mistakes.push(...contradictions(lines));
  return { lines, mistakes };
}

/** Copied lines: the later one about a peer would undo the one before it. */
function contradictions(lines: readonly HostnameLine[]): string[] {
  const mistakes: string[] = [];
  const before = new Map<string, { label: string; peer: PeerDraft }>();
  for (const { label, action } of lines) {
    if (action.kind === 'command') continue;
    if (action.draft.removeAllPeers) before.clear();
    for (const peer of action.draft.peers) {
      const key = formatKey(peer.publicKey);
      const first = before.get(key);
      const word = first === undefined || peer.remove ? null : contradiction(first.peer, peer);
      if (word !== null) {
        mistakes.push(
          `${label}: ${word}: ${first!.label} gives it for the same wgpeer: expected it once`,
        );
      }
      const isLess = first === undefined || peer.remove;
      before.set(key, { label, peer: isLess ? peer : { ...first.peer, ...peer } });
    }
  }
  return mistakes;
}

/** Lines with those that continue them, numbered as the first one. */
function logicalLines(name: string, text: string): { label: string; text: string }[] {
  const lines: { label: string; text: string }[] = [];
  let isContinued = false;
  for (const [at, physical] of text.split('\n').entries()) {
    if (!isContinued) lines.push({ label: `hostname.${name}:${at + 1}`, text: '' });
    // An even number of backslashes are escapes of each other.
    isContinued = /(?<!\\)(\\\\)*\\$/.test(physical);
    lines[lines.length - 1].text += isContinued ? physical.slice(0, -1) + CONTINUED : physical;
  }
  return lines;
}

type Unlabelled<T> = T extends unknown ? Omit<T, 'label'> : never;

/** @param before may get more words. null when there is nothing more to do for this line. */
function readLine(text: string, name: string, before: Entry | undefined): Unlabelled<Entry> | null {
  const line = text.replace(/^[ \t\n]+/, '');
  if (line === '' || line.startsWith('#')) return null;
  if (/[\0\r]/.test(line)) return mistake('expected plain text, without carriage returns');
  if (line.startsWith('!')) {
    const command = line.slice(1).replaceAll(CONTINUED, '').trim();
    if (command === '') return mistake('!: expected a command after it');
    return { kind: 'command', text: command.replace(/\$if(?!\w)/g, () => name) };
  }
  const words = splitShellWords(line);
  if (!Array.isArray(words)) return words;
  if (words[0] === 'dest') return takeDestination(words, before);
  if (findWord(words[0])?.place === 'peer') {
    return mistake(
      `${words[0]}: expected wgpeer PUBLICKEY before it on the same line; a \\ at the end of a line continues it`,
    );
  }
  return nameColumns(words);
}

function parseWords(name: string, words: readonly string[]): Action | Mistake {
  const command = parse([name, ...words]);
  if (command.kind === 'mistake') return command;
  if (command.kind !== 'configure') {
    return mistake(`${visible(words[0])}: expected words that configure the interface`);
  }
  // By then it is there: netstart creates it before the first line.
  const { draft } = command;
  const rest = draft.create ? words.slice(1) : words;
  return { kind: 'configure', words: rest, draft: { ...draft, create: false } };
}

// The columns: `inet [alias] ADDRESS NETMASK BROADCAST`, `inet6 [alias] ADDRESS PREFIXLEN`, and
// any words after them.

function isAddressLine(words: readonly string[]): boolean {
  return words[0] === 'inet' || words[0] === 'inet6';
}

function addressColumn(words: readonly string[]): number {
  return words[1] === 'alias' ? 2 : 1;
}

/** Whether the column is there: words of ours end the columns. */
function hasColumn(words: readonly string[], at: number): boolean {
  return at < words.length && findWord(words[at]) === undefined;
}

/** The same as words. */
function nameColumns(words: string[]): Unlabelled<Entry> {
  const at = addressColumn(words) + 1;
  if (!isAddressLine(words) || !hasColumn(words, at)) return { kind: 'words', words };
  const rest = words.slice(at + 1);
  if (words[0] === 'inet' && hasColumn(rest, 0)) {
    const broadcast = rest.shift()!;
    if (broadcast !== 'NONE') {
      return mistake(
        `inet: ${visible(broadcast)}: expected NONE: a tunnel has no broadcast address`,
      );
    }
  }
  const name = words[0] === 'inet' ? 'netmask' : 'prefixlen';
  return { kind: 'words', words: [...words.slice(0, at), name, words[at], ...rest] };
}

/** `dest ADDRESS` is about the address of the line before. */
function takeDestination(words: readonly string[], before: Entry | undefined): Mistake | null {
  if (before?.kind !== 'words' || !isAddressLine(before.words)) {
    return mistake('dest: expected an inet or inet6 line right before it');
  }
  if (words.length !== 2) return mistake('dest: expected one address after it');
  before.words.splice(addressColumn(before.words) + 1, 0, words[1]);
  return null;
}
