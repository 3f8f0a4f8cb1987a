import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { monotonicMs, random, wallClockMs } from '../../src/sys/clock.ts';
import {
  addressOf,
  close,
  ERRNO,
  errno,
  errnoName,
  open,
  putAddress,
  read,
  Scratch,
  SystemError,
  write,
} from '../../src/sys/libc.ts';

describe('libc', () => {
  it('names every error as Node does', () => {
    for (const [name, number] of Object.entries(constants.errno)) {
      const aliases = { EWOULDBLOCK: 'EAGAIN', ENOTSUP: 'EOPNOTSUPP', EDEADLOCK: 'EDEADLK' };
      expect(errnoName(number)).toBe(aliases[name as keyof typeof aliases] ?? name);
    }
    expect(errnoName(4711)).toBe('errno 4711');
  });

  it('words a refusal in one line, with what, why and the name', () => {
    const error = new SystemError('open UDP port 51820', 'bind', ERRNO.EADDRINUSE!);
    expect(error.message).toBe(
      'open UDP port 51820: the address is in use by another program (bind: EADDRINUSE)',
    );
    expect(error).toMatchObject({ call: 'bind', errno: 98, code: 'EADDRINUSE' });
    expect(new SystemError('x', 'y', ERRNO.EILSEQ!).message).toBe(
      'x: refused by the system (y: EILSEQ)',
    );
  });

  it('reads and writes at addresses of the arena and of scratch memory', () => {
    const arena = new Arena(1 << 16);
    const scratch = new Scratch(64);
    scratch.bytes.set([1, 2, 3]);
    const fd = open('/dev/zero', 2);
    const offset = arena.allocate(16);
    arena.bytes.fill(9, offset, offset + 16);
    expect(read(fd, addressOf(arena) + offset, 3)).toBe(3);
    expect([...arena.bytes.subarray(offset, offset + 4)]).toEqual([0, 0, 0, 9]);
    expect(write(fd, scratch.address, 3)).toBe(3);
    expect(close(fd)).toBe(0);
    expect(read(fd, scratch.address, 1)).toBe(-1);
    expect(errno()).toBe(ERRNO.EBADF);
  });

  it('stores addresses of any size', () => {
    const words = new Int32Array(2);
    for (const address of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x7f12_89ab_cdef]) {
      putAddress(words, 0, address);
      expect(Number(new BigUint64Array(words.buffer)[0])).toBe(address);
    }
  });
});

describe('clock', () => {
  it('never goes back, and counts milliseconds', async () => {
    const before = monotonicMs();
    const wallBefore = wallClockMs();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(monotonicMs() - before).toBeGreaterThan(45);
    expect(wallClockMs() - wallBefore).toBeGreaterThan(45);
  });

  it('fills any length, pooled or not, and never twice the same', () => {
    const seen = new Set<string>();
    for (let round = 0; round < 2000; round++) {
      const bytes = new Uint8Array([8, 12, 24, 32, 64, 65, 1000][round % 7]);
      random(bytes);
      const text = Buffer.from(bytes).toString('hex');
      expect(seen.has(text)).toBe(false);
      seen.add(text);
    }
    const many = new Uint8Array(4 * 4096);
    const counts = new Uint32Array(256);
    for (let at = 0; at < many.length; at += 4) random(many.subarray(at, at + 4));
    for (const byte of many) counts[byte]++;
    // 64 each on average; a byte that stayed zero here and there would stand out.
    expect(Math.max(...counts)).toBeLessThan(64 + 8 * 8);
    expect(Math.min(...counts)).toBeGreaterThan(64 - 6 * 8);
    random(new Uint8Array(0));
  });
});
