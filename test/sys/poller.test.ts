import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { close, read, Scratch, send, socketPair } from '../../src/sys/libc.ts';
import { drainSoon, watch, watchFor } from '../../src/sys/poller.ts';
import { eventually } from '../lab/namespace.ts';
import { RefusedSocket } from './refused.ts';

const directory = mkdtempSync(join(tmpdir(), 'tswg-poller-'));
let pipes = 0;

/** A named pipe, open for reading and writing on one descriptor. */
function openPipe(): number {
  const path = join(directory, `pipe${pipes++}`);
  execFileSync('mkfifo', [path]);
  return openSync(path, 'r+');
}

const scratch = new Scratch(4096);
const drain = (fd: number) => read(fd, scratch.address, 4096);

function noBug(bug: unknown): void {
  throw bug;
}

/** Collects garbage now. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

describe('poller', () => {
  let fd: number;
  beforeAll(() => {
    fd = openPipe();
  });
  afterAll(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });

  it('calls while there is something to read, and not after close', async () => {
    let calls = 0;
    const handle = watch(fd, () => ++calls >= 3 && drain(fd), noBug);
    writeSync(fd, 'x');
    await eventually(() => calls === 3, 'three calls');
    await sleep(20);
    expect(calls).toBe(3);
    handle.close();
    handle.close();
    writeSync(fd, 'x');
    await sleep(20);
    expect(calls).toBe(3);
    drain(fd);
  });

  it('survives garbage collection although nobody holds it', async () => {
    const other = openPipe();
    let calls = 0;
    (() => {
      const handle = watch(
        other,
        () => {
          drain(other);
          calls++;
          handle.close();
        },
        noBug,
      );
    })();
    for (let i = 0; i < 5; i++) {
      collect();
      await sleep(5);
    }
    writeSync(other, 'x');
    await eventually(() => calls === 1, 'a call');
    closeSync(other);
  });

  it('hands exceptions over at once and goes on', async () => {
    const bugs: unknown[] = [];
    let calls = 0;
    const handle = watch(
      fd,
      () => {
        drain(fd);
        calls++;
        throw new Error(`bug ${calls}`);
      },
      (bug) => bugs.push(bug),
    );
    for (let i = 1; i <= 3; i++) {
      writeSync(fd, 'x');
      await eventually(() => bugs.length === i, `bug ${i}`);
    }
    expect(bugs.map(String)).toEqual(['Error: bug 1', 'Error: bug 2', 'Error: bug 3']);
    handle.close();
  });

  it.each([
    ['waits on the socket', false],
    ['lies in the error queue', true],
  ])('calls for every error that %s, and for what comes after', async (_, hasQueue) => {
    const refused = new RefusedSocket(hasQueue);
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const results: number[] = [];
    const handle = watch(refused.fd, () => results.push(drain(refused.fd)), noBug);
    for (let round = 1; round <= 8; round++) {
      refused.provoke();
      await eventually(() => results.length === round, 'an error');
    }
    await sleep(20);
    refused.receive(7);
    await eventually(() => results.length > 8, 'a datagram');
    expect(results).toEqual([...new Array(8).fill(-1), 7]);
    // Errors that follow each other are not one that stays: it never rests, which it does by a timer.
    expect(timers.mock.calls.filter(([, ms = 0]) => ms >= 10)).toEqual([]);
    timers.mockRestore();
    handle.close();
    refused.close();
  });

  it('leaves the error queue to the reader first', async () => {
    const refused = new RefusedSocket(true);
    let taken = 0;
    const reader = (): void => {
      while (refused.takeRefusal()) taken++;
      drain(refused.fd);
    };
    const handle = watch(refused.fd, reader, noBug);
    refused.provoke();
    await eventually(() => taken === 1, 'the refusal');
    handle.close();
    refused.close();
  });

  it('calls while there is room to write, as long as that is asked for', async () => {
    const [near, far] = socketPair();
    let calls = 0;
    const writable = (): void => {
      calls++;
      handle.change({});
    };
    while (send(near, scratch.address, 4096, 0) > 0);
    const handle = watchFor(near, { writable }, noBug);
    await sleep(20);
    expect(calls).toBe(0);
    while (drain(far) > 0);
    await eventually(() => calls === 1, 'room');
    await sleep(20);
    expect(calls).toBe(1);
    handle.change({ writable });
    await eventually(() => calls === 2, 'room, asked for again');
    handle.close();
    close(near);
    close(far);
  });

  it.each([
    ['stays', false],
    ['stays, although the callback changes the watch', true],
  ])('calls ever less while an error %s', async (_, changes) => {
    // Who writes into a pipe that nobody reads any more has an error for good.
    const reader = openPipe();
    const writer = openSync(`/proc/self/fd/${reader}`, 'w');
    const pipeEnd = openSync(`/proc/self/fd/${reader}`, 'r');
    closeSync(reader);
    let calls = 0;
    const writable = (): void => {
      calls++;
      if (changes) handle.change({ writable });
    };
    const handle = watchFor(writer, { writable: () => {} }, noBug);
    handle.change({ writable });
    closeSync(pipeEnd);
    await sleep(100);
    await eventually(() => calls > 1, 'errors');
    expect(calls).toBeLessThan(10);
    handle.close();
    closeSync(writer);
  });

  it('can be closed inside its callback', async () => {
    let calls = 0;
    const onReadable = () => {
      calls++;
      handle.close();
    };
    const handle = watch(fd, onReadable, noBug);
    writeSync(fd, 'x');
    await eventually(() => calls === 1, 'a call');
    await sleep(10);
    expect(calls).toBe(1);
    drain(fd);
  });

  it('lets a promise settled in a callback go on after drainSoon', async () => {
    let resolve = () => {};
    const settled = new Promise<void>((done) => {
      resolve = done;
    });
    const onReadable = () => {
      drain(fd);
      resolve();
      drainSoon();
    };
    const handle = watch(fd, onReadable, noBug);
    writeSync(fd, 'x');
    await settled;
    handle.close();
  });
});
