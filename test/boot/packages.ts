/** The Debian packages that are installed: this version's, and the same as a version after it. */

import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '../../src/version.ts';
import { execute, mustExecute } from '../lab/command.ts';
import { REPOSITORY } from '../lab/repository.ts';
import type { Checks } from './checks.ts';

const ARCHITECTURES = ['amd64', 'arm64'];
const OUTPUT = join(REPOSITORY, 'dist', 'package');
const NEXT = join(REPOSITORY, 'dist', 'boot', 'next');
/** By which an upgrade of the package is told from its installation. */
export const NEXT_VERSION = `${VERSION}+next`;

export interface Packages {
  readonly current: string;
  readonly next: string;
}

export async function makePackages(checks: Checks): Promise<Packages> {
  checks.begin('the packages');
  await mustExecute(['node', join(REPOSITORY, 'packaging', 'package.mjs')], { timeoutMs: 300_000 });
  const paths = ARCHITECTURES.map((one) => join(OUTPUT, `tswg_${VERSION}_${one}.deb`));
  const { stdout, stderr, status } = await execute(['lintian', '--fail-on', 'error', ...paths], {
    timeoutMs: 300_000,
  });
  checks.show('lintian', stdout || 'nothing');
  checks.that('lintian has no error', status === 0 && !/^E:/m.test(stdout), stdout + stderr);
  for (const path of paths) await expectContents(path, checks);
  const own = (await mustExecute(['dpkg', '--print-architecture'])).trim();
  const current = join(OUTPUT, `tswg_${VERSION}_${own}.deb`);
  return { current, next: await makeNext(own) };
}

/** Of the processor that is not this machine's, that is all that is tried. */
async function expectContents(path: string, checks: Checks): Promise<void> {
  const list = await mustExecute(['dpkg-deb', '--contents', path]);
  const names = list.split('\n').map((line) => line.split(/\s+/)[5] ?? '');
  const native = names.filter((name) => name.endsWith('.node'));
  checks.that(`${path}: one .node file`, native.length === 1, native.join(' '));
  const useless = names.filter((name) => /\.(map|d\.ts|cc|hh)$/.test(name));
  checks.that('nothing that no program loads', useless.length === 0, useless.join(' '));
  const size = await mustExecute(['dpkg-deb', '--field', path, 'Installed-Size']);
  const bytes = readFileSync(path).length;
  const architecture = path.replace(/.*_(.*)\.deb/, '$1');
  checks.note(`${architecture} ${Math.round(bytes / 1024)} KiB, installed ${size.trim()} KiB`);
}

/** The same program, which calls itself another version. */
async function makeNext(architecture: string): Promise<string> {
  rmSync(NEXT, { recursive: true, force: true });
  cpSync(join(OUTPUT, 'stage', architecture), NEXT, { recursive: true });
  const programs = readdirSync(join(NEXT, 'dist', 'program')).map((name) => `dist/program/${name}`);
  for (const name of ['package.json', ...programs]) {
    const text = readFileSync(join(NEXT, name), 'utf8');
    writeFileSync(join(NEXT, name), text.replaceAll(`"${VERSION}"`, `"${NEXT_VERSION}"`));
  }
  const build = join(REPOSITORY, 'packaging', 'debian', 'build.mjs');
  const path = await mustExecute(['node', build, architecture, NEXT, join(OUTPUT, 'next')], {
    timeoutMs: 120_000,
  });
  return path.trim();
}
