/**
 * The Debian package: from a folder with the programs (stage.ts) to a .deb for one architecture, by
 * dpkg-deb alone. The same input gives the same bytes: files are dated SOURCE_DATE_EPOCH, and belong
 * to root. Units are those of examples/, with the paths of the package (host/serviceunits.ts); what
 * dpkg runs is in packaging/debian/.
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
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { placeUnit } from '../src/host/serviceunits.ts';
import { formatCopyright } from './copyright.ts';
import type { Architecture } from './elf.ts';
import { checkNativeFile, nativeFile, nativePackage, openNativePackage } from './native.ts';
import { filesBelow } from './stage.ts';

const HOME = 'usr/lib/tswg';
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
/** What of a package of npm no program loads. Licences are in the file of copyrights. */
const UNUSED =
  /(\.(map|md|ts|mts|cts|cc|hh|inc|asm|S|def|txt|yml|tsbuildinfo)|\/(LICEN[CS]E[^/]*|README|CMakeLists\.txt|cnoke\.cjs|trampolines\.cjs|\.[^/]+))$/i;
const UNUSED_FOLDERS = /\/node_modules\/(koffi\/(doc|vendor|lib)|yargs\/locales\/(?!en\.json))/;
const [FOLDER_MODE, FILE_MODE, PROGRAM_MODE] = [0o755, 0o644, 0o755];

export interface DebOptions {
  readonly repository: string;
  /** As stage.ts lays it. */
  readonly stage: string;
  readonly architecture: Architecture;
  readonly version: string;
  /** Seconds since 1970, of every file. */
  readonly date: number;
  /** The folder for the package. */
  readonly output: string;
}

/** Returns the path of the package. @throws Error with one line about what is wrong with the input */
export function buildDeb(options: DebOptions): string {
  const root = mkdtempSync(join(tmpdir(), 'tswg-deb-'));
  try {
    const tree = join(root, 'tree');
    placePrograms(tree, options);
    const { glibc } = placeNativePart(tree, options);
    placeSystemFiles(tree, options);
    finish(tree);
    writeControl(tree, glibc, options);
    return pack(tree, options);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function put(tree: string, path: string, content: string | Buffer): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), content);
}

