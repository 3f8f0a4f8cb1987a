/**
 * koffi, by which the C library and OpenSSL are called: of it only the compiled part for this processor.
 * The package `koffi` around it brings what a compiler would need, and a script to be run when it is
 * installed, of which package managers rightly warn; it gives the types, and what it adds otherwise are
 * warnings of old names.
 */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type Koffi from 'koffi';

export type { node } from 'koffi';

/** For other processors there are such, too; package.json names those that are tried. */
const PACKAGE = `@koromix/koffi-linux-${process.arch}`;
const require = createRequire(import.meta.url);

/** The part of the package for GNU's C library, */
const GNU = `${PACKAGE}/linux_${process.arch}/koffi.node`;
/** and where the other one's loader is, by whose name the package knows it. */
const MUSL_LOADERS: Readonly<Record<string, string>> = {
  x64: '/lib/ld-musl-x86_64.so.1',
  arm64: '/lib/ld-musl-aarch64.so.1',
};

/** @throws Error with the code MODULE_NOT_FOUND where the package was not installed */
export const koffi: typeof Koffi = loadGnu() ?? require(PACKAGE);

/**
 * Without the package's own code, which takes longer than what it loads. Undefined where that is to
 * choose: where there is the other C library as well, or this has failed.
 */
function loadGnu(): typeof Koffi | undefined {
  const loader = MUSL_LOADERS[process.arch];
  if (loader === undefined || existsSync(loader)) return undefined;
  try {
    return require(GNU);
  } catch {
    return undefined;
  }
}

/** The file of the package that loads the compiled part, which lies below. */
export function koffiPath(): string {
  return require.resolve(PACKAGE);
}
