/**
 * The outcome as people read it: numbers with their unit, the table of the terminal, and that of
 * docs/benchmarks.md. Pure.
 */

import { formatMarkdown } from '../lab/publication.ts';
import type { Row, Unit } from './rows.ts';
import { type Contest, type Outcome, SPEED, type Verdict } from './samples.ts';
import type { Spread } from './statistics.ts';

const DECIMALS: Readonly<Record<Unit, number>> = {
  'Gbit/s': 2,
  'packets/s': 0,
  ms: 3,
  's/GB': 2,
  MB: 1,
  'handshakes/s': 0,
  '%': 1,
  ns: 0,
  '': 2,
};
/** From here on decimals are noise. */
const LARGE = 100;
const NOTHING = '-';
const VERDICT_WORDS: Readonly<Record<Verdict, string>> = {
  aim: 'yes, the aim',
  met: 'yes',
  missed: 'NO',
};

function headingsOf({ baseline, subject }: Contest): string[] {
  return [
    ...['row', 'unit', baseline, '(min..max)', subject, '(min..max)', 'ratio', '(min..max)'],
    ...['at least', 'aim', 'met'],
  ];
}

/** The columns that hold words. */
const LEFT_ALIGNED = new Set([0, 1, 10]);

/** Lines of equal shape: headings, a rule, and one line a row. */
export function formatTable(outcomes: readonly Outcome[], contest: Contest = SPEED): string {
  const lines = [headingsOf(contest), ...outcomes.map(cells)];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const [headings, ...body] = lines.map((line) =>
    line
      .map((cell, column) =>
        LEFT_ALIGNED.has(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
      )
      .join('  ')
      .trimEnd(),
  );
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [headings, rule, ...body].join('\n');
}

/** The medians in Markdown, for the page about the benchmark. */
export function formatPageTable(outcomes: readonly Outcome[], contest: Contest = SPEED): string {
  const rows = outcomes.map(({ row, baseline, subject, ratio }) => [
    ...[row.title, row.unit],
    ...[baseline, subject].map((values) => valueCells(values, row)[0]),
    ratio === null ? NOTHING : formatRatio(ratio.median),
    formatBound(row, row.target?.atLeast),
  ]);
  const { baseline, subject } = contest;
  return formatMarkdown([['row', 'unit', baseline, subject, 'ratio', 'at least'], ...rows]);
}

/** A value with the decimals of its unit, and without the unit. */
export function formatValue(value: number, unit: Unit): string {
  const decimals = Math.abs(value) >= LARGE ? 0 : DECIMALS[unit];
  return value.toLocaleString('en-US', {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
    // What rounds to nothing has no sign.
    signDisplay: 'negative',
  });
}

function formatRatio(ratio: number): string {
  return `${ratio.toFixed(2)}x`;
}

function cells(outcome: Outcome): string[] {
  const { row, baseline, subject, ratio, verdict } = outcome;
  return [
    row.title,
    row.unit,
    ...valueCells(baseline, row),
    ...valueCells(subject, row),
    ratio === null ? NOTHING : formatRatio(ratio.median),
    ratio === null ? '' : `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`,
    formatBound(row, row.target?.atLeast),
    formatBound(row, row.target?.aim),
    verdict === null ? '' : VERDICT_WORDS[verdict],
  ];
}

function valueCells(values: Spread | null, { unit }: Row): [median: string, extremes: string] {
  if (values === null) return [NOTHING, ''];
  const extremes = `${formatValue(values.min, unit)}..${formatValue(values.max, unit)}`;
  return [formatValue(values.median, unit), extremes];
}

function formatBound(row: Row, bound: number | undefined): string {
  if (bound === undefined || row.target === undefined) return '';
  if (row.target.of === 'ratio') return `${bound}x`;
  return row.better === 'more' ? `${bound}` : `<= ${bound}`;
}
