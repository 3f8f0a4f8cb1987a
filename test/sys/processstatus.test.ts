import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ProcessStatus } from '../../src/sys/processstatus.ts';

it('tells the memory in use, by the descriptor alone, for as long as it is open', () => {
  const status = new ProcessStatus();
  expect(status.residentBytes()).toBeNull();
  status.open();
  const before = status.residentBytes()!;
  const kept = Buffer.alloc(64 * 1_048_576, 1);
  const after = status.residentBytes()!;
  // What else happens meanwhile, such as a collection, is far less than this.
  expect(after - before).toBeGreaterThan(kept.length / 2);
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))![1];
  expect(Math.abs(after / 1_024 - Number(kib))).toBeLessThan(32 * 1_024);
  status.close();
  expect(status.residentBytes()).toBeNull();
  status.close();
});
