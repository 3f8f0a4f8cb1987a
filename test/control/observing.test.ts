/** The observing socket: for whom it is, what it answers, and what observers may take of a daemon. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Observing, type ObservingOptions } from '../../src/control/observing.ts';
import { openObservingSocket } from '../../src/control/observingsocket.ts';
import { observingPlace, socketPath } from '../../src/control/place.ts';
import { SocketFile } from '../../src/control/socketfile.ts';
import { isSocketServed } from '../../src/control/socketplace.ts';
import { observe } from '../../src/control/uapiclient.ts';
import { serve, serveUapi, type UapiServer } from '../../src/control/uapiserver.ts';
import { close, fcntl, open } from '../../src/sys/libc.ts';
import { O_CLOEXEC, O_PATH } from '../../src/sys/linux.ts';
import { READING } from '../../src/uapi/request.ts';
import { HANG_MS } from '../lab/command.ts';
import { eventually, openDescriptors } from '../lab/namespace.ts';

const GROUP = 4242;
const F_DUPFD = 0;
const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.warn('SKIPPED: the group of the observing socket: needs root');

let folder: string;
let place: ReturnType<typeof observingPlace>;
let notes: string[];
let asked: string[];
const opened: Observing[] = [];
const servers: UapiServer[] = [];
const sockets: Socket[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tswg-observing-'));
  place = observingPlace(join(folder, 'tswg'));
  [notes, asked] = [[], []];
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const observing of opened.splice(0)) await observing.close('stopped');
  for (const server of servers.splice(0)) await server.close();
  rmSync(folder, { recursive: true });
});

const path = (name = 'wg0') => socketPath(place, name);

function create(changes: Partial<ObservingOptions> = {}): Observing {
  const observing = new Observing({
    handle: ({ operation }) => {
      asked.push(operation);
      return `operation=${operation}\nerrno=0\n\n`;
    },
    onNote: (line) => notes.push(line),
    ...{ group: null, place },
    ...changes,
  });
  opened.push(observing);
  return observing;
}

function begin(changes: Partial<ObservingOptions> = {}): Observing {
  const observing = create(changes);
  observing.open('wg0');
  observing.serve();
  return observing;
}

/** All that is in the folder, and whether it is a file, a folder, a link. */
function listing(): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.map((one) => `${one.name} ${one.isFile()} ${one.isDirectory()}`);
}

/** What comes over one connection to its end. */
async function say(text: string): Promise<string> {
  const socket = enter(text);
  await eventually(() => socket.closed, 'the end');
  return socket.text;
}

function enter(text: string, at = path()): Socket & { text: string } {
  const socket = Object.assign(connect(at), { text: '' });
  sockets.push(socket);
  socket.on('data', (chunk) => {
    socket.text += chunk;
  });
  socket.on('error', () => {});
  socket.write(text);
  return socket;
}

describe('an observer', () => {
  it('is answered what changes nothing', async () => {
    begin();
    const socket = enter('get=1\n\nstats=1\n\n');
    socket.end();
    await eventually(() => socket.closed, 'the end');
    expect(socket.text).toBe('operation=get\nerrno=0\n\noperation=stats\nerrno=0\n\n');
  });

  it.each([
    ['set', 'set=1\n\n', 'errno=-13\n\n'],
    ['set, from its first line on', `set=1\n${'x'.repeat(100)}`, 'errno=-13\n\n'],
    ['upgrade', 'upgrade=1\n\n', 'errno=-13\n\n'],
    ['set, and is not answered what follows', 'set=1\n\nget=1\n\n', 'errno=-13\n\n'],
    ['what is no request', 'GET / HTTP/1.1\n\n', ''],
    ['a line without end', 'x'.repeat(65_536), ''],
  ])('is refused %s', async (_, text, expected) => {
    begin();
    expect(await say(text)).toBe(expected);
    expect(asked).toEqual([]);
  });

  it('is answered what came before that', async () => {
    begin();
    expect(await say('get=1\n\nset=1\n\n')).toBe('operation=get\nerrno=0\n\nerrno=-13\n\n');
    expect(asked).toEqual(['get']);
  });
});

