/**
 * Makes what is published, from a build that is there (`npm run package` sees to it):
 *
 *     dist/package/tswg-VERSION.tgz    for npm: what `npm pack` takes (`files` in package.json), with a
 *                                      manifest without scripts and without development's packages
 *     dist/package/stage/ARCH/         for Debian, ARCH amd64 or arm64: of that, what the two programs
 *                                      need and what their operator reads, and beside it node_modules
 *                                      with the one native file of koffi for that processor
 *     dist/package/*.deb               by packaging/debian/build ARCH STAGE FOLDER, if it is there
 *
 * In a stage the programs run where it stands: `dist/package/stage/amd64/bin/tswg --version`.
 *
 *     node packaging/package.mjs [amd64] [arm64]       without a word: both
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const OUTPUT = join(REPOSITORY, 'dist', 'package');
/** Debian's name of a processor -> Node's. */
const ARCHITECTURES = { amd64: 'x64', arm64: 'arm64' };
/** Of the tarball; the library is for those who install it with npm. */
const STAGED = ['bin', 'dist/program', 'docs', 'examples', 'package.json'];
const STAGED_TEXTS = ['README.md', 'SECURITY.md', 'LICENSE'];

const manifest = readJson(join(REPOSITORY, 'package.json'));
const locked = readJson(join(REPOSITORY, 'package-lock.json')).packages;

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Runs a command, whose output is only of interest when it fails. */
function run(command, args, cwd = REPOSITORY) {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Packs a folder into another; the tarball's path. */
function pack(folder, destination) {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', destination];
  const [{ filename }] = JSON.parse(run('npm', args, folder));
  return join(destination, filename);
}

/** A tarball of npm's has one folder, `package`. */
function unpack(tarball, folder) {
  mkdirSync(folder, { recursive: true });
  run('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1']);
}

/** What an installed package can do nothing with. */
function publishedManifest({ scripts, devDependencies, ...rest }) {
  return `${JSON.stringify(rest, null, 2)}\n`;
}

/** The tarball, and the folder where it lies unpacked. */
function makeTarball() {
  const folder = join(OUTPUT, 'unpacked');
  unpack(pack(REPOSITORY, OUTPUT), folder);
  writeFileSync(join(folder, 'package.json'), publishedManifest(manifest));
  return { tarball: pack(folder, OUTPUT), folder };
}

/**
 * The folder of a package that the lock file names, as it was published: of this machine's, or fetched,
 * if it is for another processor.
 */
function lockedPackage(name) {
  const installed = join(REPOSITORY, 'node_modules', name);
  if (existsSync(installed)) return installed;
  const { version, integrity } = locked[`node_modules/${name}`];
  const fetched = join(OUTPUT, 'fetched');
  mkdirSync(fetched, { recursive: true });
  const args = ['pack', '--json', '--pack-destination', fetched, `${name}@${version}`];
  const [{ filename }] = JSON.parse(run('npm', args));
  const tarball = join(fetched, filename);
  const hash = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  if (integrity !== `sha512-${hash}`) throw new Error(`${name}: not what package-lock.json says`);
  unpack(tarball, join(fetched, name));
  return join(fetched, name);
}

function makeStage(architecture, folder) {
  const stage = join(OUTPUT, 'stage', architecture);
  for (const name of [...STAGED, ...STAGED_TEXTS]) {
    cpSync(join(folder, name), join(stage, name), { recursive: true });
  }
  const processor = ARCHITECTURES[architecture];
  const name = `@koromix/koffi-linux-${processor}`;
  const native = join('node_modules', name);
  const source = lockedPackage(name);
  // Debian's C library is GNU's. The file is stripped as it is published.
  for (const part of ['package.json', 'index.js', `linux_${processor}/koffi.node`]) {
    cpSync(join(source, part), join(stage, native, part), { recursive: true });
  }
  return stage;
}

const architectures = process.argv.slice(2);
for (const name of architectures) {
  if (!(name in ARCHITECTURES)) throw new Error(`${name}: expected amd64 or arm64`);
}
rmSync(OUTPUT, { recursive: true, force: true });
mkdirSync(OUTPUT, { recursive: true });
const { tarball, folder } = makeTarball();
process.stdout.write(`${tarball}\n`);
const debian = join(REPOSITORY, 'packaging', 'debian', 'build');
for (const name of architectures.length > 0 ? architectures : Object.keys(ARCHITECTURES)) {
  const stage = makeStage(name, folder);
  if (existsSync(debian)) execFileSync(debian, [name, stage, OUTPUT], { stdio: 'inherit' });
  else process.stdout.write(`${stage}\n`);
}
rmSync(join(OUTPUT, 'unpacked'), { recursive: true });
