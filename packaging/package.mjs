/**
 * Makes what is published, of a build that is there (`npm run package` sees to it):
 *
 *     dist/package/tswg-VERSION.tgz    for npm: see tarball.mjs
 *     dist/package/stage/ARCH/         for Debian, ARCH amd64 or arm64: of that, what the two programs
 *                                      need and what their operator reads, and beside it node_modules
 *                                      with the one native file of koffi for that processor
 *     dist/package/*.deb               by packaging/debian/build.mjs
 *
 * In a stage the programs run where it stands: `dist/package/stage/amd64/bin/tswg --version`.
 *
 *     node packaging/package.mjs [amd64] [arm64]       without a word: both
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTarball, pack, REPOSITORY, unpack } from './tarball.mjs';

const OUTPUT = join(REPOSITORY, 'dist', 'package');
const DEBIAN = join(REPOSITORY, 'packaging', 'debian', 'build.mjs');
/** Debian's name of a processor -> Node's. */
const ARCHITECTURES = { amd64: 'x64', arm64: 'arm64' };
/** Of the tarball; the library is for those who install it with npm. */
const STAGED = [
  ...['bin', 'dist/program', 'docs', 'examples', 'package.json'],
  ...['README.md', 'SECURITY.md', 'LICENSE'],
];

const locked = JSON.parse(readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8')).packages;

/**
 * The folder of a package that the lock file names, as it was published: of this machine's, or fetched,
 * if it is for another processor.
 */
function lockedPackage(name, scratch) {
  const installed = join(REPOSITORY, 'node_modules', name);
  if (existsSync(installed)) return installed;
  const { version, integrity } = locked[`node_modules/${name}`];
  const tarball = pack(`${name}@${version}`, scratch);
  const hash = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  if (integrity !== `sha512-${hash}`) throw new Error(`${name}: not what package-lock.json says`);
  unpack(tarball, join(scratch, name));
  return join(scratch, name);
}

function makeStage(architecture, scratch) {
  const stage = join(OUTPUT, 'stage', architecture);
  for (const name of STAGED) {
    cpSync(join(scratch, 'tswg', name), join(stage, name), { recursive: true });
  }
  const processor = ARCHITECTURES[architecture];
  const name = `@koromix/koffi-linux-${processor}`;
  const native = join(stage, 'node_modules', name);
  const source = lockedPackage(name, scratch);
  // Debian's C library is GNU's. The file is stripped as it is published.
  for (const part of ['package.json', 'index.js', `linux_${processor}/koffi.node`]) {
    cpSync(join(source, part), join(native, part), { recursive: true });
  }
  cpSync(join(REPOSITORY, 'node_modules/koffi/LICENSE.txt'), join(native, 'LICENSE.txt'));
  return stage;
}

const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!(name in ARCHITECTURES)) throw new Error(`${name}: expected amd64 or arm64`);
}
rmSync(OUTPUT, { recursive: true, force: true });
const scratch = join(OUTPUT, 'scratch');
mkdirSync(scratch, { recursive: true });
const tarball = makeTarball(OUTPUT);
process.stdout.write(`${tarball}\n`);
unpack(tarball, join(scratch, 'tswg'));
for (const name of wanted.length > 0 ? wanted : Object.keys(ARCHITECTURES)) {
  const stage = makeStage(name, scratch);
  process.stdout.write(`${stage}\n`);
  execFileSync(process.execPath, [DEBIAN, name, stage, OUTPUT], { stdio: 'inherit' });
}
rmSync(scratch, { recursive: true });
