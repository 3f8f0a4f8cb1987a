import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import {
  releaseSecret,
  SECRET_BYTES,
  secretMemoryFact,
  takeSecret,
} from '../../src/io/secretmemory.ts';

/** What the kernel keeps in memory for this process, in KiB. */
function lockedKib(): number {
  return Number(/^VmLck:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

it('keeps keys in memory that is locked, where that is permitted', () => {
  const { holds, text } = secretMemoryFact();
  const kib = Number(/^locked \((\d+) KiB\)$/.exec(text)?.[1] ?? 0);
  expect(holds).toBe(kib > 0);
  expect(lockedKib()).toBeGreaterThanOrEqual(kib);
  if (!holds) expect(text).toMatch(/^no \(mlock: E\w+\)$/);
});

it('gives out pieces that do not overlap, zeroed, and erases them when they come back', () => {
  const secrets = Array.from({ length: 3_000 }, takeSecret);
  for (const [i, secret] of secrets.entries()) {
    expect(secret.bytes.every((byte) => byte === 0)).toBe(true);
    expect(secret.bytes.length).toBeGreaterThanOrEqual(SECRET_BYTES);
    expect(secret.address % 16).toBe(0);
    secret.bytes.fill(i & 0xff);
  }
  expect(new Set(secrets.map(({ address }) => address)).size).toBe(secrets.length);
  for (const [i, { bytes }] of secrets.entries()) {
    expect(bytes.every((byte) => byte === (i & 0xff))).toBe(true);
  }
  for (const secret of secrets) releaseSecret(secret);
  expect(secrets.every(({ bytes }) => bytes.every((byte) => byte === 0))).toBe(true);
  const again = takeSecret();
  expect(secrets.some(({ address }) => address === again.address)).toBe(true);
  releaseSecret(again);
});
