/**
 * Why the probes have lost what they lost: to an event that may cost packets, or to what the daemons
 * or the kernel say that they dropped at that time. What is left has no reason. Pure.
 */

import { RECONFIGURATIONS } from './reconfigurations.ts';
import { growth, type Sample } from './samples.ts';
import type { EventKind } from './schedule.ts';
import { SIDES, type Side } from './site.ts';

export interface SoakEvent {
  readonly kind: EventKind | 'start' | 'crash';
  readonly side: Side;
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** One line; null when all went well. */
  readonly failure: string | null;
}

export interface Loss {
  readonly probe: string;
  readonly atMs: number;
}

export interface Accounting {
  /** Of each event: by what of it a probe may lose packets, and how many it did. */
  readonly byEvent: ReadonlyMap<SoakEvent, readonly Loss[]>;
  /** Reason -> losses beside a counter that grew. */
  readonly byCounter: Readonly<Record<string, number>>;
  readonly unexplained: readonly Loss[];
}

/** What is lost so long after an event is lost to it: the next handshake, and a lost one again. */
const GRACE_MS: Readonly<Record<SoakEvent['kind'], number>> = {
  start: 1_000,
  kill: 3_000,
  upgrade: 1_000,
  down: 6_000,
  reconfiguration: 1_000,
  crash: 0,
  burst: 0,
};
/** Moments of sending are interpolated. */
const LEAD_MS = 50;

/** When an event may cost packets; null for one that must not cost any. */
export function lossWindow(event: SoakEvent): { fromMs: number; toMs: number } | null {
  const { kind, name, fromMs, toMs } = event;
  const mayLose =
    kind === 'reconfiguration'
      ? RECONFIGURATIONS.some((one) => one.name === name && one.mayLose)
      : kind !== 'burst' && kind !== 'crash';
  return mayLose ? { fromMs: fromMs - LEAD_MS, toMs: toMs + GRACE_MS[kind] } : null;
}

/** Tells of a moment which event it was lost to: of several, the last one that had begun. */
export function findCauses(events: readonly SoakEvent[]): (atMs: number) => SoakEvent | undefined {
  const windows = events.flatMap((event) => {
    const window = lossWindow(event);
    return window === null ? [] : [{ event, ...window }];
  });
  return (atMs) => {
    const open = windows.filter(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs);
    return (open.findLast(({ event }) => atMs >= event.fromMs) ?? open.at(-1))?.event;
  };
}

export function account(
  losses: readonly Loss[],
  events: readonly SoakEvent[],
  samples: readonly Sample[],
): Accounting {
  const causeOf = findCauses(events);
  const byEvent = new Map<SoakEvent, Loss[]>();
  const rest: Loss[] = [];
  for (const loss of losses) {
    const cause = causeOf(loss.atMs);
    if (cause === undefined) {
      rest.push(loss);
      continue;
    }
    const own = byEvent.get(cause);
    if (own === undefined) byEvent.set(cause, [loss]);
    else own.push(loss);
  }
  return { byEvent, ...explainByCounters(rest, samples) };
}

/** Between two samples, as many losses have a reason as packets were counted as dropped there. */
function explainByCounters(losses: readonly Loss[], samples: readonly Sample[]) {
  const byCounter: Record<string, number> = {};
  const unexplained: Loss[] = [];
  const credits = SIDES.flatMap((side) => creditsOf(samples.filter((each) => each.side === side)));
  for (const loss of losses) {
    const credit = credits.find(
      ({ fromMs, toMs, left }) => left > 0 && loss.atMs >= fromMs && loss.atMs <= toMs,
    );
    if (credit === undefined) {
      unexplained.push(loss);
    } else {
      credit.left--;
      byCounter[credit.reason] = (byCounter[credit.reason] ?? 0) + 1;
    }
  }
  return { byCounter, unexplained };
}

interface Credit {
  readonly reason: string;
  readonly fromMs: number;
  readonly toMs: number;
  left: number;
}

function creditsOf(samples: readonly Sample[]): Credit[] {
  return samples.flatMap((sample, i) =>
    Object.entries(growth(samples[i - 1], sample)).map(([reason, left]) => ({
      reason,
      fromMs: (samples[i - 1]?.atMs ?? 0) - LEAD_MS,
      toMs: sample.atMs + LEAD_MS,
      left,
    })),
  );
}
