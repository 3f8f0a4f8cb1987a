/**
 * What a daemon gives up once everything is open: core files and debuggers, files, root, most
 * capabilities, and most system calls. Owns the order of the steps and the account of which hold;
 * each step is a file of its own.
 *
 * A process of Node's has many threads before our first line runs, and several of these things
 * bind one thread. What covers which:
 *
 *   not dumpable, core limit   the process
 *   user                       every thread (the C library sees to that)
 *   capabilities               lost by every thread with root; a few kept by the main one, which
 *                              makes all calls of the data path and of control
 *   Landlock                   the main thread and those that it starts; all from ABI 8 on
 *   seccomp, no_new_privs      every thread, by the kernel's own doing, or none
 *
 * Each of them is enough to keep a daemon from the files of others: it is a user whose only folder
 * is that of its own interface's state, seccomp lets it make files nowhere else by their
 * descriptor, and Landlock by their path. What needs root at the end, such as removing the control
 * socket, is the starter's (starter.ts).
 *
 * A step that the system refuses is no error: it is noted, and `gaps` says what does not hold.
 */

import { fchownSync, fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { secretMemory } from '../crypto/openssl/secretmemory.ts';
import type { Environment } from '../sys/environment.ts';
import { errno, errnoName, Scratch } from '../sys/libc.ts';
import { invoke } from '../sys/syscalls.ts';
import { nameAllSockets } from '../sys/unixnames.ts';
import {
  becomeUser,
  type Capability,
  emptyBoundingSet,
  limitCapabilities,
  type User,
} from './capabilities.ts';
import type { SandboxGap } from './gap.ts';
import { type Confinement, confine, MAKE_REG, REMOVE_FILE, WRITE_FILE } from './landlock.ts';
import { permittedCalls } from './permittedcalls.ts';
import { createFilter, installFilter } from './seccomp.ts';
import { stopReadingTerminals } from './terminal.ts';

/** Accounts that are looked for by name, the first that exists. */
const USER_NAMES = ['_tswg', 'tswg'];
/** Ids for services without an account of their own (systemd.io/UIDS-GIDS). */
const DYNAMIC_FIRST = 61_184;
const DYNAMIC_COUNT = 65_520 - DYNAMIC_FIRST;

/**
 * net_admin: SO_MARK and buffers beyond the system's limit, at every new socket; net_bind_service:
 * ports below 1024.
 */
const NEEDED: readonly Capability[] = ['net_admin', 'net_bind_service'];

const ROOT: User = { uid: 0, gid: 0 };
const STILL_ROOT = ': still root';

const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;
const RLIMIT_CORE = 4;

/**
 * A directory in which the daemon continues to make and replace files, through a descriptor: it is
 * given to the user that the daemon becomes, and must be nobody else's to use.
 */
export interface WritableDirectory {
  readonly path: string;
  readonly fd: number;
}

export interface SandboxOptions {
  readonly writableDirectories: readonly WritableDirectory[];
  /** Descriptors of UNIX datagram sockets that stay connected to where they are. */
  readonly connected: readonly number[];
  /** Gets a line for each step that was refused. */
  readonly onRefusal: (line: string) => void;
  /** Gets a line when the operator has turned all this off. */
  readonly onOff: (line: string) => void;
}

/** What `TSWG_SANDBOX` and `TSWG_USER` ask for. */
export type SandboxPlan = { readonly isOff: true } | { readonly isOff: false; readonly user: User };

/**
 * To be called at start, since it may be a mistake of the operator's.
 *
 * @param name the interface's
 * @throws Error with one line for the operator
 */
export function planSandbox(name: string, env: Environment): SandboxPlan {
  const wish = env.TSWG_SANDBOX ?? '';
  if (wish === 'off') return { isOff: true };
  if (wish !== '' && wish !== 'on') throw new Error(`TSWG_SANDBOX: ${wish}: expected on or off`);
  return { isOff: false, user: chooseUser(name, env.TSWG_USER ?? '') };
}

/**
 * The user that the daemon of an interface becomes: the account that was asked for; or `_tswg` or
 * `tswg`; or else ids that are nobody's, picked by the interface's name, so that they stay the
 * same. (`nobody` is many programs'.)
 */
function chooseUser(name: string, asked: string): User {
  const accounts = new Map<string, User>();
  for (const line of readLines('/etc/passwd')) {
    const [account = '', , uid, gid] = line.split(':');
    accounts.set(account, { uid: Number(uid), gid: Number(gid) });
  }
  if (asked !== '') {
    const user = accounts.get(asked);
    if (user === undefined) throw new Error(`TSWG_USER: ${asked}: there is no such user`);
    return user;
  }
  for (const account of USER_NAMES) {
    const user = accounts.get(account);
    if (user !== undefined) return user;
  }
  let hash = 0;
  for (const byte of Buffer.from(name)) hash = (Math.imul(hash, 31) + byte) >>> 0;
  const id = DYNAMIC_FIRST + (hash % DYNAMIC_COUNT);
  return { uid: id, gid: id };
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** Whether a step holds, or that all of it is off; and the same for people. */
export interface StepState {
  readonly word: 'yes' | 'no' | 'off';
  readonly text: string;
}

/** What came of it. */
export interface Sandbox {
  /** How it stands with each step, by its name; that there is no sandbox, by the empty one. */
  readonly steps: ReadonlyMap<string, StepState>;
  /** What does not hold. */
  readonly gaps: readonly SandboxGap[];
}

/** Before it is entered. */
export const NO_SANDBOX: Sandbox = { steps: new Map(), gaps: [] };

/**
 * Takes all of it away, in this turn of the event loop. What is opened by path, or loaded, must be
 * by now; and nothing from the network should have been read.
 */
export function enterSandbox(plan: SandboxPlan, options: SandboxOptions): Sandbox {
  if (plan.isOff) {
    options.onOff('TSWG_SANDBOX=off: the daemon keeps root and every right; for debugging only');
    const off: StepState = { word: 'off', text: 'off (TSWG_SANDBOX=off)' };
    return { steps: new Map([['', off]]), gaps: [{ code: 'sandboxOff' }] };
  }
  prepare(options);
  const hasRing = hasIoUring();
  const steps = new Map<string, StepState>();
  const gaps: SandboxGap[] = [];
  const account = (name: string, { text, gap }: Step): void => {
    steps.set(name, { word: gap === null ? 'yes' : 'no', text });
    if (gap === null) return;
    gaps.push(gap.code === 'sandboxRefused' ? { ...gap, step: name } : gap);
    options.onRefusal(`Sandbox: ${name.replaceAll('_', ' ')}: ${text}`);
  };
  const noNewPrivileges = invoke('prctl', PR_SET_NO_NEW_PRIVS, 1) === 0;
  account('no_new_privs', noNewPrivileges ? held('yes') : refused('prctl', errno()));
  const landlock = confineToDirectories(options);
  account('landlock', describeLandlock(landlock));
  const { user, capabilities } = leaveRoot(plan.user, options);
  account('user', user);
  account('capabilities', capabilities);
  // Another user may be dumpable again (fs.suid_dumpable).
  account('dump', forbidDumps());
  account('seccomp', filterCalls(options, hasRing));
  return { steps, gaps };
}

interface Step {
  readonly text: string;
  /** null when it holds. The name of the step is filled in later. */
  readonly gap: SandboxGap | null;
}

const held = (text: string): Step => ({ text, gap: null });

function refused(call: string, number: number, consequence = ''): Step {
  const error = errnoName(number);
  const gap: SandboxGap = { code: 'sandboxRefused', step: '', call, error };
  return { text: `no (${call}: ${error})${consequence}`, gap };
}

/**
 * What Node would open files for at its first use, and what takes more memory than a user may lock;
 * terminals after that, since Node opens them again. Sockets last, when all are there.
 */
function prepare({ onRefusal }: SandboxOptions): void {
  secretMemory();
  void process.stdout;
  void process.stderr;
  new Date().getTimezoneOffset();
  const error = stopReadingTerminals();
  if (error !== 0) onRefusal(`Sandbox: the terminal can still be read (open: ${errnoName(error)})`);
  const refusal = nameAllSockets();
  if (refusal !== 0)
    onRefusal(`Sandbox: sockets can still be given a name (bind: ${errnoName(refusal)})`);
}

/** No core file with keys in it, and no debugger but root's with CAP_SYS_PTRACE. */
function forbidDumps(): Step {
  const limits = new Scratch(16);
  if (invoke('prlimit64', 0, RLIMIT_CORE, limits.address, 0) < 0) {
    return refused('prlimit', errno());
  }
  if (invoke('prctl', PR_SET_DUMPABLE, 0) < 0) return refused('prctl', errno());
  return held('not dumpable, no core files');
}

function confineToDirectories({ writableDirectories }: SandboxOptions): Confinement {
  return confine(
    writableDirectories.map(({ path }) => ({
      directory: path,
      rights: WRITE_FILE | REMOVE_FILE | MAKE_REG,
    })),
  );
}

function describeLandlock(landlock: Confinement): Step {
  if (!landlock.isHeld) return refused(landlock.call, landlock.errno);
  if (landlock.coversAllThreads) return held('all threads');
  return held(`the main thread (ABI ${landlock.abi} cannot cover the others)`);
}

function leaveRoot(
  wanted: User,
  { writableDirectories }: SandboxOptions,
): { user: Step; capabilities: Step } {
  const isRoot = process.getuid?.() === 0;
  emptyBoundingSet();
  let user: Step;
  if (!isRoot) user = held(`${process.getuid?.()}, as started`);
  else if (wanted.uid === 0) {
    give(writableDirectories, ROOT);
    user = { text: 'root, as TSWG_USER asks', gap: { code: 'sandboxRoot' } };
  } else user = becomeOther(wanted, writableDirectories);
  const hasLeft = isRoot && process.getuid?.() !== 0;
  const kept = limitCapabilities(NEEDED);
  if (kept === null) return { user, capabilities: refused('capset', errno()) };
  const others = hasLeft ? 'other threads none' : 'other threads as started';
  const list = kept.length === 0 ? 'none' : kept.join(' ');
  const gap: SandboxGap | null = hasLeft || !isRoot ? null : { code: 'sandboxThreads' };
  return { user, capabilities: { text: `${list} in the main thread; ${others}`, gap } };
}

/** The directories become the user's, who could not write to them otherwise; or all stays root's. */
function becomeOther(user: User, directories: readonly WritableDirectory[]): Step {
  const error = give(directories, user);
  if (error !== 0) return refused('fchown', error, STILL_ROOT);
  const refusal = becomeUser(user);
  if (refusal === null) return held(`${user.uid}, group ${user.gid}`);
  give(directories, ROOT);
  return refused(refusal.call, refusal.errno, STILL_ROOT);
}

/** Returns 0, or the error number. On a read-only file system what is the user's already stays so. */
function give(directories: readonly WritableDirectory[], { uid, gid }: User): number {
  try {
    for (const { fd } of directories) {
      const owner = fstatSync(fd);
      if (owner.uid !== uid || owner.gid !== gid) fchownSync(fd, uid, gid);
    }
    return 0;
  } catch (error) {
    return Math.abs((error as NodeJS.ErrnoException).errno ?? 0);
  }
}

function filterCalls({ writableDirectories, connected }: SandboxOptions, hasRing: boolean): Step {
  const directories = writableDirectories.map(({ fd }) => fd);
  const circumstances = { pid: process.pid, directories, connected, hasRing };
  const filter = createFilter(permittedCalls(circumstances));
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

/** A ring's operations pass no filter, and an engine that has begun to use one cannot stop. */
function hasIoUring(): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('io_uring');
    } catch {
      // The listing's own descriptor is gone by now.
      return false;
    }
  });
}