describe('observers together', () => {
  const ANSWER_MS = 2;

  /** A server with some of an observing one's limits, and the file it takes. */
  function limited(limits: { rest?: number; clientsMax?: number }, handle = busily): UapiServer {
    const fd = openObservingSocket('wg0', null, place);
    const file = new SocketFile('wg0', place);
    const server = serve({
      ...{ fd, file, handle, permitted: READING, onGone: () => {} },
      // Longer than a test waits for anything.
      idleTimeoutMs: 10 * HANG_MS,
      ...limits,
    });
    servers.push(server);
    return server;
  }

  const spans: [begun: number, ended: number][] = [];
  function busily(): string {
    const begun = performance.now();
    while (performance.now() < begun + ANSWER_MS);
    spans.push([begun, performance.now()]);
    return 'errno=0\n\n';
  }

  it('have a tenth of the time for their answers, however many ask', async () => {
    limited({ rest: 9 });
    spans.length = 0;
    for (let i = 0; i < 5; i++) enter('get=1\n\n'.repeat(1_000));
    await eventually(() => spans.length > 20, 'twenty answers');
    // After each nobody is answered for nine times as long, which a busy machine only lengthens.
    for (let i = 1; i < 20; i++) {
      const [[begun, ended], [next]] = [spans[i - 1]!, spans[i]!];
      expect(next - ended).toBeGreaterThan(8 * (ended - begun));
    }
  });

  it('give way to each other when there are too many', async () => {
    limited({ clientsMax: 3 }, () => 'errno=0\n\n');
    const crowd: Socket[] = [];
    for (let i = 0; i < 10; i++) {
      const socket = enter('ge');
      await eventually(() => socket.readyState === 'open', 'a connection');
      crowd.push(socket);
    }
    await eventually(() => crowd.filter(({ closed }) => closed).length === 7, 'room for them');
    expect(crowd.slice(7).some(({ closed }) => closed)).toBe(false);
  });

  it('do not take from what is held for the operator', async () => {
    const big = `${'x'.repeat(10 << 20)}\nerrno=0\n\n`;
    const directory = join(folder, 'wireguard');
    servers.push(await serveUapi({ name: 'wg0', directory, handle: () => big, onGone: () => {} }));
    limited({}, () => big);
    const operator = enter('get=1\n\n', join(directory, 'wg0.sock')).pause();
    const deaf = Array.from({ length: 12 }, () => enter('get=1\n\n').pause());
    // Beyond 64 Mi some of them are closed, which shows on writing to them.
    const isClosed = (socket: Socket) => {
      socket.write('get=1\n\n');
      return socket.errored !== null;
    };
    await eventually(() => deaf.some(isClosed), 'too many answers that nobody reads');
    operator.resume();
    const text = () => (operator as Socket & { text: string }).text;
    await eventually(() => text().endsWith('errno=0\n\n'), 'the operator’s whole answer');
    expect(text()).toHaveLength(big.length);
  });
});

