/**
 * A tswgd with code of the tests inside (test/e2e/sandboxsubject.ts), bundled as the one that is shipped,
 * in a folder of its own that a daemon without rights can read: by that path it starts its successor, too.
 */

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { REPOSITORY } from './repository.ts';

/** Installs it for the tests of a file, which may put their output beside it. */
export function probedProgram(): { readonly folder: string; readonly program: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'tswg-probed-'));
  const program = path.join(folder, 'tswgd');
  beforeAll(() => {
    // Whoever the daemon becomes.
    chmodSync(folder, 0o755);
    const bundler = path.join(REPOSITORY, 'packaging', 'bundle.mjs');
    execFileSync(process.execPath, [bundler, 'subject', 'test/e2e/sandboxsubject.ts', folder]);
    writeFileSync(program, "require('./subject.cjs');\n");
    symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(folder, 'node_modules'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  return { folder, program };
}
