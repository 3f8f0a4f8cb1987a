/** The hand-over between processes: this one is the old daemon, small programs are the new one. */

import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Channel, receiveDescriptors } from '../../src/handover/channel.ts';
import { Handover, type Outcome, Takeover } from '../../src/handover/handover.ts';
import { close, SystemError, socketPair } from '../../src/sys/libc.ts';
import { HANG_MS } from '../lab/command.ts';
import { eventually, openDescriptors } from '../lab/namespace.ts';
import { compiledProgram } from '../lab/repository.ts';

const folder = mkdtempSync(join(tmpdir(), 'tswg-handover-'));
const program = join(folder, 'successor.mjs');
const pidsFile = join(folder, 'pids');
const givenFile = join(folder, 'given');
const seenFile = join(folder, 'seen');
const goFile = join(folder, 'go');
writeFileSync(givenFile, 'what a descriptor leads to');
afterAll(() => rmSync(folder, { recursive: true }));

const TIMEOUTS = { callMs: HANG_MS, prepareMs: HANG_MS, answerMs: HANG_MS, busyMs: HANG_MS };
/** For those who never answer. */
const SHORT_MS = 250;
/** For one who answers once and then no more. */
const LONG_MS = 5_000;

/** What the new program does, as lines of JavaScript. */
function writeProgram(act: string): void {
  writeFileSync(
    program,
    `import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
     import { setTimeout as sleep } from 'node:timers/promises';
     import { Takeover } from ${JSON.stringify(compiledProgram('src/handover/handover.ts'))};
     import { call } from ${JSON.stringify(compiledProgram('src/handover/starter.ts'))};
     appendFileSync('${pidsFile}', process.pid + '\\n');
     const socket = Number(process.env.TSWG_STARTER_FD);
     const say = (channel, word) => channel.send(new TextEncoder().encode(word), [], 1000);
     const stay = () => setInterval(() => {}, 1000);
     const die = () => process.kill(process.pid, 'SIGKILL');
     const tell = (seen) => {
       writeFileSync('${seenFile}.new', JSON.stringify(seen));
       renameSync('${seenFile}.new', '${seenFile}');
     };
     const until = async (path) => { while (!existsSync(path)) await sleep(5); };
     ${act}`,
  );
}

/** A program that does all as it should. */
const SUCCEED = `
  const old = new Takeover(socket);
  const { bytes, fds } = old.take();
  const { cwd, env } = process;
  tell({
    text: new TextDecoder().decode(bytes), files: fds.map((fd) => readFileSync(fd, 'utf8')),
    cwd: cwd(), given: env.GIVEN, argument: process.argv[2],
  });
  old.begin(process.pid, '9.8.7');
  old.serve();`;

function seen(): unknown {
  return JSON.parse(readFileSync(seenFile, 'utf8'));
}

function pids(): number[] {
  return existsSync(pidsFile) ? readFileSync(pidsFile, 'utf8').trim().split('\n').map(Number) : [];
}

