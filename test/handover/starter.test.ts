/** The shell beside a daemon: its few words, whatever else it is told, and what it does at the end. */

import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Remains, Starter } from '../../src/handover/starter.ts';
import { open } from '../../src/sys/libc.ts';
import { O_CLOEXEC, O_PATH } from '../../src/sys/linux.ts';
import { eventually } from '../lab/namespace.ts';
import { REPOSITORY } from '../lab/repository.ts';

/** As the build leaves them. */
const SOURCES = join(REPOSITORY, 'dist', 'src');
/** No interface has it. */
const NO_INDEX = 2 ** 31 - 1;
/** The loopback interface, which is the same in every network namespace. */
const LOOPBACK_INDEX = 1;

let folder: string;
let sockets: string;
let states: string;
let log: string;
let observers: string;
let controlFd: number;
let observeFd: number;
let logFd: number;
let starter: Starter | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tswg-starter-'));
  sockets = join(folder, 'sockets');
  states = join(folder, 'states');
  log = join(folder, 'log');
  observers = join(folder, 'observers');
  mkdirSync(sockets);
  mkdirSync(observers);
  mkdirSync(join(states, 'wg0'), { recursive: true });
  // What is compared is the file, of whatever kind.
  writeFileSync(pathOf('wg0'), 'ours');
  controlFd = open(pathOf('wg0'), O_PATH | O_CLOEXEC);
  writeFileSync(observedAt('wg0'), 'observed');
  observeFd = open(observedAt('wg0'), O_PATH | O_CLOEXEC);
  logFd = openSync(log, 'a');
});
afterEach(() => {
  starter?.close(true);
  starter = undefined;
  closeSync(controlFd);
  closeSync(observeFd);
  closeSync(logFd);
  rmSync(folder, { recursive: true });
});

const pathOf = (name: string) => join(sockets, `${name}.sock`);
const observedAt = (name: string) => join(observers, `${name}.observe`);
const written = () => readFileSync(log, 'utf8');

function begin(
  changes: Partial<Remains> = {},
  command = ['/bin/true'],
  onGone?: (why: string) => void,
  onResolver?: (fds: readonly number[]) => void,
): Starter {
  starter = new Starter({
    command,
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    remains: {
      ...{ name: 'wg0', index: NO_INDEX, socketDirectory: sockets, controlFd },
      observing: { name: 'wg0', directory: observers, fd: observeFd },
      ...{ stateDirectory: states, log: { fd: logFd, tag: '<30>tswgd: ' } },
      ...changes,
    },
    onCall: (channel) => channel.close(),
    onGone,
    onResolver,
    onBug: (error) => {
      throw error;
    },
  });
  return starter;
}

function end(isSucceeded: boolean): void {
  starter!.close(isSucceeded);
  starter = undefined;
}

describe('at the end of a daemon, its starter', () => {
  it('removes the sockets, and the folder of a state that is gone', async () => {
    begin();
    end(false);
    await eventually(() => !existsSync(observedAt('wg0')), 'the observing socket is removed');
    await eventually(() => !existsSync(pathOf('wg0')), 'the socket is removed');
    await eventually(() => !existsSync(join(states, 'wg0')), 'the folder is removed');
    expect(written()).toBe('');
  });

  it('leaves a state that is kept', async () => {
    writeFileSync(join(states, 'wg0', 'state'), 'kept');
    begin();
    end(false);
    await eventually(() => !existsSync(pathOf('wg0')), 'the socket is removed');
    expect(readFileSync(join(states, 'wg0', 'state'), 'utf8')).toBe('kept');
  });

  it('leaves all to a successor', async () => {
    begin({}, ['/bin/sh', '-c', `: >'${join(folder, 'started')}'`]);
    starter!.start();
    await eventually(() => existsSync(join(folder, 'started')), 'it works');
    end(true);
    await eventually(() => !isWaiting(), 'its end');
    expect(existsSync(pathOf('wg0'))).toBe(true);
    expect(existsSync(observedAt('wg0'))).toBe(true);
    expect(existsSync(join(states, 'wg0'))).toBe(true);
  });

  it('leaves the observing socket of another daemon that has taken its place', async () => {
    rmSync(observedAt('wg0'));
    writeFileSync(observedAt('wg0'), 'another');
    begin();
    end(false);
    await eventually(() => !existsSync(pathOf('wg0')), 'the control socket is removed');
    expect(readFileSync(observedAt('wg0'), 'utf8')).toBe('another');
  });

  it('leaves a file of the observing socket’s name where there is none', async () => {
    begin({ observing: undefined });
    end(false);
    await eventually(() => !existsSync(pathOf('wg0')), 'the control socket is removed');
    expect(existsSync(observedAt('wg0'))).toBe(true);
  });

  it('leaves the socket of another daemon that has taken its place', async () => {
    begin();
    rmSync(pathOf('wg0'));
    writeFileSync(pathOf('wg0'), 'another');
    end(false);
    await eventually(() => !isWaiting(), 'its end');
    expect(readFileSync(pathOf('wg0'), 'utf8')).toBe('another');
  });
});

