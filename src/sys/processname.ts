/** What the tools that list processes call this one. */

import { writeFileSync } from 'node:fs';

const NAME_FILE = '/proc/self/comm';

/**
 * `ps` shows `PROGRAM ARGUMENT` as the command line; `ps -C`, `ss -p`, `top` and pidof(8) know the
 * program's name instead of Node's.
 */
export function nameProcess(program: string, argument: string): void {
  process.title = `${program} ${argument}`;
  try {
    // The title became the name, too, and pidof(8) wants the program's alone.
    writeFileSync(NAME_FILE, program);
  } catch {
    // Without /proc, nobody lists processes.
  }
}
