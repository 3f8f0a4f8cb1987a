/**
 * The steps of giving rights up that a daemon and its resolver have in common, each with what came of
 * it in words and, if it does not hold, as a code. Which steps there are, and in which order, is
 * sandbox.ts' and resolversandbox.ts'.
 */

import { fchownSync, fstatSync } from 'node:fs';
import { errno, errnoName, Scratch } from '../sys/libc.ts';
import { invoke } from '../sys/syscalls.ts';
import {
  becomeUser,
  type Capability,
  emptyBoundingSet,
  limitCapabilities,
  type User,
} from './capabilities.ts';
import type { SandboxGap } from './gap.ts';
import type { Confinement } from './landlock.ts';
import { createFilter, installFilter, type Rule } from './seccomp.ts';

/** Ids for services without an account of their own (systemd.io/UIDS-GIDS). */
const DYNAMIC_FIRST = 61_184;
const DYNAMIC_COUNT = 65_520 - DYNAMIC_FIRST;
const ROOT: User = { uid: 0, gid: 0 };
const STILL_ROOT = ': still root';

const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;
const RLIMIT_CORE = 4;

export interface Step {
  readonly text: string;
  /** null when it holds. The name of the step is filled in later. */
  readonly gap: SandboxGap | null;
}

export const held = (text: string): Step => ({ text, gap: null });

export function refused(call: string, number: number, consequence = ''): Step {
  const error = errnoName(number);
  const gap: SandboxGap = { code: 'sandboxRefused', step: '', call, error };
  return { text: `no (${call}: ${error})${consequence}`, gap };
}

/** Ids that are nobody's, picked by a name, so that they stay the same. (`nobody` is many programs'.) */
export function unusedUser(name: string): User {
  let hash = 0;
  for (const byte of Buffer.from(name)) hash = (Math.imul(hash, 31) + byte) >>> 0;
  const id = DYNAMIC_FIRST + (hash % DYNAMIC_COUNT);
  return { uid: id, gid: id };
}

export function forbidNewPrivileges(): Step {
  return invoke('prctl', PR_SET_NO_NEW_PRIVS, 1) === 0 ? held('yes') : refused('prctl', errno());
}

/** No core file with keys in it, and no debugger but root's with CAP_SYS_PTRACE. */
export function forbidDumps(): Step {
  const limits = new Scratch(16);
  if (invoke('prlimit64', 0, RLIMIT_CORE, limits.address, 0) < 0) {
    return refused('prlimit', errno());
  }
  if (invoke('prctl', PR_SET_DUMPABLE, 0) < 0) return refused('prctl', errno());
  return held('not dumpable, no core files');
}

export function describeLandlock(landlock: Confinement): Step {
  if (!landlock.isHeld) return refused(landlock.call, landlock.errno);
  if (landlock.coversAllThreads) return held('all threads');
  return held(`the main thread (ABI ${landlock.abi} cannot cover the others)`);
}

/**
 * Becomes a user, and keeps none of root's capabilities but `needed`, and those on the main thread.
 *
 * @param directories descriptors of directories that become the user's, who could not write to them
 *   otherwise; or all stays root's
 */
export function leaveRoot(
  wanted: User,
  needed: readonly Capability[],
  directories: readonly number[] = [],
): { user: Step; capabilities: Step } {
  const isRoot = process.getuid?.() === 0;
  emptyBoundingSet();
  let user: Step;
  if (!isRoot) user = held(`${process.getuid?.()}, as started`);
  else if (wanted.uid === 0) {
    give(directories, ROOT);
    user = { text: 'root, as TSWG_USER asks', gap: { code: 'sandboxRoot' } };
  } else user = becomeOther(wanted, directories);
  const hasLeft = isRoot && process.getuid?.() !== 0;
  const kept = limitCapabilities(needed);
  if (kept === null) return { user, capabilities: refused('capset', errno()) };
  const others = hasLeft ? 'other threads none' : 'other threads as started';
  const list = kept.length === 0 ? 'none' : kept.join(' ');
  const gap: SandboxGap | null = hasLeft || !isRoot ? null : { code: 'sandboxThreads' };
  return { user, capabilities: { text: `${list} in the main thread; ${others}`, gap } };
}

function becomeOther(user: User, directories: readonly number[]): Step {
  const error = give(directories, user);
  if (error !== 0) return refused('fchown', error, STILL_ROOT);
  const refusal = becomeUser(user);
  if (refusal === null) return held(`${user.uid}, group ${user.gid}`);
  give(directories, ROOT);
  return refused(refusal.call, refusal.errno, STILL_ROOT);
}

/** Returns 0, or the error number. On a read-only file system what is the user's already stays so. */
function give(directories: readonly number[], { uid, gid }: User): number {
  try {
    for (const fd of directories) {
      const owner = fstatSync(fd);
      if (owner.uid !== uid || owner.gid !== gid) fchownSync(fd, uid, gid);
    }
    return 0;
  } catch (error) {
    return Math.abs((error as NodeJS.ErrnoException).errno ?? 0);
  }
}

/** @param hasRing what is asked of an io_uring passes no filter */
export function filterCalls(rules: readonly Rule[], hasRing: boolean): Step {
  const filter = createFilter(rules);
  if (filter === null) {
    const gap: SandboxGap = { code: 'sandboxProcessor', processor: process.arch };
    return { text: `no (none for ${process.arch})`, gap };
  }
  const error = installFilter(filter);
  if (error !== 0) return refused('seccomp', error);
  if (hasRing) {
    const text = 'all threads, but not requests through io_uring';
    return { text, gap: { code: 'sandboxRing' } };
  }
  return held('all threads');
}
