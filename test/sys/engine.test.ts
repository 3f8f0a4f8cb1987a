/** How the engine is set, in a process of its own: its settings are the whole process's. */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { mustExecute } from '../lab/command.ts';
import { REPOSITORY } from '../lab/repository.ts';

const ENGINE = pathToFileURL(join(REPOSITORY, 'dist', 'src', 'sys', 'engine.js')).href;
/** Two halves of a megabyte each, and what an object that is larger than a page may add. */
const YOUNG_BYTES_MAX = 4 * 1024 * 1024;

/** Makes far more objects that stay alive than that, and tells how many bytes the young ones have. */
const PROGRAM = `
const { getHeapSpaceStatistics } = await import('node:v8');
const { setUpEngine } = await import(process.argv[1]);
if (process.argv[2] === 'set up') setUpEngine();
const kept = [];
for (let i = 0; i < 200_000; i++) kept.push({ name: i, list: [i] });
const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
console.log(young.space_size, kept.length);
`;

async function youngBytes(word: string): Promise<number> {
  const command = [process.execPath, '--input-type=module', '-e', PROGRAM, ENGINE, word];
  return Number.parseInt(await mustExecute(command), 10);
}

describe('the engine of a daemon', () => {
  it('keeps the place of young objects small, so that no collection of them takes long', async () => {
    expect(await youngBytes('as it is')).toBeGreaterThan(YOUNG_BYTES_MAX);
    expect(await youngBytes('set up')).toBeLessThan(YOUNG_BYTES_MAX);
  });
});
