/**
 * What a resolver gives up before it reads its first question: all but looking names up. Owns the
 * steps and their order; what they are made of is steps.ts', which calls are left resolvercalls.ts'.
 *
 * Names are looked up on the threads of Node's pool, and Landlock binds a thread and those that it
 * starts. Node has started some before our first line runs. So files are confined first, by a program
 * that then executes itself: all threads of what it becomes begin so. The rest follows there.
 */

import { existsSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { errno, fcntl, Scratch } from '../sys/libc.ts';
import { F_GETFL, F_SETFL, F_SETOWN, F_SETSIG, O_ASYNC } from '../sys/linux.ts';
import { invoke } from '../sys/syscalls.ts';
import { type Allowance, confine, EXECUTE, READ_DIR, READ_FILE } from './landlock.ts';
import { resolverCalls } from './resolvercalls.ts';
import {
  filterCalls,
  forbidDumps,
  forbidNewPrivileges,
  held,
  leaveRoot,
  refused,
  type Step,
  unusedUser,
} from './steps.ts';

const READ = READ_FILE | READ_DIR;
const DNS_PORT = 53;
/** What name services read, where it is: settings, libraries, what libraries come with, caches. */
const DIRECTORIES = [
  ...['/etc', '/lib', '/lib32', '/lib64', '/usr/lib', '/usr/lib32', '/usr/lib64'],
  ...['/usr/local/lib', '/usr/share', '/nix/store', '/run/current-system'],
  ...['/run/systemd/resolve', '/run/resolvconf', '/run/NetworkManager', '/run/nscd'],
  ...['/run/avahi-daemon', '/var/lib/sss'],
];
/** Where these are links, their targets are read, too. */
const SETTINGS = [
  ...['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf', '/etc/host.conf', '/etc/gai.conf'],
];
const RESOLV_CONF = '/etc/resolv.conf';
const NSCD_SOCKETS = ['/run/nscd/socket', '/var/run/nscd/socket'];
/** Modules of the name service that ask nobody over a UNIX socket. */
const PLAIN_MODULES = ['files', 'dns', 'myhostname', 'db'];

const SIGKILL = 9;
// asm-generic/resource.h
const RLIMITS: Readonly<Record<number, number>> = {
  /** RLIMIT_FSIZE: no file may grow. */
  1: 0,
  /** RLIMIT_NOFILE: what it has, and some four for each lookup. */
  7: 128,
  /** RLIMIT_MEMLOCK */
  8: 0,
  /** RLIMIT_MSGQUEUE */
  12: 0,
};
const NO_SECOND_HALF = 0;

/** What the account is about: one line for each step, as `stats` shows them. */
export type ResolverSteps = Map<string, string>;

/**
 * Takes away all files but those that it reads, and TCP but to port 53; then the program is to
 * execute itself.
 *
 * @param program folders of the program
 */
export function confineResolverFiles(program: readonly string[]): Step {
  const noNewPrivileges = forbidNewPrivileges();
  if (noNewPrivileges.gap !== null) return noNewPrivileges;
  const landlock = confine(readable(program), [DNS_PORT]);
  if (!landlock.isHeld) return refused(landlock.call, landlock.errno);
  return held(landlock.abi >= 4 ? 'all threads' : `all threads, but TCP (ABI ${landlock.abi})`);
}

/**
 * Takes the rest away. Call when all threads run.
 *
 * @param name the interface's
 * @param lifeline the descriptor whose other end's closing is to end the process
 */
export function enterResolverSandbox(name: string, lifeline: number): ResolverSteps {
  const steps: ResolverSteps = new Map();
  steps.set('limits', limitResources().text);
  const { user, capabilities } = leaveRoot(unusedUser(`${name} resolver`), []);
  steps.set('user', user.text);
  steps.set('capabilities', capabilities.text);
  steps.set('dump', forbidDumps().text);
  const usesUnixSockets = asksOverUnixSockets();
  const rules = resolverCalls({ pid: process.pid, lifeline, usesUnixSockets });
  // It was started without one (resolver/program.ts).
  steps.set('seccomp', filterCalls(rules, false).text);
  steps.set('unix_sockets', usesUnixSockets ? 'permitted: nscd or nsswitch.conf' : 'refused');
  return steps;
}

/** Has the kernel kill this process when the other end of a socket closes, if by its owner's death. */
export function holdToLifeline(fd: number): Step {
  if (fcntl(fd, F_SETSIG, SIGKILL) < 0) return refused('fcntl', errno());
  if (fcntl(fd, F_SETOWN, process.pid) < 0) return refused('fcntl', errno());
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_ASYNC) < 0) return refused('fcntl', errno());
  return held('with the daemon');
}

function limitResources(): Step {
  // struct rlimit64: the soft and the hard limit
  const limits = new Scratch(16);
  for (const [resource, value] of Object.entries(RLIMITS)) {
    limits.words.set([value, NO_SECOND_HALF, value, NO_SECOND_HALF]);
    if (invoke('prlimit64', 0, Number(resource), limits.address, 0) < 0) {
      return refused('prlimit', errno());
    }
  }
  return held('files of 0 bytes, 128 descriptors');
}

/** Whether nscd runs, or the name service has modules that ask others of this machine. */
function asksOverUnixSockets(): boolean {
  if (NSCD_SOCKETS.some((path) => existsSync(path))) return true;
  const hosts = /^[ \t]*hosts:(.*)$/m.exec(readText('/etc/nsswitch.conf'))?.[1] ?? '';
  const modules = hosts.replaceAll(/#.*|\[[^\]]*\]/g, ' ').split(/\s+/);
  return modules.some((one) => one !== '' && !PLAIN_MODULES.includes(one));
}

/** All of it that there is. */
function readable(program: readonly string[]): Allowance[] {
  const loaded = loadedFiles();
  const targets = SETTINGS.flatMap((path) => realPath(path) ?? []).map((path) => dirname(path));
  const directories = [
    ...[...DIRECTORIES, ...program, ...targets, ...loaded.map((path) => dirname(path))],
    ...danglingPlace(RESOLV_CONF),
  ];
  const existing = directories
    .flatMap((path) => realPath(path) ?? [])
    .filter((path) => path !== '/');
  // To execute itself, for which the loader of libraries is executed, too.
  const executed = loaded.filter((path) => path === realPath(process.execPath) || isLoader(path));
  return [
    ...[...new Set(existing)].map((path) => ({ path, rights: READ })),
    ...executed.map((path) => ({ path, rights: READ_FILE | EXECUTE })),
  ];
}

/** The program and its libraries. */
function loadedFiles(): string[] {
  const paths = readText('/proc/self/maps').matchAll(/ (\/.*)$/gm);
  return [...new Set([process.execPath, ...[...paths].map(([, path]) => path)])].flatMap(
    (path) => realPath(path) ?? [],
  );
}

function isLoader(path: string): boolean {
  return /\/ld-[^/]*$/.test(path);
}

/** Of a link whose target does not exist yet, such as resolved's file at boot, what there is of its path. */
function danglingPlace(path: string): string[] {
  if (existsSync(path)) return [];
  let target: string;
  try {
    target = readlinkSync(path);
  } catch {
    return [];
  }
  let place = target.startsWith('/') ? dirname(target) : dirname(`${dirname(path)}/${target}`);
  while (place !== '/' && !existsSync(place)) place = dirname(place);
  return [place];
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
