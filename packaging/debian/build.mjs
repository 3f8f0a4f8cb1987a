/**
 * The Debian package for one processor, of a folder with the programs (packaging/package.mjs) and by
 * dpkg-deb alone. The same input gives the same bytes: every file belongs to root and is dated
 * SOURCE_DATE_EPOCH, or else as the last commit. Units are those of examples/, with the paths of the
 * package (src/host/serviceunits.ts); what dpkg runs stands beside this file.
 *
 *     node packaging/debian/build.mjs amd64|arm64 STAGE FOLDER
 *
 * Prints the path of the package. Of what is wrong with the input it says one line, and makes none.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { placeUnit } from '../../dist/src/host/serviceunits.js';
import { formatCopyright } from './copyright.mjs';
import { readNativeFile } from './elf.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const REPOSITORY = join(HERE, '..', '..');
const HOME = 'usr/lib/tswg';
const DOC = 'usr/share/doc/tswg';
const PROGRAMS = ['bin', 'dist', 'node_modules', 'package.json'];
/** Of the packages that are in the programs. */
const LICENSES = 'dist/program/licenses.txt';
const READ = ['README.md', 'SECURITY.md', 'docs', 'examples'];
const UNITS = [
  'tswg@.service',
  'tswg-config@.service',
  'tswg-metrics.service',
  'tswg-metrics.timer',
];
const PLACES = {
  tswg: ['/usr/bin/tswg'],
  tswgd: ['/usr/sbin/tswgd'],
  path: null,
  isInHome: false,
};
const SCRIPTS = ['postinst', 'prerm', 'postrm'];
/** Where each shell looks for what completes `tswg`. */
const COMPLETIONS = {
  bash: 'usr/share/bash-completion/completions/tswg',
  zsh: 'usr/share/zsh/vendor-completions/_tswg',
  fish: 'usr/share/fish/vendor_completions.d/tswg.fish',
};
const MAINTAINER = 'tswg authors <tswg@packages.invalid>';
const [FOLDER_MODE, FILE_MODE, PROGRAM_MODE] = [0o755, 0o644, 0o755];

const read = (...path) => readFileSync(join(...path), 'utf8');

/** Seconds since 1970. */
function dateOfFiles() {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (/^\d+$/.test(given ?? '')) return Number(given);
  const options = { cwd: REPOSITORY, encoding: 'utf8' };
  return Number(execFileSync('git', ['log', '-1', '--format=%ct'], options));
}

/** All that is no folder below one, seen from it, sorted. */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

function put(tree, path, content) {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), content);
}

function link(tree, path, target) {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  symlinkSync(target, join(tree, path));
}

