/**
 * The same scenario in both groupings: as runs, and packet by packet. Whatever happens has to be the
 * same, in the same order: what is sent, delivered and told, what fails, and what is visited.
 */

import { type Failure, type Result, type RunOptions, run } from './run.ts';
import type { Scenario } from './scenario.ts';

/** Not the same: the name of the invariant. */
const SAME_EITHER_WAY = 'sameEitherWay';

/** The result by runs; it fails where the two differ, even when neither fails by itself. */
export function runBoth(scenario: Scenario, options: Omit<RunOptions, 'grouping'>): Result {
  const byRuns = run(scenario, { ...options, grouping: 'runs' });
  const byPackets = run(scenario, { ...options, grouping: 'packets' });
  if (isSame(byRuns, byPackets)) return byRuns;
  return { ...byRuns, failure: byRuns.failure ?? firstDifference(scenario, options) };
}

function isSame(a: Result, b: Result): boolean {
  return (
    a.digest === b.digest &&
    a.failure?.invariant === b.failure?.invariant &&
    a.failure?.sentence === b.failure?.sentence &&
    a.coverage.format() === b.coverage.format()
  );
}

/** The first lines of the traces that differ, if they show it. */
function firstDifference(scenario: Scenario, { crypto }: RunOptions): Failure {
  const [byRuns, byPackets] = (['runs', 'packets'] as const).map((grouping) =>
    run(scenario, { crypto, grouping, trace: true }),
  );
  const lines = Math.max(byRuns.trace.length, byPackets.trace.length);
  for (let i = 0; i < lines; i++) {
    const [a = 'nothing', b = 'nothing'] = [byRuns.trace[i], byPackets.trace[i]];
    if (a === b) continue;
    const at = Number.parseFloat(a) * 1_000 || scenario.durationMs;
    const sentence = `by runs: ${a.trim()}; packet by packet: ${b.trim()}`;
    return { invariant: SAME_EITHER_WAY, sentence, at };
  }
  const sentence = `the digest is ${byRuns.digest} by runs and ${byPackets.digest} packet by packet, and the traces are the same`;
  return { invariant: SAME_EITHER_WAY, sentence, at: scenario.durationMs };
}
