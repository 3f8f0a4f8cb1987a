import { execFile } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UAPI_DIRECTORY } from '../../src/control/place.ts';
import { observe, request } from '../../src/control/uapiclient.ts';
import {
  serveUapi,
  type UapiServer,
  type UapiServerOptions,
} from '../../src/control/uapiserver.ts';
import { openUapiSocket, uapiPath } from '../../src/control/uapisocket.ts';
import { close, SystemError } from '../../src/sys/libc.ts';
import { eventually, openDescriptors } from '../lab/namespace.ts';

let directory: string;
const servers: UapiServer[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tswg-uapi-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  rmSync(directory, { recursive: true, force: true });
});

async function serve(options: Partial<UapiServerOptions> = {}): Promise<UapiServer> {
  const server = await serveUapi({
    name: 'wg0',
    directory,
    handle: ({ operation, lines }) =>
      `operation=${operation}\nlines=${[...lines].length}\nerrno=0\n\n`,
    onGone: () => {},
    ...options,
  });
  servers.push(server);
  return server;
}

function open(): Socket & { text: string } {
  const socket = Object.assign(connect(uapiPath('wg0', directory)), { text: '' });
  socket.on('data', (chunk) => {
    socket.text += chunk;
  });
  socket.on('error', () => {});
  return socket;
}

async function errorOf(promise: Promise<unknown>): Promise<SystemError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SystemError);
  expect((error as SystemError).message).not.toContain('\n');
  return error as SystemError;
}

/** A socket file that nobody answers, as a killed daemon leaves it. */
function leaveStaleSocket(): void {
  close(openUapiSocket('wg0', directory));
}

