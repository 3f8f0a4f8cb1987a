import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { SECRET_BYTES } from '../../../src/crypto/bytes.ts';
import { secretMemory, takeSecret } from '../../../src/crypto/openssl/secretmemory.ts';

/** What the kernel keeps in memory for this process, in KiB. */
function lockedKib(): number {
  return Number(/^VmLck:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

it('keeps keys in memory that is locked, where that is permitted', () => {
  const { lockedBytes, refusal } = secretMemory();
  expect(lockedKib()).toBeGreaterThanOrEqual(lockedBytes >> 10);
  expect(refusal).toMatch(lockedBytes === 0 ? /^E\w+$/ : /^$/);
});

it('gives out pieces that do not overlap, zeroed, and erases them when they come back', () => {
  const secrets = Array.from({ length: 6_000 }, takeSecret);
  for (const [i, secret] of secrets.entries()) {
    expect(secret.bytes.every((byte) => byte === 0)).toBe(true);
    expect(secret.bytes.length).toBeGreaterThanOrEqual(SECRET_BYTES);
    expect(secret.address % 16).toBe(0);
    secret.bytes.fill(i & 0xff);
  }
  expect(new Set(secrets.map(({ address }) => address)).size).toBe(secrets.length);
  // The block is full, and what is beyond it is said.
  expect(secretMemory().ordinaryKeys).toBeGreaterThan(0);
  for (const [i, { bytes }] of secrets.entries()) {
    expect(bytes.every((byte) => byte === (i & 0xff))).toBe(true);
  }
  for (const secret of secrets) secret.release();
  expect(secrets.every(({ bytes }) => bytes.every((byte) => byte === 0))).toBe(true);
  expect(secretMemory().ordinaryKeys).toBe(0);
  const again = takeSecret();
  expect(secrets.some(({ address }) => address === again.address)).toBe(true);
  again.release();
});

it('gives no piece to two owners because one gave it back twice', () => {
  const secret = takeSecret();
  secret.release();
  expect(() => secret.release()).toThrow('released twice');
  const owners = [takeSecret(), takeSecret()];
  expect(owners[0].address).not.toBe(owners[1].address);
  for (const owner of owners) owner.release();
});
