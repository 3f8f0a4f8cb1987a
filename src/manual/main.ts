/**
 * `npm run build:manual`: writes the manual pages and the completion scripts into dist, from where
 * packages install them:
 *
 *     dist/man/tswg.8, tswgd.8, hostname.wg.5           /usr/share/man/man8, man5
 *     dist/completions/bash/tswg                        /usr/share/bash-completion/completions
 *     dist/completions/zsh/_tswg                        /usr/share/zsh/vendor-completions
 *     dist/completions/fish/tswg.fish                   /usr/share/fish/vendor_completions.d
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SHELLS, type Shell } from '../cli/shells.ts';
import { completionScript } from '../cli/shellscripts.ts';
import { formatPage } from './mdoc.ts';
import { manualPages } from './pages.ts';

/** When somebody last read all of them. */
const DATE = 'November 28, 2026';
/** Where each shell looks for a script about `tswg`. */
const SCRIPT_NAMES: Readonly<Record<Shell, string>> = {
  bash: 'tswg',
  zsh: '_tswg',
  fish: 'tswg.fish',
};

const repository = join(import.meta.dirname, '..', '..', '..');

for (const page of manualPages((name) => readFileSync(join(repository, 'docs', name), 'utf8'))) {
  write(join('man', `${page.name}.${page.section}`), formatPage(page, DATE));
}
for (const shell of SHELLS) {
  write(join('completions', shell, SCRIPT_NAMES[shell]), completionScript(shell));
}

function write(path: string, text: string): void {
  const target = join(repository, 'dist', path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}
