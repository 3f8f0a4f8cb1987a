/**
 * koffi's native part for a machine that may be another than this one: as npm has installed it, or
 * else from npm, held against the checksum in package-lock.json.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Architecture, readNativeFile } from './elf.ts';

/** As Node.js and npm call them. */
const CPUS: Readonly<Record<Architecture, string>> = { amd64: 'x64', arm64: 'arm64' };

/** The package that has the native part. */
export function nativePackage(architecture: Architecture): string {
  return `@koromix/koffi-linux-${CPUS[architecture]}`;
}

/** Its one file that is needed where the C library is GNU's, seen from the package. */
export function nativeFile(architecture: Architecture): string {
  return `linux_${CPUS[architecture]}/koffi.node`;
}

/** A folder with the package in it; `release` removes what was made for it. */
export function openNativePackage(
  repository: string,
  architecture: Architecture,
): { readonly folder: string; release(): void } {
  const name = nativePackage(architecture);
  const installed = join(repository, 'node_modules', name);
  if (existsSync(installed)) return { folder: installed, release: () => {} };
  const lock = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8'));
  const { version, integrity } = lock.packages[`node_modules/${name}`];
  const place = mkdtempSync(join(tmpdir(), 'tswg-native-'));
  const release = () => rmSync(place, { recursive: true, force: true });
  try {
    const packed = execFileSync(
      'npm',
      ['pack', '--silent', '--pack-destination', place, `${name}@${version}`],
      { encoding: 'utf8' },
    );
    const archive = join(place, packed.trim());
    checkIntegrity(`${name}@${version}`, readFileSync(archive), integrity);
    execFileSync('tar', ['-xzf', archive, '-C', place]);
    return { folder: join(place, 'package'), release };
  } catch (error) {
    release();
    throw error;
  }
}

/** @param expected as npm writes it: an algorithm, `-`, base64 */
function checkIntegrity(what: string, bytes: Buffer, expected: string): void {
  const [algorithm] = expected.split('-', 1);
  const found = `${algorithm}-${createHash(algorithm).update(bytes).digest('base64')}`;
  if (found !== expected)
    throw new Error(`${what}: is ${found}, package-lock.json has ${expected}`);
}

/** What it needs of the C library. @throws Error when it is not what is to be shipped */
export function checkNativeFile(path: string, architecture: Architecture): { glibc: string } {
  const native = readNativeFile(readFileSync(path));
  if (native.architecture !== architecture) {
    throw new Error(`${path}: is for ${native.architecture}, expected ${architecture}`);
  }
  if (native.hasSymbols) throw new Error(`${path}: is not stripped`);
  if (native.glibc === null) throw new Error(`${path}: does not need the GNU C library`);
  return { glibc: native.glibc };
}
