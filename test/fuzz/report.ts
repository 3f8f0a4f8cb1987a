/** What runs of targets came to, as people read it. Pure. */

import type { Failure, Report } from './run.ts';
import { formatInput, type Input } from './target.ts';

const HEADINGS = [
  ...['target', 'inputs', 'inputs/s', 'median us', 'slowest us', 'held KiB', 'outcomes', 'result'],
] as const;
const LEFT_ALIGNED = new Set<string>(['target', 'result']);
/** Hex digits or characters of an input that are shown of it. */
const SHOWN_MAX = 2_000;

/** One line a target, and one of their sum. */
export function formatTable(reports: readonly Report[]): string {
  const rows = reports.map((report) => [
    report.target,
    grouped(report.inputs),
    grouped(report.inputs / Math.max(report.seconds, 1e-9)),
    report.medianUs.toFixed(1),
    grouped(report.slowestUs),
    grouped(report.growthBytes / 1024),
    String(report.outcomes.size),
    report.failure === null ? 'ok' : 'FAILED',
  ]);
  const inputs = reports.reduce((sum, report) => sum + report.inputs, 0);
  const seconds = reports.reduce((sum, report) => sum + report.seconds, 0);
  const total = ['all', grouped(inputs), grouped(inputs / Math.max(seconds, 1e-9))];
  const lines = [[...HEADINGS], ...rows, [...total, '', '', '', '', '']];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) => line.map((cell, column) => pad(cell, column, widths[column])).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}

function pad(cell: string, column: number, width: number): string {
  return LEFT_ALIGNED.has(HEADINGS[column]) ? cell.padEnd(width) : cell.padStart(width);
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** What ended how often, most often first. */
export function formatOutcomes({ outcomes, inputs }: Report): string {
  const sorted = [...outcomes].sort((a, b) => b[1] - a[1]);
  return sorted
    .map(([outcome, count]) => {
      const share = `${((100 * count) / inputs).toFixed(3)} %`;
      return `${grouped(count).padStart(14)}  ${share.padStart(9)}  ${outcome}`;
    })
    .join('\n');
}

/** Everything that it takes to see the failure again. */
export function formatFailure({ target, seed }: Report, failure: Failure): string {
  const { what, number, input, minimised } = failure;
  const lines = [
    `${target}: ${what}`,
    `  seed ${seed}, input ${number}: ${shown(input)}`,
    ...(minimised ?? []).map((one, i) => `  minimised, ${i + 1}. input: ${shown(one)}`),
  ];
  if (minimised?.length === 1) {
    const least = shown(minimised[0]).replaceAll("'", "'\\''");
    lines.push(`  again: npm run fuzz -- --target ${target} --input '${least}'`);
  } else {
    lines.push(`  again: npm run fuzz -- --target ${target} --seed ${seed} --inputs ${number + 1}`);
  }
  return lines.join('\n');
}

function shown(input: Input): string {
  const text = formatInput(input);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}... (${text.length})` : text;
}
