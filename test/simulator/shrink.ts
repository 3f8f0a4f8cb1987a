/**
 * From a failing scenario to a smaller one that fails the same invariant: less time, fewer links,
 * fewer troubles, less traffic. Knows neither a Device nor a clock.
 */

import type { Grouping } from './burst.ts';
import { MS_PER_HOUR, type Scenario, type Selection, select } from './scenario.ts';
import type { CryptoChoice } from './suite.ts';

/** Where and how a scenario fails; null when it does not. */
export interface Failing {
  readonly invariant: string;
  readonly at: number;
}

export interface Shrunk {
  readonly scenario: Scenario;
  readonly selection: Selection;
  /** Scenarios tried. */
  readonly tries: number;
}

const PATIENCE_MS = 600_000;

type Part = keyof Selection;

/**
 * @param attempt runs a scenario; null when nothing fails.
 * @param isOver asked before every attempt: true ends the search with what there is.
 */
export function shrink(
  scenario: Scenario,
  failing: Failing,
  attempt: (scenario: Scenario) => Failing | null,
  isOver: () => boolean,
): Shrunk {
  let best = cutTo(scenario, failing.at);
  let tries = 0;
  const fails = (candidate: Scenario): boolean => {
    if (isOver()) return false;
    tries++;
    // Without the rest it may come to the same a little later.
    const durationMs = Math.min(scenario.durationMs, best.durationMs + PATIENCE_MS);
    const failure = attempt({ ...candidate, durationMs });
    if (failure?.invariant !== failing.invariant) return false;
    best = cutTo(candidate, failure.at);
    return true;
  };
  for (let size = Number.POSITIVE_INFINITY; sizeOf(best) < size && !isOver(); ) {
    size = sizeOf(best);
    for (const part of ['links', 'troubles', 'flows'] as const) removeFrom(part, () => best, fails);
  }
  best = withoutLater(best);
  return { scenario: best, selection: selectionOf(best), tries };
}

/** Zeller's ddmin: halves first, then ever smaller pieces, down to single ones. */
function removeFrom(
  part: Part,
  current: () => Scenario,
  fails: (candidate: Scenario) => boolean,
): void {
  const all = { links: null, troubles: null, flows: null };
  for (let pieces = 1; ; pieces *= 2) {
    const length = Math.ceil(numbersOf(current(), part).length / pieces);
    for (let at = 0; at < numbersOf(current(), part).length; ) {
      const numbers = numbersOf(current(), part);
      const rest = [...numbers.slice(0, at), ...numbers.slice(at + length)];
      // What was behind the removed piece has moved to its place.
      if (!fails(select(current(), { ...all, [part]: rest }))) at += length;
    }
    if (length <= 1) return;
  }
}

/** Nothing after the failure matters. Whole ms, so that a command line can say it. */
function cutTo(scenario: Scenario, at: number): Scenario {
  return { ...scenario, durationMs: Math.floor(at) + 1 };
}

function withoutLater(scenario: Scenario): Scenario {
  const isInTime = ({ from }: { readonly from: number }) => from < scenario.durationMs;
  return {
    ...scenario,
    flows: scenario.flows.filter(isInTime),
    troubles: scenario.troubles.filter(isInTime),
  };
}

function numbersOf(scenario: Scenario, part: Part): number[] {
  return scenario[part].map(({ number }) => number);
}

function sizeOf({ links, troubles, flows }: Scenario): number {
  return links.length + troubles.length + flows.length;
}

function selectionOf(scenario: Scenario): Selection {
  return {
    links: numbersOf(scenario, 'links'),
    troubles: numbersOf(scenario, 'troubles'),
    flows: numbersOf(scenario, 'flows'),
  };
}

/** The options of `npm run simulate` that make this scenario again. */
export function reproduction(
  shrunk: Shrunk,
  said: {
    readonly devices: number | undefined;
    readonly crypto: CryptoChoice;
    readonly grouping: Grouping | 'both';
  },
): string {
  const { devices, crypto, grouping } = said;
  const { scenario, selection } = shrunk;
  const list = (part: Part) => `--${part} ${selection[part]!.join(',') || 'none'}`;
  return [
    `npm run simulate -- --seed ${scenario.seed} --hours ${scenario.durationMs / MS_PER_HOUR}`,
    ...(devices === undefined ? [] : [`--devices ${devices}`]),
    ...(crypto === 'fast' ? [] : [`--crypto ${crypto}`]),
    ...(grouping === 'runs' ? [] : [`--grouping ${grouping}`]),
    ...[list('links'), list('troubles'), list('flows'), '--trace'],
  ].join(' ');
}
