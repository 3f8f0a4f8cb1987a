/** The control socket when an answer takes time, and when another process serves it from now on. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { request } from '../../src/control/uapiclient.ts';
import {
  serveUapi,
  type UapiServer,
  type UapiServerOptions,
} from '../../src/control/uapiserver.ts';
import { fcntl } from '../../src/sys/libc.ts';
import { eventually, openDescriptors } from '../lab/namespace.ts';

const F_DUPFD = 0;
const GET = 'get=1\n\n';
const UPGRADE = 'upgrade=1\n\n';
const DONE = 'operation=upgrade\nerrno=0\n\n';

let directory: string;
let descriptors: number;
const servers: UapiServer[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tswg-uapi-'));
  // What watches over files, this process opens once.
  await (await serve()).server.close();
  descriptors = openDescriptors();
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  rmSync(directory, { recursive: true, force: true });
  await eventually(() => openDescriptors() <= descriptors, 'the descriptors are closed');
});

/** Answers all at once but upgrades, which wait for `settle`. */
async function serve(options: Partial<UapiServerOptions> = {}) {
  const settles: ((answer?: string) => void)[] = [];
  const server = await serveUapi({
    name: 'wg0',
    directory,
    handle: ({ operation }) =>
      operation === 'upgrade'
        ? new Promise((resolve) => settles.push((answer = DONE) => resolve(answer)))
        : `operation=${operation}\nerrno=0\n\n`,
    onGone: () => {},
    ...options,
  });
  servers.push(server);
  return { server, settles };
}

function open(): Socket & { text: string } {
  const socket = Object.assign(connect(join(directory, 'wg0.sock')), { text: '' });
  socket.on('data', (chunk) => {
    socket.text += chunk;
  });
  socket.on('error', () => {});
  return socket;
}

describe('an answer that takes time', () => {
  it("holds back that client's next request, and nobody else's", async () => {
    const { settles } = await serve();
    const slow = open();
    slow.write(`${UPGRADE}${GET}`);
    await eventually(() => settles.length === 1, 'the request');
    for (let i = 0; i < 3; i++) expect(await request('wg0', GET, directory)).toContain('errno=0');
    slow.write(`${GET}${UPGRADE}`);
    await sleep(20);
    expect([slow.text, settles.length]).toEqual(['', 1]);
    settles[0]();
    await eventually(() => settles.length === 2, 'the next requests');
    expect(slow.text).toBe(`${DONE}${'operation=get\nerrno=0\n\n'.repeat(2)}`);
    settles[1]();
    await eventually(() => slow.text.endsWith(DONE), 'the last answer');
    slow.destroy();
  });

  it('may take longer than a connection may stand still, which counts again from then on', async () => {
    const { settles } = await serve({ idleTimeoutMs: 1_000 });
    const slow = open();
    slow.write(UPGRADE);
    await eventually(() => settles.length === 1, 'the request');
    await sleep(1_500);
    expect(slow.closed).toBe(false);
    settles[0]();
    await eventually(() => slow.text === DONE, 'the answer');
    expect(slow.closed).toBe(false);
    await eventually(() => slow.closed, 'the end of a connection in which nothing moves');
  });

  it('comes to a client that has closed its half', async () => {
    const { settles } = await serve();
    const slow = open();
    slow.end(UPGRADE);
    await eventually(() => settles.length === 1, 'the request');
    await sleep(20);
    settles[0]();
    await eventually(() => slow.closed, 'the end');
    expect(slow.text).toBe(DONE);
  });

  it('comes before the end of a connection that then asks nonsense', async () => {
    const { settles } = await serve();
    const slow = open();
    slow.write(`${UPGRADE}nonsense\n`);
    await eventually(() => settles.length === 1, 'the request');
    settles[0]();
    await eventually(() => slow.closed, 'the end');
    expect(slow.text).toBe(DONE);
  });

  it('finds nobody when the client has gone away meanwhile', async () => {
    const { settles } = await serve();
    for (const waitMs of [0, 20]) {
      const gone = open();
      gone.write(`${UPGRADE}${GET}`);
      const before = settles.length;
      await eventually(() => settles.length === before + 1, 'the request');
      gone.destroy();
      await sleep(waitMs);
      settles.at(-1)!('x'.repeat(1 << 20));
      await sleep(20);
      expect(gone.text).toBe('');
    }
    expect(await request('wg0', GET, directory)).toContain('errno=0');
  });
});

