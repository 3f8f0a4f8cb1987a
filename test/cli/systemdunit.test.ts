import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { REPOSITORY } from '../lab/repository.ts';

const [UNIT, CONFIG_UNIT] = ['tswg@.service', 'tswg-config@.service'].map((name) =>
  join(REPOSITORY, 'examples', name),
);
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
    for (const [unit, programs] of [
      [UNIT, 2],
      [CONFIG_UNIT, 1],
    ] as const) {
      // systemd looks for the programs where the package would install them.
      const installed = readFileSync(unit, 'utf8').replace(
        /^(Exec\w+=[-+]*)(tswgd?) /gm,
        `$1${REPOSITORY}/bin/$2 `,
      );
      expect(installed.split(`${REPOSITORY}/bin/`)).toHaveLength(programs + 1);
      const path = join(directory, basename(unit));
      writeFileSync(path, installed);
      // The manual pages it names are where the programs are.
      expect(analyze('verify', '--man=no', path)).toEqual({ status: 0, output: '' });
    }
  });

  it.skipIf(figure !== '')(`is exposed as it says${figure}`, () => {
    const { output } = analyze('security', '--offline=yes', '--no-pager', UNIT);
    expect(output).toMatch(/Overall exposure level for tswg@.*\.service: /);
    expect(/: ([\d.]+) OK/.exec(output)?.[1]).toBe(statedExposure);
  });
});
