import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { parseDaemonCommand, parseLogLevel } from '../../src/cli/tswgd.ts';
import {
  DAEMON_PROGRAM,
  daemonCommand,
  startDaemon,
  successorCommand,
  successorEnvironment,
  takeReporter,
  takeStarter,
} from '../../src/host/launch.ts';

const folder = mkdtempSync(join(tmpdir(), 'tswg-launch-'));
const pidFile = join(folder, 'pid');
const seenFile = join(folder, 'seen');

/** The command of a daemon of a few lines, which tells what it was given and then does `act`. */
function program(act: string): readonly string[] {
  const path = join(folder, 'daemon.mjs');
  writeFileSync(
    path,
    `import { fstatSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
     const { env } = process;
     writeFileSync('${pidFile}', String(process.pid));
     const tun = env.WG_TUN_FD === undefined ? null : readFileSync(Number(env.WG_TUN_FD), 'utf8');
     const session = Number(readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[3]);
     const seen = {
       name: process.argv[2], foreground: env.WG_PROCESS_FOREGROUND, tun,
       cwd: process.cwd(), leads: session === process.pid,
       output: fstatSync(1).isCharacterDevice() && fstatSync(1).rdev === 0x103 ? 'null' : 'kept',
     };
     writeFileSync('${seenFile}.new', JSON.stringify(seen));
     renameSync('${seenFile}.new', '${seenFile}');
     const say = (text) => writeSync(Number(env.TSWG_READY_FD), text);
     ${act}`,
  );
  return [process.execPath, path, 'wg0'];
}

function seen(): Record<string, unknown> {
  return JSON.parse(readFileSync(seenFile, 'utf8')) as Record<string, unknown>;
}