function placePrograms(tree, stage) {
  const home = join(tree, HOME);
  for (const part of PROGRAMS) {
    cpSync(join(stage, part), join(home, part), { recursive: true });
  }
  for (const path of filesBelow(home)) if (isLicense(path)) rmSync(join(home, path));
  for (const name of ['tswg', 'tswgd']) {
    // Other programs called node may come first on the way; this is what the package depends on.
    put(home, `bin/${name}`, read(stage, 'bin', name).replace(/^#!.*/, '#!/usr/bin/node'));
  }
  link(tree, 'usr/bin/tswg', '../lib/tswg/bin/tswg');
  link(tree, 'usr/sbin/tswgd', '../lib/tswg/bin/tswgd');
}

/** Their texts are in the file of copyrights. */
function isLicense(path) {
  return path === LICENSES || basename(path) === 'LICENSE.txt';
}

/** The version of the C library that the one native file needs. */
function checkNativeFiles(tree, architecture) {
  const paths = filesBelow(join(tree, HOME)).filter((path) => path.endsWith('.node'));
  if (paths.length !== 1)
    throw new Error(`${paths.join(' ') || 'no .node'}: expected one .node file`);
  const [path] = paths;
  const native = readNativeFile(readFileSync(join(tree, HOME, path)));
  if (native.architecture !== architecture) {
    throw new Error(
      `${path}: is for ${native.architecture ?? 'another processor'}, expected ${architecture}`,
    );
  }
  if (native.hasSymbols) throw new Error(`${path}: is not stripped`);
  if (native.glibc === null) throw new Error(`${path}: does not need the GNU C library`);
  return native.glibc;
}

function placeUnits(tree, stage) {
  for (const unit of UNITS) {
    const text = placeUnit(read(stage, 'examples', unit), PLACES);
    put(tree, `usr/lib/systemd/system/${unit}`, text);
  }
}

function placeManual(tree) {
  const folder = join(REPOSITORY, 'dist', 'man');
  for (const page of existsSync(folder) ? readdirSync(folder) : []) {
    const section = page.slice(page.lastIndexOf('.') + 1);
    const text = gzipSync(read(folder, page), { level: 9 });
    put(tree, `usr/share/man/man${section}/${page}.gz`, text);
  }
}

/** By this machine's build, whose words are those of the other processor's. */
function placeCompletions(tree) {
  for (const [shell, path] of Object.entries(COMPLETIONS)) {
    const program = join(REPOSITORY, 'bin', 'tswg');
    put(tree, path, execFileSync(process.execPath, [program, 'completion', shell]));
  }
}

function placeTexts(tree, stage, version, date) {
  const native = filesBelow(join(stage, 'node_modules')).find(isLicense);
  for (const part of READ) cpSync(join(stage, part), join(tree, DOC, part), { recursive: true });
  const copyright = formatCopyright({
    own: read(stage, 'LICENSE'),
    bundled: read(stage, LICENSES),
    koffi: read(stage, 'node_modules', native),
  });
  put(tree, `${DOC}/copyright`, copyright);
  const day = new Date(date * 1000).toUTCString().replace('GMT', '+0000');
  const changes = `tswg (${version}) unstable; urgency=medium

  * The release of this number.

 -- ${MAINTAINER}  ${day}
`;
  put(tree, `${DOC}/changelog.gz`, gzipSync(changes, { level: 9 }));
  put(tree, 'usr/share/lintian/overrides/tswg', read(HERE, 'lintian-overrides'));
}

/** Modes as the package's, whatever the umask was. */
function setModes(tree) {
  chmodSync(tree, FOLDER_MODE);
  for (const entry of readdirSync(tree, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, FOLDER_MODE);
    else if (entry.isFile()) {
      const isProgram = readFileSync(path).subarray(0, 2).toString() === '#!';
      chmodSync(path, isProgram ? PROGRAM_MODE : FILE_MODE);
    }
  }
}

function writeControl(tree, values) {
  const files = filesBelow(tree).filter((path) => lstatSync(join(tree, path)).isFile());
  const bytes = files.reduce((sum, path) => sum + lstatSync(join(tree, path)).size, 0);
  const all = { ...values, KIBIBYTES: `${Math.ceil(bytes / 1024)}`, MAINTAINER };
  const fill = (name) => read(HERE, name).replaceAll(/@([A-Z]+)@/g, (_, key) => all[key]);
  const sums = files.map((path) => {
    const sum = createHash('md5')
      .update(readFileSync(join(tree, path)))
      .digest('hex');
    return `${sum}  ${path}\n`;
  });
  put(tree, 'DEBIAN/md5sums', sums.join(''));
  put(tree, 'DEBIAN/control', fill('control'));
  for (const script of SCRIPTS) put(tree, `DEBIAN/${script}`, fill(script));
}

function pack(tree, path, date) {
  mkdirSync(dirname(path), { recursive: true });
  const options = ['--root-owner-group', '-Zxz', '--threads-max=1', '--build'];
  execFileSync('dpkg-deb', [...options, tree, `${path}.new`], {
    env: { ...process.env, SOURCE_DATE_EPOCH: `${date}`, LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  renameSync(`${path}.new`, path);
}

/** Returns the path of the package. */
function build(architecture, stage, folder) {
  const { version, engines } = JSON.parse(read(stage, 'package.json'));
  const date = dateOfFiles();
  const root = mkdtempSync(join(tmpdir(), 'tswg-deb-'));
  try {
    const tree = join(root, 'tree');
    placePrograms(tree, stage);
    const glibc = checkNativeFiles(tree, architecture);
    placeUnits(tree, stage);
    placeManual(tree);
    placeCompletions(tree);
    placeTexts(tree, stage, version, date);
    writeControl(tree, {
      ...{ VERSION: version, ARCHITECTURE: architecture, GLIBC: glibc },
      NODE: engines.node.replace('>=', ''),
      SERVED: read(HERE, 'served.sh').trimEnd(),
    });
    setModes(tree);
    // For keys: what lies in it is the operator's, and root's alone.
    mkdirSync(join(tree, 'etc/tswg'), { recursive: true });
    chmodSync(join(tree, 'etc'), FOLDER_MODE);
    chmodSync(join(tree, 'etc/tswg'), 0o700);
    const path = join(folder, `tswg_${version}_${architecture}.deb`);
    pack(tree, path, date);
    return path;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

try {
  const [architecture, stage, folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('expected amd64 or arm64, the stage, and a folder');
  process.stdout.write(`${build(architecture, stage, folder)}\n`);
} catch (error) {
  process.stderr.write(`package: ${error.message}\n`);
  process.exitCode = 1;
}