function placePrograms(tree: string, { stage }: DebOptions): void {
  const home = join(tree, HOME);
  for (const part of ['bin', 'dist', 'node_modules', 'package.json']) {
    if (existsSync(join(stage, part)))
      cpSync(join(stage, part), join(home, part), { recursive: true });
  }
  rmSync(join(home, 'node_modules/@koromix'), { recursive: true, force: true });
  for (const path of filesBelow(home)) {
    const isUnused = UNUSED.test(`/${path}`) || UNUSED_FOLDERS.test(`/${path}`);
    if (isUnused) rmSync(join(home, path));
  }
  removeEmptyFolders(home);
  for (const name of ['tswg', 'tswgd']) {
    const text = readFileSync(join(stage, 'bin', name), 'utf8');
    // Whatever else is called node on the way: this one is what the package depends on.
    put(home, `bin/${name}`, text.replace(/^#!.*/, '#!/usr/bin/node'));
  }
  link(tree, 'usr/bin/tswg', '../lib/tswg/bin/tswg');
  link(tree, 'usr/sbin/tswgd', '../lib/tswg/bin/tswgd');
}

function link(tree: string, path: string, target: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  symlinkSync(target, join(tree, path));
}

function removeEmptyFolders(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmptyFolders(join(folder, entry.name));
  }
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
}

function placeNativePart(tree: string, { repository, architecture }: DebOptions) {
  const source = openNativePackage(repository, architecture);
  try {
    const home = join(tree, HOME, 'node_modules', nativePackage(architecture));
    for (const path of ['package.json', 'index.js', nativeFile(architecture)]) {
      put(home, path, readFileSync(join(source.folder, path)));
    }
    return checkNativeFile(join(home, nativeFile(architecture)), architecture);
  } finally {
    source.release();
  }
}

function placeSystemFiles(tree: string, { repository, stage, version, date }: DebOptions): void {
  for (const unit of UNITS) {
    const text = readFileSync(join(stage, 'examples', unit), 'utf8');
    put(tree, `usr/lib/systemd/system/${unit}`, placeUnit(text, PLACES));
  }
  const manual = join(repository, 'dist', 'man');
  for (const page of existsSync(manual) ? readdirSync(manual) : []) {
    const section = page.slice(page.lastIndexOf('.') + 1);
    const text = readFileSync(join(manual, page));
    put(tree, `usr/share/man/man${section}/${page}.gz`, gzipSync(text, { level: 9 }));
  }
  for (const [shell, path] of Object.entries(COMPLETIONS)) {
    const options = { encoding: 'utf8', env: { ...process.env, ZSH_NAME: '' } } as const;
    const script = execFileSync(
      process.execPath,
      [join(stage, 'bin/tswg'), 'completion', shell],
      options,
    );
    put(tree, path, script);
  }
  const doc = 'usr/share/doc/tswg';
  for (const part of ['README.md', 'SECURITY.md', 'docs', 'examples']) {
    cpSync(join(stage, part), join(tree, doc, part), { recursive: true });
  }
  const overrides = readFileSync(join(repository, 'packaging/debian/lintian-overrides'));
  put(tree, 'usr/share/lintian/overrides/tswg', overrides);
  put(tree, `${doc}/copyright`, formatCopyright(stage, `/${HOME}`));
  const day = new Date(date * 1000).toUTCString().replace('GMT', '+0000');
  const entry = `tswg (${version}) unstable; urgency=medium\n\n  * The release of this number.\n\n -- tswg authors <tswg@packages.invalid>  ${day}\n`;
  put(tree, `${doc}/changelog.gz`, gzipSync(entry, { level: 9 }));
}

/** Modes as the package's, whatever the umask was. */
function finish(tree: string): void {
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

function writeControl(tree: string, glibc: string, options: DebOptions): void {
  const { repository, stage, architecture, version } = options;
  const files = filesBelow(tree);
  const sums = files
    .filter((path) => lstatSync(join(tree, path)).isFile())
    .map((path) => {
      const sum = createHash('md5')
        .update(readFileSync(join(tree, path)))
        .digest('hex');
      return `${sum}  ${path}\n`;
    });
  const bytes = files.reduce((sum, path) => sum + lstatSync(join(tree, path)).size, 0);
  const { engines } = JSON.parse(readFileSync(join(stage, 'package.json'), 'utf8'));
  const values: Readonly<Record<string, string>> = {
    ...{ VERSION: version, ARCHITECTURE: architecture, GLIBC: glibc },
    NODE: engines.node.replace('>=', ''),
    KIBIBYTES: `${Math.ceil(bytes / 1024)}`,
    SERVED: readFileSync(join(repository, 'packaging/debian/served.sh'), 'utf8').trimEnd(),
  };
  const fill = (name: string) =>
    readFileSync(join(repository, 'packaging/debian', name), 'utf8').replaceAll(
      /@([A-Z]+)@/g,
      (_, key: string) => values[key],
    );
  put(tree, 'DEBIAN/md5sums', sums.join(''));
  put(tree, 'DEBIAN/control', fill('control'));
  for (const script of SCRIPTS) {
    put(tree, `DEBIAN/${script}`, fill(script));
    chmodSync(join(tree, 'DEBIAN', script), PROGRAM_MODE);
  }
  chmodSync(join(tree, 'DEBIAN'), FOLDER_MODE);
}

function pack(tree: string, { version, architecture, date, output }: DebOptions): string {
  const path = join(output, `tswg_${version}_${architecture}.deb`);
  mkdirSync(output, { recursive: true });
  const unfinished = `${path}.new`;
  execFileSync(
    'dpkg-deb',
    ['--build', '--root-owner-group', '-Zxz', '--threads-max=1', tree, unfinished],
    {
      env: { ...process.env, SOURCE_DATE_EPOCH: `${date}`, LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  renameSync(unfinished, path);
  return path;
}