describe('a server is busy', () => {
  const LONG_MS = 600_000;

  it('with what is asked by halves', async () => {
    const { server } = await serve({ aboutToAskMs: 0 });
    const client = open();
    expect(server.isBusy).toBe(false);
    client.write('get=');
    await eventually(() => server.isBusy, 'the half');
    client.write('1\n\n');
    await eventually(() => client.text !== '' && !server.isBusy, 'the answer');
    client.destroy();
  });

  it('with an answer that takes time, but not with an upgrade', async () => {
    const settles: (() => void)[] = [];
    const answer = () =>
      new Promise<string>((resolve) => settles.push(() => resolve('errno=0\n\n')));
    const { server } = await serve({ aboutToAskMs: 0, handle: answer });
    for (const [words, isBusy] of [
      [UPGRADE, false],
      ['set=1\n\n', true],
    ] as const) {
      const client = open();
      client.write(words);
      await eventually(() => settles.length === 1, 'the request');
      expect(server.isBusy).toBe(isBusy);
      settles.pop()!();
      await eventually(() => client.text !== '', 'the answer');
      client.destroy();
    }
  });

  it('with a client that has just connected, or was just answered, until it is gone', async () => {
    const { server } = await serve({ aboutToAskMs: LONG_MS });
    const client = open();
    await eventually(() => server.isBusy, 'the connection');
    client.write(GET);
    await eventually(() => client.text !== '', 'the answer');
    expect(server.isBusy).toBe(true);
    client.destroy();
    await eventually(() => !server.isBusy, 'its end');
  });
});

describe('a server that leaves', () => {
  it('handles what waits to be handled, rather than end without a word', async () => {
    // After the first answer there is a rest, in which the other waits.
    const handle = () => {
      const until = performance.now() + 20;
      while (performance.now() < until);
      return 'errno=-11\n\n';
    };
    const { server } = await serve({ handle, rest: 1_000 });
    const [first, second] = [open(), open()];
    first.write(GET);
    await eventually(() => first.text !== '', 'the first answer');
    second.write(GET);
    await eventually(() => server.isBusy && second.bytesWritten > 0, 'the request');
    await sleep(20);
    expect(second.text).toBe('');
    server.leave();
    await server.finish();
    await eventually(() => second.closed, 'the end');
    expect(second.text).toBe('errno=-11\n\n');
    rmSync(server.file.path);
  });

  it('leaves file and socket to another one, and takes nobody in', async () => {
    let gone = 0;
    const { server } = await serve({ onGone: () => gone++ });
    // As the successor gets it, in another process.
    const fd = fcntl(server.fd, F_DUPFD, 0);
    server.leave();
    const early = request('wg0', GET, directory);
    await server.finish();
    expect(existsSync(server.file.path)).toBe(true);
    const { server: successor } = await serve({ fd, handle: () => 'version=2\nerrno=0\n\n' });
    expect(await early).toBe('version=2\nerrno=0\n\n');
    expect(await request('wg0', GET, directory)).toBe('version=2\nerrno=0\n\n');
    await successor.close();
    expect(existsSync(server.file.path)).toBe(false);
    await sleep(20);
    expect(gone).toBe(0);
  });

  it('answers those that it has, lets them read that to its end, and then ends', async () => {
    const long = `${'x'.repeat(4 << 20)}\nerrno=0\n\n`;
    const { server, settles } = await serve();
    const [waiting, idle, late] = [open(), open(), open()];
    for (const socket of [waiting, late]) socket.write(UPGRADE);
    await eventually(() => settles.length === 2 && idle.readyState === 'open', 'the requests');
    late.pause();
    server.leave();
    for (const settle of settles) settle(long);
    await sleep(0);
    const finished = server.finish();
    await eventually(() => waiting.closed && idle.closed, 'the end');
    expect(waiting.text).toBe(long);
    expect(idle.text).toBe('');
    late.resume();
    await eventually(() => late.closed, 'the end of the late one');
    expect(late.text).toBe(long);
    await finished;
    rmSync(server.file.path);
  });

  it('waits a second for those that do not read, and not at all for answers still to come', async () => {
    const { server, settles } = await serve();
    const [deaf, early] = [open(), open()];
    for (const socket of [deaf, early]) socket.write(UPGRADE);
    await eventually(() => settles.length === 2, 'the requests');
    deaf.pause();
    server.leave();
    settles[0]('x'.repeat(4 << 20));
    await sleep(0);
    const begun = performance.now();
    await Promise.all([
      server.finish(),
      eventually(() => early.closed, 'the end of the early one'),
    ]);
    expect(performance.now() - begun).toBeGreaterThan(900);
    settles[1]();
    await sleep(0);
    deaf.destroy();
    rmSync(server.file.path);
  });
});
