/**
 * What `tswg` and `tswgd` load first: it says which Node.js and which system they need, before anything
 * is loaded that others could not even read, and what keeps the program from being loaded. The bundler
 * writes it, and what it imports, for a Node.js of many years ago (packaging/bundle.mjs).
 */

import { nodeMistake, platformMistake } from '../version.ts';
import { loadingMistake } from './refusal.ts';

interface Program {
  /** Resolves to the exit code. */
  main(argv: readonly string[], env: Record<string, string | undefined>): Promise<number>;
}

/** @param load loads the program of that name (code.ts) */
export async function start(name: string, load: () => Program): Promise<void> {
  const fail = (line: string): number => {
    process.stderr.write(`${name}: ${line}\n`);
    return 1;
  };
  const mistake = platformMistake(process.platform) ?? nodeMistake(process.versions.node);
  try {
    process.exitCode =
      mistake === null ? await load().main(process.argv.slice(2), process.env) : fail(mistake);
  } catch (error) {
    const line = loadingMistake(error);
    if (line === null) throw error;
    process.exitCode = fail(line);
  }
}