describe('control socket', () => {
  it('answers requests of any number of connections', async () => {
    await serve();
    const answers = await Promise.all(
      Array.from({ length: 120 }, () => request('wg0', 'get=1\n\n', directory)),
    );
    expect(new Set(answers)).toEqual(new Set(['operation=get\nlines=0\nerrno=0\n\n']));
    const set = `set=1\n${'listen_port=1\n'.repeat(65_000)}\n`;
    expect(await request('wg0', set, directory)).toBe('operation=set\nlines=65000\nerrno=0\n\n');
  });

  it('takes many requests on one connection, in pieces of any size', async () => {
    await serve();
    const socket = open();
    for (const piece of ['ge', 't=1\n', '\nset=1\na=', 'b\n\nget=1\n\n']) {
      socket.write(piece);
      await sleep(5);
    }
    socket.end('get=1\n\n');
    await eventually(() => socket.closed, 'the answers and the end');
    expect(socket.text.match(/operation=\w+/g)).toEqual(
      ['get', 'set', 'get', 'get'].map((operation) => `operation=${operation}`),
    );
  });

  it('closes the connection at something that is no request, after the answers before', async () => {
    await serve();
    const socket = open();
    socket.write('get=1\n\nGET / HTTP/1.1\n\n');
    await eventually(() => socket.closed, 'the end');
    expect(socket.text).toBe('operation=get\nlines=0\nerrno=0\n\n');
    expect(await request('wg0', 'get=1\n\n', directory)).toContain('errno=0');
  });

  it('holds no more than a few answers for a client that does not read', async () => {
    let handled = 0;
    await serve({
      handle: () => {
        handled++;
        return `${'x'.repeat(1 << 20)}\nerrno=0\n\n`;
      },
    });
    const socket = open();
    socket.pause();
    socket.write('get=1\n\n'.repeat(1000));
    await sleep(100);
    expect(handled).toBeLessThan(5);
    // Others are served meanwhile.
    expect(await request('wg0', 'get=1\n\n', directory)).toContain('errno=0');
    const before = handled;
    socket.resume();
    await eventually(() => handled > before + 20, 'more answers');
    socket.destroy();
  });

  it('has others go on while it answers a thousand requests of one client', async () => {
    let answered = 0;
    let most = 0;
    await serve({
      handle: () => {
        answered++;
        const end = performance.now() + 0.3;
        while (performance.now() < end);
        return 'errno=0\n\n';
      },
    });
    const socket = open();
    let before = 0;
    let turn: NodeJS.Immediate;
    const others = () => {
      most = Math.max(most, answered - before);
      before = answered;
      turn = setImmediate(others);
    };
    others();
    socket.end('get=1\n\n'.repeat(1000));
    await eventually(() => socket.closed, 'the answers and the end');
    clearImmediate(turn!);
    expect(socket.text.length).toBe(1000 * 'errno=0\n\n'.length);
    // A turn has a millisecond for answers, of which each takes a third: fewer on a busy machine.
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(4);
  });

  it('closes a connection in which nothing moves, whatever came before', async () => {
    await serve({ idleTimeoutMs: 1_000 });
    const sockets = ['', 'set=1\nlisten_port', 'get=1\n\n'].map((text) => {
      const socket = open();
      if (text !== '') socket.write(text);
      return socket;
    });
    await eventually(() => sockets.every((socket) => socket.closed), 'the end');
    expect(sockets.map(({ text }) => text)).toEqual(['', '', expect.stringContaining('errno=0')]);
  });

  it('answers what was asked before the client closed its half', async () => {
    await serve();
    const socket = open();
    socket.end('get=1\n\nset=1\nlisten_port=1\n');
    await eventually(() => socket.closed, 'the end');
    expect(socket.text).toBe('operation=get\nlines=0\nerrno=0\n\n');
  });

  it('lets a new connection take the place of the one that stood still longest', async () => {
    await serve();
    const silent: ReturnType<typeof open>[] = [];
    for (let i = 0; i < 256; i++) {
      silent.push(open());
      await eventually(() => silent[i].readyState === 'open', 'a connection');
    }
    silent[0].write('get=');
    await sleep(20);
    expect(await request('wg0', 'get=1\n\n', directory)).toContain('errno=0');
    await eventually(() => silent[1].closed, 'the end of the stillest');
    expect(silent.filter(({ closed }) => closed)).toHaveLength(1);
    for (const socket of silent) socket.destroy();
  });

  it.each([
    ['a line without end', '', 'x'.repeat(65_536)],
    ['a request without end', 'set=1\n', 'allowed_ip=10.0.0.0/8\n'.repeat(3_000)],
  ])('closes a connection that sends %s', async (_, start, piece) => {
    await serve();
    const socket = open();
    socket.write(start);
    let sent = 0;
    while (!socket.closed && sent < 64 << 20) {
      if (!socket.write(piece)) await sleep(1);
      sent += piece.length;
    }
    await eventually(() => socket.closed, 'the end');
    expect(sent).toBeLessThan(24 << 20);
    expect(socket.text).toBe('');
  });

  it('holds so much for all clients together, and gives up on the stillest', async () => {
    await serve({ handle: () => `${'x'.repeat(10 << 20)}\nerrno=0\n\n` });
    const deaf = Array.from({ length: 12 }, () => {
      const socket = open();
      socket.pause();
      return socket;
    });
    for (const socket of deaf) {
      socket.write('get=1\n\n');
      await sleep(30);
    }
    const answer = await request('wg0', 'get=1\n\n', directory);
    expect(answer.length).toBe((10 << 20) + 10);
    for (const socket of deaf) socket.resume();
    const isWhole = ({ text }: { text: string }): boolean => text.endsWith('errno=0\n\n');
    await eventually(() => isWhole(deaf.at(-1)!), 'the last answer');
    expect(deaf.slice(0, 6).map(isWhole)).toEqual(new Array(6).fill(false));
    for (const socket of deaf.slice(0, 6)) expect(socket.closed).toBe(true);
    for (const socket of deaf) socket.destroy();
  });

  it('survives clients that go away at any moment', async () => {
    await serve();
    for (const text of ['', 'ge', 'get=1\n\n', 'set=1\nprivate_key=']) {
      const socket = open();
      socket.write(text);
      await sleep(2);
      socket.destroy();
    }
    expect(await request('wg0', 'get=1\n\n', directory)).toContain('errno=0');
  });

  it('is of mode 0600 whatever the umask, in a folder of mode 0755', async () => {
    const umask = process.umask(0o077);
    try {
      directory = join(directory, 'deep', 'wireguard');
      await serve();
      expect(statSync(uapiPath('wg0', directory)).mode & 0o777).toBe(0o600);
      expect(statSync(directory).mode & 0o777).toBe(0o755);
      expect(process.umask()).toBe(0o077);
    } finally {
      process.umask(umask);
    }
  });

  it('leaves the mode of an existing folder alone', async () => {
    directory = join(directory, 'own');
    mkdirSync(directory, { mode: 0o700 });
    await serve();
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  it('replaces a socket that nobody answers', async () => {
    leaveStaleSocket();
    await serve();
    expect(await request('wg0', 'get=1\n\n', directory)).toContain('errno=0');
  });

  it('leaves a socket alone that another daemon answers', async () => {
    await serve();
    const before = openDescriptors();
    const error = await errorOf(serve());
    expect(error.code).toBe('EADDRINUSE');
    expect(error.message).toMatch(/^serve wg0: another daemon serves wg0 /);
    expect(openDescriptors()).toBe(before);
    expect(await request('wg0', 'get=1\n\n', directory)).toContain('errno=0');
  });

  it('leaves a file alone that is no socket', async () => {
    writeFileSync(uapiPath('wg0', directory), 'precious');
    expect((await errorOf(serve())).message).toContain('a file that is not a socket has this path');
    expect(lstatSync(uapiPath('wg0', directory)).size).toBe(8);
  });

  it('serves from a descriptor that was opened before', async () => {
    const fd = openUapiSocket('wg0', directory);
    const early = request('wg0', 'get=1\n\n', directory);
    await serve({ fd });
    expect(await early).toContain('errno=0');
  });

  it('refuses a descriptor that is no listening socket', async () => {
    const error = await errorOf(serve({ fd: 9999 }));
    expect(error.message).toContain('expected descriptor 9999 to be a listening UNIX socket');
  });

  it('tells when its file is deleted or replaced', async () => {
    let gone = 0;
    const server = await serve({ onGone: () => gone++ });
    rmSync(server.file.path);
    await eventually(() => gone === 1, 'gone');

    const second = await serve({ name: 'wg1', onGone: () => gone++ });
    close(openUapiSocket('wg2', directory));
    renameSync(uapiPath('wg2', directory), second.file.path);
    await eventually(() => gone === 2, 'replaced');
    await second.close();
    expect(existsSync(second.file.path)).toBe(true);
  });

  it('removes its file and ends its connections when it closes', async () => {
    const server = await serve();
    const socket = open();
    await eventually(() => socket.readyState === 'open', 'a connection');
    await server.close();
    expect(existsSync(server.file.path)).toBe(false);
    await eventually(() => socket.closed, 'the end');
  });
});

describe('control client', () => {
  it('says that no daemon serves an interface', async () => {
    const error = await errorOf(request('wg0', 'get=1\n\n', directory));
    expect(error.code).toBe('ENOENT');
    expect(error.message).toMatch(/^ask wg0: no daemon serves it /);
  });

  it('says that a daemon has left its socket behind', async () => {
    leaveStaleSocket();
    const error = await errorOf(request('wg0', 'get=1\n\n', directory));
    expect(error.code).toBe('ECONNREFUSED');
    expect(error.message).toMatch(/its daemon is gone/);
  });

  it('says that a daemon ended the connection without an answer', async () => {
    const server = createServer((socket) => socket.end('half an answ'));
    await new Promise<void>((resolve) => {
      server.listen(uapiPath('wg0', directory), resolve);
    });
    const error = await errorOf(request('wg0', 'get=1\n\n', directory));
    expect(error.message).toMatch(/closed the connection without an answer/);
    server.close();
  });

  it('asks again for what it only reads when the daemon has just handed over, and once', async () => {
    let asked = 0;
    const server = createServer((socket) => {
      asked++;
      socket.end(asked === 2 ? 'errno=0\n\n' : '');
    });
    await new Promise<void>((resolve) => {
      server.listen(uapiPath('wg0', directory), resolve);
    });
    expect(await observe('wg0', 'stats=1\n\n', directory)).toBe('errno=0\n\n');
    const error = await errorOf(observe('wg0', 'stats=1\n\n', directory));
    expect([error.code, asked]).toEqual(['EPROTO', 4]);
    server.close();
  });

  it('reads an answer in pieces of any size', async () => {
    const server = createServer(async (socket) => {
      for (const character of 'a=ü\n€=1\nerrno=0\n\n') {
        for (const byte of Buffer.from(character)) {
          socket.write(Buffer.of(byte));
          await sleep(1);
        }
      }
    });
    await new Promise<void>((resolve) => {
      server.listen(uapiPath('wg0', directory), resolve);
    });
    expect(await request('wg0', 'get=1\n\n', directory)).toBe('a=ü\n€=1\nerrno=0\n\n');
    server.close();
  });
});

const canUseWg = process.getuid?.() === 0 && existsSync('/usr/bin/wg');
if (!canUseWg) console.warn('SKIPPED: wg on the control socket: needs root and wireguard-tools');

describe.skipIf(!canUseWg)('wg on the control socket', () => {
  it('shows and sets', async () => {
    const name = `t${process.pid}`;
    const seen: string[] = [];
    await serve({
      name,
      directory: UAPI_DIRECTORY,
      handle: ({ operation, lines }) => {
        seen.push(operation, ...lines);
        return operation === 'get' ? 'listen_port=51820\nerrno=0\n\n' : 'errno=0\n\n';
      },
    });
    const wg = promisify(execFile);
    expect((await wg('wg', ['show', name])).stdout).toContain('listening port: 51820');
    await wg('wg', ['set', name, 'listen-port', '7']);
    expect(seen).toEqual(['get', 'set', 'listen_port=7']);
  });
});
