/**
 * What this machine can do for the lab: namespaces, /dev/net/tun, and the programs of Debian.
 * Answers in one line that tells an operator what is missing. Asks once and remembers.
 */

import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { programEnvironment } from './repository.ts';

/** How namespaces can be made here: as root, inside a user namespace of our own, or not at all. */
export type Privilege = 'root' | 'user namespace' | 'none';

const NAMESPACES = ['--net', '--mount', '--pid', '--fork'];
/** tcpdump changes its groups, which a user namespace of an ordinary user does not let it do. */
const NEEDS_REAL_ROOT = new Set(['tcpdump']);
const answers = new Map<string, string | null>();
let privilege: Privilege | null = null;

export function namespacePrivilege(): Privilege {
  privilege ??= canUnshare([])
    ? 'root'
    : canUnshare(['--user', '--map-root-user'])
      ? 'user namespace'
      : 'none';
  return privilege;
}

/** Why the lab, with these programs, cannot run here: one line; null when it can. */
export function unmet(...programs: readonly string[]): string | null {
  const reasons = [namespaceReason(), tunReason(), ...programs.map(programReason)];
  const found = reasons.filter((reason) => reason !== null);
  return found.length === 0 ? null : found.join('; ');
}

function namespaceReason(): string | null {
  if (namespacePrivilege() !== 'none') return null;
  return 'needs root, or a system that lets ordinary users make namespaces (unshare -Urnm)';
}

function tunReason(): string | null {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return null;
  } catch {
    return 'needs read and write permission on /dev/net/tun';
  }
}

function programReason(program: string): string | null {
  if (NEEDS_REAL_ROOT.has(program) && namespacePrivilege() !== 'root') {
    return `needs root for ${program}`;
  }
  const known = answers.get(program);
  if (known !== undefined) return known;
  const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], {
    env: programEnvironment(),
  });
  const answer = found.status === 0 ? null : `needs the program ${program}`;
  answers.set(program, answer);
  return answer;
}

function canUnshare(flags: readonly string[]): boolean {
  const attempt = spawnSync('unshare', [...flags, ...NAMESPACES, 'true'], {
    env: programEnvironment(),
    stdio: 'ignore',
  });
  return attempt.status === 0;
}
