/**
 * `npm run package`: the Debian packages of this version, for amd64 and arm64, into dist/package/.
 * Each is dated SOURCE_DATE_EPOCH, or else as the last commit.
 */

import { execFileSync } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../src/host/launch.ts';
import { VERSION } from '../src/version.ts';
import { buildDeb } from './deb.ts';
import { stagePrograms } from './stage.ts';

function dateOf(repository: string): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined && /^\d+$/.test(given)) return Number(given);
  const options = { cwd: repository, encoding: 'utf8' } as const;
  return Number(execFileSync('git', ['log', '-1', '--format=%ct'], options));
}

const repository = packageRoot();
const output = join(repository, 'dist', 'package');
const stage = join(output, 'stage');
rmSync(stage, { recursive: true, force: true });
stagePrograms(repository, stage);
const date = dateOf(repository);
for (const architecture of ['amd64', 'arm64'] as const) {
  const path = buildDeb({ repository, stage, architecture, version: VERSION, date, output });
  console.log(`${path}: ${Math.round(statSync(path).size / 1024)} KiB`);
}