describe('the observing socket', () => {
  it.skipIf(!isRoot)('is the group’s from its first moment, whatever the umask', () => {
    const umask = process.umask(0o077);
    try {
      begin({ group: GROUP });
      const { mode, uid, gid } = statSync(path());
      expect([mode & 0o7777, uid, gid]).toEqual([0o660, 0, GROUP]);
      expect(statSync(place.directory).mode & 0o7777).toBe(0o755);
      expect([process.umask(), process.getegid!()]).toEqual([0o077, 0]);
    } finally {
      process.umask(umask);
    }
  });

  it('is ours alone without a group', () => {
    const observing = begin();
    expect(statSync(path()).mode & 0o7777).toBe(0o600);
    expect(observing.state.text).toBe(
      `${path()}, for root alone: there was no group _tswg when it was opened`,
    );
    expect(notes).toEqual([]);
  });

  it('opens a folder that was made with a tight umask', () => {
    mkdirSync(place.directory, { mode: 0o700 });
    begin();
    expect(statSync(place.directory).mode & 0o7777).toBe(0o755);
  });

  it('is closed to others where its folder was open', () => {
    mkdirSync(place.directory);
    chmodSync(place.directory, 0o777);
    begin();
    expect(statSync(place.directory).mode & 0o7777).toBe(0o755);
  });

  it.each<[string, () => void]>([
    ['its folder is a link', () => symlinkSync(folder, place.directory)],
    ['its folder is a file', () => writeFileSync(place.directory, '')],
    ['a file is in its place', () => [mkdirSync(place.directory), writeFileSync(path(), '')]],
    ['a link is in its place', () => [mkdirSync(place.directory), symlinkSync('x', path())]],
  ])('is not there when %s, which is told and is no reason to fail', (_, plant) => {
    plant();
    const [before, planted] = [openDescriptors(), listing()];
    const observing = begin();
    expect(observing.state.text).toMatch(/^no \(.*\)$/);
    expect(notes).toEqual([expect.stringMatching(/^Only root can observe: /)]);
    expect([observing.fd, observing.remains]).toEqual([undefined, undefined]);
    expect(openDescriptors()).toBe(before);
    expect(listing()).toEqual(planted);
  });

  it('of another daemon is left alone', async () => {
    begin();
    const second = begin();
    expect(second.state.text).toContain('another daemon serves wg0');
    await second.close('stopped');
    expect(await say('get=1\n\nset=1\n\n')).toContain('operation=get');
  });

  it('that nobody answers is replaced', async () => {
    close(openObservingSocket('wg0', null, place));
    begin();
    expect(await say('get=1\n\nset=1\n\n')).toContain('operation=get');
  });

  it('is missed when it is deleted, and its clients are let go', async () => {
    const observing = begin();
    const socket = enter('get=1\n\n');
    await eventually(() => socket.text !== '', 'an answer');
    rmSync(path());
    await eventually(() => socket.closed, 'the end');
    expect(observing.state.text).toMatch(/^no \(it was deleted/);
    expect(observing.fd).toBeUndefined();
    observing.follow('wg1');
  });

  it('is called as the interface is, once the starter has renamed it', async () => {
    const observing = begin();
    observing.follow('office');
    renameSync(path(), path('office'));
    await eventually(() => observing.remains?.name === 'office', 'its name');
    expect(observing.state.text).toContain(path('office'));
    await observing.close('stopped');
    expect(existsSync(path('office'))).toBe(false);
  });
});

describe('a successor', () => {
  it('continues with the socket of its predecessor, and its file', async () => {
    const old = begin();
    const fileFd = open(path(), O_PATH | O_CLOEXEC);
    const next = create({ fileFd });
    next.open('another name');
    expect(next.remains).toMatchObject({ name: 'wg0', fd: fileFd });
    expect(next.fd).toBeUndefined();
    // What is handed over is a descriptor of the same socket.
    next.serve(duplicate(old.fd!));
    old.stop('notOurs');
    await old.close('notOurs');
    expect(existsSync(path())).toBe(true);
    expect(await say('get=1\n\nset=1\n\n')).toContain('operation=get');
  });

  it('opens its own where the predecessor had none, and closes what it is given all the same', () => {
    const next = create();
    next.open('wg0');
    next.serve(openObservingSocket('wg1', null, place));
    expect([isSocketServed(place, 'wg0'), isSocketServed(place, 'wg1')]).toEqual([true, false]);
    expect(notes).toEqual([]);
  });

  it('says that it was handed none, and leaves the file', () => {
    close(openObservingSocket('wg0', null, place));
    const next = create({ fileFd: open(path(), O_PATH | O_CLOEXEC) });
    next.open('wg0');
    next.serve();
    expect(next.state.text).toBe('no (the previous daemon did not hand it over)');
  });

  it('that does not begin removes what it has opened, if it may', async () => {
    const next = create();
    next.open('wg0');
    expect(existsSync(path())).toBe(true);
    await next.close('notOurs');
    expect(existsSync(path())).toBe(false);
  });
});

describe('who asks', () => {
  it('is told what the control socket says where it may ask that', async () => {
    begin();
    const directory = join(folder, 'wireguard');
    const handle = () => 'of control\nerrno=0\n\n';
    servers.push(await serveUapi({ name: 'wg0', directory, handle, onGone: () => {} }));
    expect(await observe('wg0', 'get=1\n\n', directory, place)).toContain('of control');
  });

  it('does not turn to the observing socket where no daemon serves', async () => {
    begin();
    const asking = observe('wg0', 'get=1\n\n', join(folder, 'wireguard'), place);
    await expect(asking).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

function duplicate(fd: number): number {
  return fcntl(fd, F_DUPFD, 0);
}
