/**
 * A tswgd with code of the tests inside (test/e2e/sandboxsubject.ts), in a folder of its own that
 * a daemon without rights can read: by that path it starts its successor, too.
 */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { compiledProgram } from './repository.ts';

/** Installs it for the tests of a file, which may put their output beside it. */
export function probedProgram(): { readonly folder: string; readonly program: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'tswg-probed-'));
  const program = path.join(folder, 'tswgd');
  beforeAll(() => {
    // Whoever the daemon becomes.
    chmodSync(folder, 0o755);
    writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(program, `import '${compiledProgram('test/e2e/sandboxsubject.ts')}';\n`);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  return { folder, program };
}
