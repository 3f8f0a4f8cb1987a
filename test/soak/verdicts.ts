/**
 * What a soak promises, and whether it was kept. Pure. Limits that a machine's speed can change have
 * room for a busy one of two cores.
 */

import { median } from '../bench/statistics.ts';
import { livesOf } from './flatness.ts';
import { findCauses } from './losses.ts';
import type { Outcome } from './outcome.ts';
import { SIDES } from './site.ts';
import type { Recording } from './soak.ts';

export interface Verdict {
  readonly name: string;
  /** null when the run was too short to say. */
  readonly passed: boolean | null;
  readonly detail: string;
  /** Whether a machine that is slow or busy enough breaks the promise by itself. */
  readonly isOfSpeed: boolean;
}

/** MB that a process may grow from the first third of its life to the last one. */
const GROWTH_MB = 10;
/**
 * MB a minute, of a process that is watched for LONG_MINUTES at least. Between two collections of
 * old objects, half an hour apart here, any process grows, by a third of a MB a minute.
 */
const SLOPE_MB = 0.4;
const LONG_MINUTES = 10;
/** MB by which a successor may be larger than the first process of its side. */
const GENERATION_MB = 12;
/** By which counts may differ: some are opened when they are first needed. */
const DESCRIPTORS = 2;
/** From SIGKILL to traffic: half a second until the restart, and what the project promises. */
const RECOVERY_MS = 2_500;
/** A single time, on a machine that has other things to do just then. */
const RECOVERY_MOST_MS = 5_000;
/** What a stream may stand still outside of what may cost packets. */
const STALL_MS = 2_000;
/** And in such an event: TCP itself waits as long again as nothing came through. */
const OUTAGE_MS = 10_000;
/** A session is renewed after two minutes; the last may be under way. */
const SESSION_MINUTES = 2.1;
const SHOWN = 3;

type Figures = Omit<Outcome, 'verdicts'>;

export function judge(recording: Recording, figures: Figures): Verdict[] {
  return [
    judgeEvents(recording),
    judgeProbes(recording),
    judgeStalls(recording, figures),
    judgeLosses(recording, figures),
    judgeRecovery(figures),
    judgeSessions(figures),
    judgeMemory(figures),
    judgeGenerations(figures),
    judgeDescriptors(figures),
    judgeProcesses(recording, figures),
    judgeLog(recording),
  ];
}

function judgeEvents({ planned, events }: Recording): Verdict {
  const failed = events.filter(({ failure }) => failure !== null);
  const happened = events.filter(({ kind }) => kind !== 'start' && kind !== 'crash').length;
  const lines = failed.map(({ name, side, failure }) => `${name}, ${side}: ${failure}`);
  if (happened < planned.length) lines.push(`${planned.length - happened} did not happen`);
  return verdict('every event went well', lines, `${happened} events`);
}

function judgeProbes({ traffic, pings }: Recording): Verdict {
  const streams = SIDES.flatMap((side) => traffic[side].streams);
  const lines = streams
    .filter(({ broken }) => broken !== null)
    .map(({ name, broken }) => `${name}: ${broken}`);
  if (streams.length !== 4) lines.push(`${streams.length} of 4 ends`);
  for (const { name, bytesReceived } of streams) {
    if (bytesReceived === 0) lines.push(`${name}: nothing arrived`);
  }
  const datagrams = SIDES.flatMap((side) => traffic[side].datagrams);
  for (const { name, damaged, duplicates } of datagrams) {
    if (damaged > 0) lines.push(`datagrams ${name}: ${damaged} with other content`);
    if (duplicates > 0) lines.push(`datagrams ${name}: ${duplicates} arrived twice`);
  }
  for (const { name, sent } of pings) if (sent === 0) lines.push(`${name}: ended by itself`);
  return verdict('streams last, and all content is what was sent', lines, '2 streams, both ways');
}

function judgeStalls({ events, beginMs }: Recording, { stalls }: Figures): Verdict {
  const causeOf = findCauses(events);
  const strange = stalls.filter(({ fromMs, toMs }) => {
    const limitMs = causeOf(fromMs) === undefined ? STALL_MS : OUTAGE_MS;
    return toMs - fromMs > limitMs;
  });
  const lines = strange.map(
    ({ fromMs, toMs }) => `${seconds(toMs - fromMs)} at ${seconds(fromMs - beginMs)}`,
  );
  return {
    ...verdict('no stream stands still without an event', lines, `none over ${STALL_MS} ms`),
    isOfSpeed: true,
  };
}

function judgeLosses({ beginMs }: Recording, { accounting, lost, sent }: Figures): Verdict {
  const lines = accounting.unexplained.map(
    ({ probe, atMs }) => `${probe} at ${seconds(atMs - beginMs)}`,
  );
  const counted = Object.entries(accounting.byCounter).map(
    ([name, count]) => `${count} beside ${name}`,
  );
  const toEvents = [...accounting.byEvent.values()].reduce((sum, list) => sum + list.length, 0);
  const kept = `${lost} of ${sent} packets lost, ${toEvents} to events`;
  return verdict('no loss without a reason', lines, [kept, ...counted].join(', '));
}

