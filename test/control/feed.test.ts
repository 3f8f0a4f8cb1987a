/** Answers that come piece by piece, as those to who follows events: at whose speed, and for how long. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Feed } from '../../src/control/feed.ts';
import { type ClientOptions, serveUapi, type UapiServer } from '../../src/control/uapiserver.ts';
import { monotonicMs } from '../../src/sys/clock.ts';
import { eventually } from '../lab/namespace.ts';

const EVENTS = 'events=1\n\n';
const FOLLOW = 'events=1\nfollow=true\n\n';
const PIECE = `${'x'.repeat(4_000)}\n`;

let folder: string;
const servers: UapiServer[] = [];
const sockets: Socket[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tswg-feed-'));
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.close();
  rmSync(folder, { recursive: true });
});

/** A feed whose pieces the test puts in. */
class Told implements Feed {
  readonly isEndless: boolean;
  readonly pieces: string[] = [];
  reads = 0;
  closed = 0;
  isOver = false;
  #onMore = (): void => {};

  constructor(isEndless: boolean) {
    this.isEndless = isEndless;
  }

  read(): string | null {
    this.reads++;
    return this.pieces.shift() ?? (this.isOver ? null : '');
  }

  listen(onMore: () => void): void {
    this.#onMore = onMore;
  }

  close(): void {
    this.closed++;
  }

  tell(...pieces: string[]): void {
    this.pieces.push(...pieces);
    this.#onMore();
  }
}

/** Every `events` is answered by the next of these feeds, everything else at once. */
async function begin(feeds: readonly Feed[], limits: Partial<ClientOptions> = {}): Promise<void> {
  const left = [...feeds];
  const handle: ClientOptions['handle'] = ({ operation }) =>
    operation === 'events' ? left.shift()! : `operation=${operation}\nerrno=0\n\n`;
  servers.push(
    await serveUapi({ name: 'wg0', directory: folder, handle, onGone: () => {}, ...limits }),
  );
}

function enter(text: string): Socket & { text: string } {
  const socket = Object.assign(connect(join(folder, 'wg0.sock')), { text: '' });
  socket.setEncoding('utf8');
  socket.on('data', (chunk) => {
    socket.text += chunk;
  });
  socket.on('error', () => {});
  socket.write(text);
  sockets.push(socket);
  return socket;
}

describe('an answer without end', () => {
  it('comes when it is there, and the client may wait for it longer than others may stand still', async () => {
    const feed = new Told(true);
    await begin([feed], { idleTimeoutMs: 50 });
    const client = enter(FOLLOW);
    await eventually(() => feed.reads > 0, 'the request');
    // As long as the one that says nothing is closed twice over.
    for (let i = 0; i < 2; i++) {
      const other = enter('ge');
      await eventually(() => other.closed, 'the end of one that stands still');
    }
    expect(client.closed).toBe(false);
    feed.tell('one\n');
    await eventually(() => client.text === 'one\n', 'a piece');
    feed.tell('two\n', 'three\n');
    await eventually(() => client.text === 'one\ntwo\nthree\n', 'two more');
    expect(feed.closed).toBe(0);
  });

  it('is read no faster than its client reads, who holds nobody else up', async () => {
    const [feed, other] = [new Told(true), new Told(true)];
    await begin([feed, other]);
    const deaf = enter(FOLLOW).pause();
    await eventually(() => feed.reads > 0, 'the request');
    feed.tell(...Array.from({ length: 10_000 }, () => PIECE));
    const client = enter(FOLLOW);
    await eventually(() => other.reads > 0, 'the other request');
    other.tell('one\n');
    await eventually(() => client.text === 'one\n', 'a piece for the other');
    const asked = enter('get=1\n\n');
    await eventually(() => asked.text.endsWith('errno=0\n\n'), 'another answer');
    // What the system's buffers hold, and no more.
    expect(feed.pieces.length).toBeGreaterThan(9_000);
    (deaf as Socket).resume();
    await eventually(() => feed.pieces.length === 0, 'all of it');
    await eventually(
      () => (deaf as Socket & { text: string }).text.length === 10_000 * PIECE.length,
      'the rest',
    );
  });

  it('ends when nobody reads it for as long as others may stand still', async () => {
    const feed = new Told(true);
    await begin([feed], { idleTimeoutMs: 50 });
    enter(FOLLOW).pause();
    await eventually(() => feed.reads > 0, 'the request');
    feed.tell(...Array.from({ length: 1_000 }, () => PIECE));
    await eventually(() => feed.closed === 1, 'the end');
    expect(feed.pieces.length).toBeGreaterThan(0);
  });

  it.each([
    ['says anything more', (client: Socket) => void client.write('get=1\n\n')],
    ['closes its side', (client: Socket) => void client.end()],
    ['is gone', (client: Socket) => void client.destroy()],
  ])('ends when the client %s', async (_what, leave) => {
    const feed = new Told(true);
    await begin([feed]);
    const client = enter(FOLLOW);
    await eventually(() => feed.reads > 0, 'the request');
    leave(client);
    await eventually(() => feed.closed === 1, 'the end');
    await eventually(() => client.closed, 'the end of the connection');
    expect(client.text).toBe('');
    feed.tell('late\n');
  });
});

describe('an answer with an end', () => {
  it('is told whole to a client that has closed its side, and in its turn', async () => {
    const feed = new Told(false);
    await begin([feed]);
    const client = enter(`get=1\n\n${EVENTS}stats=1\n\n`);
    client.end();
    await eventually(() => feed.reads > 0, 'the request');
    feed.tell(...Array.from({ length: 300 }, () => PIECE));
    await eventually(() => feed.pieces.length === 0, 'all of it');
    feed.isOver = true;
    feed.tell();
    await eventually(() => client.closed, 'the end');
    const [first, last] = ['get', 'stats'].map((one) => `operation=${one}\nerrno=0\n\n`);
    expect(client.text).toBe(first + PIECE.repeat(300) + last);
    expect(feed.closed).toBe(1);
  });
});

it('each piece counts as an answer: after it nobody is answered for so many times as long', async () => {
  const spans: [begun: number, ended: number][] = [];
  const busy = new Told(true);
  busy.read = () => {
    const begun = monotonicMs();
    while (monotonicMs() < begun + 2);
    spans.push([begun, monotonicMs()]);
    return 'x\n';
  };
  await begin([busy], { rest: 9 });
  enter(FOLLOW);
  await eventually(() => spans.length > 20, 'twenty pieces');
  for (let i = 1; i < 20; i++) {
    const [[begun, ended], [next]] = [spans[i - 1], spans[i]];
    expect(next - ended).toBeGreaterThan(8 * (ended - begun));
  }
});
