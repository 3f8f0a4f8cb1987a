/** What a recording comes to: figures and verdicts, for the table, the record and the chart. Pure. */

import { median } from '../bench/statistics.ts';
import { livesOf, type Memory, memoryOf, quietDescriptors } from './flatness.ts';
import { type Accounting, account, findCauses, lossWindow, type SoakEvent } from './losses.ts';
import type { PingReport } from './pings.ts';
import { growth, type Sample } from './samples.ts';
import { SIDES, type Side } from './site.ts';
import type { Recording } from './soak.ts';
import type { Stall } from './streamend.ts';
import { judge, type Verdict } from './verdicts.ts';

/** What an event cost. */
export interface Cost {
  readonly event: SoakEvent;
  /** From the event to the first answer to a ping sent behind the first lost one; 0 without one. */
  readonly recoveryMs: number;
  readonly lostPings: number;
  readonly lostDatagrams: number;
  /** The longest time that a stream stood still; 0 when that was within its pace. */
  readonly stallMs: number;
  /** The longest round trip of a ping that was answered. */
  readonly slowestMs: number;
}

/** Of the processes of one side. */
export interface Growth {
  readonly side: Side;
  readonly processes: number;
  /** Of those that lived long enough to be judged. */
  readonly memories: readonly Memory[];
  /** MB, of the first and the last sample of all. */
  readonly firstRssMb: number;
  readonly lastRssMb: number;
  readonly peakRssMb: number;
  /** The different counts at quiet moments. */
  readonly descriptors: readonly number[];
  readonly cpuSeconds: number;
}

export interface Outcome {
  readonly minutes: number;
  readonly costs: readonly Cost[];
  readonly growth: readonly Growth[];
  readonly accounting: Accounting;
  readonly stalls: readonly Stall[];
  readonly megabytes: number;
  readonly sent: number;
  readonly lost: number;
  readonly sessions: number;
  /** Both sides together. */
  readonly drops: Readonly<Record<string, number>>;
  readonly roundTripMs: { readonly median: number; readonly max: number };
  readonly verdicts: readonly Verdict[];
}

const MS_PER_MINUTE = 60_000;
const BYTES_PER_MB = 1e6;

export function evaluate(recording: Recording): Outcome {
  const { samples, pings, events } = recording;
  const reports = SIDES.map((side) => recording.traffic[side]);
  const streams = reports.flatMap((report) => report.streams);
  const datagrams = reports.flatMap((report) => report.datagrams);
  const lossesOf = (probes: readonly { name: string; lostMs: readonly number[] }[]) =>
    probes.flatMap(({ name, lostMs }) => lostMs.map((atMs) => ({ probe: name, atMs })));
  const losses = [...lossesOf(pings), ...lossesOf(datagrams)].sort((a, b) => a.atMs - b.atMs);
  const accounting = account(losses, events, samples);
  const causeOf = findCauses(events);
  const roundTrips = pings.flatMap(({ roundTripMs }) => roundTripMs);
  const figures = {
    minutes: (recording.endMs - recording.beginMs) / MS_PER_MINUTE,
    costs: events.flatMap((event) => costOf(event, recording, accounting, causeOf)),
    growth: SIDES.map((side) => growthOf(side, samples)),
    accounting,
    stalls: streams.flatMap(({ stalls }) => stalls),
    megabytes: sum(streams.map(({ bytesReceived }) => bytesReceived)) / BYTES_PER_MB,
    sent: sum([...pings, ...datagrams].map(({ sent }) => sent)),
    lost: losses.length,
    sessions: sessionsOf(samples),
    drops: dropsOf(samples),
    roundTripMs: {
      median: median(roundTrips),
      // Too many for the arguments of one call.
      max: roundTrips.reduce((most, each) => Math.max(most, each), 0),
    },
  };
  return { ...figures, verdicts: judge(recording, figures) };
}

function costOf(
  event: SoakEvent,
  recording: Recording,
  accounting: Accounting,
  causeOf: ReturnType<typeof findCauses>,
): Cost[] {
  const window = lossWindow(event);
  if (window === null) return [];
  const lost = accounting.byEvent.get(event) ?? [];
  const streams = SIDES.flatMap((side) => recording.traffic[side].streams);
  const stalls = streams
    .flatMap((stream) => stream.stalls)
    .filter(({ fromMs }) => causeOf(fromMs) === event);
  const recoveries = recording.pings.map(({ name, sentMs, roundTripMs }) => {
    const first = lost.find(({ probe }) => probe === name);
    if (first === undefined) return 0;
    const answered = sentMs.findIndex((atMs) => atMs > first.atMs);
    if (answered === -1) return Number.POSITIVE_INFINITY;
    return sentMs[answered] + roundTripMs[answered] - event.fromMs;
  });
  const lostPings = lost.filter(({ probe }) => recording.pings.some(({ name }) => name === probe));
  return [
    {
      event,
      recoveryMs: Math.max(...recoveries),
      lostPings: lostPings.length,
      lostDatagrams: lost.length - lostPings.length,
      stallMs: Math.max(0, ...stalls.map(({ fromMs, toMs }) => toMs - fromMs)),
      slowestMs: Math.max(
        0,
        ...recording.pings.flatMap((pings) => roundTripsWithin(pings, window)),
      ),
    },
  ];
}

function roundTripsWithin(
  { sentMs, roundTripMs }: PingReport,
  window: { readonly fromMs: number; readonly toMs: number },
): number[] {
  return roundTripMs.filter((_, i) => sentMs[i] >= window.fromMs && sentMs[i] <= window.toMs);
}

function growthOf(side: Side, samples: readonly Sample[]): Growth {
  const own = samples.filter((sample) => sample.side === side);
  const lives = livesOf(own);
  return {
    side,
    processes: lives.length,
    memories: lives.map(memoryOf).filter((memory) => memory !== null),
    firstRssMb: own[0]?.rssMb ?? Number.NaN,
    lastRssMb: own.at(-1)?.rssMb ?? Number.NaN,
    peakRssMb: Math.max(...own.map(({ rssMb }) => rssMb)),
    descriptors: [...new Set(lives.flatMap(quietDescriptors))].sort((a, b) => a - b),
    cpuSeconds: sum(lives.map((life) => life.samples.at(-1)!.cpuSeconds)),
  };
}

/** A handshake is one for both sides; the left one's count is taken. */
function sessionsOf(samples: readonly Sample[]): number {
  const lives = livesOf(samples).filter(({ side }) => side === 'left');
  return sum(lives.map((life) => life.samples.at(-1)!.handshakes));
}

function dropsOf(samples: readonly Sample[]): Record<string, number> {
  const drops: Record<string, number> = {};
  for (const side of SIDES) {
    const own = samples.filter((sample) => sample.side === side);
    own.forEach((sample, i) => {
      for (const [reason, count] of Object.entries(growth(own[i - 1], sample))) {
        drops[reason] = (drops[reason] ?? 0) + count;
      }
    });
  }
  return drops;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