describe('when the interface was renamed, a starter', () => {
  it('gives sockets and state its name', async () => {
    begin({ index: LOOPBACK_INDEX }).rename();
    await eventually(() => !existsSync(pathOf('wg0')), 'the socket has another name');
    expect(readFileSync(pathOf('lo'), 'utf8')).toBe('ours');
    await eventually(() => !existsSync(observedAt('wg0')), 'so has the observing one');
    expect(readFileSync(observedAt('lo'), 'utf8')).toBe('observed');
    await eventually(() => existsSync(join(states, 'lo')), 'so has the state');
    end(false);
    await eventually(() => !existsSync(pathOf('lo')), 'the socket is removed');
    expect(existsSync(observedAt('lo'))).toBe(false);
  });

  it('leaves the observing socket its name where the new one is taken, and knows it to the end', async () => {
    writeFileSync(observedAt('lo'), 'another');
    begin({ index: LOOPBACK_INDEX }).rename();
    await eventually(() => existsSync(join(states, 'lo')), 'the state has another name');
    expect(readFileSync(observedAt('wg0'), 'utf8')).toBe('observed');
    end(false);
    await eventually(() => !existsSync(observedAt('wg0')), 'it is removed');
    expect(readFileSync(observedAt('lo'), 'utf8')).toBe('another');
  });

  it.each([
    ['is another’s socket', () => writeFileSync(pathOf('lo'), 'another')],
    ['is another’s state', () => mkdirSync(join(states, 'lo'))],
    ['is not the only change: the socket is another’s now', () => replaceByAnother()],
  ])('does nothing where the name %s', async (_, make) => {
    make();
    const before = readFileSync(pathOf('wg0'), 'utf8');
    const marker = join(folder, 'started');
    begin({ index: LOOPBACK_INDEX }, ['/bin/sh', '-c', `: >'${marker}'`]).rename();
    // One word after the other.
    starter!.start();
    await eventually(() => existsSync(marker), 'the next word');
    expect(readFileSync(pathOf('wg0'), 'utf8')).toBe(before);
    if (existsSync(pathOf('lo'))) expect(readFileSync(pathOf('lo'), 'utf8')).toBe('another');
    expect(existsSync(join(states, 'wg0'))).toBe(true);
  });

  it('does nothing where there is no such interface', async () => {
    const marker = join(folder, 'started');
    begin({ index: NO_INDEX }, ['/bin/sh', '-c', `: >'${marker}'`]).rename();
    starter!.start();
    await eventually(() => existsSync(marker), 'the next word');
    expect(existsSync(pathOf('wg0'))).toBe(true);
  });
});

describe('programs', () => {
  it('are started one after the other', async () => {
    const [running, twice] = [join(folder, 'running'), join(folder, 'twice')];
    const counted = join(folder, 'counted');
    const act = `mkdir '${running}' || : >'${twice}'; sleep 0.2; echo >>'${counted}'; rmdir '${running}'`;
    begin({}, ['/bin/sh', '-c', act]);
    for (let i = 0; i < 3; i++) starter!.start();
    const count = () => (existsSync(counted) ? readFileSync(counted, 'utf8').length : 0);
    await eventually(() => count() === 3, 'three of them');
    expect(existsSync(twice)).toBe(false);
  });
});

