import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { REPOSITORY } from '../lab/repository.ts';

const UNIT = join(REPOSITORY, 'examples', 'tswg@.service');
const text = readFileSync(UNIT, 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'tswg-unit-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** It reads files only, so that no systemd has to run. */
function analyze(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status, output: `${stdout ?? ''}${stderr ?? ''}` };
}

const version = /^systemd (\d+)/.exec(analyze('--version').output)?.[1];
const [, statedVersion, statedExposure] = /systemd (\d+) gives it an exposure of ([\d.]+)/.exec(
  text,
)!;
const missing = version === undefined ? ' (SKIPPED: needs systemd-analyze)' : '';
const figure = version === statedVersion ? '' : ` (SKIPPED: needs systemd ${statedVersion})`;

describe('the systemd unit', () => {
  it.skipIf(missing !== '')(`is understood by systemd, word by word${missing}`, () => {
    // systemd looks for the programs where the package would install them.
    const installed = text.replace(/^(Exec\w+=\+?)(tswgd?) /gm, `$1${REPOSITORY}/bin/$2 `);
    expect(installed.match(/^Exec.*\/bin\//gm)).toHaveLength(3);
    const path = join(directory, 'tswg@.service');
    writeFileSync(path, installed);
    expect(analyze('verify', path)).toEqual({ status: 0, output: '' });
  });

  it.skipIf(figure !== '')(`is exposed as it says${figure}`, () => {
    const { output } = analyze('security', '--offline=yes', '--no-pager', UNIT);
    expect(output).toMatch(/Overall exposure level for tswg@.*\.service: /);
    expect(/: ([\d.]+) OK/.exec(output)?.[1]).toBe(statedExposure);
  });
});
