/**
 * What an intruder would try, as code inside: a wrapper (sandboxsubject.ts) loads it into a daemon
 * and its successors. On SIGHUP it tries everything, on the main thread and on one of the pool; in
 * a successor also before it takes anything and before it is told to go. For each it writes a line
 * `probe {...}` to TSWG_PROBE_OUTPUT, with what became of every attempt: `done`, or the error's name.
 *
 * Some attempts are such as a daemon may make: where they fail, the others prove nothing.
 */

import { spawnSync } from 'node:child_process';
import { fstatSync, openSync, promises, readFileSync, writeSync } from 'node:fs';
import { koffi } from '../../src/sys/koffi.ts';
import { close, ERRNO, errno, getIntOption, Scratch } from '../../src/sys/libc.ts';
import {
  AF_UNIX,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_WRONLY,
  SO_ACCEPTCONN,
  SO_BINDTOIFINDEX,
  SO_DOMAIN,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_IP,
  SOL_SOCKET,
} from '../../src/sys/linux.ts';
import { callNumber } from '../../src/sys/syscalls.ts';
import { putUnixAddress } from '../../src/sys/unixaddress.ts';

export interface Report {
  readonly pid: number;
  readonly when: 'running' | 'before it takes' | 'before it goes';
  readonly main: Readonly<Record<string, string>>;
  /** Which thread, and what became of the attempts there. */
  readonly pool?: { readonly thread: number; readonly outcomes: Readonly<Record<string, string>> };
}

/** Of the tests' files: what belongs to others. */
export const VICTIM_SOCKET = '/run/wireguard/victim.sock';
export const VICTIM_OBSERVING = '/run/tswg/victim.observe';
export const VICTIM_STATES = '/var/lib/tswg/victim';
/** A datagram socket of a service's, by this variable. */
const VICTIM_SERVICE = 'TSWG_PROBE_SERVICE';

const library = koffi.load(null);
const bind = (name: string, ...parameters: string[]) => library.func(name, 'int', parameters);
const open = bind('open', 'str', 'int', 'int');
const openat = bind('openat', 'int', 'str', 'int', 'int');
const renameat = bind('renameat', 'int', 'str', 'int', 'str');
const unlink = bind('unlink', 'str');
const unlinkat = bind('unlinkat', 'int', 'str', 'int');
const socket = bind('socket', 'int', 'int', 'int');
const bindSocket = bind('bind', 'int', 'uintptr_t', 'uint32_t');
const listenOn = bind('listen', 'int', 'int');
const connect = bind('connect', 'int', 'uintptr_t', 'uint32_t');
const send = bind('send', 'int', 'uintptr_t', 'size_t', 'int');
const sendto = bind('sendto', 'int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uint32_t');
const sendmsg = bind('sendmsg', 'int', 'uintptr_t', 'int');
const sendmmsg = bind('sendmmsg', 'int', 'uintptr_t', 'uint32_t', 'int');
const setsockopt = bind('setsockopt', 'int', 'int', 'int', 'uintptr_t', 'uint32_t');
const fcntl = bind('fcntl', 'int', 'int', 'intptr_t');
const ioctl = bind('ioctl', 'int', 'size_t', 'uintptr_t');
const dup = bind('dup', 'int');
const execv = bind('execv', 'str', 'uintptr_t');
const setuid = bind('setuid', 'uint32_t');
const unshare = bind('unshare', 'int');
const kill = bind('kill', 'int', 'int');
const gettid = bind('gettid');
const syscall = bind('syscall', 'intptr_t', 'intptr_t', 'uintptr_t', 'intptr_t');

const [AF_INET, AF_PACKET] = [2, 17];
const SOCK_RAW = 3;
const [IPPROTO_ICMP, ETH_P_ALL_BE] = [1, 0x0300];
const O_RDONLY = 0;
const CLONE_NEWUSER = 0x10000000;
const AT_FDCWD = -100;
const [F_GETFL, F_SETOWN, F_SETSIG, F_DUPFD] = [3, 8, 10, 0];
const [FIOSETOWN, TIOCSTI, SIOCSIFFLAGS] = [0x8901, 0x5412, 0x8914];
const [IPT_SO_SET_REPLACE, IP_TRANSPARENT, SO_BINDTODEVICE] = [64, 19, 25];
const [BPF_MAP_CREATE, BPF_PROG_LOAD] = [0, 5];
const SAVING = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
const FDS_MAX = 128;

type Attempt = readonly [ReturnType<typeof bind>, ...(number | string)[]];

const scratch = new Scratch(4096);
const taken = new Scratch(128);
const NAME_AT = 0;
const MESSAGE_AT = 256;
const TEXT_AT = 512;
const ATTRIBUTES_AT = 1024;

/** What a daemon may do. */
export const PERMITTED = [
  ...['udp socket', 'an interface', 'flags'],
  ...['own file', 'own file removed', 'service told'],
];

