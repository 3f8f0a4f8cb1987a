/** Groups of this machine's, as /etc/group has them. Those of a directory service are not there. */

import { readFileSync } from 'node:fs';

/** The number of the group of that name; null when there is none. */
export function findGroup(name: string, path = '/etc/group'): number | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // A machine without the file has no groups to name.
    return null;
  }
  for (const line of text.split('\n')) {
    const [group, , gid = ''] = line.split(':');
    if (group === name && /^\d{1,10}$/.test(gid)) return Number(gid);
  }
  return null;
}