describe('resolvers', () => {
  it('are started with one socket, and nothing that is a successor’s or the daemon’s', async () => {
    const told = join(folder, 'told');
    const act = `env >'${told}.new'; ls -l /proc/$$/fd >>'${told}.new'; mv '${told}.new' '${told}'`;
    begin({}, ['/bin/sh', '-c', act]).resolve();
    await eventually(() => existsSync(told), 'it works');
    const text = readFileSync(told, 'utf8');
    expect(text).toMatch(/^TSWG_RESOLVER_FD=3$/m);
    expect(text).not.toMatch(/STARTER|CONTROL_FD|OBSERVE_FD|INTERFACE_INDEX/);
    const open = [...text.matchAll(/ (\d+) -> (\S+)/g)].filter(([, fd]) => Number(fd) < 10);
    expect(open.map(([, fd, target]) => [fd, target.replace(/\d+/, 'N')])).toEqual([
      ...['0', '1', '2'].map((fd) => [fd, fd === '1' ? expect.anything() : '/dev/null']),
      ['3', 'socket:[N]'],
    ]);
  });

  it('call over that socket, and their descriptors are handed over', async () => {
    const received: (readonly number[])[] = [];
    const program = `
      const { sendDescriptors } = await import('${join(SOURCES, 'handover/channel.js')}');
      sendDescriptors(3, 0, [1, 2], 1000);`;
    begin({}, ['node', '--input-type=module', '-e', program], undefined, (fds) =>
      received.push(fds),
    ).resolve();
    await eventually(() => received.length > 0, 'its call');
    expect(received[0]).toHaveLength(2);
    for (const fd of received[0]) closeSync(fd);
  });

  it('are started one after the other, as many as it permits', async () => {
    const [running, twice] = [join(folder, 'running'), join(folder, 'twice')];
    const counted = join(folder, 'counted');
    const act = `mkdir '${running}' || : >'${twice}'; sleep 0.2; rmdir '${running}'; echo >>'${counted}'`;
    begin({}, ['/bin/sh', '-c', act]);
    for (let i = 0; i < 3; i++) expect(starter!.resolve()).toBe('');
    const count = () => (existsSync(counted) ? readFileSync(counted, 'utf8').length : 0);
    await eventually(() => count() === 3, 'three of them');
    expect(existsSync(twice)).toBe(false);
    let why = '';
    for (let i = 3; i < 51; i++) why = starter!.resolve();
    expect(why).toMatch(/^50 resolvers have been started; /);
    // It would start all the others.
    process.kill(waiting()!, 'SIGKILL');
    await eventually(() => !isWaiting(), 'its end');
  });
});

describe('when it was killed, a starter', () => {
  it('is missed at once, and once', async () => {
    const reasons: string[] = [];
    begin({}, ['/bin/true'], (why) => reasons.push(why));
    process.kill(waiting()!, 'SIGKILL');
    await eventually(() => reasons.length > 0, 'somebody misses it');
    expect(starter!.start()).toBe(reasons[0]);
    end(false);
    expect(reasons).toEqual(['the starter (tswgd-starter) has ended']);
  });

  it('is not missed by a daemon that has ended itself', async () => {
    const reasons: string[] = [];
    begin({}, ['/bin/true'], (why) => reasons.push(why));
    end(false);
    await eventually(() => !isWaiting(), 'its end');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(reasons).toEqual([]);
  });
});

function replaceByAnother(): void {
  linkSync(pathOf('wg0'), join(folder, 'ours'));
  writeFileSync(join(folder, 'another'), 'another');
  renameSync(join(folder, 'another'), pathOf('wg0'));
}

/** Whether a starter of ours runs. */
function isWaiting(): boolean {
  return waiting() !== undefined;
}

/** Its process. */
function waiting(): number | undefined {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
  return children
    .split(' ')
    .filter(Boolean)
    .map(Number)
    .find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('tswgd-starter');
      } catch {
        return false;
      }
    });
}
