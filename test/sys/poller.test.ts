import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bindSocket,
  close,
  connect,
  getsockname,
  read,
  Scratch,
  send,
  socket,
} from '../../src/sys/libc.ts';
import { drainSoon, watch } from '../../src/sys/poller.ts';
import { eventually } from '../lab/namespace.ts';

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

  it('goes on after an error on the descriptor', async () => {
    // A connected UDP socket is told by ICMP that nobody listens at the other end.
    const [AF_INET, SOCK_DGRAM, loopback] = [2, 2, 0x0100007f];
    const sockets = [socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0)] as const;
    const [near, far] = sockets;
    const portOf = (fd: number) => {
      scratch.words[4] = 16;
      getsockname(fd, scratch.address, scratch.address + 16);
      return scratch.view.getUint16(2);
    };
    const putAddress = (port: number) => {
      scratch.words.set([AF_INET, loopback, 0, 0]);
      scratch.view.setUint16(2, port);
      return scratch.address;
    };
    expect(bindSocket(near, putAddress(0), 16)).toBe(0);
    const nearPort = portOf(near);
    expect(bindSocket(far, putAddress(0), 16)).toBe(0);
    const farPort = portOf(far);
    close(far);
    expect(connect(near, putAddress(farPort), 16)).toBe(0);
    const results: number[] = [];
    const handle = watch(near, () => results.push(drain(near)), noBug);
    for (let round = 1; round <= 3; round++) {
      expect(send(near, scratch.address, 1, 0)).toBe(1);
      await eventually(() => results.length === round, 'an error');
    }
    const again = socket(AF_INET, SOCK_DGRAM, 0);
    expect(bindSocket(again, putAddress(farPort), 16)).toBe(0);
    expect(connect(again, putAddress(nearPort), 16)).toBe(0);
    expect(send(again, scratch.address, 7, 0)).toBe(7);
    await eventually(() => results.length === 4, 'a datagram');
    expect(results).toEqual([-1, -1, -1, 7]);
    handle.close();
    close(near);
    close(again);
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
