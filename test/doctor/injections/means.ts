/** What injections break a tunnel with, or use it by. */

import type { Host } from '../../lab/host.ts';
import { IFNAME, type Site, tswg } from '../sites.ts';

const OTHER_FILE = '/run/other.json';
/** Longer than any case takes; it ends with the lab at the latest. */
const PING_LIMIT_S = 180;

/** Pings beside the case, from wherever in the lab. With a -w of its own it would end at an error. */
export function keepPinging(host: Host, address: string, ...options: readonly string[]): void {
  const words = ['-n', '-q', '-i', '0.3', ...options, address];
  host.spawn('timeout', [`${PING_LIMIT_S}`, 'ping', ...words]);
}

/** What the other end says of itself, as doctor on `side` is given it. */
export async function otherEnd(other: Site, side: Site): Promise<readonly string[]> {
  await side.host.writeFile(OTHER_FILE, await tswg(other, '--json'));
  return ['--other', OTHER_FILE];
}

/** Makes the tunnel of a side again with a new daemon, which has no memory of the one before. */
export async function restartDaemon(
  side: Site,
  words: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  await tswg(side, 'destroy');
  await side.host.run('tswg', [IFNAME, ...`create ${words}`.split(' ')], { env });
}

/** The environment of a program whose wall clock is so much ahead. */
export function clockAhead(ms: number): Readonly<Record<string, string>> {
  const shift = `const now=Date.now;Date.now=()=>now()+${ms}`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(shift)}` };
}
