/** Where the files of hostname.if(5) are, and for which interfaces there is one. */

import { readdirSync } from 'node:fs';

const DIRECTORY = '/etc';
const PREFIX = 'hostname.';

export function hostnamePath(name: string): string {
  return `${DIRECTORY}/${PREFIX}${name}`;
}

/** What follows `hostname.` in the names of all files, sorted. @throws NodeJS.ErrnoException */
export function hostnameFileNames(): string[] {
  return readdirSync(DIRECTORY)
    .filter((file) => file.startsWith(PREFIX))
    .map((file) => file.slice(PREFIX.length))
    .sort();
}
