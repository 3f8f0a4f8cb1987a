/**
 * What a session keeps: a TCP stream beside a flood, and beside its control, which are the same
 * frames at the same pace to a port where nobody listens.
 */

import type { Implementation } from '../bench/implementation.ts';
import { gigabitsPerSecond, runLoad } from '../bench/iperf.ts';
import { rssMb } from '../bench/processes.ts';
import { sleep } from '../lab/command.ts';
import { closeLab, openLab } from '../lab/openlabs.ts';
import { ping } from '../lab/probes.ts';
import { daemonOf, gatedEnd } from './daemon.ts';
import { droppedIn, statsOf } from './daemonstats.ts';
import { GateWatch } from './gatewatch.ts';
import type { SessionRow } from './rows.ts';
import { type Aim, Site, VICTIM } from './site.ts';
import { received } from './traffic.ts';
import type { Conditions, Settings } from './trial.ts';

export interface SessionResult extends Conditions {
  readonly section: 'session';
  /** Gbit/s of each round. */
  readonly control: readonly number[];
  readonly flood: readonly number[];
  /** Frames of the control that arrived a second; records of before have none. */
  readonly controlPerSecond?: number;
  /** Drops that the daemon counted, for each datagram that arrived; null where it counts none. */
  readonly accounted: number | null;
  /** RSS of the victim's daemon before the first flood and after the last. */
  readonly memoryMb: { readonly before: number; readonly after: number };
}

const MS_PER_S = 1_000;
/** The flood begins before the stream and ends after it. */
const FLOOD_LEAD_MS = 300;
const FLOOD_EXTRA_S = 0.6;
const WARM_UP_S = 1;
/** The kernel's own drops are asked for when a datagram is read. */
const SETTLE_MS = 200;

export async function trySession(
  row: SessionRow,
  implementation: Implementation,
  { rounds, seconds }: Settings,
): Promise<SessionResult> {
  const lab = await openLab();
  try {
    const site = await Site.open(lab, daemonOf(implementation), row.family);
    await streamRate(site, WARM_UP_S);
    const before = rssMb(site.victimPid);
    const exposures: Exposure[] = [];
    const controls: Beside[] = [];
    const watch = GateWatch.over(gatedEnd(implementation, site.victim));
    for (let round = 0; round < rounds; round++) {
      const streams = [
        async () => controls.push(await streamBeside(site, row, 'closed port', seconds)),
        async () => exposures.push(await expose(site, row, seconds, implementation)),
      ];
      // Which is first alternates: a machine that grows slower favours neither.
      if (round % 2 === 1) streams.reverse();
      for (const stream of streams) await stream();
    }
    const mean = (values: readonly number[]) =>
      values.reduce((sum, value) => sum + value, 0) / rounds;
    const isCounting = implementation.side === 'tswg';
    return {
      section: 'session',
      arrivedPerSecond: mean(exposures.map(({ arrivedPerSecond }) => arrivedPerSecond)),
      controlPerSecond: mean(controls.map(({ arrivedPerSecond }) => arrivedPerSecond)),
      gate: watch.stop(),
      control: controls.map(({ rate }) => rate),
      flood: exposures.map(({ rate }) => rate),
      accounted: isCounting ? mean(exposures.map(({ accounted }) => accounted)) : null,
      memoryMb: { before, after: rssMb(site.victimPid) },
    };
  } finally {
    await closeLab(lab);
  }
}

/** A stream and what came in beside it. */
interface Beside {
  readonly rate: number;
  readonly arrived: number;
  readonly arrivedPerSecond: number;
}

interface Exposure extends Beside {
  /** Not a number when nothing is counted. */
  readonly accounted: number;
}

async function expose(
  site: Site,
  row: SessionRow,
  seconds: number,
  implementation: Implementation,
): Promise<Exposure> {
  const isCounted = gatedEnd(implementation, site.victim) !== null;
  const droppedBefore = isCounted ? await dropped(site) : 0;
  const beside = await streamBeside(site, row, 'tunnel', seconds);
  const accounted = isCounted
    ? ((await dropped(site)) - droppedBefore) / beside.arrived
    : Number.NaN;
  return { ...beside, accounted };
}

/** What a tswgd has dropped by now, what the kernel dropped before it among it. */
export async function dropped(site: Site): Promise<number> {
  await sleep(SETTLE_MS);
  await ping(site.client, VICTIM);
  return droppedIn(await statsOf(site.victim));
}

async function streamBeside(
  site: Site,
  row: SessionRow,
  aim: Aim,
  seconds: number,
): Promise<Beside> {
  const duration = seconds + FLOOD_LEAD_MS / MS_PER_S + FLOOD_EXTRA_S;
  const before = received(site.victim.host, 'attacker');
  const flood = await site.flood(row, aim, duration);
  await sleep(FLOOD_LEAD_MS);
  const rate = await streamRate(site, seconds);
  const { seconds: floodSeconds } = await flood.finished();
  const arrived = received(site.victim.host, 'attacker').frames - before.frames;
  return { rate, arrived, arrivedPerSecond: arrived / floodSeconds };
}

/** A stream that does not come about, or breaks off, has moved nothing. */
function streamRate(site: Site, seconds: number): Promise<number> {
  const load = { address: VICTIM, seconds };
  return runLoad(site.client, site.victim.host, load).then(gigabitsPerSecond, () => 0);
}
