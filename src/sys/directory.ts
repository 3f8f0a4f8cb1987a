/** Making a folder with those above it. */

import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Node's own `recursive` says ENOENT where a file system is read-only; this says what it is.
 *
 * @param mode of all that are made, as far as the umask leaves it
 * @returns whether it had to be made @throws NodeJS.ErrnoException
 */
export function makeDirectory(directory: string, mode: number): boolean {
  try {
    mkdirSync(directory, { mode });
    return true;
  } catch (error) {
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return false;
    const parent = dirname(directory);
    const lacksParent = (error as NodeJS.ErrnoException).code === 'ENOENT' && parent !== directory;
    if (!lacksParent || !makeDirectory(parent, mode)) throw error;
    return makeDirectory(directory, mode);
  }
}