function attempts(): Record<string, Attempt> {
  const { address } = scratch;
  const any: number = socket(AF_INET, SOCK_DGRAM, 0);
  if (any < 0) throw new Error('probe: no socket to try with');
  const bpf = callNumber('bpf')!;
  scratch.words.fill(0);
  // struct bpf_attr of a small array.
  scratch.words.set([2, 4, 8, 1], ATTRIBUTES_AT / 4);
  scratch.words[0] = 1;
  return {
    'udp socket': [socket, AF_INET, SOCK_DGRAM, 0],
    flags: [fcntl, any, F_GETFL, 0],
    read: [open, '/etc/passwd', O_RDONLY, 0],
    memory: [open, '/proc/self/mem', O_RDONLY, 0],
    write: [open, '/run/intruder', O_WRONLY | O_CREAT, 0o600],
    program: [execv, '/bin/true', 0],
    'raw socket': [socket, AF_INET, SOCK_RAW, IPPROTO_ICMP],
    'packet socket': [socket, AF_PACKET, SOCK_RAW, ETH_P_ALL_BE],
    'stream socket': [socket, AF_INET, SOCK_STREAM, 0],
    'unix socket': [socket, AF_UNIX, SOCK_STREAM, 0],
    root: [setuid, 0],
    namespace: [unshare, CLONE_NEWUSER],
    signal: [kill, 1, 0],
    'signal by owner': [fcntl, any, F_SETOWN, 1],
    'signal by choice': [fcntl, any, F_SETSIG, 9],
    'signal by ioctl': [ioctl, any, FIOSETOWN, address],
    double: [dup, any],
    'double by fcntl': [fcntl, any, F_DUPFD, 0],
    'map of bpf': [syscall, bpf, BPF_MAP_CREATE, address + ATTRIBUTES_AT, 128],
    'program of bpf': [syscall, bpf, BPF_PROG_LOAD, address + ATTRIBUTES_AT, 128],
    'packet filter': [setsockopt, any, SOL_IP, IPT_SO_SET_REPLACE, address, 128],
    'any source': [setsockopt, any, SOL_IP, IP_TRANSPARENT, address, 4],
    device: [setsockopt, any, SOL_SOCKET, SO_BINDTODEVICE, address, 4],
    // The one of index 1, by `words`; and then none, by the word after that.
    'an interface': [setsockopt, any, SOL_SOCKET, SO_BINDTOIFINDEX, address, 4],
    'another interface instead': [setsockopt, any, SOL_SOCKET, SO_BINDTOIFINDEX, address + 4, 4],
    terminal: [ioctl, 0, TIOCSTI, address],
    'another interface': [ioctl, any, SIOCSIFFLAGS, address],
    'another’s socket': [unlink, VICTIM_SOCKET],
    'another’s observing socket': [unlink, VICTIM_OBSERVING],
    'another’s socket by folder': [unlinkat, AT_FDCWD, VICTIM_SOCKET, 0],
    ...stateAttempts(),
    ...serviceAttempts(),
    ...nameAttempts(),
  };
}

/** By which another program expects to find its service: for every UNIX socket that there is. */
function nameAttempts(): Record<string, Attempt> {
  const fds: number[] = [];
  for (let fd = 0; fd < FDS_MAX; fd++) {
    if (getIntOption(fd, SOL_SOCKET, SO_DOMAIN) === AF_UNIX) fds.push(fd);
  }
  const length = putUnixAddress(taken, '@service')!;
  return Object.fromEntries(
    fds.flatMap((fd): [string, Attempt][] => [
      [`a service’s name: ${fd}`, [bindSocket, fd, taken.address, length]],
      [`to listen: ${fd}`, [listenOn, getIntOption(fd, SOL_SOCKET, SO_ACCEPTCONN) ? -1 : fd, 1]],
    ]),
  );
}

/** Of a persistent daemon, which has a folder. */
function stateAttempts(): Record<string, Attempt> {
  const fd = findDescriptor((one) => fstatSync(one).isDirectory());
  if (fd < 0) return {};
  return {
    'own file': [openat, fd, 'probe', SAVING, 0o600],
    'own file removed': [unlinkat, fd, 'probe', 0],
    'another’s state': [openat, fd, `${VICTIM_STATES}/intruder`, SAVING, 0o600],
    'another’s state from here': [openat, fd, '../victim/intruder', SAVING, 0o600],
    'the folder of all': [openat, fd, '../intruder', SAVING, 0o600],
    'a file of root’s': [openat, fd, '/run/intruder', SAVING, 0o600],
    'a program’s file': [openat, fd, 'program', SAVING, 0o4755],
    'a program’s file removed': [unlinkat, fd, 'program', 0],
    'another’s state taken': [renameat, fd, `${VICTIM_STATES}/state`, fd, 'taken'],
    'another’s state removed': [unlinkat, fd, `${VICTIM_STATES}/state`, 0],
    'another’s socket by state': [unlinkat, fd, VICTIM_SOCKET, 0],
  };
}