function isAlive(): boolean {
  try {
    process.kill(Number(readFileSync(pidFile, 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

afterEach(() => {
  if (existsSync(pidFile) && isAlive()) process.kill(Number(readFileSync(pidFile, 'utf8')));
  rmSync(pidFile, { force: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

const STAY = 'setInterval(() => {}, 1000);';

describe('starting the daemon', () => {
  it('waits until it is ready, and leaves it running in a session of its own', async () => {
    await startDaemon(
      'wg0',
      process.env,
      program(`setTimeout(() => say('ready\\n'), 50); ${STAY}`),
    );
    expect(isAlive()).toBe(true);
    expect(seen()).toEqual({
      name: 'wg0',
      foreground: '1',
      tun: null,
      cwd: '/',
      leads: true,
      output: 'null',
    });
  });

  it.each([
    ['debug', 'kept'],
    ['silent', 'null'],
    ['', 'null'],
  ])('keeps its output as LOG_LEVEL=%s says', async (level, output) => {
    const env = { ...process.env, LOG_LEVEL: level };
    await startDaemon('wg0', env, program(`say('ready\\n'); ${STAY}`));
    expect(seen().output).toBe(output);
  });

  it('passes open descriptors on', async () => {
    const path = join(folder, 'tun');
    writeFileSync(path, 'this is no tunnel');
    const env = { ...process.env, WG_TUN_FD: String(openSync(path, 'r')) };
    await startDaemon('wg0', env, program(`say('ready\\n'); ${STAY}`));
    expect(seen().tun).toBe('this is no tunnel');
  });

  it.each([
    [
      'its one line',
      `say('wg0: /dev/net/tun is missing\\n'); process.exitCode = 1;`,
      /^wg0: \/dev\/net\/tun is missing$/,
    ],
    [
      'that it said nothing',
      'process.exit(3);',
      /^wg0: the daemon ended before it was ready, exit code 3; LOG_LEVEL=debug shows more$/,
    ],
    [
      'that it was killed',
      `process.kill(process.pid, 'SIGKILL');`,
      /^wg0: the daemon ended before it was ready by SIGKILL; LOG_LEVEL=debug shows more$/,
    ],
    [
      'an error line that begins like success',
      `say('ready'); say('ing failed\\n');`,
      /^readying failed$/,
    ],
  ])('fails with %s', async (_, act, message) => {
    await expect(startDaemon('wg0', process.env, program(act))).rejects.toThrow(message);
  });

  it('refuses descriptors that are no numbers', async () => {
    await expect(startDaemon('wg0', { WG_TUN_FD: 'x' }, program(''))).rejects.toThrow(
      'WG_TUN_FD: x: expected the number of an open file descriptor',
    );
  });
});

describe("the daemon's command", () => {
  it.each([
    ['the path it was called by, which may be a link', '/opt/wg/bin/tswgd', '/opt/wg/bin/tswgd'],
    ['that path as it was spelled', './tswgd', './tswgd'],
    ['our own daemon, called by another program', '/opt/wg/bin/tswg', DAEMON_PROGRAM],
    ['our own daemon, called by one of a similar name', '/opt/tswgd/run.js', DAEMON_PROGRAM],
    ['our own daemon, where nobody says', undefined, DAEMON_PROGRAM],
  ])('is %s', (_, calledBy, program) => {
    // The default of a parameter stands for undefined, too.
    const { argv } = process;
    process.argv = [process.execPath];
    try {
      const [node, ...words] = daemonCommand('wg0', calledBy);
      expect(node).toBe(process.execPath);
      expect(words).toEqual([...process.execArgv, program, 'wg0']);
    } finally {
      process.argv = argv;
    }
  });

  it('is the one beside the tswg that was called, if that leads to ours', () => {
    const own = join(folder, 'own');
    const other = join(folder, 'other');
    for (const bin of [own, other]) mkdirSync(bin);
    symlinkSync(DAEMON_PROGRAM, join(own, 'tswgd'));
    writeFileSync(join(other, 'tswgd'), '');
    const programOf = (calledBy: string) => daemonCommand('wg0', calledBy).at(-2);
    expect(programOf(join(own, 'tswg'))).toBe(join(own, 'tswgd'));
    expect(programOf(join(own, 'vitest'))).toBe(DAEMON_PROGRAM);
    expect(programOf(join(other, 'tswg'))).toBe(DAEMON_PROGRAM);
  });

  it('is what runs now, as it was called', () => {
    const { argv, execArgv } = process;
    process.argv = [process.execPath, '/opt/wg/bin/tswgd', 'wg7', '--foreground'];
    process.execArgv = ['--max-old-space-size=200'];
    try {
      const [, ...words] = daemonCommand('wg0');
      expect(words).toEqual(['--max-old-space-size=200', '/opt/wg/bin/tswgd', 'wg0']);
    } finally {
      process.argv = argv;
      process.execArgv = execArgv;
    }
  });

  it('names a program that is there', () => {
    expect(existsSync(DAEMON_PROGRAM)).toBe(true);
  });
});

describe('what the starter gives', () => {
  it('is taken out of the environment, so that no other program gets it', () => {
    const env: Record<string, string | undefined> = {
      TSWG_STARTER_FD: '3',
      TSWG_CONTROL_FD: '4',
      STARTER_OBSERVE_FD: '6',
      TSWG_INTERFACE_INDEX: '17',
      OTHER: 'y',
    };
    const held = { controlFd: 4, observeFd: 6, interfaceIndex: 17 };
    expect(takeStarter(env)).toEqual({ socketFd: 3, held });
    expect(env).toEqual({ OTHER: 'y' });
    expect(takeStarter(env)).toBeUndefined();
  });

  it('may be less, of an earlier version', () => {
    const before = { TSWG_STARTER_FD: '3', TSWG_CONTROL_FD: '4', TSWG_INTERFACE_INDEX: '17' };
    const held = { controlFd: 4, observeFd: undefined, interfaceIndex: 17 };
    expect(takeStarter(before)).toStrictEqual({ socketFd: 3, held });
    const env = { TSWG_STARTER_FD: '3', TSWG_CONTROL_FD: '4' };
    expect(takeStarter(env)).toEqual({ socketFd: 3, held: undefined });
  });
});

describe('what a successor is started with', () => {
  it('is a fixed list: nothing that loads code, and no descriptor of ours', () => {
    const wanted = {
      TSWG_USER: 'a',
      WG_ANY: 'b',
      LOG_LEVEL: 'debug',
      NOTIFY_SOCKET: '/c',
      STATE_DIRECTORY: '/d',
      PATH: '/e',
      TZ: 'UTC',
    };
    const unwanted = {
      NODE_OPTIONS: '--import=/f',
      NODE_PATH: '/g',
      LD_PRELOAD: '/h',
      LD_LIBRARY_PATH: '/i',
      OPENSSL_CONF: '/j',
      ENV: '/k',
      BASH_ENV: '/l',
      WG_TUN_FD: '3',
      WG_UAPI_FD: '4',
      // Through an older daemon, which does not take it, it would be another descriptor's number.
      STARTER_OBSERVE_FD: '6',
      HOME: '/m',
    };
    expect(successorEnvironment({ ...wanted, ...unwanted })).toEqual({
      ...wanted,
      LC_ALL: 'C',
      WG_PROCESS_FOREGROUND: '1',
    });
  });

  it('is the program, without what the engine was told for us', () => {
    const given = process.execArgv;
    process.execArgv = ['--inspect', '--import=/f'];
    try {
      const command = successorCommand('wg0', '/opt/tswg/bin/tswgd');
      expect(command.filter((word) => word !== '--disable-sigusr1')).toEqual([
        process.execPath,
        '/opt/tswg/bin/tswgd',
        'wg0',
      ]);
      expect(daemonCommand('wg0', '/opt/tswg/bin/tswgd')).toContain('--inspect');
    } finally {
      process.execArgv = given;
    }
  });
});

describe('the reporter', () => {
  it('tells once, and forgets where', () => {
    const path = join(folder, 'report');
    const env: Record<string, string | undefined> = {
      TSWG_READY_FD: String(openSync(path, 'w')),
    };
    const reporter = takeReporter(env);
    expect(env.TSWG_READY_FD).toBeUndefined();
    reporter.ready();
    expect(reporter.failed('too late')).toBe(false);
    expect(readFileSync(path, 'utf8')).toBe('ready\n');
  });

  it('has nobody to tell in the foreground', () => {
    const reporter = takeReporter({});
    reporter.ready();
    expect(reporter.failed('x')).toBe(false);
  });
});

describe("tswgd's command line", () => {
  it.each([
    [['wg0'], { kind: 'run', name: 'wg0', foreground: false, persist: false }],
    [['-f', 'wg0'], { kind: 'run', name: 'wg0', foreground: true, persist: false }],
    [['wg0', '--foreground'], { kind: 'run', name: 'wg0', foreground: true, persist: false }],
    [['--persist', 'wg0'], { kind: 'run', name: 'wg0', foreground: false, persist: true }],
    [['office'], { kind: 'run', name: 'office', foreground: false, persist: false }],
    [['--version'], { kind: 'version' }],
    [['--help'], { kind: 'help' }],
    [[], { kind: 'mistake', text: 'expected the name of an interface, as in `tswgd wg0`' }],
    [['-x', 'wg0'], { kind: 'mistake', text: '-x: unknown option; see tswgd --help' }],
    [['wg0', 'wg1'], { kind: 'mistake', text: 'wg1: expected one interface only' }],
    [
      ['wg%d'],
      {
        kind: 'mistake',
        text: 'wg%d: expected the name of an interface: 1 to 15 characters, no blanks, "/", ":" or "%"',
      },
    ],
  ])('%j', (argv, command) => {
    expect(parseDaemonCommand(argv)).toEqual(command);
  });

  it.each([
    ['verbose', 'debug'],
    ['debug', 'debug'],
    ['error', 'error'],
    ['silent', 'silent'],
    ['nonsense', 'error'],
    [undefined, 'error'],
  ])('LOG_LEVEL=%s means %s', (text, level) => {
    expect(parseLogLevel(text)).toBe(level);
  });
});
