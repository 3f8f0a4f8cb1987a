import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { openUapiSocket, uapiPath, uapiSocketNames } from '../../src/control/uapisocket.ts';
import { close } from '../../src/sys/libc.ts';

const directory = mkdtempSync(join(tmpdir(), 'tswg-uapisocket-'));
const path = uapiPath('wg0', directory);
const seen = vi.hoisted(() => ({ whenItListens: () => {} }));

vi.mock('../../src/sys/libc.ts', async (importOriginal) => {
  const libc = await importOriginal<typeof import('../../src/sys/libc.ts')>();
  return {
    ...libc,
    listen: (...args: number[]) => {
      seen.whenItListens();
      return libc.listen(...args);
    },
  };
});

afterAll(() => rmSync(directory, { recursive: true }));

it('has no name before it listens, since wg deletes a socket that refuses it', () => {
  let existed: boolean | undefined;
  seen.whenItListens = () => {
    existed = existsSync(path);
  };
  const fd = openUapiSocket('wg0', directory);
  expect(existed).toBe(false);
  expect(statSync(path).isSocket()).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['wg0.sock']);
  expect(uapiSocketNames(directory)).toEqual(['wg0']);
  close(fd);
});
