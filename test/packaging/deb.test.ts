/**
 * The Debian package, by what dpkg-deb says of it: what is in it and what is not, that the same input
 * gives the same bytes, and which input is refused. What it does on a machine is test/boot's.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';
import { REPOSITORY } from '../lab/repository.ts';

const CPU = process.arch;
const ARCHITECTURE = CPU === 'arm64' ? 'arm64' : 'amd64';
const OTHER = CPU === 'arm64' ? 'amd64' : 'arm64';
const NATIVE = `node_modules/@koromix/koffi-linux-${CPU}`;
const LIBRARY = `${NATIVE}/linux_${CPU}/koffi.node`;
const BUILD = join(REPOSITORY, 'packaging', 'debian', 'build.mjs');
const isPossible = existsSync('/usr/bin/dpkg-deb') && existsSync(join(REPOSITORY, LIBRARY));

let folder: string;
let stage: string;

/** As packaging/package.mjs lays it out. */
function layOut(): void {
  const own = ['bin', 'dist/program', 'docs', 'examples', 'package.json'];
  for (const name of [...own, 'README.md', 'SECURITY.md', 'LICENSE']) {
    cpSync(join(REPOSITORY, name), join(stage, name), { recursive: true });
  }
  for (const part of ['package.json', 'index.js', `linux_${CPU}`]) {
    cpSync(join(REPOSITORY, NATIVE, part), join(stage, NATIVE, part), { recursive: true });
  }
  const license = join(REPOSITORY, 'node_modules/koffi/LICENSE.txt');
  cpSync(license, join(stage, NATIVE, 'LICENSE.txt'));
}

function build(output: string, architecture = ARCHITECTURE, umask = 0o022) {
  const words = [process.execPath, BUILD, architecture, stage, join(folder, output)];
  return spawnSync('sh', ['-c', `umask ${umask.toString(8)}; exec "$@"`, 'sh', ...words], {
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' },
  });
}

const run = (program: string, ...words: string[]) =>
  execFileSync(program, words, { encoding: 'utf8' });

