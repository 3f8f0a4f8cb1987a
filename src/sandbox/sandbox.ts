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

import { access, readFileSync } from 'node:fs';
import { secretMemory } from '../crypto/openssl/secretmemory.ts';
import type { Environment } from '../sys/environment.ts';
import { errnoName } from '../sys/libc.ts';
import { nameAllSockets } from '../sys/unixnames.ts';
import type { Capability, User } from './capabilities.ts';
import type { SandboxGap } from './gap.ts';
import { type Confinement, confine, MAKE_REG, REMOVE_FILE, WRITE_FILE } from './landlock.ts';
import { permittedCalls } from './permittedcalls.ts';
import { hasIoUring } from './ring.ts';
import type { Rule } from './seccomp.ts';
import {
  describeLandlock,
  filterCalls,
  forbidDumps,
  forbidNewPrivileges,
  leaveRoot,
  type Step,
  unusedUser,
} from './steps.ts';
import { stopReadingTerminals } from './terminal.ts';

/** Accounts that are looked for by name, the first that exists. */
const USER_NAMES = ['_tswg', 'tswg'];

/**
 * net_admin: SO_MARK and buffers beyond the system's limit, at every new socket; net_bind_service:
 * ports below 1024.
 */
const NEEDED: readonly Capability[] = ['net_admin', 'net_bind_service'];

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
 * `tswg`; or else ids that are nobody's, picked by the interface's name.
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
  return unusedUser(name);
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
  account('no_new_privs', forbidNewPrivileges());
  const landlock = confineToDirectories(options);
  account('landlock', describeLandlock(landlock));
  const { user, capabilities } = leaveRoot(
    plan.user,
    NEEDED,
    options.writableDirectories.map(({ fd }) => fd),
  );
  account('user', user);
  account('capabilities', capabilities);
  // Another user may be dumpable again (fs.suid_dumpable).
  account('dump', forbidDumps());
  account('seccomp', filterCalls(permitted(options, hasRing), hasRing));
  return { steps, gaps };
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
  // The threads of Node's pool begin with the first thing that is asked of it. One that began later would
  // have what capabilities this thread keeps.
  access('/', () => {});
  const error = stopReadingTerminals();
  if (error !== 0) onRefusal(`Sandbox: the terminal can still be read (open: ${errnoName(error)})`);
  const refusal = nameAllSockets();
  if (refusal !== 0)
    onRefusal(`Sandbox: sockets can still be given a name (bind: ${errnoName(refusal)})`);
}

function confineToDirectories({ writableDirectories }: SandboxOptions): Confinement {
  return confine(
    writableDirectories.map(({ path }) => ({
      path,
      rights: WRITE_FILE | REMOVE_FILE | MAKE_REG,
    })),
  );
}

function permitted({ writableDirectories, connected }: SandboxOptions, hasRing: boolean): Rule[] {
  const directories = writableDirectories.map(({ fd }) => fd);
  return permittedCalls({ pid: process.pid, directories, connected, hasRing });
}
