/** What a tswgd of the lab has counted: asked from outside, without a program on its host. */

import { request } from '../../src/control/uapiclient.ts';
import { parseStats, type ReportedStats } from '../../src/uapi/stats.ts';
import type { TunnelEnd } from '../lab/tunnel.ts';

export async function statsOf({ host, ifname }: TunnelEnd): Promise<ReportedStats> {
  const folder = `/proc/${host.pid}/root/run/wireguard`;
  return parseStats(await request(ifname, 'stats=1\n\n', folder));
}

/** What it has dropped, all reasons together. */
export function droppedIn({ counters }: ReportedStats): number {
  const drops = Object.entries(counters).filter(([name]) => name.startsWith('drop_'));
  return drops.reduce((sum, [, count]) => sum + count, 0);
}
