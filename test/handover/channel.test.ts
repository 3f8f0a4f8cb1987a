import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Channel, receiveDescriptors, sendDescriptors } from '../../src/handover/channel.ts';
import { close, Scratch, send, socketPair } from '../../src/sys/libc.ts';
import { findInOwnMemory, loneSecret } from '../crypto/ownmemory.ts';
import { HANG_MS } from '../lab/command.ts';
import { openDescriptors } from '../lab/namespace.ts';
import { compiledProgram } from '../lab/repository.ts';

const folder = mkdtempSync(join(tmpdir(), 'tswg-channel-'));
const file = join(folder, 'file');
writeFileSync(file, 'what the file says');
afterAll(() => rmSync(folder, { recursive: true }));

let before: number;
let here: Channel;
let there: Channel;
beforeEach(() => {
  before = openDescriptors();
  const [one, other] = socketPair();
  here = new Channel(one);
  there = new Channel(other);
});
afterEach(() => {
  here.close();
  there.close();
  expect(openDescriptors(), 'descriptors left open').toBe(before);
});

/** A pattern in which no piece is like another. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i ^ (i >> 8) ^ (i >> 16)) & 0xff);
}

/** Runs `work` with descriptors of the file, which stay the caller's whatever becomes of them. */
function withFiles(count: number, work: (fds: readonly number[]) => void): void {
  const fds = Array.from({ length: count }, () => openSync(file, 'r'));
  work(fds);
  for (const fd of fds) closeSync(fd);
}

/** How long `work` blocks, in ms. */
function durationOf(work: () => void): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}

