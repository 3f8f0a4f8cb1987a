/**
 * What several rounds of both implementations come to, as a record and as a table. Pure.
 */

import { formatJson } from '../bench/record.ts';
import type { Side } from '../bench/samples.ts';
import { median, type Spread, spread } from '../bench/statistics.ts';
import { KINDS, type Kind } from './ammunition.ts';
import type { Exposure, Trial } from './trial.ts';

export interface KindOutcome {
  readonly kind: Kind;
  /** Gbit/s. */
  readonly control: Spread;
  readonly flood: Spread;
  /** Of the stream's rate alone, and of its rate beside the control; both of the same round. */
  readonly keptOfAlone: Spread;
  readonly keptOfControl: Spread;
  readonly sentPerSecond: number;
  readonly arrivedPerSecond: number;
  readonly accounted: number | null;
}

export interface SideOutcome {
  readonly alone: Spread;
  readonly kinds: readonly KindOutcome[];
  /** Of every round; null where it did not come about in time. */
  readonly newcomerMs: readonly (number | null)[];
  readonly newcomerCookies: readonly (number | null)[];
  readonly memoryMb: readonly Trial['memoryMb'][];
}

export function summarize(trials: readonly Trial[]): SideOutcome {
  return {
    alone: spread(trials.map(({ alone }) => alone)),
    kinds: KINDS.filter((kind) => kind in trials[0].exposures).map((kind) =>
      summarizeKind(kind, trials),
    ),
    newcomerMs: trials.map(({ newcomerMs }) => newcomerMs),
    newcomerCookies: trials.map(({ newcomerCookies }) => newcomerCookies),
    memoryMb: trials.map(({ memoryMb }) => memoryMb),
  };
}

function summarizeKind(kind: Kind, trials: readonly Trial[]): KindOutcome {
  const exposures = trials.map((trial) => trial.exposures[kind]!);
  const over = (value: (exposure: Exposure, round: number) => number) => exposures.map(value);
  const accounted = exposures
    .map((exposure) => exposure.accounted)
    .filter((share) => share !== null);
  return {
    kind,
    control: spread(over(({ control }) => control)),
    flood: spread(over(({ flood }) => flood)),
    keptOfAlone: spread(over(({ flood }, round) => flood / trials[round].alone)),
    keptOfControl: spread(over(({ flood, control }) => flood / control)),
    sentPerSecond: median(over(({ sentPerSecond }) => sentPerSecond)),
    arrivedPerSecond: median(over(({ arrivedPerSecond }) => arrivedPerSecond)),
    accounted: accounted.length === 0 ? null : median(accounted),
  };
}

export type Outcomes = Readonly<Record<Side, SideOutcome>>;

/** Lines for the terminal and, being Markdown, for the README. */
export function formatTable(outcomes: Partial<Outcomes>): string {
  const lines = [
    '| flood | | stream alone | control | flood | kept of alone | kept of control | sent/s | arrived/s |',
    '|---|---|---|---|---|---|---|---|---|',
  ];
  for (const kind of KINDS) {
    for (const [side, outcome] of Object.entries(outcomes)) {
      const row = outcome.kinds.find((each) => each.kind === kind);
      if (row !== undefined) lines.push(formatRow(kind, side, outcome.alone, row));
    }
  }
  lines.push('', '| | newcomer, s | RSS before, most, after, MB |', '|---|---|---|');
  for (const [side, { newcomerMs, memoryMb }] of Object.entries(outcomes)) {
    const seconds = newcomerMs.map((ms) => (ms === null ? 'never' : (ms / 1_000).toFixed(1)));
    const memory = (['before', 'most', 'after'] as const).map((when) =>
      median(memoryMb.map((round) => round[when])).toFixed(1),
    );
    lines.push(`| ${side} | ${seconds.join(', ')} | ${memory.join(', ')} |`);
  }
  return lines.join('\n');
}

function formatRow(kind: Kind, side: string, alone: Spread, row: KindOutcome): string {
  const rates = [alone, row.control, row.flood].map(({ median: rate }) => rate.toFixed(2));
  const kept = [row.keptOfAlone, row.keptOfControl].map(
    (share) => `${percent(share.median)} (${percent(share.min)}..${percent(share.max)})`,
  );
  const datagrams = [row.sentPerSecond, row.arrivedPerSecond].map((rate) =>
    Math.round(rate).toLocaleString('en-US'),
  );
  return `| ${[kind, side, ...rates, ...kept, ...datagrams].join(' | ')} |`;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** The rounds of each side, in their order. */
export type Trials = Readonly<Partial<Record<Side, readonly Trial[]>>>;

export function formatRecord(about: object, trials: Trials, outcomes: Partial<Outcomes>): string {
  return formatJson({ ...about, unit: 'Gbit/s', outcomes, trials });
}