/** Of a service, which has a connection to whoever manages it. */
function serviceAttempts(): Record<string, Attempt> {
  const fd = findSocket((domain, type) => domain === AF_UNIX && type === SOCK_DGRAM);
  const victim = process.env[VICTIM_SERVICE];
  if (fd < 0 || victim === undefined) return {};
  const { address } = scratch;
  const name = new Scratch(128);
  const length = putUnixAddress(name, victim)!;
  scratch.bytes.set(name.bytes.subarray(0, 128), NAME_AT);
  const written = scratch.bytes.subarray(TEXT_AT);
  const size = new TextEncoder().encodeInto('STATUS=probe', written).written;
  // struct msghdr: name, its length, no more.
  scratch.view.setBigUint64(MESSAGE_AT, BigInt(address + NAME_AT), true);
  scratch.view.setUint32(MESSAGE_AT + 8, length, true);
  return {
    'service told': [send, fd, address + TEXT_AT, size, 0],
    'another service': [sendto, fd, address + TEXT_AT, size, 0, address + NAME_AT, length],
    'another service by message': [sendmsg, fd, address + MESSAGE_AT, 0],
    'another service by messages': [sendmmsg, fd, address + MESSAGE_AT, 1, 0],
    'another service by connection': [connect, fd, address + NAME_AT, length],
    'another name for us': [bindSocket, fd, address + NAME_AT, 2],
  };
}

function findSocket(isWanted: (domain?: number, type?: number) => boolean): number {
  return findDescriptor((fd) =>
    isWanted(getIntOption(fd, SOL_SOCKET, SO_DOMAIN), getIntOption(fd, SOL_SOCKET, SO_TYPE)),
  );
}

/** The first descriptor that is so; -1 for none. */
function findDescriptor(isWanted: (fd: number) => boolean): number {
  for (let fd = 3; fd < FDS_MAX; fd++) {
    try {
      if (isWanted(fd)) return fd;
    } catch {
      // It is not open.
    }
  }
  return -1;
}

const nameOf = (number: number): string =>
  Object.entries(ERRNO).find(([, value]) => value === number)?.[0] ?? `${number}`;

function onMainThread(): Record<string, string> {
  const outcomes = Object.entries(attempts()).map(([what, [call, ...args]]) => {
    const result = call(...args);
    const outcome = result < 0 ? nameOf(errno()) : 'done';
    forget(what, result);
    return [what, outcome];
  });
  const { error } = spawnSync('/bin/true');
  return {
    ...Object.fromEntries(outcomes),
    'node: read': codeOf(() => readFileSync('/etc/passwd')),
    'node: write': codeOf(() => openSync('/run/intruder', 'w')),
    'node: program': error === undefined ? 'done' : ((error as NodeJS.ErrnoException).code ?? ''),
  };
}

/** A socket of our own making is none of the daemon's, for which names are tried. */
function forget(what: string, fd: number): void {
  if (what === 'unix socket' && fd >= 0) close(fd);
}

function codeOf(attempt: () => unknown): string {
  try {
    attempt();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

const onPool = ([call, ...args]: Attempt): Promise<number> =>
  new Promise((resolve, reject) => {
    call.async(...args, (error: unknown, result: number) =>
      error ? reject(error) : resolve(result),
    );
  });

/** The error's number stays with its thread. */
async function onPoolThread(): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  for (const [what, attempt] of Object.entries(attempts())) {
    // It would succeed there, in place of all of us.
    if (what === 'program' && process.env.TSWG_PROBE_WITHOUT === 'seccomp') continue;
    const result = await onPool(attempt);
    outcomes[what] = result < 0 ? 'refused' : 'done';
    forget(what, result);
  }
  outcomes['node: read'] = await promises.readFile('/etc/passwd').then(
    () => 'done',
    (error) => error.code,
  );
  return outcomes;
}

/** A daemon's standard output ends with it, its successor's does not. */
let output = -1;

export function say(line: string): void {
  writeSync(output, `${line}\n`);
}

function print(report: Report): void {
  say(`probe ${JSON.stringify(report)}`);
}

/** What becomes of all attempts at this moment, on the main thread. */
export function tryNow(when: Report['when']): void {
  print({ pid: process.pid, when, main: onMainThread() });
}

/** Has the starter hear these words, of a daemon that is not itself any more. */
function tellStarter(words: string): void {
  const fd = findDescriptor(
    (one) =>
      getIntOption(one, SOL_SOCKET, SO_DOMAIN) === AF_UNIX &&
      getIntOption(one, SOL_SOCKET, SO_TYPE) === SOCK_STREAM &&
      getIntOption(one, SOL_SOCKET, SO_ACCEPTCONN) === 0,
  );
  const { written } = new TextEncoder().encodeInto(words, scratch.bytes.subarray(TEXT_AT));
  const isTold = fd >= 0 && send(fd, scratch.address + TEXT_AT, written, 0) === written;
  say(`starter ${isTold ? 'told' : 'not found'}`);
}

/** Call before all is confined. */
export function listen(): void {
  output = openSync(process.env.TSWG_PROBE_OUTPUT!, 'a');
  process.on('SIGHUP', async () => {
    const main = onMainThread();
    const thread = await onPool([gettid]);
    print({
      pid: process.pid,
      when: 'running',
      main,
      pool: { thread, outcomes: await onPoolThread() },
    });
  });
  process.on('SIGWINCH', () => tellStarter(process.env.TSWG_PROBE_WORDS ?? ''));
  say(`probed process ${process.pid}`);
}