/** Running children of a process, zombies apart. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [state, ppid] = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .split(') ')
          .at(-1)!
          .split(' ');
        return state !== 'Z' && Number(ppid) === parent;
      } catch {
        return false;
      }
    });
}

function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

let before: { descriptors: number; children: readonly number[] };
let handover: Handover | undefined;
let packed: number;
let outcomes: Outcome[];
let given: Uint8Array;
let aheadPieces: Iterable<string>;
let isBusy: () => boolean;

function open(
  timeouts: Partial<typeof TIMEOUTS> = {},
  command: readonly string[] = [process.execPath, program, 'wg0'],
): Handover {
  handover = new Handover({
    command,
    env: { ...process.env, GIVEN: 'an environment' },
    *ahead() {
      for (const piece of aheadPieces) yield piece;
    },
    pack: (isAhead) => {
      packed++;
      given = new TextEncoder().encode(isAhead ? 'all the rest' : 'all that there is');
      return { bytes: given, fds: [givenFd] };
    },
    isBusy: () => isBusy(),
    onOutcome: (outcome) => outcomes.push(outcome),
    onBug: (error) => {
      throw error;
    },
    timeouts: { ...TIMEOUTS, ...timeouts },
  });
  return handover;
}

function shell(): number {
  const [pid, ...others] = childrenOf(process.pid).filter((one) => !before.children.includes(one));
  expect(others).toEqual([]);
  return pid!;
}

const givenFd = openSync(givenFile, 'r');
beforeEach(() => {
  before = { descriptors: openDescriptors(), children: childrenOf(process.pid) };
  packed = 0;
  aheadPieces = ['what goes', ' ahead'];
  isBusy = () => false;
  outcomes = [];
});
/** Whatever became of it, nothing is left: not a descriptor, and not the shell. */
afterEach(async () => {
  handover?.close(false);
  handover = undefined;
  for (const pid of pids()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  for (const path of [pidsFile, seenFile, goFile]) rmSync(path, { force: true });
  await eventually(() => openDescriptors() === before.descriptors, 'the descriptors are closed');
  await eventually(
    () => childrenOf(process.pid).every((pid) => before.children.includes(pid)),
    'the shell has ended',
  );
});

describe('an upgrade', () => {
  it('hands over to the new program, which has it all', async () => {
    writeProgram(SUCCEED);
    const outcome = await open().upgrade();
    expect(outcome).toEqual({
      kind: 'handedOver',
      pid: pids()[0],
      version: '9.8.7',
      pauseMs: expect.any(Number),
    });
    expect(outcome).toHaveProperty(
      'pauseMs',
      expect.toSatisfy((ms) => ms > 0 && ms < 2_000),
    );
    expect(outcomes).toEqual([outcome]);
    expect(seen()).toEqual({
      text: 'all that there is',
      files: ['what a descriptor leads to'],
      ...{ cwd: '/', given: 'an environment', argument: 'wg0' },
    });
    expect(given.every((byte) => byte === 0)).toBe(true);
    // Ours stays ours.
    expect(readFileSync(`/proc/self/fd/${givenFd}`, 'utf8')).toBe('what a descriptor leads to');
  });

  const LOST = 'when it had to begin';
  const cases: [what: string, act: string, outcome: Outcome['kind'], why: RegExp, given: number][] =
    [
      ['ends after it called', 'call(socket); process.exit();', 'kept', /ended before it was/, 0],
      [
        'says nothing we know',
        `say(call(socket), 'hello'); stay();`,
        'kept',
        /^the new program/,
        0,
      ],
      [
        'fails before it takes anything',
        `new Takeover(socket).fail('wg0: no such cipher');`,
        'kept',
        /^the new program failed: wg0: no such cipher$/,
        0,
      ],
      [
        'dies after it was given all',
        'new Takeover(socket).take(); die();',
        'kept',
        /^the new program ended before it was ready; its log may say why$/,
        1,
      ],
      [
        'fails after it was given all',
        `const old = new Takeover(socket); old.take(); old.fail('of another version');`,
        'kept',
        /^the new program failed: of another version$/,
        1,
      ],
      [
        'is not ready, but says something',
        `const channel = call(socket); say(channel, 'take'); channel.receive(1000);
         say(channel, 'ready x y'); stay();`,
        'kept',
        /^the new program/,
        1,
      ],
      [
        'dies when it had to begin',
        `const old = new Takeover(socket); old.take(); old.begin(process.pid, '1'); die();`,
        'lost',
        new RegExp(`^the new program ended ${LOST}; its log may say why$`),
        1,
      ],
      [
        'fails when it had to begin',
        `const old = new Takeover(socket); old.take(); old.begin(1, '1'); old.fail('no memory');`,
        'lost',
        /^the new program failed: no memory$/,
        1,
      ],
      [
        'says nothing we know when it had to begin',
        `const channel = call(socket); say(channel, 'take'); channel.receive(1000);
         say(channel, 'ready 1 1'); channel.receive(1000); say(channel, 'hello'); stay();`,
        'lost',
        /^the new program/,
        1,
      ],
    ];
  it.each(cases)('to a program that %s', async (_, act, kind, why, times) => {
    writeProgram(act);
    const outcome = await open().upgrade();
    expect(outcome).toEqual({ kind, why: expect.stringMatching(why) });
    expect(outcomes).toEqual([outcome]);
    expect(packed).toBe(times);
  });

  it.each([
    ['is not there', '', ['/nonexistent/tswgd', 'wg0'], 'callMs', /did not call within 0.25 s/],
    ['ends at once', 'process.exit(1);', undefined, 'callMs', /did not call within 0.25 s; does/],
    ['never calls', 'stay();', undefined, 'callMs', /did not call within 0.25 s/],
    [
      'takes for ever to prepare',
      'call(socket); stay();',
      undefined,
      'prepareMs',
      /^the new program was not prepared within 0.25 s$/,
    ],
    [
      'is silent after it was given all',
      'new Takeover(socket).take(); stay();',
      undefined,
      'answerMs',
      /^the new program did not answer before it was ready$/,
    ],
  ] as const)('to a program that %s', async (_, act, command, timeout, why) => {
    writeProgram(act);
    const outcome = await open({ [timeout]: SHORT_MS }, command).upgrade();
    expect(outcome).toEqual({ kind: 'kept', why: expect.stringMatching(why) });
    expect(outcomes).toEqual([outcome]);
    expect(packed).toBe(timeout === 'answerMs' ? 1 : 0);
  });

  it('to a program that is slow to say that it serves: it does so all the same', async () => {
    writeProgram(
      `const old = new Takeover(socket); old.take(); old.begin(process.pid, '1'); stay();`,
    );
    const outcome = await open({ answerMs: LONG_MS }).upgrade();
    expect(outcome).toMatchObject({ kind: 'handedOver', pid: pids()[0] });
  });
});

describe('while somebody expects an answer', () => {
  it('nothing is packed, until nobody does', async () => {
    writeProgram(SUCCEED);
    const packedAtLook: number[] = [];
    isBusy = () => packedAtLook.push(packed) < 5;
    expect(await open().upgrade()).toMatchObject({ kind: 'handedOver' });
    expect([packedAtLook, packed]).toEqual([[0, 0, 0, 0, 0], 1]);
  });

  it('it is not waited for ever', async () => {
    writeProgram(SUCCEED);
    isBusy = () => true;
    expect(await open({ busyMs: SHORT_MS }).upgrade()).toMatchObject({ kind: 'handedOver' });
  });

  it('and the new program dies, all stays as it was', async () => {
    writeProgram(
      `const channel = call(socket); say(channel, 'take'); await until('${goFile}'); die();`,
    );
    isBusy = () => {
      writeFileSync(goFile, '');
      return true;
    };
    const outcome = await open().upgrade();
    expect(outcome).toEqual({ kind: 'kept', why: expect.stringContaining('before it was ready') });
    expect(packed).toBe(0);
  });

  it('asking once more for it gives the upgrade up', async () => {
    writeProgram(`
      const channel = call(socket);
      say(channel, 'take');
      await until('${goFile}');
      say(channel, 'take');
      stay();`);
    isBusy = () => {
      writeFileSync(goFile, '');
      return true;
    };
    expect(await open().upgrade()).toMatchObject({ kind: 'kept' });
    expect(packed).toBe(0);
  });
});

/** What goes ahead, and then the rest, as a new program sees it. */
const SUCCEED_AHEAD = `
  const old = new Takeover(socket);
  await until('${goFile}');
  const configuration = old.configuration();
  const { bytes } = old.take();
  tell({ configuration, text: new TextDecoder().decode(bytes) });
  old.begin(process.pid, '9.8.7');
  old.serve();`;

describe('what goes ahead of an upgrade', () => {
  /** The new program asks for it when we have had time to offer it. */
  async function succeed(): Promise<Outcome> {
    writeProgram(SUCCEED_AHEAD);
    const outcome = open().upgrade();
    await eventually(() => pids().length > 0, 'the new program');
    // It calls first of all, and is answered in a turn of ours.
    await new Promise((resolve) => setTimeout(resolve, 100));
    writeFileSync(goFile, '');
    return outcome;
  }

  it('is with the new program before it takes the rest', async () => {
    expect(await succeed()).toMatchObject({ kind: 'handedOver' });
    expect(seen()).toEqual({ configuration: 'what goes ahead', text: 'all the rest' });
  });

  it('may be much, and every character arrives', async () => {
    aheadPieces = Array.from({ length: 4_000 }, (_, i) => `${i} \u{1f511} `.repeat(100));
    expect(await succeed()).toMatchObject({ kind: 'handedOver' });
    expect(seen()).toEqual({ configuration: [...aheadPieces].join(''), text: 'all the rest' });
  });

  it('may be nothing', async () => {
    aheadPieces = [];
    expect(await succeed()).toMatchObject({ kind: 'handedOver' });
    expect(seen()).toEqual({ configuration: '', text: 'all the rest' });
  });

  it('waits for a program that does not read it, and packets do not wait for that', async () => {
    writeProgram(`
      const channel = call(socket, 1);
      await until('${goFile}');
      channel.receive(1000);
      say(channel, 'configuration');
      stay();`);
    const outcome = open().upgrade();
    await eventually(() => pids().length > 0, 'the new program');
    await new Promise((resolve) => setTimeout(resolve, 100));
    writeFileSync(goFile, '');
    let turns = 0;
    let told = 0;
    aheadPieces = (function* () {
      for (; told < 100; told++) yield 'x'.repeat(100_000);
    })();
    await eventually(() => told === 100 && ++turns > 20, 'all is told, and we have our turns');
    process.kill(pids()[0], 'SIGKILL');
    expect(await outcome).toMatchObject({ kind: 'kept' });
    expect(packed).toBe(0);
  });

  it('is offered to nobody who does not know it', async () => {
    writeProgram(`
      const channel = call(socket);
      await until('${goFile}');
      say(channel, 'take');
      tell(new TextDecoder().decode(channel.receive(1000).bytes));
      say(channel, 'ready 1 1');
      channel.receive(1000);
      say(channel, 'serving');`);
    const outcome = open().upgrade();
    await eventually(() => pids().length > 0, 'the new program');
    await new Promise((resolve) => setTimeout(resolve, 100));
    writeFileSync(goFile, '');
    expect(await outcome).toMatchObject({ kind: 'handedOver' });
    expect(seen()).toBe('all that there is');
  });

  const ASK = `const channel = call(socket, 1); say(channel, 'configuration');`;
  const cases: [what: string, act: string, why: RegExp][] = [
    ['dies when it has asked for it', `${ASK} die();`, /ended before it was ready/],
    [
      'dies when it has it',
      `${ASK} channel.receive(1000); channel.receive(1000); die();`,
      /ended before it was ready/,
    ],
    [
      'fails to be configured',
      `${ASK} channel.receive(1000); channel.receive(1000); say(channel, 'failed no such word');`,
      /^the new program failed: no such word$/,
    ],
    [
      'asks for it twice',
      `${ASK} say(channel, 'configuration'); stay();`,
      /ended before it was ready/,
    ],
    [
      'takes the rest before that',
      `${ASK} say(channel, 'take'); stay();`,
      /ended before it was ready/,
    ],
  ];
  it.each(cases)('to a program that %s', async (_, act, why) => {
    writeProgram(act);
    aheadPieces = Array.from({ length: 100 }, () => 'x'.repeat(100_000));
    const outcome = await open().upgrade();
    expect(outcome).toEqual({ kind: 'kept', why: expect.stringMatching(why) });
    expect([outcomes, packed]).toEqual([[outcome], 0]);
    // It is no worse for it.
    if (isAlive(pids()[0])) process.kill(pids()[0], 'SIGKILL');
    aheadPieces = ['again'];
    writeProgram(SUCCEED);
    expect(await handover!.upgrade()).toMatchObject({ kind: 'handedOver' });
  });

  it('and a program that takes for ever to be configured', async () => {
    writeProgram(`${ASK} channel.receive(1000); channel.receive(1000); stay();`);
    expect(await open({ prepareMs: LONG_MS / 5 }).upgrade()).toEqual({
      kind: 'kept',
      why: expect.stringMatching(/^the new program (did not configure itself in|was not prepared)/),
    });
    expect(packed).toBe(0);
  });
});

describe('a further upgrade', () => {
  it('is refused while one is under way, which goes on', async () => {
    writeProgram(`await until('${goFile}'); ${SUCCEED}`);
    const first = open().upgrade();
    const refused = { kind: 'kept', why: 'an upgrade is under way already' };
    expect(await handover!.upgrade()).toEqual(refused);
    writeFileSync(goFile, '');
    expect(await first).toMatchObject({ kind: 'handedOver' });
    expect(outcomes).toHaveLength(1);
  });

  it('works after one that failed, as often as need be', async () => {
    writeProgram(`new Takeover(socket).fail('not yet');`);
    open();
    const shellPid = shell();
    const first = await handover!.upgrade();
    const second = await handover!.upgrade();
    expect([first, second]).toEqual(
      new Array(2).fill({ kind: 'kept', why: 'the new program failed: not yet' }),
    );
    writeProgram(SUCCEED);
    expect(await handover!.upgrade()).toMatchObject({ kind: 'handedOver', pid: pids()[2] });
    expect(shell()).toBe(shellPid);
    expect(packed).toBe(1);
  });

  it('is not spoilt by a program that was given up and comes too late', async () => {
    writeProgram(`
      await until('${goFile}');
      try { new Takeover(socket).take(); } catch (error) { tell(error.message); }`);
    expect(await open({ callMs: SHORT_MS }).upgrade()).toMatchObject({ kind: 'kept' });
    writeFileSync(goFile, '');
    await eventually(() => existsSync(seenFile), 'the late one is turned away');
    expect(seen()).toBe('take over from the daemon: it has given us up (recvmsg: EPIPE)');
    expect([packed, outcomes.length]).toEqual([0, 1]);
  });

  it('takes one caller, if two call', async () => {
    writeProgram(`
      const { spawn } = await import('node:child_process');
      if (process.argv[2] === 'wg0') {
        const stdio = ['ignore', 'inherit', 'inherit', socket];
        spawn(process.execPath, [process.argv[1], 'the other'], { stdio });
        await until('${goFile}');
        try { new Takeover(socket).take(); } catch { process.exit(); }
      } else {
        const old = new Takeover(socket);
        appendFileSync('${goFile}', '');
        await until('${seenFile}.refused');
        old.fail('the first caller');
      }`);
    const outcome = open().upgrade();
    await eventually(
      () => existsSync(goFile) && pids().every((pid, i) => i > 0 || !isAlive(pid)),
      'the second caller was turned away',
    );
    appendFileSync(`${seenFile}.refused`, '');
    expect(await outcome).toEqual({
      kind: 'kept',
      why: 'the new program failed: the first caller',
    });
    expect(packed).toBe(0);
    rmSync(`${seenFile}.refused`);
  });
});

describe('the shell that waits', () => {
  it('is missed when it was killed, and nothing is given away', async () => {
    writeProgram(SUCCEED);
    open();
    const pid = shell();
    process.kill(pid, 'SIGKILL');
    await eventually(() => !isAlive(pid), 'the shell has ended');
    await eventually(() => childrenOf(process.pid).length === before.children.length, 'its end');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const why = 'the starter (tswgd-starter) has ended';
    expect(await handover!.upgrade()).toEqual({ kind: 'kept', why });
    expect(await handover!.upgrade()).toEqual({ kind: 'kept', why });
    expect([packed, pids().length]).toEqual([0, 0]);
  });

  it('ends with the daemon, even one that was killed', async () => {
    const daemon = join(folder, 'daemon.mjs');
    writeFileSync(
      daemon,
      `import { Handover } from ${JSON.stringify(compiledProgram('src/handover/handover.ts'))};
       new Handover({
         command: ['/bin/true'], env: process.env, pack: () => {}, onOutcome: () => {},
         onBug: (error) => { throw error; },
       });
       setInterval(() => {}, 1000);
       process.stdout.write('waits');`,
    );
    const child: ChildProcess = spawn(process.execPath, [daemon], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    const [pid] = childrenOf(child.pid!);
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('tswgd-starter');
    child.kill('SIGKILL');
    await eventually(() => !isAlive(pid!), 'the shell has ended');
  });

  it('gives the program nothing of ours but its socket', async () => {
    writeProgram(`
      const { readdirSync, readlinkSync } = await import('node:fs');
      const sockets = readdirSync('/proc/self/fd').flatMap((fd) => {
        try {
          return readlinkSync('/proc/self/fd/' + fd).startsWith('socket:') ? [Number(fd)] : [];
        } catch { return []; }
      });
      tell({ socket, given: sockets.filter((fd) => fd > 2) });
      new Takeover(socket).fail('enough');`);
    await open().upgrade();
    expect(seen()).toEqual({ socket: 3, given: [3] });
  });
});

describe('the new side', () => {
  it('hears that the daemon is gone when it calls', () => {
    const [here, there] = socketPair();
    close(here);
    let error: unknown;
    try {
      new Takeover(there);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(SystemError);
    expect((error as Error).message).toMatch(/^call the daemon that is to be followed: .*sendmsg/);
  });

  it.each([
    ['closes', '', /^begin in place of the daemon: it has given us up \(recvmsg: EPIPE\)$/],
    ['says nothing we know', 'stop', /^begin in place of the daemon: /],
  ])('may not begin when the old one %s', (_, word, message) => {
    const [here, there] = socketPair();
    const takeover = new Takeover(there);
    const called = receiveDescriptors(here, 1_000);
    const channel = new Channel(called.kind === 'message' ? called.fds[0] : -1);
    if (word !== '') channel.send(new TextEncoder().encode(word), [], 100);
    else channel.close();
    expect(() => takeover.begin(1, '1')).toThrow(message);
    channel.close();
    takeover.fail('done');
    close(here);
  });

  /** A new side, and the channel on which the old one hears it. */
  function called() {
    const [here, there] = socketPair();
    const takeover = new Takeover(there);
    const call = receiveDescriptors(here, 1_000);
    const channel = new Channel(call.kind === 'message' ? call.fds[0] : -1);
    const say = (word: string) => channel.send(new TextEncoder().encode(word), [], 100);
    const hear = () => {
      const received = channel.receive(0);
      return received.kind === 'message' ? new TextDecoder().decode(received.bytes) : received.kind;
    };
    const end = () => {
      channel.close();
      takeover.fail('done');
      close(here);
    };
    return { takeover, say, hear, end };
  }

  it('asks an old one that offers nothing for nothing ahead', () => {
    const { takeover, say, hear, end } = called();
    expect(takeover.configuration()).toBeNull();
    expect(hear()).toBe('late');
    say('all');
    expect(new TextDecoder().decode(takeover.take().bytes)).toBe('all');
    expect(hear()).toBe('take');
    end();
  });

  it('takes what comes after an offer that was too late', () => {
    const { takeover, say, hear, end } = called();
    expect(takeover.configuration()).toBeNull();
    say('ahead');
    say('all');
    expect(new TextDecoder().decode(takeover.take().bytes)).toBe('all');
    expect(hear()).toBe('take');
    end();
  });

  it('has a configuration that is empty for one that went ahead', () => {
    const { takeover, say, hear, end } = called();
    say('ahead');
    say('');
    expect(takeover.configuration()).toBe('');
    expect(hear()).toBe('configuration');
    end();
  });
});
