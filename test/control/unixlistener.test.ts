/** A listening socket whose process has no descriptors left: accept(2) is made to say so. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openUapiSocket, uapiPath } from '../../src/control/uapisocket.ts';
import { UnixListener } from '../../src/control/unixlistener.ts';
import { sleep } from '../lab/command.ts';
import { eventually, openDescriptors } from '../lab/namespace.ts';

const EMFILE = 24;

/** Descriptors that there are beside those in use and the listener's spare one; and its calls. */
const system = vi.hoisted(() => ({ free: 0, calls: 0, refused: 0 }));

vi.mock('../../src/sys/libc.ts', async (importOriginal) => {
  const libc = await importOriginal<typeof import('../../src/sys/libc.ts')>();
  return {
    ...libc,
    errno: () => system.refused || libc.errno(),
    accept: (...args: number[]) => {
      system.calls++;
      system.refused = system.free > 0 ? 0 : EMFILE;
      if (system.refused !== 0) return -1;
      const fd = libc.accept(...args);
      if (fd >= 0) system.free--;
      return fd;
    },
    eventfd: (...args: number[]) => {
      if (system.free === 0) return -1;
      system.free--;
      return libc.eventfd(...args);
    },
    close: (fd: number) => {
      system.free++;
      return libc.close(fd);
    },
  };
});

let directory: string;
let listener: UnixListener;
/** Whether an older connection can make room. */
let canClose: boolean;
const taken: Socket[] = [];
const clients: Socket[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tswg-listener-'));
  system.free = 100;
  canClose = true;
  const fd = openUapiSocket('wg0', directory);
  listener = new UnixListener({
    fd,
    path: uapiPath('wg0', directory),
    onConnection: (socket) => {
      taken.push(socket);
      // Node closes it by itself, which is one more.
      socket.prependOnceListener('close', () => system.free++);
      socket.on('close', () => taken.splice(taken.indexOf(socket), 1)).resume();
    },
    closeOne: () => {
      if (canClose) taken[0]?.destroy();
      return canClose;
    },
  });
});
afterEach(async () => {
  for (const socket of [...clients.splice(0), ...taken]) socket.destroy();
  listener.close();
  await eventually(() => taken.length === 0, 'the end of all connections');
  rmSync(directory, { recursive: true });
});

function connectSome(count: number): void {
  for (let i = 0; i < count; i++) {
    clients.push(connect(uapiPath('wg0', directory)).on('error', () => {}));
  }
}

describe('without a free descriptor', () => {
  it('one connection is taken in all the same, and the next one in the place of the oldest', async () => {
    system.free = 0;
    connectSome(1);
    await eventually(() => taken.length === 1, 'the first connection');
    const [first] = taken;
    connectSome(1);
    await eventually(() => taken.length === 1 && taken[0] !== first, 'the second connection');
    expect(first!.destroyed).toBe(true);
  });

  it('the spare one is taken back when the connection ends', async () => {
    system.free = 0;
    for (let round = 0; round < 3; round++) {
      connectSome(1);
      await eventually(() => taken.length === 1, `connection ${round}`);
      clients[round].destroy();
      taken[0].end();
      await eventually(() => taken.length === 0, `its end ${round}`);
      expect(system.free).toBe(0);
    }
  });

  it('nothing spins when nothing can be given up, and it goes on when there is one', async () => {
    system.free = 0;
    connectSome(1);
    await eventually(() => taken.length === 1, 'the first connection');
    canClose = false;
    connectSome(1);
    await sleep(50);
    const before = system.calls;
    await sleep(350);
    expect(system.calls - before).toBeLessThan(10);
    system.free = 1;
    await eventually(() => taken.length === 2, 'the second connection');
  });
});

it('nothing stays open', async () => {
  const before = openDescriptors();
  const other = new UnixListener({
    fd: openUapiSocket('wg1', directory),
    path: uapiPath('wg1', directory),
    onConnection: () => {},
    closeOne: () => false,
  });
  other.close();
  await sleep(0);
  expect(openDescriptors()).toBe(before);
});
