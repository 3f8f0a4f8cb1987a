/** What happens to a daemon, its interface or its load in a soak, beside what an operator sets. */

import { sleep } from '../lab/command.ts';
import { type StreamOptions, stream } from '../lab/probes.ts';
import { INNER } from '../lab/tunnel.ts';
import { IFNAME } from './keeper.ts';
import { RECONFIGURATIONS } from './reconfigurations.ts';
import type { PlannedEvent } from './schedule.ts';
import type { Site } from './site.ts';

const DOWN_MS = 300;
/** At full speed for a second: large packets each way, and small ones at a rate of their own. */
const BURSTS: readonly StreamOptions[] = [
  { seconds: 1 },
  { seconds: 1, reverse: true },
  { seconds: 1, udpRate: '20M', length: 200 },
];

/** Lets a planned event happen; resolves when it is over. @throws {Error} when it went wrong */
export async function perform(event: PlannedEvent, site: Site): Promise<void> {
  const end = site[event.side];
  switch (event.kind) {
    case 'reconfiguration': {
      const { apply } = RECONFIGURATIONS.find(({ name }) => name === event.name)!;
      return apply(end, site, event.turn);
    }
    case 'burst': {
      const options = BURSTS[event.turn % BURSTS.length];
      await stream(site.left.host, site.right.host, INNER[4][1], options);
      return;
    }
    case 'kill':
      return end.keeper.kill();
    case 'upgrade':
      return end.keeper.upgrade();
    case 'down':
      await end.host.ip(`link set ${IFNAME} down`);
      await sleep(DOWN_MS);
      await end.host.ip(`link set ${IFNAME} up`);
  }
}
