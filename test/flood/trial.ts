/**
 * One round against one implementation: a TCP stream alone, beside every kind of flood and beside
 * its control, a newcomer in the midst of a flood, and the victim's memory all the while.
 */

import type { Implementation } from '../bench/implementation.ts';
import { gigabitsPerSecond, runLoad } from '../bench/iperf.ts';
import { rssMb } from '../bench/processes.ts';
import { sleep } from '../lab/command.ts';
import { closeLab, openLab } from '../lab/openlabs.ts';
import { KINDS, type Kind } from './ammunition.ts';
import { type Aim, Site, VICTIM } from './site.ts';

export interface Exposure {
  /** Gbit/s of the stream while the flood went to a port where nobody listens. */
  readonly control: number;
  /** Gbit/s while it went to the tunnel. */
  readonly flood: number;
  /** Datagrams a second that the attacker sent to the tunnel, and that reached the victim. */
  readonly sentPerSecond: number;
  readonly arrivedPerSecond: number;
  /** Drops that the daemon counted, for each datagram that arrived; null where it counts none. */
  readonly accounted: number | null;
}

export interface Trial {
  /** Gbit/s. */
  readonly alone: number;
  readonly exposures: Readonly<Partial<Record<Kind, Exposure>>>;
  /** Until the newcomer's first ping was answered; null when that took longer than the limit. */
  readonly newcomerMs: number | null;
  /** Cookies that it was given; null where none are counted. */
  readonly newcomerCookies: number | null;
  /** RSS of the victim's daemon: before the first flood, the most during them, after the last. */
  readonly memoryMb: { readonly before: number; readonly most: number; readonly after: number };
}

export const NEWCOMER_LIMIT_MS = 10_000;
/** The newcomer comes when the flood has been on for so long: its first wave has gone by. */
export const NEWCOMER_AFTER_MS = 5_000;
const MS_PER_S = 1_000;
/** The flood begins before the stream and ends behind it. */
const FLOOD_LEAD_MS = 300;
const FLOOD_EXTRA_S = 0.6;
const WARM_UP_S = 1;
const MEMORY_INTERVAL_MS = 200;

export async function runTrial(
  implementation: Implementation,
  seconds: number,
  kinds: readonly Kind[] = KINDS,
): Promise<Trial> {
  const lab = await openLab();
  try {
    const isOurs = implementation.side === 'tswg';
    const site = await Site.open(lab, isOurs ? 'tswgd' : implementation.command[0]);
    await streamRate(site, WARM_UP_S);
    const alone = await streamRate(site, seconds);
    const memory = new MemoryWatch(site.victimPid);
    const exposures: Partial<Record<Kind, Exposure>> = {};
    for (const kind of kinds) exposures[kind] = await expose(site, kind, seconds, isOurs);
    const newcomerMs = await welcome(site);
    const newcomerCookies = isOurs ? await site.cookies() : null;
    await sleep(MS_PER_S);
    return { alone, exposures, newcomerMs, newcomerCookies, memoryMb: memory.stop() };
  } finally {
    await closeLab(lab);
  }
}

async function expose(site: Site, kind: Kind, seconds: number, isOurs: boolean): Promise<Exposure> {
  const { rate: control } = await streamBeside(site, kind, 'closed port', seconds);
  const arrivedBefore = await site.arrived();
  const droppedBefore = isOurs ? await site.dropped() : 0;
  const { rate: flood, volley } = await streamBeside(site, kind, 'tunnel', seconds);
  const arrived = (await site.arrived()) - arrivedBefore;
  const dropped = isOurs ? (await site.dropped()) - droppedBefore : 0;
  return {
    control,
    flood,
    sentPerSecond: volley.sent / volley.seconds,
    arrivedPerSecond: arrived / volley.seconds,
    accounted: isOurs ? dropped / arrived : null,
  };
}

async function streamBeside(site: Site, kind: Kind, aim: Aim, seconds: number) {
  const duration = seconds + FLOOD_LEAD_MS / MS_PER_S + FLOOD_EXTRA_S;
  const flood = await site.flood(kind, aim, duration);
  await sleep(FLOOD_LEAD_MS);
  const rate = await streamRate(site, seconds);
  return { rate, volley: await flood.finished() };
}

/** A stream that does not come about, or breaks off, has moved nothing. */
async function streamRate(site: Site, seconds: number): Promise<number> {
  const load = { address: VICTIM, seconds };
  return runLoad(site.client, site.victim.host, load).then(gigabitsPerSecond, () => 0);
}

async function welcome(site: Site): Promise<number | null> {
  const seconds = (NEWCOMER_AFTER_MS + NEWCOMER_LIMIT_MS) / MS_PER_S;
  const flood = await site.flood('forged initiations', 'tunnel', seconds + FLOOD_EXTRA_S);
  const stream = streamRate(site, seconds);
  await sleep(NEWCOMER_AFTER_MS);
  const elapsedMs = await site.welcome(NEWCOMER_LIMIT_MS).catch(() => null);
  await Promise.all([stream, flood.finished()]);
  return elapsedMs;
}

class MemoryWatch {
  readonly #pid: number;
  readonly #before: number;
  readonly #timer: NodeJS.Timeout;
  #most: number;

  constructor(pid: number) {
    this.#pid = pid;
    this.#before = rssMb(pid);
    this.#most = this.#before;
    this.#timer = setInterval(() => {
      this.#most = Math.max(this.#most, rssMb(pid));
    }, MEMORY_INTERVAL_MS);
  }

  stop(): Trial['memoryMb'] {
    clearInterval(this.#timer);
    return { before: this.#before, most: this.#most, after: rssMb(this.#pid) };
  }
}