function judgeRecovery({ costs }: Figures): Verdict {
  const name = `traffic ${seconds(RECOVERY_MS)} after a SIGKILL`;
  const kills = costs.filter(({ event }) => event.kind === 'kill');
  if (kills.length === 0) return { ...unknown(name, 'there was none'), isOfSpeed: true };
  const times = kills.map(({ recoveryMs }) => recoveryMs);
  const shown = `${seconds(median(times))} (most ${seconds(Math.max(...times))})`;
  const isSlow = median(times) > RECOVERY_MS || Math.max(...times) > RECOVERY_MOST_MS;
  return { ...verdict(name, isSlow ? [shown] : [], shown), isOfSpeed: true };
}

function judgeSessions({ sessions, minutes }: Figures): Verdict {
  const expected = Math.floor(minutes / SESSION_MINUTES);
  const lines = sessions < expected ? [`${sessions} of ${expected} at least`] : [];
  return verdict('a new session every two minutes', lines, `${sessions} sessions`);
}

function judgeMemory({ growth }: Figures): Verdict {
  const name = 'memory is flat within a process';
  const memories = growth.flatMap((side) => side.memories);
  if (memories.length === 0) return unknown(name, 'no process lived for four minutes');
  const shown = memories.map((memory) => {
    const { life, minutes, first, last, slope } = memory;
    const isSteep = minutes >= LONG_MINUTES && slope > SLOPE_MB;
    const text = `${life.side}: ${first.toFixed(1)} to ${last.toFixed(1)} MB in ${minutes.toFixed(1)} min, ${slope.toFixed(2)} MB/min`;
    return { memory, text, isGrowing: last - first > GROWTH_MB || isSteep };
  });
  const longest = shown.reduce((a, b) => (b.memory.minutes > a.memory.minutes ? b : a));
  const lines = shown.filter(({ isGrowing }) => isGrowing).map(({ text }) => text);
  return verdict(name, lines, `longest: ${longest.text}`);
}

/** Processes of about the same age are compared: the medians of their first thirds. */
function judgeGenerations({ growth }: Figures): Verdict {
  const name = 'successors are no larger than the first';
  const rows = growth.filter(({ memories }) => memories.length > 1);
  if (rows.length === 0) return unknown(name, 'too few processes were judged');
  const texts = rows.map(({ side, memories }) => {
    const [first, last] = [memories[0].first, memories.at(-1)!.first];
    const text = `${side}: ${first.toFixed(1)} MB, then ${last.toFixed(1)} MB`;
    return { text, isLarger: last - first > GENERATION_MB };
  });
  const lines = texts.filter(({ isLarger }) => isLarger).map(({ text }) => text);
  return verdict(name, lines, texts.map(({ text }) => text).join('; '));
}

/** Of all processes of a side: each successor has what the first one had. */
function judgeDescriptors({ growth }: Figures): Verdict {
  const name = 'descriptors are flat';
  const seen = growth.filter(({ descriptors }) => descriptors.length > 0);
  if (seen.length === 0) return unknown(name, 'no quiet moment');
  const texts = seen.map(({ side, descriptors }) => {
    const [least, most] = [descriptors[0], descriptors[descriptors.length - 1]];
    return { text: `${side}: ${least} to ${most}`, isGrowing: most - least > DESCRIPTORS };
  });
  const lines = texts.filter(({ isGrowing }) => isGrowing).map(({ text }) => text);
  return verdict(name, lines, texts.map(({ text }) => text).join('; '));
}

/** A process ends by a SIGKILL or an upgrade of ours, and by nothing else. */
function judgeProcesses({ events, samples }: Recording, { growth }: Figures): Verdict {
  const lines: string[] = [];
  for (const { side, processes } of growth) {
    const ended = events.filter(
      ({ kind, failure, side: on }) =>
        on === side && failure === null && (kind === 'kill' || kind === 'upgrade'),
    ).length;
    if (processes > ended + 1) lines.push(`${side}: ${processes} processes after ${ended} ends`);
  }
  return verdict('no process ends by itself', lines, `${livesOf(samples).length} processes`);
}

/** What a starter says of a daemon that was killed. */
const KILLED_LINE = /Process \d+ has ended without a word: /;

/** A line that a starter writes of each daemon that was killed is expected, and no other. */
function judgeLog({ log, events }: Recording): Verdict {
  const lines = SIDES.flatMap((side) => {
    const kills = events.filter((event) => event.kind === 'kill' && event.side === side).length;
    const others = log[side].filter((line) => !KILLED_LINE.test(line));
    const told = log[side].length - others.length;
    if (told > kills) others.push(`${told} daemons have ended without a word after ${kills} kills`);
    return others.map((line) => `${side}: ${line}`);
  });
  return verdict('nothing is logged as an error', lines, 'no line');
}

/** Passed when there is nothing to complain of. */
function verdict(name: string, complaints: readonly string[], detail: string): Verdict {
  if (complaints.length === 0) return { name, passed: true, detail, isOfSpeed: false };
  const more = complaints.length > SHOWN ? `, and ${complaints.length - SHOWN} more` : '';
  const first = complaints.slice(0, SHOWN).join('; ');
  return { name, passed: false, detail: `${first}${more}`, isOfSpeed: false };
}

/** Neither passed nor failed. */
function unknown(name: string, detail: string): Verdict {
  return { name, passed: null, detail, isOfSpeed: false };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
