/** The results of all rows as a record and as tables, one to a section. Pure. */

import { formatJson } from '../bench/record.ts';
import type { Side } from '../bench/samples.ts';
import { median } from '../bench/statistics.ts';
import { formatMarkdown } from '../lab/publication.ts';
import type { Result } from './attempt.ts';
import type { Row } from './rows.ts';
import { judge, kept, keptRange, type Results, waits } from './verdict.ts';

/** A row with what came of it. */
export interface Outcome {
  readonly row: Row;
  readonly results: Results;
}

const SIDES: readonly Side[] = ['wireguard-go', 'tswg'];

const HEADS: Readonly<Record<Row['section'], readonly string[]>> = {
  session: ['flood', 'from', 'asked/s', '', 'arrived/s', 'gate', 'control', 'flood', 'kept', ''],
  newcomer: [
    ...['newcomer', 'from', 'asked/s', '', 'arrived/s', 'gate'],
    ...['came', 'median', '95 %', 'cookies', ''],
  ],
  recovery: ['accident', 'asked/s', '', 'arrived/s', 'gate', 'seconds', ''],
};

/** Lines for the terminal, or in Markdown for docs/floods.md. */
export function formatTables(outcomes: readonly Outcome[], isMarkdown = false): string {
  const sections = ['session', 'newcomer', 'recovery'] as const;
  const tables = sections.map((section) => {
    const lines = outcomes.filter(({ row }) => row.section === section).flatMap(formatOutcome);
    return lines.length === 0 ? [] : [HEADS[section], ...lines];
  });
  return tables
    .filter((table) => table.length > 0)
    .map((table) => (isMarkdown ? formatMarkdown(table) : columns(table).join('\n')))
    .join('\n\n');
}

/** One line for the terminal, as soon as a row has been tried. */
export function formatProgress({ row, results }: Outcome, side: Side): string {
  const verdict = judge(row, side, results);
  const result = results[side]!;
  const figures = result.section === 'failure' ? [result.reason] : figuresOf(result);
  return [row.id, side, ...figures, verdict].filter((cell) => cell !== '').join('  ');
}

function formatOutcome({ row, results }: Outcome): string[][] {
  return SIDES.filter((side) => side in results).map((side) => {
    const result = results[side]!;
    const verdict = judge(row, side, results);
    const cells = [...titlesOf(row), grouped(row.rate), side];
    if (result.section === 'failure') {
      const missing = HEADS[row.section].length - cells.length - 2;
      return [...cells, 'failed', ...Array.from({ length: missing }, () => ''), verdict];
    }
    return [...cells, ...figuresOf(result), verdict];
  });
}

function titlesOf(row: Row): string[] {
  switch (row.section) {
    case 'session':
      return [row.kind, `${row.sources} ${row.family}`];
    case 'newcomer': {
      const burst = row.isBurst ? ', burst' : '';
      return [`${row.direction}: ${row.kind}${burst}`, `${row.sources} ${row.family}`];
    }
    case 'recovery':
      return [`${row.accident}, ${row.isSpeaking ? 'speaking' : 'silent'}`];
  }
}

function figuresOf(result: Exclude<Result, { section: 'failure' }>): string[] {
  const conditions = [grouped(Math.round(result.arrivedPerSecond)), gateWord(result.gate)];
  switch (result.section) {
    case 'session': {
      const rates = [result.control, result.flood].map((all) => median(all).toFixed(2));
      return [...conditions, ...rates, formatKept(result.control, result.flood)];
    }
    case 'newcomer': {
      const { seconds, cookies } = result;
      const connected = seconds.filter(Number.isFinite).length;
      const { median: middle, p95 } = waits(seconds);
      const times = [middle, p95].map(formatSeconds);
      return [...conditions, `${connected}/${seconds.length}`, ...times, `${cookies}`];
    }
    case 'recovery':
      return [...conditions, result.seconds.map(formatSeconds).join(', ')];
  }
}

/** With the range, if there is one. */
function formatKept(control: readonly number[], flood: readonly number[]): string {
  const percent = (share: number): number => Math.round(100 * share);
  const share = `${percent(kept(control, flood))} %`;
  const range = keptRange(control, flood);
  return range === null ? share : `${share} (${percent(range.least)}-${percent(range.most)})`;
}

function gateWord(gate: string): string {
  return gate === 'none' ? '-' : gate;
}

function formatSeconds(seconds: number): string {
  return Number.isFinite(seconds) ? `${seconds.toFixed(1)} s` : 'never';
}

function grouped(rate: number | 'max'): string {
  return rate.toLocaleString('en-US');
}

function columns(table: readonly (readonly string[])[]): string[] {
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
}

/** JSON text. Who was never connected is null in it, as JSON knows no infinity. */
export function formatRecord(about: object, outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ row, results }) => ({
    ...row,
    verdict: judge(row, 'tswg', results),
    results,
  }));
  return formatJson({ ...about, units: 'Gbit/s, seconds, MB', rows });
}

/** The results that a record has, by the ids of their rows. */
export function parseRecord(text: string): ReadonlyMap<string, Results> {
  const { rows } = JSON.parse(text, (key, value) =>
    key === 'seconds' && Array.isArray(value)
      ? value.map((each) => each ?? Number.POSITIVE_INFINITY)
      : value,
  ) as { rows?: (Row & { results: Results })[] };
  if (rows === undefined) throw new Error('flood.json: expected rows; it is of an older table');
  return new Map(rows.map(({ id, results }) => [id, results]));
}
