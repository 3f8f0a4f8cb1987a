/**
 * koffi, by which the C library and OpenSSL are called: of it only the compiled part for this processor,
 * whose own code chooses between the C libraries. The package `koffi` around it brings what a compiler
 * would need, and a script to be run when it is installed, of which package managers rightly warn; it
 * gives the types, and what it adds otherwise are warnings of old names.
 */

import { createRequire } from 'node:module';
import type Koffi from 'koffi';

export type { node } from 'koffi';

/** For other processors there are such, too; package.json names those that are tried. */
const PACKAGE = `@koromix/koffi-linux-${process.arch}`;
const require = createRequire(import.meta.url);

/** @throws Error with the code MODULE_NOT_FOUND where the package was not installed */
export const koffi: typeof Koffi = require(PACKAGE);

/** The file of the package that loads the compiled part, which lies below. */
export function koffiPath(): string {
  return require.resolve(PACKAGE);
}
