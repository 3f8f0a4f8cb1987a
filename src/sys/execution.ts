/** execve(2): becoming another program, or the same one once more. */

import type { Environment } from './environment.ts';
import { koffi } from './koffi.ts';
import { errno } from './libc.ts';

const execve: (path: string, args: (string | null)[], env: (string | null)[]) => number = koffi
  .load(null)
  .func('execve', 'int', ['str', 'str *', 'str *']);

/**
 * Has this process execute a program. Descriptors that do not close on exec stay open; all other
 * threads end. Returns the error number, or not at all.
 *
 * @param command the program's path, then its arguments
 */
export function execute(command: readonly string[], env: Environment): number {
  const variables = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const [path = ''] = command;
  execve(path, [...command, null], [...variables, null]);
  return errno();
}
