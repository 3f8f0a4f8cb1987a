/**
 * The outcome as programs read it: bench.json, with every sample. Pure.
 */

import type { Machine } from './machine.ts';
import type { Samples, Side } from './samples.ts';
import type { Failure, Settings } from './scenario.ts';

/** Enough for any figure, and short enough to read. */
const SIGNIFICANT_DIGITS = 6;
const NAMES: Readonly<Record<Side, string>> = {
  'wireguard-go': 'wireguardGo',
  tswg: 'tswg',
  'tswg, observed': 'observed',
  'tswg, before': 'before',
};

/** JSON text, indented by 2, lists of numbers on one line each. */
export function formatRecord(
  machine: Machine,
  settings: Settings,
  samples: Samples,
  failures: readonly Failure[],
): string {
  const { contest } = samples;
  const [ofBaseline, ofSubject] = [NAMES[contest.baseline], NAMES[contest.subject]];
  const rows = samples.outcomes().map(({ row, baseline, subject, ratio, verdict }) => ({
    ...row,
    [ofBaseline]: baseline,
    [ofSubject]: subject,
    ratio,
    verdict,
    samples: {
      [ofBaseline]: samples.of(row.baseline ?? row.id, contest.baseline),
      [ofSubject]: samples.of(row.id, contest.subject),
    },
  }));
  const { rounds, seconds, heapBytes } = settings;
  return formatJson({ machine, settings: { rounds, seconds, heapBytes }, rows, failures });
}

/** JSON text for a file that people read as well: short figures, lists of them on one line each. */
export function formatJson(whole: object): string {
  const text = JSON.stringify(whole, (_, value) => shortened(value), 2);
  const onOneLine = text.replaceAll(
    /\[\n\s+(-?[\d.][^[\]{}"]*?)\n\s+\]/g,
    (_, list: string) => `[${list.replaceAll(/,\n\s+/g, ', ')}]`,
  );
  return `${onOneLine}\n`;
}

function shortened(value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(SIGNIFICANT_DIGITS)) : value;
}
