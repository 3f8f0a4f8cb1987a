/** Evidence: programs that serve an interface, or configure it, by their command lines. */

import { basename } from 'node:path';
import type { ServingProcess } from '../evidence.ts';
import { targetOf, textOf } from './procfile.ts';
import { processNumbers } from './sockets.ts';

const PROGRAMS: readonly string[] = [
  ...['tswgd', 'wireguard-go', 'boringtun', 'boringtun-cli', 'wg-quick'],
];
const INTERPRETERS: readonly string[] = ['node', 'nodejs', 'bash', 'sh', 'dash'];
const ARGUMENTS_MAX = 16;

export function gatherProcesses(name: string): ServingProcess[] {
  return processNumbers().flatMap((pid) => {
    const words = parseCommandLine(textOf(`/proc/${pid}/cmdline`) ?? '');
    const found = servedBy(words, name);
    if (found === null) return [];
    return [{ pid, ...found, namespace: targetOf(`/proc/${pid}/ns/net`) }];
  });
}

/** One that sets its title has it in the place of its arguments, with blanks between the words. */
export function parseCommandLine(text: string): string[] {
  const words = text.split('\0').filter((word) => word !== '');
  return words.length === 1 ? words[0].split(' ').filter((word) => word !== '') : words;
}

/** null when it is none of them, or not about this interface. */
export function servedBy(
  words: readonly string[],
  name: string,
): { program: string; arguments: string[] } | null {
  // A script's interpreter stands before it, with options of its own; others, such as sudo, are
  // processes beside it.
  const at = words.slice(0, 4).findIndex((word) => PROGRAMS.includes(basename(word)));
  if (at < 0 || (at > 0 && !INTERPRETERS.includes(basename(words[0])))) return null;
  const rest = words.slice(at + 1, at + 1 + ARGUMENTS_MAX);
  if (!rest.some((word) => word === name || basename(word) === `${name}.conf`)) return null;
  return { program: basename(words[at]), arguments: rest };
}
