/**
 * How long peers that the victim has never seen wait in the midst of a flood, many of them at once:
 * one flood gives as many trials as there are newcomers.
 */

import type { Implementation } from '../bench/implementation.ts';
import { sleep } from '../lab/command.ts';
import { closeLab, openLab } from '../lab/openlabs.ts';
import { Crowd } from './crowd.ts';
import { daemonOf, gatedEnd } from './daemon.ts';
import { GateWatch } from './gatewatch.ts';
import type { NewcomerRow } from './rows.ts';
import { Site } from './site.ts';
import { framesPerSecond, received } from './traffic.ts';
import type { Conditions, Settings } from './trial.ts';

export interface NewcomerResult extends Conditions {
  readonly section: 'newcomer';
  /** Of each newcomer; Infinity for who was not connected in time. */
  readonly seconds: readonly number[];
  /** Cookies that all the connected ones together were given. */
  readonly cookies: number;
}

/** They come when the flood has been on for so long: its first wave has gone by. */
const LEAD_S = 3;
const EXTRA_S = 5;
const MS_PER_S = 1_000;
/** A second's worth of forged senders before the flood. */
const BURST = { kind: 'garbage', sources: 'random', rate: 13_000 } as const;
const BURST_S = 1.5;

export async function tryNewcomers(
  row: NewcomerRow,
  implementation: Implementation,
  { newcomers, limit }: Settings,
): Promise<NewcomerResult> {
  const lab = await openLab();
  try {
    const site = await Site.open(lab, daemonOf(implementation), row.family);
    const crowd = await Crowd.gather(site, newcomers, row.direction, limit);
    const watch = GateWatch.over(gatedEnd(implementation, site.victim));
    if (row.isBurst) await (await site.flood(BURST, 'tunnel', BURST_S)).finished();
    const { frames, bytes } = received(site.victim.host, 'attacker');
    const assault = row.isBurst ? { ...row, clump: row.rate as number } : row;
    const flood = await site.flood(assault, 'tunnel', LEAD_S + limit + EXTRA_S, newcomers);
    const before = { ...received(site.victim.host, 'attacker'), frames, bytes };
    await sleep(LEAD_S * MS_PER_S);
    const { seconds, cookies } = await crowd.connect();
    const after = received(site.victim.host, 'attacker');
    await flood.stop();
    const arrivedPerSecond = framesPerSecond(before, after);
    return { section: 'newcomer', arrivedPerSecond, gate: watch.stop(), seconds, cookies };
  } finally {
    await closeLab(lab);
  }
}
