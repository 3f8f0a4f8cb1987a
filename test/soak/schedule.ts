/**
 * When what happens in a soak, in beats of ten seconds: a reconfiguration every beat, a burst every
 * six, and now and then a SIGKILL, an upgrade or an interface that is taken down. The middle third
 * of a long run is left in peace by these, so that one process of each side grows old. Pure.
 */

import type { Random } from '../simulator/random.ts';
import { RECONFIGURATIONS } from './reconfigurations.ts';
import type { Side } from './site.ts';

export type EventKind = 'reconfiguration' | 'burst' | 'kill' | 'upgrade' | 'down';

export interface PlannedEvent {
  readonly atMs: number;
  readonly kind: EventKind;
  readonly side: Side;
  /** Of a reconfiguration: which, and how often there was one of its kind before. */
  readonly name: string;
  readonly turn: number;
}

/** The same, before it is known how long a beat is. */
type BeatEvent = Omit<PlannedEvent, 'atMs'> & { readonly beat: number };

export const BEAT_MS = 10_000;
/** Parts of a beat: nothing else happens while processes are looked at, in quiet. */
const RECONFIGURE_AT = 0.5;
const BURST_AT = 0.65;
const DOWN_AT = 0.85;
export const SAMPLES_AT = [0.4, 0.95] as const;
const BEATS_PER_BURST = 6;
const FIRST_BURST_BEAT = 1;
/** At most; in a short run they come closer to each other. */
const BEATS_PER_DISRUPTION = 12;
const DISRUPTIONS_PER_RUN = 10;
const CALM_BEATS_MIN = 36;

const DISRUPTIONS: readonly (readonly ['kill' | 'upgrade', Side])[] = [
  ['kill', 'left'],
  ['upgrade', 'right'],
  ['kill', 'right'],
  ['upgrade', 'left'],
];

/** @param beatMs other than BEAT_MS for a test that has no time */
export function planEvents(durationMs: number, random: Random, beatMs = BEAT_MS): PlannedEvent[] {
  const beats = Math.floor(durationMs / beatMs);
  const events = [
    ...planReconfigurations(beats, random.fork('reconfigurations')),
    ...planBursts(beats),
    ...planDisruptions(beats, random.fork('disruptions')),
    ...planDowns(beats),
  ];
  return events
    .map(({ beat, ...event }) => ({ atMs: beat * beatMs, ...event }))
    .sort((a, b) => a.atMs - b.atMs);
}

/** All of them in turn, each round in another order and on the other side. */
function planReconfigurations(beats: number, random: Random): BeatEvent[] {
  const events: BeatEvent[] = [];
  for (let turn = 0; events.length < beats; turn++) {
    for (const { name } of shuffled(RECONFIGURATIONS, random)) {
      if (events.length === beats) break;
      const side = turn % 2 === 0 ? 'left' : 'right';
      const beat = events.length + RECONFIGURE_AT;
      events.push({ beat, kind: 'reconfiguration', side, name, turn });
    }
  }
  return events;
}

function planBursts(beats: number): BeatEvent[] {
  const events: BeatEvent[] = [];
  for (let beat = FIRST_BURST_BEAT; beat < beats - 1; beat += BEATS_PER_BURST) {
    const turn = events.length;
    events.push({ beat: beat + BURST_AT, kind: 'burst', side: 'left', name: 'burst', turn });
  }
  return events;
}

function planDisruptions(beats: number, random: Random): BeatEvent[] {
  const step = Math.min(BEATS_PER_DISRUPTION, Math.max(2, Math.floor(beats / DISRUPTIONS_PER_RUN)));
  const isCalm = (beat: number): boolean =>
    beats >= CALM_BEATS_MIN && beat >= beats / 3 && beat < (2 * beats) / 3;
  const events: BeatEvent[] = [];
  let order = shuffled(DISRUPTIONS, random);
  for (let beat = step; beat <= beats - 2; beat += step) {
    if (isCalm(beat)) continue;
    const turn = events.length;
    if (turn > 0 && turn % DISRUPTIONS.length === 0) order = shuffled(DISRUPTIONS, random);
    const [kind, side] = order[turn % order.length];
    events.push({ beat, kind, side, name: kind, turn });
  }
  return events;
}

/** Twice in a long run, once in a short one. */
function planDowns(beats: number): BeatEvent[] {
  const shares = beats >= CALM_BEATS_MIN ? [0.25, 0.75] : [0.75];
  return shares.map((share, turn) => {
    const side = turn % 2 === 0 ? 'right' : 'left';
    const beat = Math.floor(beats * share) + DOWN_AT;
    return { beat, kind: 'down', side, name: 'down', turn };
  });
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const rest = [...items];
  return items.map(() => rest.splice(random.below(rest.length), 1)[0]);
}
