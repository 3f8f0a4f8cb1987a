/**
 * Preloaded into a daemon (`node --import`): on SIGHUP it tries what an intruder would, on the
 * main thread and on one of the pool, and prints a line `probe {...}` with what became of each:
 * the error's name, or `done`.
 */

import { spawnSync } from 'node:child_process';
import { openSync, promises, readFileSync } from 'node:fs';
import koffi from 'koffi';

const library = koffi.load(null);
const open = library.func('open', 'int', ['str', 'int', 'int']);
const socket = library.func('socket', 'int', ['int', 'int', 'int']);
const execv = library.func('execv', 'int', ['str', 'uintptr_t']);
const setuid = library.func('setuid', 'int', ['uint32_t']);
const unshare = library.func('unshare', 'int', ['int']);
const kill = library.func('kill', 'int', ['int', 'int']);
const gettid = library.func('gettid', 'int', []);

const [AF_UNIX, AF_INET, AF_PACKET] = [1, 2, 17];
const [SOCK_STREAM, SOCK_DGRAM, SOCK_RAW] = [1, 2, 3];
const [IPPROTO_ICMP, ETH_P_ALL_BE] = [1, 0x0300];
const O_RDONLY = 0;
const O_WRONLY_O_CREAT = 0o101;
const CLONE_NEWUSER = 0x10000000;

type Call = ReturnType<typeof library.func>;
const CALLS: Readonly<Record<string, readonly [Call, ...(number | string)[]]>> = {
  read: [open, '/etc/passwd', O_RDONLY, 0],
  memory: [open, '/proc/self/mem', O_RDONLY, 0],
  write: [open, '/run/intruder', O_WRONLY_O_CREAT, 0o600],
  program: [execv, '/bin/true', 0],
  'raw socket': [socket, AF_INET, SOCK_RAW, IPPROTO_ICMP],
  'packet socket': [socket, AF_PACKET, SOCK_RAW, ETH_P_ALL_BE],
  'stream socket': [socket, AF_INET, SOCK_STREAM, 0],
  'unix socket': [socket, AF_UNIX, SOCK_STREAM, 0],
  root: [setuid, 0],
  namespace: [unshare, CLONE_NEWUSER],
  signal: [kill, 1, 0],
  // What it may: a test of refusals alone would pass where everything fails.
  'udp socket': [socket, AF_INET, SOCK_DGRAM, 0],
};

const nameOf = (number: number): string =>
  Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `${number}`;

function onMainThread(): Record<string, string> {
  const outcomes = Object.entries(CALLS).map(([what, [call, ...args]]) => [
    what,
    call(...args) < 0 ? nameOf(koffi.errno()) : 'done',
  ]);
  const { error } = spawnSync('/bin/true');
  return {
    ...Object.fromEntries(outcomes),
    'node: read': codeOf(() => readFileSync('/etc/passwd')),
    'node: write': codeOf(() => openSync('/run/intruder', 'w')),
    'node: program': error === undefined ? 'done' : ((error as NodeJS.ErrnoException).code ?? ''),
  };
}

function codeOf(attempt: () => unknown): string {
  try {
    attempt();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

const onPool = (call: Call, args: readonly (number | string)[]): Promise<number> =>
  new Promise((resolve, reject) => {
    call.async(...args, (error: unknown, result: number) =>
      error ? reject(error) : resolve(result),
    );
  });

/** The error's number stays with its thread. */
async function onPoolThread(): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  for (const [what, [call, ...args]] of Object.entries(CALLS)) {
    outcomes[what] = (await onPool(call, args)) < 0 ? 'refused' : 'done';
  }
  outcomes['node: read'] = await promises.readFile('/etc/passwd').then(
    () => 'done',
    (error) => error.code,
  );
  return outcomes;
}

process.on('SIGHUP', async () => {
  const thread = await onPool(gettid, []);
  const line = { pid: process.pid, thread, main: onMainThread(), pool: await onPoolThread() };
  process.stdout.write(`probe ${JSON.stringify(line)}\n`);
});
process.stdout.write(`probed process ${process.pid}\n`);