describe('a message', () => {
  it.each([0, 1, 4, 65_535, 65_536, 65_537, 100_000])('of %d bytes arrives whole', (length) => {
    expect(here.send(pattern(length), [], HANG_MS)).toBe(true);
    const received = there.receive(100);
    if (received.kind !== 'message') throw new Error(received.kind);
    expect(Buffer.compare(received.bytes, pattern(length))).toBe(0);
    expect(received.fds).toEqual([]);
  });

  it.each([1, 3, 8])('brings %d descriptors, which no program started later gets', (count) => {
    withFiles(count, (fds) => {
      expect(here.send(pattern(10), fds, HANG_MS)).toBe(true);
      const received = there.receive(100);
      if (received.kind !== 'message') throw new Error(received.kind);
      expect(received.bytes).toEqual(pattern(10));
      expect(received.fds).toHaveLength(count);
      for (const fd of received.fds) {
        expect(fds).not.toContain(fd);
        expect(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')).toMatch(/flags:\s+02\d{6}$/m);
        close(fd);
      }
      for (const fd of fds.slice(0, 1)) expect(readFileSync(fd, 'utf8')).toBe('what the file says');
    });
  });

  it('is received although the sender has closed it, and has not read what came before', () => {
    here.send(pattern(3), [], HANG_MS);
    there.send(pattern(5), [], HANG_MS);
    there.close();
    expect(here.receive(100)).toMatchObject({ kind: 'message', bytes: pattern(5) });
    expect(here.receive(100)).toEqual({ kind: 'closed' });
  });

  it('is sent as there is room, if it is begun, and nobody waits for that', () => {
    const sending = here.begin(pattern(3_000_000));
    let result = sending.send();
    while (result === 'more') result = sending.send();
    expect(result).toBe('full');
    expect(durationOf(() => sending.send())).toBeLessThan(HANG_MS / 2);
    expect(sending.send()).toBe('full');
    there.close();
    expect(sending.send()).toBe('closed');
  });

  it.each([0, 5, 65_536, 100_000])('of %d bytes that was begun arrives whole', (length) => {
    const sending = here.begin(pattern(length));
    let result = sending.send();
    while (result === 'more') result = sending.send();
    expect(result).toBe('done');
    const received = there.receive(100);
    if (received.kind !== 'message') throw new Error(received.kind);
    expect(Buffer.compare(received.bytes, pattern(length))).toBe(0);
  });

  it('is one of many, each with its own descriptors, in both directions', () => {
    withFiles(2, (fds) => {
      here.send(pattern(3), [fds[0]], HANG_MS);
      here.send(pattern(0), [], HANG_MS);
      there.send(pattern(5), [fds[1]], HANG_MS);
      here.send(pattern(70_000), [], HANG_MS);
      const all = [there.receive(0), there.receive(0), there.receive(0), here.receive(0)];
      const seen = all.map((one) =>
        one.kind === 'message' ? [one.bytes.length, one.fds.length] : one.kind,
      );
      expect(seen).toEqual([
        [3, 1],
        [0, 0],
        [70_000, 0],
        [5, 1],
      ]);
      for (const one of all) if (one.kind === 'message') for (const fd of one.fds) close(fd);
    });
  });

  it('may come in pieces of any size, as another version sends them', () => {
    expect(sendDescriptors(there.fd, 300, [], 100)).toBe(true);
    const piece = new Scratch(128);
    for (let at = 0; at < 300; at += 100) {
      piece.bytes.set(pattern(300).subarray(at, at + 100));
      expect(send(there.fd, piece.address, 100, 0)).toBe(100);
    }
    expect(here.receive(100)).toEqual({ kind: 'message', bytes: pattern(300), fds: [] });
  });

  it('of several megabytes passes between processes, there and back', async () => {
    const length = 7_654_321;
    const digest = createHash('sha256').update(pattern(length)).digest('hex');
    const program = join(folder, 'echo.mjs');
    writeFileSync(
      program,
      `import { Channel } from ${JSON.stringify(compiledProgram('src/handover/channel.ts'))};
       const channel = new Channel(3);
       const { bytes, fds } = channel.receive(10_000);
       channel.send(bytes, fds, 10_000);`,
    );
    const child = spawn(process.execPath, [program], {
      stdio: ['ignore', 'inherit', 'inherit', there.fd],
    });
    const ended = new Promise((resolve) => {
      child.on('exit', resolve);
    });
    there.close();
    withFiles(2, (fds) => {
      expect(here.send(pattern(length), fds, 10_000)).toBe(true);
    });
    const received = here.receive(10_000);
    if (received.kind !== 'message') throw new Error(received.kind);
    expect(createHash('sha256').update(received.bytes).digest('hex')).toBe(digest);
    expect(received.fds.map((fd) => readFileSync(fd, 'utf8'))[0]).toBe('what the file says');
    for (const fd of received.fds) close(fd);
    await ended;
  });

  it('leaves no copy behind on its way, whether it arrives or not', () => {
    const secret = loneSecret('a key on its way');
    here.send(secret, [], HANG_MS);
    const received = there.receive(100);
    if (received.kind === 'message') received.bytes.fill(0);
    expect(findInOwnMemory(secret), 'ours alone').toBe(1);
    // Nobody reads: some of its pieces are in the kernel, one is on its way.
    const long = new Uint8Array(1 << 20);
    for (let at = 0; at < long.length; at += 1 << 16) long.set(secret, at);
    expect(here.send(long, [], 10)).toBe(false);
    long.fill(0);
    expect(findInOwnMemory(secret), 'ours alone, after a failure').toBe(1);
    here.close();
    expect(there.receive(100)).toEqual({ kind: 'closed' });
    expect(findInOwnMemory(secret), 'ours alone, after half a message').toBe(1);
  });
});

describe('no message', () => {
  it('comes in time', () => {
    const took = durationOf(() => expect(here.receive(30)).toEqual({ kind: 'late' }));
    expect(took).toBeGreaterThan(25);
    expect(took).toBeLessThan(HANG_MS);
    expect(durationOf(() => here.receive(0))).toBeLessThan(HANG_MS);
  });

  it('comes any more, and none goes, when the other side has closed', () => {
    there.send(pattern(2), [], HANG_MS);
    there.close();
    expect(here.receive(100)).toMatchObject({ kind: 'message' });
    expect(here.receive(100)).toEqual({ kind: 'closed' });
    expect(here.send(pattern(1), [], HANG_MS)).toBe(false);
  });

  it('is what the other side has begun and not ended; its descriptors are closed', () => {
    withFiles(2, (fds) => {
      expect(sendDescriptors(there.fd, 100_000, fds, 100)).toBe(true);
      const piece = new Scratch(65_536);
      expect(send(there.fd, piece.address, 65_536, 0)).toBe(65_536);
      there.close();
      expect(here.receive(100)).toEqual({ kind: 'closed' });
    });
  });

  it('is what the other side has begun and goes on with too late; its descriptors are closed', () => {
    withFiles(2, (fds) => {
      expect(sendDescriptors(there.fd, 100_000, fds, 100)).toBe(true);
      const piece = new Scratch(65_536);
      expect(send(there.fd, piece.address, 65_536, 0)).toBe(65_536);
      const took = durationOf(() => expect(here.receive(100)).toEqual({ kind: 'late' }));
      expect(took).toBeGreaterThan(4_900);
      expect(took).toBeLessThan(HANG_MS);
    });
  });

  it('is longer than any that can be meant', () => {
    withFiles(2, (fds) => {
      expect(sendDescriptors(there.fd, 256 * 1024 * 1024 + 1, fds, 100)).toBe(true);
      expect(here.receive(100)).toEqual({ kind: 'closed' });
    });
  });

  it.each([1, 3])('begins with %d bytes', (length) => {
    expect(send(there.fd, new Scratch(16).address, length, 0)).toBe(length);
    expect(here.receive(100)).toEqual({ kind: 'closed' });
  });

  it('goes to somebody who does not read: the sender gives up in time', () => {
    let isSent = true;
    const took = durationOf(() => {
      isSent = here.send(new Uint8Array(4 << 20), [], 40);
    });
    expect(isSent).toBe(false);
    expect(took).toBeGreaterThan(35);
    expect(took).toBeLessThan(HANG_MS);
  });

  it('has more descriptors than a message may', () => {
    withFiles(9, (fds) => {
      expect(() => here.send(pattern(1), fds, HANG_MS)).toThrow('channel: 9 descriptors');
    });
    expect(there.receive(0)).toEqual({ kind: 'late' });
  });
});

describe('descriptors alone', () => {
  it('pass with a length, which may be nothing', () => {
    withFiles(1, (fds) => {
      expect(sendDescriptors(here.fd, 0, fds, 100)).toBe(true);
      const received = receiveDescriptors(there.fd, 100);
      if (received.kind !== 'message') throw new Error(received.kind);
      expect(received.length).toBe(0);
      expect(received.fds).toHaveLength(1);
      for (const fd of received.fds) close(fd);
    });
  });
});

it('a channel that was closed neither closes nor uses whatever has its number now', () => {
  const { fd } = here;
  here.close();
  const [next, other] = socketPair();
  expect(next).toBe(fd);
  here.close();
  expect(here.send(pattern(1), [], 0)).toBe(false);
  expect(receiveDescriptors(other, 0)).toEqual({ kind: 'late' });
  for (const one of [next, other]) expect(close(one)).toBe(0);
});
