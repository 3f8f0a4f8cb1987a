/**
 * Evidence: programs that serve an interface, or configure it, by their command lines and by the TUN
 * devices that they have open: the name of an interface may have changed since its daemon was started.
 */

import { basename } from 'node:path';
import type { Descriptors, ServingProcess } from '../evidence.ts';
import { namesIn, targetOf, textOf } from './procfile.ts';
import { processNumbers } from './sockets.ts';

const PROGRAMS: readonly string[] = [
  ...['tswgd', 'wireguard-go', 'boringtun', 'boringtun-cli', 'wg-quick'],
];
const INTERPRETERS: readonly string[] = ['node', 'nodejs', 'bash', 'sh', 'dash'];
const ARGUMENTS_MAX = 16;
const TUN_DEVICE = '/dev/net/tun';

export function gatherProcesses(name: string): ServingProcess[] {
  return processNumbers().flatMap((pid) => {
    const found = programOf(parseCommandLine(textOf(`/proc/${pid}/cmdline`) ?? ''));
    if (found === null) return [];
    const descriptors = descriptorsOf(pid);
    const isHolder = descriptors?.interfaces.includes(name) === true;
    if (!isHolder && !isAbout(found, name)) return [];
    const state = /^State:\s+(\w)/m.exec(textOf(`/proc/${pid}/status`) ?? '')?.[1] ?? '';
    return [{ pid, ...found, namespace: targetOf(`/proc/${pid}/ns/net`), state, descriptors }];
  });
}

/** A process that lives has some; one whose folder is empty to us is another user's. */
function descriptorsOf(pid: number): Descriptors | null {
  const numbers = namesIn(`/proc/${pid}/fd`);
  if (numbers.length === 0) return null;
  const limits = textOf(`/proc/${pid}/limits`) ?? '';
  const max = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return {
    open: numbers.length,
    max: max === undefined ? null : Number(max),
    interfaces: numbers
      .filter((number) => targetOf(`/proc/${pid}/fd/${number}`) === TUN_DEVICE)
      .flatMap((number) => parseTunName(textOf(`/proc/${pid}/fdinfo/${number}`) ?? '') ?? []),
  };
}

/** null for one without an interface: there is none yet, or it was deleted. */
export function parseTunName(text: string): string | null {
  return /^iff:[ \t]*(\S+)$/m.exec(text)?.[1] ?? null;
}

/** One that sets its title has it in the place of its arguments, with blanks between the words. */
export function parseCommandLine(text: string): string[] {
  const words = text.split('\0').filter((word) => word !== '');
  return words.length === 1 ? words[0].split(' ').filter((word) => word !== '') : words;
}

type Program = Pick<ServingProcess, 'program' | 'arguments'>;

/** null when it is none of them. */
export function programOf(words: readonly string[]): Program | null {
  // A script's interpreter stands before it, with options of its own; others, such as sudo, are
  // processes beside it.
  const at = words.slice(0, 4).findIndex((word) => PROGRAMS.includes(basename(word)));
  if (at < 0 || (at > 0 && !INTERPRETERS.includes(basename(words[0])))) return null;
  return {
    program: basename(words[at]),
    arguments: words.slice(at + 1, at + 1 + ARGUMENTS_MAX),
  };
}

/** Whether it was started for this interface. */
export function isAbout(program: Program, name: string): boolean {
  return program.arguments.some((word) => word === name || basename(word) === `${name}.conf`);
}
