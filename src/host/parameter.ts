/** The kernel's parameters of networking, as sysctl(8) has them; read only. */

import { readFileSync } from 'node:fs';

/** @param path below /proc/sys/net, as `ipv4/ip_forward`; null when there is none that can be read */
export function readParameter(path: string): string | null {
  try {
    return readFileSync(`/proc/sys/net/${path}`, 'utf8').trim();
  } catch {
    return null;
  }
}
