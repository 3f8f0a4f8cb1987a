/** The outcome for people, as lines of the terminal, and for programs, as JSON. Pure. */

import { formatJson } from '../bench/record.ts';
import { median } from '../bench/statistics.ts';
import type { SoakEvent } from './losses.ts';
import type { Cost, Outcome } from './outcome.ts';
import type { Sample } from './samples.ts';
import { SIDES } from './site.ts';
import type { Recording, Settings } from './soak.ts';

const MS_PER_S = 1_000;
const MARKS = { true: 'ok    ', false: 'FAILED', null: '-     ' } as const;
const NAME_WIDTH = 44;

export function formatOutcome(outcome: Outcome): string {
  return [...figureLines(outcome), '', ...dropLines(outcome), '', ...verdictLines(outcome)].join(
    '\n',
  );
}

function figureLines(outcome: Outcome): string[] {
  const { minutes, megabytes, sent, lost, sessions, roundTripMs, growth } = outcome;
  const lines = [
    ['minutes', minutes.toFixed(1)],
    ['moved by the streams', `${inThousands(megabytes)} MB`],
    ['pings and datagrams', `${inThousands(sent)}, of which ${inThousands(lost)} were lost`],
    ['round trip', `${roundTripMs.median.toFixed(2)} ms (most ${roundTripMs.max.toFixed(0)} ms)`],
    ['sessions', `${sessions}`],
    ...costLines(outcome.costs),
  ];
  for (const side of growth) {
    const { processes, firstRssMb, lastRssMb, peakRssMb, descriptors, cpuSeconds } = side;
    const cpu = ((100 * cpuSeconds) / (minutes * 60)).toFixed(0);
    lines.push([
      `${side.side}: memory`,
      `${firstRssMb.toFixed(1)} MB first, ${lastRssMb.toFixed(1)} last, ${peakRssMb.toFixed(1)} most; ${processes} processes`,
    ]);
    for (const { minutes: aged, first, last, slope } of side.memories) {
      lines.push([
        `  of ${aged.toFixed(1)} min`,
        `${first.toFixed(1)} to ${last.toFixed(1)} MB, ${slope.toFixed(2)} MB/min`,
      ]);
    }
    lines.push([`${side.side}: descriptors`, descriptors.join(', ')]);
    lines.push([`${side.side}: processor`, `${cpu} % of one`]);
  }
  return lines.map(([name, value]) => `${name.padEnd(NAME_WIDTH)}  ${value}`);
}

/** One line a kind: how many, and what they cost. */
function costLines(costs: readonly Cost[]): string[][] {
  const names = [...new Set(costs.map(({ event }) => event.name))];
  return names.map((name) => {
    const own = costs.filter(({ event }) => event.name === name);
    const of = (value: (cost: Cost) => number): string => {
      const values = own.map(value);
      return `${median(values).toFixed(0)} (most ${Math.max(...values).toFixed(0)})`;
    };
    const parts = [
      `${of(({ recoveryMs }) => recoveryMs)} ms to traffic`,
      `pings lost ${of(({ lostPings }) => lostPings)}`,
      `datagrams lost ${of(({ lostDatagrams }) => lostDatagrams)}`,
      `streams stood still ${of(({ stallMs }) => stallMs)} ms`,
      `slowest ping ${of(({ slowestMs }) => slowestMs)} ms`,
    ];
    return [`${name}: ${own.length}`, parts.join(', ')];
  });
}

function dropLines({ drops, accounting }: Outcome): string[] {
  const lines = Object.entries(drops)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => {
      const beside = accounting.byCounter[reason];
      const note = beside === undefined ? '' : ` (${beside} packets of ours lost beside)`;
      return `${inThousands(count).padStart(10)}  ${reason}${note}`;
    });
  return ['dropped, by reason, both sides:', ...lines];
}

function verdictLines({ verdicts }: Outcome): string[] {
  return verdicts.map(
    ({ name, passed, detail }) => `${MARKS[`${passed}`]}  ${name.padEnd(NAME_WIDTH)}  ${detail}`,
  );
}

/** 1234567 as 1,234,567. */
export function inThousands(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** Moments are seconds since the begin. */
export function formatRecord(
  about: object,
  settings: Settings,
  recording: Recording,
  outcome: Outcome,
): string {
  const { beginMs } = recording;
  const since = (ms: number): number => Math.round(ms - beginMs) / MS_PER_S;
  return formatJson({
    ...about,
    settings,
    figures: {
      minutes: outcome.minutes,
      megabytes: outcome.megabytes,
      sent: outcome.sent,
      lost: outcome.lost,
      sessions: outcome.sessions,
      roundTripMs: outcome.roundTripMs,
      growth: outcome.growth.map(({ memories, ...rest }) => ({
        ...rest,
        memories: memories.map(({ life, ...memory }) => ({ pid: life.pid, ...memory })),
      })),
      drops: outcome.drops,
      lostBesideCounters: outcome.accounting.byCounter,
    },
    verdicts: outcome.verdicts,
    reconfigurations: countNames(recording.events.filter(isRoutine)),
    events: recording.events
      .filter((event) => !isRoutine(event))
      .map(({ fromMs, toMs, ...event }) => ({
        atS: since(fromMs),
        seconds: (toMs - fromMs) / MS_PER_S,
        ...event,
      })),
    costs: outcome.costs.map(({ event, ...cost }) => ({
      atS: since(event.fromMs),
      name: event.name,
      ...cost,
    })),
    samples: Object.fromEntries(
      SIDES.map((side) => {
        const own = recording.samples.filter((sample) => sample.side === side);
        const column = (of: (sample: Sample) => number): number[] => own.map(of);
        const columns = {
          atS: column(({ atMs }) => since(atMs)),
          pid: column(({ pid }) => pid),
          rssMb: column(({ rssMb }) => rssMb),
          descriptors: column(({ descriptors }) => descriptors),
          threads: column(({ threads }) => threads),
          cpuSeconds: column(({ cpuSeconds }) => cpuSeconds),
          handshakes: column(({ handshakes }) => handshakes),
        };
        return [side, columns];
      }),
    ),
    log: recording.log,
  });
}

function isRoutine({ kind, failure }: SoakEvent): boolean {
  return kind === 'reconfiguration' && failure === null;
}

function countNames(events: readonly SoakEvent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name } of events) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
