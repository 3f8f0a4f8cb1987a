/**
 * `npm run bench -- --growth`: how throughput, memory and pauses grow from one peer to 10,000. Owns
 * the measurement and its table; what a crowd of peers costs a daemon is measured by crowd.ts, the
 * picture is growthchart.ts'.
 */

import { formatMarkdown } from '../lab/publication.ts';
import { type CrowdCost, measureCrowd } from './crowd.ts';
import { type Implementation, TSWG, WIREGUARD_GO } from './implementation.ts';
import { type Delivery, gigabitsPerSecond, runLoad } from './iperf.ts';
import { idlePeers } from './scale.ts';
import { median } from './statistics.ts';
import { formatValue } from './table.ts';
import { RIGHT, Tunnel } from './tunnel.ts';

const BOTH = [WIREGUARD_GO, TSWG] as const;
export const GROWTH_SIDES = ['wireguard-go', 'tswg'] as const;
export type GrowthSide = (typeof GROWTH_SIDES)[number];
const COUNTS = [1, 10, 100, 1_000, 10_000] as const;
const NOTHING = '-';

/** One daemon with so many peers. */
export interface GrowthPoint {
  readonly side: GrowthSide;
  readonly peers: number;
  /** One TCP stream, with /32 for each of the others. */
  readonly gigabits: number;
  /** Resident after one configuration, with twenty prefixes a peer. */
  readonly rssMb: number;
  /** The longest time without a packet while an operator sets, reads and changes all of it. */
  readonly standstillMs: number;
  /** null for one that cannot be upgraded in place. */
  readonly upgradePauseMs: number | null;
}

export interface GrowthSettings {
  /** Of the throughput, of which the median counts; the rest is measured once. */
  readonly rounds: number;
  /** Of each measurement of throughput. */
  readonly seconds: number;
  readonly largest: number;
}

/** The implementations in turns, from few peers to many. @param say gets a line for each step */
export async function measureGrowth(
  settings: GrowthSettings,
  say: (line: string) => void,
): Promise<GrowthPoint[]> {
  const counts = COUNTS.filter((count) => count <= settings.largest);
  const rates = new Map<string, number[]>();
  for (let round = 1; round <= settings.rounds; round++) {
    for (const implementation of BOTH) {
      say(`round ${round}/${settings.rounds}  throughput: ${implementation.name}`);
      await measureRates(implementation, counts, settings.seconds, rates);
    }
  }
  const points: GrowthPoint[] = [];
  for (const count of counts) {
    for (const [at, side] of GROWTH_SIDES.entries()) {
      say(`${count} peers: ${side}`);
      const cost = await measureCrowd(BOTH[at], count);
      points.push(pointOf(side, cost, median(rates.get(`${side} ${count}`)!)));
    }
  }
  return points;
}

/**
 * In one tunnel: each count adds to the peers of the last. The first load warms both daemons up and is
 * not counted.
 */
async function measureRates(
  implementation: Implementation,
  counts: readonly number[],
  seconds: number,
  rates: Map<string, number[]>,
): Promise<void> {
  const tunnel = await Tunnel.open(implementation);
  try {
    const [left, right] = tunnel.daemons.map(({ host }) => host);
    const load = (): Promise<Delivery> => runLoad(left, right, { address: RIGHT.inner4, seconds });
    await load();
    let present = 1;
    for (const count of counts) {
      await tunnel.addConfiguration(idlePeers(present, count));
      present = count;
      const key = `${implementation.side} ${count}`;
      rates.set(key, [...(rates.get(key) ?? []), gigabitsPerSecond(await load())]);
    }
  } finally {
    await tunnel.close();
  }
}

function pointOf(side: GrowthSide, cost: CrowdCost, gigabits: number): GrowthPoint {
  const { peers, steps, rssOnceMb, upgradePauseMs } = cost;
  const standstillMs = Math.max(...Object.values(steps).map(({ silenceMs }) => silenceMs));
  return { side, peers, gigabits, rssMb: rssOnceMb, standstillMs, upgradePauseMs };
}

/** In Markdown, a line for each number of peers, wireguard-go before tswg. */
export function formatGrowth(points: readonly GrowthPoint[]): string {
  const counts = [...new Set(points.map(({ peers }) => peers))];
  const cellsOf = (cell: (point: GrowthPoint) => string, peers: number): string[] =>
    GROWTH_SIDES.map((side) => {
      const point = points.find((one) => one.side === side && one.peers === peers);
      return point === undefined ? NOTHING : cell(point);
    });
  const rows = counts.map((peers) => [
    formatValue(peers, 'packets/s'),
    ...cellsOf(({ gigabits }) => formatValue(gigabits, 'Gbit/s'), peers),
    ...cellsOf(({ rssMb }) => rssMb.toFixed(0), peers),
    ...cellsOf(({ standstillMs }) => standstillMs.toFixed(0), peers),
    cellsOf(({ upgradePauseMs }) => upgradePauseMs?.toFixed(0) ?? NOTHING, peers)[1],
  ]);
  const head = [
    'peers',
    ...GROWTH_SIDES.map((side) => `Gbit/s, ${side}`),
    ...GROWTH_SIDES.map((side) => `MB, ${side}`),
    ...GROWTH_SIDES.map((side) => `standstill ms, ${side}`),
    'upgrade ms, tswg',
  ];
  return formatMarkdown([head, ...rows]);
}