describe.skipIf(!isPossible)('the Debian package', () => {
  let deb: string;
  let tree: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tswg-deb-test-'));
    stage = join(folder, 'stage');
    layOut();
    const { stdout, stderr } = build('one');
    expect(stderr).toBe('');
    deb = stdout.trim();
    tree = join(folder, 'tree');
    run('dpkg-deb', '--raw-extract', deb, tree);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const text = (path: string) => readFileSync(join(tree, path), 'utf8');

  it('is for one processor, and says what it needs', () => {
    expect(deb).toBe(join(folder, 'one', `tswg_${VERSION}_${ARCHITECTURE}.deb`));
    const control = run('dpkg-deb', '--field', deb);
    expect(control).toContain(`Architecture: ${ARCHITECTURE}\n`);
    expect(control).toMatch(/^Depends: nodejs \(>= 20\.19\), libc6 \(>= 2\.\d+\), /m);
    expect(control).toMatch(/^Installed-Size: \d{4}$/m);
  });

  it('is the same for the same input, whatever the umask', () => {
    const again = build('two', ARCHITECTURE, 0o077).stdout.trim();
    expect(readFileSync(again).equals(readFileSync(deb))).toBe(true);
  });

  it('has one native file, and nothing that no program loads', () => {
    const files = readdirSync(tree, { recursive: true, encoding: 'utf8' });
    expect(files.filter((path) => path.endsWith('.node'))).toEqual([`usr/lib/tswg/${LIBRARY}`]);
    const programs = files.filter((path) => path.startsWith('usr/lib/tswg/'));
    expect(programs.filter((path) => /\.(map|ts|md|txt|cc)$/.test(path))).toEqual([]);
    const owners = run('dpkg-deb', '--contents', deb).split('\n').filter(Boolean);
    expect(owners.filter((line) => !/ root\/root /.test(line))).toEqual([]);
    expect(owners.filter((line) => /^.{5}w|^.{8}w/.test(line) && !line.startsWith('l'))).toEqual(
      [],
    );
  });

  it('has programs that run where they lie, by the Node.js that it depends on', () => {
    for (const name of ['tswg', 'tswgd']) {
      const path = `usr/lib/tswg/bin/${name}`;
      expect(text(path)).toMatch(/^#!\/usr\/bin\/node\n/);
      const said = run(process.execPath, join(tree, path), '--version');
      expect(said).toBe(`${name} ${VERSION}\n`);
    }
    // Through the native part.
    run(process.execPath, join(tree, 'usr/lib/tswg/bin/tswg'), 'lo');
  });

  it('has units that name the programs by their paths', () => {
    const units = join(tree, 'usr/lib/systemd/system');
    const daemon = readFileSync(join(units, 'tswg@.service'), 'utf8');
    expect(daemon).toMatch(/^ExecStart=\/usr\/sbin\/tswgd -f %i$/m);
    expect(daemon).toMatch(/^ExecReload=\+\/usr\/bin\/tswg netstart %i$/m);
    expect(daemon).toMatch(/^ProtectHome=yes$/m);
    const config = readFileSync(join(units, 'tswg-config@.service'), 'utf8');
    expect(config).toMatch(/^ExecStart=\/usr\/bin\/tswg netstart --keep %i$/m);
    for (const unit of readdirSync(units)) {
      expect(readFileSync(join(units, unit), 'utf8'), unit).not.toMatch(/^Exec\w+=[-+]*tswgd?\b/m);
    }
    expect(existsSync(join(units, 'tswg-metrics.timer'))).toBe(true);
  });

  it('has scripts that a shell can read, with nothing left to fill in', () => {
    for (const script of ['postinst', 'prerm', 'postrm']) {
      run('sh', '-n', join(tree, 'DEBIAN', script));
      expect(text(`DEBIAN/${script}`), script).not.toMatch(/@[A-Z]+@|undefined/);
    }
  });

  it('has what completes it where each shell looks', () => {
    expect(text('usr/share/bash-completion/completions/tswg')).toMatch(/^complete .*\btswg$/m);
    expect(text('usr/share/zsh/vendor-completions/_tswg')).toMatch(/^#compdef tswg\n/);
    expect(text('usr/share/fish/vendor_completions.d/tswg.fish')).toMatch(/^complete .*-c tswg /m);
  });

  it('tells whose each part is', () => {
    const copyright = text('usr/share/doc/tswg/copyright');
    for (const holder of ['the tswg authors', 'Paul Miller', 'Niels Martign']) {
      expect(copyright).toContain(holder);
    }
  });

  it.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    [
      'of another processor',
      (bytes) => {
        bytes.writeUInt16LE(CPU === 'arm64' ? 62 : 183, 18);
        return bytes;
      },
      new RegExp(`koffi\\.node: is for ${OTHER}, expected ${ARCHITECTURE}$`),
    ],
    [
      'with symbols',
      (bytes) => {
        const sections = Number(bytes.readBigUInt64LE(40));
        bytes.writeUInt32LE(2, sections + bytes.readUInt16LE(58) + 4);
        return bytes;
      },
      /koffi\.node: is not stripped$/,
    ],
    ['that is none', () => Buffer.from('text'), /expected a 64-bit little-endian ELF file$/],
  ])('is not made with a native file %s', (_, change, line) => {
    const path = join(stage, LIBRARY);
    const whole = readFileSync(path);
    writeFileSync(path, change(Buffer.from(whole)));
    try {
      const { status, stdout, stderr } = build('refused');
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^package: [^\n]*\n$/);
      expect(stderr.trim()).toMatch(line);
      expect(existsSync(join(folder, 'refused'))).toBe(false);
    } finally {
      writeFileSync(path, whole);
    }
  });

  it('is not made with two native files', () => {
    const other = join(stage, NATIVE, 'musl');
    mkdirSync(other);
    cpSync(join(stage, LIBRARY), join(other, 'koffi.node'));
    const { status, stderr } = build('refused');
    rmSync(other, { recursive: true });
    expect(status).toBe(1);
    expect(stderr).toMatch(/koffi\.node .*koffi\.node: expected one \.node file$/m);
  });
});
