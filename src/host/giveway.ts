/**
 * Gives way to whatever else runs: a program that looks at a tunnel is not to take the processor from
 * it. Owns how little of it such a program gets where others want it.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { setsid } from '../sys/libc.ts';

/**
 * As nice(2) has it: a tenth of what others get. Beside programs that take all of two processors,
 * `doctor --quick` ends in 0.6 s with 0, 1.1 s with 5, 3.4 s with 10 and 8 s with 15.
 */
const NICE = 10;

/**
 * For this process, and all that it starts from then on. Changes no other process, and nothing where it
 * is not allowed to.
 */
export function giveWay(): void {
  try {
    // On Linux each thread has its own, and new ones that of who starts them.
    for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), NICE);
    // By default Linux first shares the processors between sessions, and only within each by that
    // (sched(7), autogroup): the daemon's is another, and ours is made to be ours alone.
    if (hasOwnSession()) writeFileSync('/proc/self/autogroup', `${NICE}`);
  } catch {
    // Then it runs as others do.
  }
}

/** With a terminal there is one who waits for us, and may want to interrupt us from there. */
function hasOwnSession(): boolean {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const [pid] = stat.split(' ', 1);
  // The name, in brackets, may hold blanks.
  const [, , , session, terminal] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (terminal !== '0') return false;
  return session === pid || setsid() >= 0;
}
